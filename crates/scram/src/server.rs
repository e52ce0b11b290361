//! The node's side: two messages are answered, and each state takes the one that is its turn.

use crate::hash::{self, Bytes};
use crate::message::{ClientFinal, ClientFirst, encoded};
use crate::{Mechanism, Verifier};

/// A message that does not have the form of RFC 5802, and what is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the message is no SCRAM: {0}")]
pub struct Malformed(&'static str);

/// How the proof of a client failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WrongProof {
    /// See [`Malformed`].
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The password is not that of the verifier, or the messages were changed on their way.
    #[error("the proof does not fit")]
    DoesNotFit,
}

/// The beginning of an exchange.
#[derive(Clone, Copy, Debug)]
pub struct Server;

impl Server {
    /// Reads a client's first message.
    ///
    /// # Errors
    /// [`Malformed`], also for a client that asks for channel binding.
    pub fn begin(mechanism: Mechanism, message: &[u8]) -> Result<Begun, Malformed> {
        let first = ClientFirst::parse(message).map_err(Malformed)?;
        let [header, bare, nonce] = [first.header, first.bare, first.nonce].map(str::to_owned);
        Ok(Begun { mechanism, user: first.user, header, bare, nonce })
    }
}

/// A user has named itself.
#[derive(Clone, Debug)]
pub struct Begun {
    mechanism: Mechanism,
    user: String,
    header: String,
    bare: String,
    nonce: String,
}

impl Begun {
    /// The user.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Returns the node's first message, and what checks the answer to it. `more` continues the
    /// client's nonce: printable ASCII without commas, which nobody can foresee. No verifier is
    /// needed yet, so that a user who does not exist gets a challenge like any other.
    #[must_use]
    pub fn challenge(self, salt: &[u8], iterations: u32, more: &str) -> (String, Challenged) {
        let nonce = format!("{}{more}", self.nonce);
        let message = format!("r={nonce},s={},i={iterations}", encoded(salt));
        let messages = format!("{},{message}", self.bare);
        let Self { mechanism, user, header, .. } = self;
        (message, Challenged { mechanism, user, header, nonce, messages })
    }
}

/// The node has sent its challenge.
#[derive(Clone, Debug)]
pub struct Challenged {
    mechanism: Mechanism,
    user: String,
    header: String,
    nonce: String,
    /// Both first messages, which the proof covers.
    messages: String,
}

impl Challenged {
    /// The user.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The mechanism.
    #[must_use]
    pub const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Checks a client's final message. Returns the node's final message, by which the client sees
    /// that it talks to its node. A verifier with another salt, other iterations or of another
    /// mechanism than the challenge fits no proof.
    ///
    /// # Errors
    /// [`WrongProof`]
    pub fn check(&self, verifier: &Verifier, message: &[u8]) -> Result<String, WrongProof> {
        let last = ClientFinal::parse(message).map_err(Malformed)?;
        let Verifier { mechanism, stored_key, server_key, .. } = verifier;
        let proof = Bytes::of(*mechanism, last.proof).ok_or(WrongProof::DoesNotFit)?;
        let covered = format!("{},{}", self.messages, last.without_proof);
        let signature = hash::hmac(*mechanism, stored_key.as_slice(), covered.as_bytes());
        let client_key = proof.xor(&signature);
        let fits = hash::hash(*mechanism, client_key.as_slice()).is_same(stored_key);
        // The proof covers both, so that only a client that knows the password could send others.
        // kv_engine takes another nonce then; RFC 5802, section 5.1, does not.
        let is_answer = last.nonce == self.nonce && last.header == self.header.as_bytes();
        if !(fits && is_answer) {
            return Err(WrongProof::DoesNotFit);
        }
        let signature = hash::hmac(*mechanism, server_key.as_slice(), covered.as_bytes());
        Ok(format!("v={}", encoded(signature.as_slice())))
    }
}
