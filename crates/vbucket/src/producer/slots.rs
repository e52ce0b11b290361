//! The backfill slots of a connection: a few streams read the disk at a time, the others wait in a
//! queue. It also bounds what they hold of rows that are larger than a chunk, so that memory does
//! not grow with the number of streams.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::backfill::SMALL_ROW_BYTES;
use super::stream::StreamKey;

/// How many streams of one connection read the disk at a time. Each holds up to three times
/// [`SMALL_ROW_BYTES`], so that 1,024 streams from disk take 3 MiB and not 384.
pub const BACKFILLS_MAX: usize = 8;

/// How many bytes of rows larger than a chunk the streams of one connection hold together. While
/// they hold none, one row of any size is read (MB-24089). Source: kv_engine's
/// `dcp_backfill_byte_limit`.
pub const LARGE_BYTES_MAX: usize = 20 * 1024 * 1024;

/// See the module.
#[derive(Default, Debug)]
pub(super) struct BackfillSlots {
    /// Streams that have a slot.
    reading: BTreeSet<StreamKey>,
    waiting: VecDeque<StreamKey>,
    /// The bytes of large rows that streams hold, or are about to.
    large: BTreeMap<StreamKey, usize>,
    /// Streams whose next row is large, and its bytes.
    waiting_large: VecDeque<(StreamKey, usize)>,
}

impl BackfillSlots {
    /// Acquires a slot, or enqueues the stream and returns false.
    pub(super) fn acquire(&mut self, key: StreamKey) -> bool {
        if self.reading.contains(&key) {
            return true;
        }
        if self.reading.len() < BACKFILLS_MAX {
            return self.reading.insert(key);
        }
        self.waiting.push_back(key);
        false
    }

    /// Releases the slot of a stream, or its place in the queue. Returns the stream that is to
    /// acquire the slot next.
    pub(super) fn release(&mut self, key: StreamKey) -> Option<StreamKey> {
        self.large.remove(&key);
        self.waiting_large.retain(|(waiting, _)| *waiting != key);
        if !self.reading.remove(&key) {
            self.waiting.retain(|waiting| *waiting != key);
            return None;
        }
        self.waiting.pop_front()
    }

    /// Returns how large a row, in bytes, the next read of a stream that holds none may bring.
    /// Where its next row is known to have `large` bytes and there is no room, enqueues the stream
    /// for them and returns `None`.
    ///
    /// While no stream holds a large row, one stream may meet a row of any size: most connections
    /// read one stream at a time, and such a row is then read only once.
    pub(super) fn row_bytes_max(&mut self, key: StreamKey, large: Option<usize>) -> Option<usize> {
        self.large.remove(&key);
        let nobody_waits = self.waiting_large.is_empty();
        match large {
            None if nobody_waits && self.large.is_empty() => {
                self.large.insert(key, LARGE_BYTES_MAX);
                Some(usize::MAX)
            }
            None => Some(SMALL_ROW_BYTES),
            Some(bytes) if nobody_waits && self.has_room(bytes) => {
                self.large.insert(key, bytes);
                Some(bytes)
            }
            Some(bytes) => {
                self.waiting_large.push_back((key, bytes));
                None
            }
        }
    }

    /// Records how many bytes of large rows a stream holds now.
    pub(super) fn set_large_bytes(&mut self, key: StreamKey, bytes: usize) {
        if bytes == 0 {
            self.large.remove(&key);
        } else {
            self.large.insert(key, bytes);
        }
    }

    /// Takes the first stream that waits for a large row out of the queue, if there is room for the
    /// row. Returns the stream and the bytes of the row.
    pub(super) fn grant_large(&mut self) -> Option<(StreamKey, usize)> {
        let (key, bytes) = *self.waiting_large.front()?;
        if !self.has_room(bytes) {
            return None;
        }
        self.waiting_large.pop_front();
        self.large.insert(key, bytes);
        Some((key, bytes))
    }

    fn has_room(&self, bytes: usize) -> bool {
        let held: usize = self.large.values().sum();
        self.large.is_empty() || held.saturating_add(bytes) <= LARGE_BYTES_MAX
    }

    /// Returns how many streams have a slot, and how many wait for one.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.reading.len(), self.waiting.len())
    }
}
