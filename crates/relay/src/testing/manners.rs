//! How a fake peer behaves in the handshake, and the handshake itself.

use mcbp::dcp::Open;
use mcbp::{Feature, Frame, Opcode, Status};
use scram::{ITERATIONS_MIN, Mechanism, Server, Verifier};

use super::conn::{FakeConn, Opened};
use super::{BUCKET, CREDENTIALS, must, view};

/// The SASL mechanisms of a real node.
const MECHANISMS: &str = "PLAIN SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1";

/// The salt of its user.
const SALT: &[u8] = b"salt of a fake peer";

/// How a fake peer misbehaves at a request of the handshake.
#[derive(Clone, Debug)]
pub enum Manner {
    /// Never answers.
    Silence,
    /// Closes the connection.
    HangUp,
    /// Sends this instead of an answer.
    Raw(Vec<u8>),
    /// Answers with this status.
    Refuse(Status),
}

/// How a fake peer behaves in the handshake; by default correctly.
#[derive(Clone, Debug)]
pub struct Manners {
    /// The request at which it misbehaves, and how; then the handshake is over.
    pub bad_at: Option<(Opcode, Manner)>,
    /// Its SASL mechanisms; `None` where it does not know SASL_LIST_MECHS.
    pub mechanisms: Option<&'static str>,
    /// The iterations that it asks for in SCRAM.
    pub iterations: u32,
    /// The password that it knows of its user.
    pub password: &'static str,
    /// The features that it grants if requested.
    pub features: Vec<Feature>,
    /// The last request of the handshake: DCP_OPEN, or SELECT_BUCKET for a plain client.
    pub last: Opcode,
}

impl Default for Manners {
    fn default() -> Self {
        let features = vec![Feature::XATTR, Feature::COLLECTIONS, Feature::SNAPPY, Feature::JSON];
        Self {
            bad_at: None,
            mechanisms: Some(MECHANISMS),
            iterations: ITERATIONS_MIN,
            password: CREDENTIALS.1,
            features,
            last: Opcode::DCP_OPEN,
        }
    }
}

impl Manners {
    /// Misbehaves at `opcode`.
    #[must_use]
    pub fn bad_at(opcode: Opcode, manner: Manner) -> Self {
        Self { bad_at: Some((opcode, manner)), ..Self::default() }
    }

    /// Correct behaviour towards a [`crate::Client`] that selects a bucket.
    #[must_use]
    pub fn for_client() -> Self {
        Self { last: Opcode::SELECT_BUCKET, ..Self::default() }
    }
}

impl FakeConn {
    /// Plays the handshake as `manners` say, like [`super::FakePeer::accept`].
    ///
    /// # Panics
    /// If the other side closes during it.
    pub async fn greet(&mut self, manners: &Manners) {
        self.handshake(manners).await;
    }

    pub(super) async fn handshake(&mut self, manners: &Manners) {
        loop {
            let Some(bytes) = self.recv().await else { panic!("left during the handshake") };
            let request = view(&bytes);
            if let Some((opcode, manner)) = &manners.bad_at
                && request.opcode() == *opcode
            {
                match manner {
                    Manner::Silence => {}
                    Manner::HangUp => self.hang_up(),
                    Manner::Raw(junk) => self.send_raw(junk).await,
                    Manner::Refuse(status) => self.answer(&bytes, *status).await,
                }
                return;
            }
            let (status, value) = self.well_mannered(&request, manners);
            self.answer_with(&bytes, status, &[], &value).await;
            let goes_on = status.is_success()
                || status == Status::AUTH_CONTINUE
                || request.opcode() == Opcode::SASL_LIST_MECHS;
            if !goes_on || request.opcode() == manners.last {
                return;
            }
        }
    }

    fn well_mannered(&mut self, request: &Frame<'_>, manners: &Manners) -> (Status, Vec<u8>) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match request.opcode() {
            Opcode::SASL_LIST_MECHS => match manners.mechanisms {
                Some(names) => (Status::SUCCESS, names.into()),
                None => (Status::UNKNOWN_COMMAND, Vec::new()),
            },
            Opcode::SASL_AUTH if request.key == b"PLAIN" => {
                let right = ["", CREDENTIALS.0, manners.password].join("\0");
                let is_right = request.value == right.as_bytes();
                (if is_right { Status::SUCCESS } else { Status::AUTH_ERROR }, Vec::new())
            }
            Opcode::SASL_AUTH => {
                let mechanism = must("a mechanism", Mechanism::named(request.key).ok_or(()));
                let begun = must("a first message", Server::begin(mechanism, request.value));
                let (challenge, challenged) = begun.challenge(SALT, manners.iterations, "theirs");
                self.challenged = Some(challenged);
                (Status::AUTH_CONTINUE, challenge.into())
            }
            Opcode::SASL_STEP => {
                let challenged = must("a SASL_AUTH before", self.challenged.take().ok_or(()));
                let (password, iterations) = (manners.password.as_bytes(), manners.iterations);
                let mechanism = challenged.mechanism();
                let verifier = Verifier::new(mechanism, password, SALT, iterations);
                match challenged.check(&verifier, request.value) {
                    Ok(signature) => (Status::SUCCESS, signature.into()),
                    Err(_) => (Status::AUTH_ERROR, Vec::new()),
                }
            }
            Opcode::SELECT_BUCKET if request.key == BUCKET.as_bytes() => {
                (Status::SUCCESS, Vec::new())
            }
            Opcode::SELECT_BUCKET => (Status::KEY_ENOENT, Vec::new()),
            Opcode::HELLO => {
                let mut granted = must("a HELLO", Feature::decode_list(request));
                self.asked.clone_from(&granted);
                granted.retain(|feature| manners.features.contains(feature));
                (Status::SUCCESS, Feature::encode_list(&granted))
            }
            Opcode::DCP_OPEN => {
                let open = must("a DCP_OPEN", Open::decode(request));
                let (name, value) = (text(open.name), text(open.value));
                self.opened = Some(Opened { flags: open.flags, name, value });
                (Status::SUCCESS, Vec::new())
            }
            // No statistics: the answer is their end.
            Opcode::STAT => (Status::SUCCESS, Vec::new()),
            _ => (Status::UNKNOWN_COMMAND, Vec::new()),
        }
    }
}
