//! The seqnos that a vBucket can be rolled back to.
//!
//! A replica receives snapshots in which newer changes have replaced older ones. A state within a
//! snapshot never existed at the producer, and the replaced changes are nowhere on the replica's
//! disk. So a rollback goes to a seqno at which a commit left the vBucket in a consistent state.
//! Keeping all of these would bloat the record; the older they are, the fewer are kept.

/// How many points are kept. The gaps grow by a constant factor with the distance from the newest
/// point, so 32 points reach millions of seqnos back, and a rollback goes further back than asked
/// by about a third of its distance.
const POINTS_MAX: usize = 32;

/// Seqnos in ascending order. In place, because every commit copies them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Points {
    /// Room for one more, while that is the one too many; 0 behind the last.
    all: [u64; POINTS_MAX + 1],
    len: usize,
}

impl Default for Points {
    fn default() -> Self {
        Self { all: [0; POINTS_MAX + 1], len: 0 }
    }
}

impl Points {
    /// Adds a point above all others; one that is not above is ignored.
    pub(crate) fn push(&mut self, seqno: u64) {
        if self.as_slice().last().is_some_and(|&last| last >= seqno) {
            return;
        }
        self.append(seqno);
        if self.len > POINTS_MAX
            && let Some(crowded) = self.most_crowded(seqno)
        {
            let mut at = 0..;
            self.retain(|_| at.next() != Some(crowded));
        }
    }

    /// All points, ascending.
    pub(crate) fn as_slice(&self) -> &[u64] {
        self.all.get(..self.len).unwrap_or(&self.all)
    }

    /// The newest point at or below `seqno`.
    pub(crate) fn at_or_below(&self, seqno: u64) -> Option<u64> {
        self.as_slice().iter().rev().copied().find(|&point| point <= seqno)
    }

    /// Removes the points above `seqno`.
    pub(crate) fn cut_above(&mut self, seqno: u64) {
        self.retain(|point| point <= seqno);
    }

    /// Removes the points below `seqno`.
    pub(crate) fn cut_below(&mut self, seqno: u64) {
        self.retain(|point| point >= seqno);
    }

    fn retain(&mut self, mut is_kept: impl FnMut(u64) -> bool) {
        let before = std::mem::take(self);
        let kept = before.as_slice().iter().copied().filter(|&point| is_kept(point));
        kept.for_each(|point| self.append(point));
    }

    fn append(&mut self, point: u64) {
        if let Some(free) = self.all.get_mut(self.len) {
            *free = point;
            self.len += 1;
        }
    }

    /// The index of the inner point whose removal leaves the smallest gap, relative to its distance
    /// from the newest point.
    fn most_crowded(&self, newest: u64) -> Option<usize> {
        let gap = |w: &[u64]| match *w {
            [older, _, newer] => (newer - older) as f64 / (newest - older) as f64,
            _ => f64::INFINITY,
        };
        let gaps = self.as_slice().windows(3).map(gap).enumerate();
        gaps.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(at, _)| at + 1)
    }
}

#[cfg(test)]
mod tests;
