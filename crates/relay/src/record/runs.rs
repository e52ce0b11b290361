//! The last bytes of a link that no judge sees, where they are to be kept.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Budget;
use super::entry::Entry;

/// The last runs of data frames, and what passes as often as they do.
#[derive(Debug)]
pub(super) struct Runs {
    entries: VecDeque<Entry>,
    bytes: usize,
    limit: usize,
    /// The number from which on nothing is missing; `None` where nothing is kept.
    since: Option<u64>,
    budget: Arc<Budget>,
}

impl Runs {
    /// Keeps nothing.
    pub(super) const fn new(budget: Arc<Budget>) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, limit: 0, since: None, budget }
    }

    /// Changes the bound; `next` is the number of the next entry.
    pub(super) fn set_limit(&mut self, limit: usize, next: u64) {
        self.limit = limit;
        while self.bytes > limit && self.evict() {}
        self.since = (limit > 0).then(|| self.since.unwrap_or(next));
    }

    /// Whether anything is kept.
    pub(super) const fn is_on(&self) -> bool {
        self.limit > 0
    }

    /// How many bytes are kept at most.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// The number from which on nothing is missing; `None` where nothing is kept.
    pub(super) const fn since(&self) -> Option<u64> {
        self.since
    }

    /// What is kept, oldest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Keeps `entry`, in place of the oldest ones.
    pub(super) fn push(&mut self, entry: Entry) {
        let cost = entry.cost();
        // Links share the budget: each makes room of its own for what it wants to keep.
        while self.bytes + cost > self.limit || !self.budget.take(cost) {
            if !self.evict() {
                return self.lost(&entry);
            }
        }
        self.bytes += cost;
        self.entries.push_back(entry);
    }

    fn evict(&mut self) -> bool {
        let Some(entry) = self.entries.pop_front() else { return false };
        self.bytes -= entry.cost();
        self.budget.give(entry.cost());
        self.lost(&entry);
        true
    }

    fn lost(&mut self, entry: &Entry) {
        self.since = self.since.map(|since| since.max(entry.number + 1));
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        self.budget.give(self.bytes);
    }
}
