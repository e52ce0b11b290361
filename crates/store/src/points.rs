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

/// Seqnos in ascending order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Points(Vec<u64>);

impl Points {
    /// Adds a point above all others; one that is not above is ignored.
    pub(crate) fn push(&mut self, seqno: u64) {
        if self.0.last().is_some_and(|&last| last >= seqno) {
            return;
        }
        self.0.push(seqno);
        if self.0.len() > POINTS_MAX
            && let Some(at) = self.most_crowded(seqno)
        {
            self.0.remove(at);
        }
    }

    /// All points, ascending.
    pub(crate) fn as_slice(&self) -> &[u64] {
        &self.0
    }

    /// The newest point at or below `seqno`.
    pub(crate) fn at_or_below(&self, seqno: u64) -> Option<u64> {
        self.0.iter().rev().copied().find(|&point| point <= seqno)
    }

    /// Removes the points above `seqno`.
    pub(crate) fn cut_above(&mut self, seqno: u64) {
        self.0.retain(|&point| point <= seqno);
    }

    /// Removes the points below `seqno`.
    pub(crate) fn cut_below(&mut self, seqno: u64) {
        self.0.retain(|&point| point >= seqno);
    }

    /// The index of the inner point whose removal leaves the smallest gap, relative to its distance
    /// from the newest point.
    fn most_crowded(&self, newest: u64) -> Option<usize> {
        let gap = |w: &[u64]| match *w {
            [older, _, newer] => (newer - older) as f64 / (newest - older) as f64,
            _ => f64::INFINITY,
        };
        let gaps = self.0.windows(3).map(gap).enumerate();
        gaps.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(at, _)| at + 1)
    }
}

#[cfg(test)]
mod tests;
