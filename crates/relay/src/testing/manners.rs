//! How a fake peer behaves in the handshake, and the handshake itself.

use mcbp::dcp::Open;
use mcbp::{Feature, Frame, Opcode, Status};

use super::conn::{FakeConn, Opened};
use super::{BUCKET, CREDENTIALS, must, view};

/// The SASL mechanisms of a real node.
const MECHANISMS: &str = "PLAIN SCRAM-SHA512 SCRAM-SHA256 SCRAM-SHA1";

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
    /// Its SASL mechanisms, which it lists after it has refused SASL_AUTH; `None` to close the
    /// connection instead.
    pub mechanisms: Option<&'static str>,
    /// The features that it grants if requested.
    pub features: Vec<Feature>,
    /// The last request of the handshake: DCP_OPEN, or SELECT_BUCKET for a plain client.
    pub last: Opcode,
}

impl Default for Manners {
    fn default() -> Self {
        let features = vec![Feature::XATTR, Feature::COLLECTIONS, Feature::SNAPPY, Feature::JSON];
        Self { bad_at: None, mechanisms: Some(MECHANISMS), features, last: Opcode::DCP_OPEN }
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
                    Manner::Refuse(status) => {
                        self.answer(&bytes, *status).await;
                        self.tell_mechanisms(*opcode, manners).await;
                    }
                }
                return;
            }
            let (status, value) = self.well_mannered(&request, manners);
            self.answer_with(&bytes, status, &[], &value).await;
            if !status.is_success() {
                self.tell_mechanisms(request.opcode(), manners).await;
                return;
            }
            if request.opcode() == manners.last {
                return;
            }
        }
    }

    /// Answers the request that follows a refused SASL_AUTH.
    async fn tell_mechanisms(&mut self, refused: Opcode, manners: &Manners) {
        if refused != Opcode::SASL_AUTH {
            return;
        }
        let asked = self.expect(Opcode::SASL_LIST_MECHS).await;
        match manners.mechanisms {
            Some(names) => {
                self.answer_with(&asked, Status::SUCCESS, &[], names.as_bytes()).await;
            }
            None => self.hang_up(),
        }
    }

    fn well_mannered(&mut self, request: &Frame<'_>, manners: &Manners) -> (Status, Vec<u8>) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match request.opcode() {
            Opcode::SASL_AUTH => {
                let (username, password) = CREDENTIALS;
                let right = request.value == ["", username, password].join("\0").as_bytes();
                (if right { Status::SUCCESS } else { Status::AUTH_ERROR }, Vec::new())
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
