//! What is kept of the past of a link: the handshake of its present incarnation, the last frames
//! that a judge saw, and on request the last data.

use std::sync::Arc;

use super::entry::{Entry, Kind};
use super::ring::{Head, Ring};
use super::runs::Runs;
use super::{Budget, RING_BYTES};

/// What is kept of a handshake at most: one takes some 2 KiB.
const SETUP_BYTES_MAX: usize = 16 * 1024;

/// The past of a link.
#[derive(Debug)]
pub(super) struct Recent {
    setup: Vec<Entry>,
    setup_bytes: usize,
    /// What a judge saw, own frames, ends of connections, and older handshakes.
    pub(super) ring: Ring,
    /// All other frames.
    pub(super) runs: Runs,
    budget: Arc<Budget>,
}

impl Recent {
    /// Keeps no data.
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        let ring = Ring::new(RING_BYTES, Arc::clone(&budget));
        let runs = Runs::new(Arc::clone(&budget));
        Self { setup: Vec::new(), setup_bytes: 0, ring, runs, budget }
    }

    /// The next handshake has its numbers from `next` on. The one before is past as other frames.
    pub(super) fn begins(&mut self, next: u64) {
        for Entry { number, at, side, kind, bytes, .. } in std::mem::take(&mut self.setup) {
            self.ring.push(Head { number, at, side, kind }, &bytes);
        }
        self.budget.give(std::mem::take(&mut self.setup_bytes));
        self.ring.count_from(next);
    }

    /// Keeps a frame of the handshake.
    pub(super) fn push_setup(&mut self, entry: Entry) {
        let cost = entry.cost();
        if self.setup_bytes + cost <= SETUP_BYTES_MAX && self.budget.take(cost) {
            self.setup_bytes += cost;
            self.setup.push(entry);
        } else {
            let Entry { number, at, side, kind, bytes, .. } = entry;
            self.ring.push(Head { number, at, side, kind }, &bytes);
        }
    }

    /// Returns copies of what is kept, in the order in which it happened, with marks where frames
    /// are missing.
    pub(super) fn read(&self) -> Vec<Entry> {
        let mut read: Vec<_> = self.ring.entries().collect();
        read.extend(self.setup.iter().chain(self.runs.entries()).cloned());
        // A frame has its number before its verdict, and comes to the ring after it.
        read.sort_by_key(|entry| entry.number);
        let (present, evicted) = self.ring.evicted();
        if evicted > 0 {
            let of_setup = |entry: &Entry| entry.number < present || entry.is_setup();
            mark(&mut read, of_setup, Kind::Evicted, evicted);
        }
        match self.runs.since() {
            Some(0) => {}
            Some(since) => mark(&mut read, |entry| entry.number < since, Kind::Unkept, 0),
            None => mark(&mut read, |_| true, Kind::Unkept, 0),
        }
        read
    }
}

/// Inserts a gap after the first entries, those that `is_before`.
fn mark(entries: &mut Vec<Entry>, is_before: impl Fn(&Entry) -> bool, kind: Kind, frames: usize) {
    let place = entries.iter().position(|entry| !is_before(entry)).unwrap_or(entries.len());
    let beside = entries.get(place).or(entries.last());
    if let Some(gap) = beside.map(|entry| Entry::gap(entry, kind, frames)) {
        entries.insert(place, gap);
    }
}

impl Drop for Recent {
    fn drop(&mut self) {
        self.budget.give(self.setup_bytes);
    }
}
