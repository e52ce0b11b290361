//! The layout of a journal of fjall 3.1 (its `src/journal/entry.rs`), read batch by batch.

use crate::format::{COMMIT_MARK, CommitMark};

pub(super) const START: u8 = 1;
pub(super) const ITEM: u8 = 2;
pub(super) const END: u8 = 3;
pub(super) const CLEAR: u8 = 4;
pub(super) const TRAILER: &[u8] = b"FJL\x03";

/// How far the engine's sequence number may have moved between a mark and its batch: other threads
/// take numbers too, one for each table file that they write.
const SEQUENCE_GAP_MAX: u64 = 1 << 20;

/// One intact batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct JournalBatch {
    pub(super) mark: CommitMark,
    /// The engine's own sequence number, which its checksum does not cover.
    sequence: u64,
}

impl JournalBatch {
    /// Whether this is the next batch after `before`.
    pub(super) const fn follows(&self, before: &Self) -> bool {
        self.mark.number == before.mark.number + 1 && self.sequence > before.sequence
    }
}

/// The commit marks of whole batches anywhere in `bytes`, found by their fixed bytes.
pub(super) fn marks(bytes: &[u8]) -> impl Iterator<Item = CommitMark> {
    const HEADER_BYTES: usize = 21;
    const ITEM_BYTES: usize = HEADER_BYTES + COMMIT_MARK.len() + CommitMark::BYTES;
    const END_BYTES: usize = 1 + 8 + TRAILER.len();
    bytes.windows(ITEM_BYTES + END_BYTES).filter_map(|window| {
        // The cheap tests first: this runs at every byte.
        if window.first() != Some(&ITEM) || !window.ends_with(TRAILER) {
            return None;
        }
        let mut reader = Reader::new(window);
        let mark = reader.item()??;
        reader.end().map(|_| mark)
    })
}

/// A cursor over a journal.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    /// How many bytes were read.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// What was not read yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next batch and the cursor after it, or `None` where there is no intact one.
    pub(super) fn batch(self) -> Option<(JournalBatch, Self)> {
        let mut reader = self;
        if reader.byte()? != START {
            return None;
        }
        let items = u32::from_le_bytes(reader.array()?);
        let sequence = u64::from_le_bytes(reader.array()?);
        let body = reader;
        let mut mark = None;
        for _ in 0..items {
            mark = reader.item()?;
        }
        let body = body.rest.get(..reader.at - body.at)?;
        if reader.end()? != xxhash_rust::xxh3::xxh3_64(body) {
            return None;
        }
        let mark = mark?;
        let gap = sequence.checked_sub(mark.sequence)?;
        (gap <= SEQUENCE_GAP_MAX).then_some((JournalBatch { mark, sequence }, reader))
    }

    /// One item: `Some(Some(_))` for a readable commit mark, `Some(None)` for any other item.
    fn item(&mut self) -> Option<Option<CommitMark>> {
        match self.byte()? {
            CLEAR => self.take(8).map(|_| None),
            ITEM => {
                let [_value_type, _compression] = self.array()?;
                let _keyspace: [u8; 8] = self.array()?;
                let key_len = u16::from_le_bytes(self.array()?);
                let _value_len: [u8; 4] = self.array()?;
                let stored_len = u32::from_le_bytes(self.array()?);
                let key = self.take(usize::from(key_len))?;
                let value = self.take(stored_len as usize)?;
                let mark = (key == COMMIT_MARK).then(|| CommitMark::decode(value).ok());
                Some(mark.flatten())
            }
            _ => None,
        }
    }

    /// The end of a batch: its checksum.
    fn end(&mut self) -> Option<u64> {
        if self.byte()? != END {
            return None;
        }
        let checksum = u64::from_le_bytes(self.array()?);
        (self.take(TRAILER.len())? == TRAILER).then_some(checksum)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.first_chunk().copied()
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        self.at += len;
        Some(taken)
    }
}
