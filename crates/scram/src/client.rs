//! The client's side.

use std::fmt;

use crate::hash::{self, Bytes};
use crate::message::{self, ServerFirst, encoded, escaped};
use crate::{ITERATIONS_MAX, ITERATIONS_MIN, Mechanism};

/// The header: no channel binding, no other identity.
const HEADER: &str = "n,,";

/// Why a client does not go on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClientError {
    /// The node's message does not have the form of RFC 5802.
    #[error("the node's message is no SCRAM: {0}")]
    Malformed(&'static str),
    /// The node's nonce does not go on from ours: the message belongs to another exchange.
    #[error("the node answers another login: its nonce does not begin with ours")]
    OtherNonce,
    /// Outside of [`ITERATIONS_MIN`] and [`ITERATIONS_MAX`].
    #[error(
        "the node asks for {0} iterations; between {ITERATIONS_MIN} and {ITERATIONS_MAX} are taken"
    )]
    Iterations(u32),
    /// The node refused the proof, in its own words.
    #[error("the node refused the proof: {0}")]
    Refused(String),
    /// The node's signature is wrong: it does not know the user's password.
    #[error("the node could not show that it knows the password: it may not be the node")]
    NotTheNode,
}

/// A login that was not begun.
pub struct Client<'a> {
    mechanism: Mechanism,
    password: &'a [u8],
    bare: String,
    nonce: String,
}

impl<'a> Client<'a> {
    /// `nonce`: printable ASCII without commas, which nobody can foresee.
    #[must_use]
    pub fn new(mechanism: Mechanism, user: &str, password: &'a [u8], nonce: &str) -> Self {
        let bare = format!("n={},r={nonce}", escaped(user));
        Self { mechanism, password, bare, nonce: nonce.to_owned() }
    }

    /// The first message.
    #[must_use]
    pub fn first(&self) -> String {
        format!("{HEADER}{}", self.bare)
    }

    /// Answers the node's first message. Takes as long as the node asks for, within
    /// [`ITERATIONS_MAX`].
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn prove(self, message: &[u8]) -> Result<(String, Proven), ClientError> {
        let (mechanism, password) = (self.mechanism, self.password);
        let asked = self.hear(message)?;
        let salted = Salted::new(mechanism, password, &asked.salt, asked.iterations);
        Ok(asked.prove(&salted))
    }

    /// Reads the node's first message, which says how the password is to be salted. With a
    /// [`Salted`] of an earlier login the rest is quick.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn hear(self, message: &[u8]) -> Result<Asked, ClientError> {
        let first = ServerFirst::parse(message).map_err(ClientError::Malformed)?;
        if !first.nonce.starts_with(&self.nonce) || first.nonce.len() == self.nonce.len() {
            return Err(ClientError::OtherNonce);
        }
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&first.iterations) {
            return Err(ClientError::Iterations(first.iterations));
        }
        let without_proof = format!("c={},r={}", encoded(HEADER.as_bytes()), first.nonce);
        let covered = format!("{},{},{without_proof}", self.bare, String::from_utf8_lossy(message));
        let ServerFirst { salt, iterations, .. } = first;
        Ok(Asked { mechanism: self.mechanism, salt, iterations, without_proof, covered })
    }
}

/// What the node asked for.
pub struct Asked {
    mechanism: Mechanism,
    salt: Vec<u8>,
    iterations: u32,
    without_proof: String,
    /// The messages that proof and signature cover.
    covered: String,
}

impl Asked {
    /// The salt.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// Between [`ITERATIONS_MIN`] and [`ITERATIONS_MAX`].
    #[must_use]
    pub const fn iterations(&self) -> u32 {
        self.iterations
    }

    /// The client's final message, and what checks the answer to it. A [`Salted`] of another
    /// mechanism, salt or number of iterations gives a proof that fits nothing.
    #[must_use]
    pub fn prove(self, salted: &Salted) -> (String, Proven) {
        let Self { mechanism, without_proof, covered, .. } = self;
        let salted = salted.0.as_slice();
        let client_key = hash::hmac(mechanism, salted, b"Client Key");
        let stored_key = hash::hash(mechanism, client_key.as_slice());
        let signature = hash::hmac(mechanism, stored_key.as_slice(), covered.as_bytes());
        let proof = client_key.xor(&signature);
        let server_key = hash::hmac(mechanism, salted, b"Server Key");
        let expected = hash::hmac(mechanism, server_key.as_slice(), covered.as_bytes());
        let message = format!("{without_proof},p={}", encoded(proof.as_slice()));
        (message, Proven { mechanism, expected })
    }
}

/// A salted password: as secret as the password itself, for its node. It may be kept for the next
/// login there.
#[derive(Clone)]
pub struct Salted(Bytes);

impl Salted {
    /// Takes as long as there are iterations: some 10 ms for
    /// [`ITERATIONS`](crate::ITERATIONS). More than [`ITERATIONS_MAX`] count as that, none as one.
    #[must_use]
    pub fn new(mechanism: Mechanism, password: &[u8], salt: &[u8], iterations: u32) -> Self {
        Self(hash::salted(mechanism, password, salt, iterations.clamp(1, ITERATIONS_MAX)))
    }
}

/// Nothing of the password.
impl fmt::Debug for Salted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salted(..)")
    }
}

/// The client has sent its proof.
pub struct Proven {
    mechanism: Mechanism,
    expected: Bytes,
}

impl Proven {
    /// Checks the node's final message: only a node that knows the password can sign it.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn accept(self, message: &[u8]) -> Result<(), ClientError> {
        match message::signature(message).map_err(ClientError::Malformed)? {
            Err(error) => Err(ClientError::Refused(error.to_owned())),
            Ok(signature) => Bytes::of(self.mechanism, signature)
                .filter(|it| it.is_same(&self.expected))
                .map(drop)
                .ok_or(ClientError::NotTheNode),
        }
    }
}
