//! The last frames of a link that a judge sees, in one piece of memory: each is copied into it, and
//! nothing is allocated for a frame once the ring has grown.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use mcbp::Side;

use super::Budget;
use super::entry::{Entry, Kind};

/// The room of the first frame; it is doubled until the limit is reached.
const ROOM: usize = 1024;

/// What is kept of a frame beside its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// As in [`Entry`].
    pub(super) number: u64,
    /// As in [`Entry`].
    pub(super) at: Instant,
    /// As in [`Entry`].
    pub(super) side: Side,
    /// As in [`Entry`].
    pub(super) kind: Kind,
}

impl Head {
    /// How many frames it is.
    pub(super) fn frames(&self) -> usize {
        usize::from(self.kind != Kind::Closed)
    }
}

/// What a frame takes of the limit beside its bytes.
const HEAD_BYTES: usize = size_of::<(Head, usize)>();

/// The last frames.
#[derive(Debug)]
pub(super) struct Ring {
    heads: VecDeque<(Head, usize)>,
    bytes: VecDeque<u8>,
    limit: usize,
    budget: Arc<Budget>,
    /// What both take of the budget.
    taken: usize,
    /// Evicted frames are counted from this number on.
    counts_from: u64,
    evicted: usize,
}

impl Ring {
    /// A ring of at most `limit` bytes.
    pub(super) const fn new(limit: usize, budget: Arc<Budget>) -> Self {
        Self {
            heads: VecDeque::new(),
            bytes: VecDeque::new(),
            limit,
            budget,
            taken: 0,
            counts_from: 0,
            evicted: 0,
        }
    }

    /// Counts evicted frames anew: those from `number` on.
    pub(super) const fn count_from(&mut self, number: u64) {
        self.counts_from = number;
        self.evicted = 0;
    }

    /// From which number on evicted frames are counted, and how many they are.
    pub(super) const fn evicted(&self) -> (u64, usize) {
        (self.counts_from, self.evicted)
    }

    /// Copies a frame, in place of the oldest ones.
    pub(super) fn push(&mut self, head: Head, frame: &[u8]) {
        while !self.has_room(frame.len()) {
            if !self.evict() {
                return self.lost(&head);
            }
        }
        self.heads.push_back((head, frame.len()));
        self.bytes.extend(frame);
    }

    /// Copies of what is kept, in the order of arrival.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        let mut begin = 0;
        self.heads.iter().map(move |(head, count)| {
            let bytes: Vec<u8> = self.bytes.range(begin..begin + count).copied().collect();
            begin += count;
            let Head { number, at, side, kind } = *head;
            Entry { number, at, side, kind, frames: head.frames(), bytes: Bytes::from(bytes) }
        })
    }

    fn has_room(&mut self, count: usize) -> bool {
        let used = self.bytes.len() + self.heads.len() * HEAD_BYTES;
        let is_allowed = used + count + HEAD_BYTES <= self.limit;
        let is_there = self.heads.len() < self.heads.capacity()
            && count <= self.bytes.capacity() - self.bytes.len();
        is_allowed && (is_there || self.grow(count))
    }

    /// Makes room for a frame of so many bytes, as far as the budget allows.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, count: usize) -> bool {
        let more_heads = match self.heads.capacity() {
            capacity if self.heads.len() < capacity => 0,
            capacity => capacity.max(ROOM / HEAD_BYTES),
        };
        let more_bytes = match self.bytes.capacity() {
            capacity if count <= capacity - self.bytes.len() => 0,
            capacity => capacity.max(ROOM).max(count),
        };
        let more = more_bytes + more_heads * HEAD_BYTES;
        if !self.budget.take(more) {
            return false;
        }
        self.taken += more;
        self.heads.reserve_exact(self.heads.capacity() - self.heads.len() + more_heads);
        self.bytes.reserve_exact(self.bytes.capacity() - self.bytes.len() + more_bytes);
        true
    }

    fn evict(&mut self) -> bool {
        let Some((head, count)) = self.heads.pop_front() else { return false };
        self.bytes.drain(..count);
        self.lost(&head);
        true
    }

    fn lost(&mut self, head: &Head) {
        if head.number >= self.counts_from {
            self.evicted += head.frames();
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.budget.give(self.taken);
    }
}
