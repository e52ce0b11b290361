//! Which streams of a connection may read the disk: a few at a time, the others in line.

use std::collections::{HashSet, VecDeque};

use mcbp::VbId;

/// How many streams of one connection read the disk at a time. Each holds up to two chunks of
/// [`super::CHUNK_BYTES`], so that 1,024 streams from disk take 2 MiB and not 256.
pub const BACKFILLS_MAX: usize = 8;

/// See the module.
#[derive(Default, Debug)]
pub(super) struct Places {
    reading: HashSet<VbId>,
    waiting: VecDeque<VbId>,
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
        if !self.reading.remove(&vb) {
            self.waiting.retain(|waiting| *waiting != vb);
            return None;
        }
        self.waiting.pop_front()
    }

    /// How many read, and how many wait.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.reading.len(), self.waiting.len())
    }
}
