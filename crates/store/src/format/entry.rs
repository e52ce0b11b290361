//! The small values of the tables: key entries, garbage counts and commit marks.

use mcbp::Seqno;
use vbucket::Row;

use super::Flaw;
use super::checksum::{CRC_BYTES, concat, crc, verified, with_checksum};
use super::keys::COMMIT_MARK;
use super::pointer::ValuesEnd;

/// A value of the table `keys`: the newest row of a key. Small, so that a test whether a key exists
/// reads no value.
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

/// The commit mark: what every commit writes about itself, into every table. It is checked in the
/// journals before the engine opens them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct CommitMark {
    /// Counts commits, without a gap.
    pub number: u64,
    /// Every commit up to this number had been synced when this one was written.
    pub synced: u64,
    /// The engine's sequence number just before; its own journal has no checksum over it.
    pub sequence: u64,
    /// Where the out-of-line values end, with those of this commit.
    pub values: ValuesEnd,
}

impl CommitMark {
    /// Length of an encoded mark.
    pub(crate) const BYTES: usize = 40 + CRC_BYTES;

    pub(crate) fn encode(self) -> Vec<u8> {
        let ValuesEnd { file, bytes } = self.values;
        let fields = [self.number, self.synced, self.sequence, file, bytes].map(u64::to_be_bytes);
        with_checksum(fields.concat(), COMMIT_MARK)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Flaw> {
        let body = verified(bytes, COMMIT_MARK)?;
        let (fields, rest) = body.as_chunks::<8>();
        match *fields {
            [number, synced, sequence, file, bytes] if rest.is_empty() => {
                let [number, synced, sequence, file, bytes] =
                    [number, synced, sequence, file, bytes].map(u64::from_be_bytes);
                Ok(Self { number, synced, sequence, values: ValuesEnd { file, bytes } })
            }
            _ => Err("the commit mark has another length"),
        }
    }
}

/// A value of the table `meta`: bytes of a value file that no row names any more, stored under the
/// key of the file.
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
