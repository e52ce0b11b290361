//! A value of the table `keys`: where the newest row of a key is.

use mcbp::Seqno;
use vbucket::Row;

use super::Flaw;
use super::checksum::{CRC_BYTES, concat, crc, verified};

/// The newest row of a key. Small, so that a test whether a key exists reads no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct KeyEntry {
    /// Of the row.
    pub seqno: Seqno,
    /// Whether the row is a document, not a deletion.
    pub alive: bool,
}

impl KeyEntry {
    /// Length of an encoded entry. The engine stores so few bytes without an allocation.
    const BYTES: usize = 9 + CRC_BYTES;

    /// The entry for `row`.
    pub(crate) fn of(row: &Row) -> Self {
        Self { seqno: row.seqno, alive: row.is_alive() }
    }

    /// The bytes under the table key `table_key`, which the checksum covers.
    pub(crate) fn encode(self, table_key: &[u8]) -> [u8; Self::BYTES] {
        let seqno = self.seqno.0.to_be_bytes();
        let alive = [u8::from(self.alive)];
        let crc = crc(&[table_key, &seqno, &alive]).to_be_bytes();
        concat(&[&seqno, &alive, &crc])
    }

    pub(crate) fn decode(table_key: &[u8], bytes: &[u8]) -> Result<Self, Flaw> {
        let (seqno, alive) = match verified(bytes, table_key)?.split_first_chunk::<8>() {
            Some((seqno, [0])) => (seqno, false),
            Some((seqno, [1])) => (seqno, true),
            _ => return Err("the key entry is malformed"),
        };
        Ok(Self { seqno: Seqno(u64::from_be_bytes(*seqno)), alive })
    }
}
