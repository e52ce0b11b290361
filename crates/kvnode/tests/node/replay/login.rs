//! A login with SCRAM: the messages of its own, in the places of the recorded ones.

use mcbp::Frame;
use scram::{Client, Mechanism, Proven};

use super::known::same;
use crate::support::client::Answer;
use crate::support::{PASSWORD, USER};

/// Where a login is.
pub enum Login {
    Begun(Box<Client<'static>>),
    Challenged(String, Box<Proven>),
    Done,
}

impl Login {
    /// Puts the first message in the place of the recorded one.
    pub fn begin(mechanism: &[u8], message: &mut Vec<u8>) -> Self {
        let mechanism = Mechanism::named(mechanism).unwrap();
        let client = Client::new(mechanism, USER, PASSWORD.as_bytes(), "not a secret");
        *message = client.first().into_bytes();
        Self::Begun(Box::new(client))
    }

    /// Puts the proof in the place of the recorded one.
    pub fn prove(&self, message: &mut Vec<u8>) {
        let Self::Challenged(proof, _) = self else { panic!("the node has not answered") };
        *message = proof.clone().into_bytes();
    }

    /// Reads an answer, which has the fields of the recorded one.
    pub fn hear(&mut self, expected: &Frame<'_>, found: &Answer) -> Result<(), String> {
        same("datatype", &found.datatype, &expected.header.datatype)?;
        same("extras", &&found.extras[..], &expected.extras)?;
        same("fields", &names(&found.value), &names(expected.value))?;
        *self = match std::mem::replace(self, Self::Done) {
            Self::Begun(client) => {
                let (proof, proven) = client.prove(&found.value).map_err(|it| it.to_string())?;
                Self::Challenged(proof, Box::new(proven))
            }
            Self::Challenged(_, proven) => {
                proven.accept(&found.value).map_err(|it| it.to_string())?;
                Self::Done
            }
            Self::Done => return Err("an answer after the login".to_owned()),
        };
        Ok(())
    }
}

/// The names of the fields of a message, such as `r`, `s` and `i`.
fn names(message: &[u8]) -> Vec<u8> {
    message.split(|&byte| byte == b',').filter_map(|field| field.first().copied()).collect()
}
