//! Which streams of a connection may read the disk: a few at a time, the others in line. And what
//! they may hold of rows that are larger than a chunk, so that memory does not follow their number.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mcbp::VbId;

use super::backfill::SMALL_ROW_BYTES;

/// How many streams of one connection read the disk at a time. Each holds up to three times
/// [`SMALL_ROW_BYTES`], so that 1,024 streams from disk take 3 MiB and not 384.
pub const BACKFILLS_MAX: usize = 8;

/// How many bytes of rows larger than a chunk the streams of one connection hold together. When
/// they hold none, one row is let in however large it is (MB-24089). Source: kv_engine's
/// `dcp_backfill_byte_limit`.
pub const LARGE_BYTES_MAX: usize = 20 * 1024 * 1024;

/// See the module.
#[derive(Default, Debug)]
pub(super) struct Places {
    reading: BTreeSet<VbId>,
    waiting: VecDeque<VbId>,
    /// What streams hold of large rows, or are about to.
    large: BTreeMap<VbId, usize>,
    /// Streams whose next row is large, and its bytes.
    waiting_large: VecDeque<(VbId, usize)>,
}

impl Places {
    /// Whether the stream has a place; where it has not, it is in line now.
    pub(super) fn take(&mut self, vb: VbId) -> bool {
        if self.reading.contains(&vb) {
            return true;
        }
        if self.reading.len() < BACKFILLS_MAX {
            return self.reading.insert(vb);
        }
        self.waiting.push_back(vb);
        false
    }

    /// Takes a stream out that does not read any more; gives the one that has its place now.
    pub(super) fn leave(&mut self, vb: VbId) -> Option<VbId> {
        self.large.remove(&vb);
        self.waiting_large.retain(|(waiting, _)| *waiting != vb);
        if !self.reading.remove(&vb) {
            self.waiting.retain(|waiting| *waiting != vb);
            return None;
        }
        self.waiting.pop_front()
    }

    /// How large a row the next read of a stream that holds none may bring, in bytes. `None` where
    /// its next row is known to be of `large` bytes and there is no room: it is in line now.
    ///
    /// While no stream holds a large row, one of them may find one of any size: most have to do
    /// with one stream at a time, and read such a row only once.
    pub(super) fn row_bytes_max(&mut self, vb: VbId, large: Option<usize>) -> Option<usize> {
        self.large.remove(&vb);
        let nobody_waits = self.waiting_large.is_empty();
        match large {
            None if nobody_waits && self.large.is_empty() => {
                self.large.insert(vb, LARGE_BYTES_MAX);
                Some(usize::MAX)
            }
            None => Some(SMALL_ROW_BYTES),
            Some(bytes) if nobody_waits && self.has_room(bytes) => {
                self.large.insert(vb, bytes);
                Some(bytes)
            }
            Some(bytes) => {
                self.waiting_large.push_back((vb, bytes));
                None
            }
        }
    }

    /// Notes what a stream holds of large rows now.
    pub(super) fn holds(&mut self, vb: VbId, bytes: usize) {
        if bytes == 0 {
            self.large.remove(&vb);
        } else {
            self.large.insert(vb, bytes);
        }
    }

    /// The next stream in line that there is room for, and the bytes of its row.
    pub(super) fn next_large(&mut self) -> Option<(VbId, usize)> {
        let (vb, bytes) = *self.waiting_large.front()?;
        if !self.has_room(bytes) {
            return None;
        }
        self.waiting_large.pop_front();
        self.large.insert(vb, bytes);
        Some((vb, bytes))
    }

    fn has_room(&self, bytes: usize) -> bool {
        let held: usize = self.large.values().sum();
        self.large.is_empty() || held.saturating_add(bytes) <= LARGE_BYTES_MAX
    }

    /// How many read, and how many wait.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.reading.len(), self.waiting.len())
    }
}
