//! A value of the table `meta`: how many bytes of a value file are garbage.

use super::Flaw;
use super::checksum::{verified, with_checksum};

/// Bytes of a value file that no row names any more, as stored under the key of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Garbage(pub u64);

impl Garbage {
    pub(crate) fn encode(self, key: &[u8]) -> Vec<u8> {
        with_checksum(self.0.to_be_bytes().to_vec(), key)
    }

    pub(crate) fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, Flaw> {
        let body = verified(bytes, key)?;
        let body = body.try_into().map_err(|_| "the number of bytes has another length")?;
        Ok(Self(u64::from_be_bytes(body)))
    }
}
