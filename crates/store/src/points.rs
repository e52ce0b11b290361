//! The seqnos that a vBucket can be rolled back to.
//!
//! A replica gets snapshots in which newer changes have replaced older ones: its state in the
//! middle of one never existed, and the replaced changes are nowhere on its disk. So a rollback
//! goes to a seqno at which a commit had left the vBucket whole. Keeping all of them would bloat
//! the record; these are thinned the further they lie back.

/// How many points are kept. 32 of them, each gap a constant factor of its distance from the
/// newest, reach millions of seqnos back and overshoot a target by about a third of the distance.
const POINTS_MAX: usize = 32;

/// Rising seqnos.
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

    /// All of them, rising.
    pub(crate) fn as_slice(&self) -> &[u64] {
        &self.0
    }

    /// The newest point at or below `seqno`.
    pub(crate) fn at_or_below(&self, seqno: u64) -> Option<u64> {
        self.0.iter().rev().copied().find(|&point| point <= seqno)
    }

    /// Forgets the points above `seqno`.
    pub(crate) fn cut_above(&mut self, seqno: u64) {
        self.0.retain(|&point| point <= seqno);
    }

    /// Forgets the points below `seqno`.
    pub(crate) fn cut_below(&mut self, seqno: u64) {
        self.0.retain(|&point| point >= seqno);
    }

    /// The inner point whose removal leaves the smallest gap, measured against its distance from
    /// the newest point.
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
