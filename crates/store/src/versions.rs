//! What a record says of the older versions of a vBucket, which are its change history.

use invariant::broken;
use mcbp::Seqno;

use crate::options::Retention;

/// How many marks are kept while nothing is trimmed.
const MARKS_MAX: usize = 64;

/// What the store keeps of a vBucket's older versions, beside them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Versions {
    /// Their bytes on the disk, with values.
    pub bytes: u64,
    /// The history does not begin before, because of the retention.
    pub floor: Seqno,
    /// Those below are removed.
    pub trimmed: Seqno,
    /// When the vBucket was at which seqno: Unix time in seconds, oldest first.
    pub marks: Vec<(u64, Seqno)>,
}

impl Versions {
    /// Where the history begins, for whoever wants it to begin at `wanted`; 0 for none.
    pub(crate) fn start(&self, wanted: Seqno) -> Seqno {
        if wanted == Seqno::ZERO { wanted } else { wanted.max(self.floor) }
    }

    /// Notes that the vBucket is at `high`, often enough to know the age of versions.
    pub(crate) fn mark(&mut self, now: u64, high: Seqno, retention: &Retention) {
        // The clock was set back: what there is was written before now all the same.
        self.marks.iter_mut().for_each(|(at, _)| *at = now.min(*at));
        let step = retention.age_step().as_secs();
        if self.marks.last().is_none_or(|(at, _)| at + step <= now) {
            self.marks.push((now, high));
            if self.marks.len() > MARKS_MAX {
                self.marks.remove(0);
            }
        }
    }

    /// Whether a mark of `high` is missing, now that nothing is written any more.
    pub(crate) fn lacks_mark(&self, high: Seqno) -> bool {
        self.marks.last().is_none_or(|(_, marked)| *marked < high)
    }

    /// Where the history has to begin so that nothing is kept for longer than `retention`.
    pub(crate) fn start_by_age(&self, now: u64, retention: &Retention) -> Seqno {
        let horizon = now.saturating_sub(retention.seconds);
        let is_old = |(at, _): &&(u64, Seqno)| retention.seconds > 0 && *at < horizon;
        self.marks.iter().rev().find(is_old).map_or(Seqno::ZERO, |(_, high)| high.next())
    }

    /// What was above `to` is undone.
    pub(crate) fn roll_back(&mut self, to: Seqno) {
        self.floor = self.floor.min(to.next());
        self.trimmed = self.trimmed.min(to.next());
        self.marks.iter_mut().for_each(|(_, high)| *high = to.min(*high));
    }

    /// A version of so many bytes is gone.
    pub(crate) fn uncount(&mut self, bytes: u64) {
        self.bytes = self.bytes.checked_sub(bytes).unwrap_or_else(|| {
            _ = broken!("older versions count {} bytes, and {bytes} go", self.bytes);
            0
        });
    }
}
