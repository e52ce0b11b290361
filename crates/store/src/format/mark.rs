//! The commit mark: what every commit writes about itself, into every table.

use super::Flaw;
use super::checksum::{CRC_BYTES, verified, with_checksum};
use super::keys::COMMIT_MARK;
use super::pointer::ValuesEnd;

/// What a commit says of itself. It is checked in the journals before the engine opens them.
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
