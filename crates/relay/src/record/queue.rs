//! What waits for the reader of a recording: bounded; what does not fit is left out and counted.

use std::collections::VecDeque;

use super::entry::{Entry, Kind, decide};

/// Entries in the order in which they were recorded.
#[derive(Debug)]
pub(super) struct Queue {
    /// The number of the first entry that was recorded with it.
    since: u64,
    entries: VecDeque<Entry>,
    bytes: usize,
    max_bytes: usize,
    /// Whether something was left out since the last read: so many small entries do not slip into
    /// what room there is, with a gap between each two.
    is_full: bool,
}

impl Queue {
    /// A queue of at most `max_bytes` for entries from the number `since` on, and `past`, which is
    /// there already.
    pub(super) fn new(max_bytes: usize, since: u64, past: Vec<Entry>) -> Self {
        let bytes = past.iter().map(Entry::cost).sum();
        Self { since, entries: past.into(), bytes, max_bytes, is_full: false }
    }

    /// Takes a copy of `entry`, or counts its frames where there is no room.
    pub(super) fn push(&mut self, entry: &Entry) {
        let fits = self.bytes.saturating_add(entry.cost()) <= self.max_bytes;
        if fits && !self.is_full {
            self.bytes += entry.cost();
            // One that got its number before this queue was there may come late.
            let place = match self.entries.back() {
                Some(last) if last.number > entry.number => {
                    self.entries.partition_point(|other| other.number < entry.number)
                }
                _ => self.entries.len(),
            };
            return self.entries.insert(place, entry.clone());
        }
        match self.entries.back_mut() {
            Some(gap) if gap.kind == Kind::Slow => gap.frames += entry.frames,
            // At most one for all that follows until the next read.
            _ => self.entries.push_back(Entry::gap(entry, Kind::Slow, entry.frames)),
        }
        self.is_full = true;
    }

    /// Records what became of a control frame; one that is not here is taken now.
    pub(super) fn decided(&mut self, entry: &Entry, was_offered: bool) {
        if was_offered && entry.number >= self.since {
            decide(self.entries.iter_mut().rev(), entry.number, entry.kind);
        } else {
            self.push(entry);
        }
    }

    /// Takes entries from the front: up to the first that is not decided, and no more than `bytes`
    /// of them, but at least one.
    pub(super) fn take(&mut self, bytes: usize) -> Vec<Entry> {
        let mut taken = Vec::new();
        let mut taken_bytes = 0;
        while let Some(first) = self.entries.front() {
            let fits = taken_bytes == 0 || taken_bytes + first.cost() <= bytes;
            if first.is_pending() || !fits {
                break;
            }
            let Some(entry) = self.entries.pop_front() else { break };
            let is_gap = entry.kind == Kind::Slow;
            taken_bytes += entry.cost();
            if is_gap {
                self.is_full = false;
            } else {
                self.bytes = self.bytes.saturating_sub(entry.cost());
            }
            taken.push(entry);
        }
        taken
    }
}
