//! The failures of one link in a row, and the delay that follows from each.
//!
//! Opening a link proves nothing: a peer may accept and close at once. Failures are forgotten only
//! after the link has worked for as long as [`Backoff::lasting`] asks for.

use std::collections::BTreeMap;
use std::time::Duration;

use super::link_down::Reopen;
use crate::backoff::Backoff;

/// The failures of one link that are not forgotten.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Streak {
    total: u32,
    /// A node that restarts fails in several ways, each for a moment, so each kind of failure has a
    /// delay of its own. No kind ends the growth of another.
    of_kind: BTreeMap<Reopen, u32>,
    /// Since when the present incarnation has a stream.
    works_since: Option<Duration>,
    /// Whether the present incarnation has moved data, or has nothing to move.
    moves: bool,
}

impl Streak {
    /// Returns the number of failures.
    pub(super) const fn total(&self) -> u32 {
        self.total
    }

    /// Counts a failure. Returns the delay before the next attempt.
    pub(super) fn failed(&mut self, kind: Reopen, backoff: &Backoff, chance: f64) -> Duration {
        let earlier = self.of_kind.entry(kind).or_default();
        let delay = backoff.delay(*earlier, chance);
        *earlier = earlier.saturating_add(1);
        self.total = self.total.saturating_add(1);
        (self.works_since, self.moves) = (None, false);
        delay
    }

    /// Records that a stream of this incarnation opened.
    pub(super) fn opened(&mut self, now: Duration) {
        self.works_since.get_or_insert(now);
    }

    /// Records that this incarnation has moved data, or has nothing to move.
    pub(super) const fn moved(&mut self) {
        self.moves = true;
    }

    /// Forgets the failures if this incarnation has worked for long enough. Returns their number.
    pub(super) fn forget_lasting(&mut self, backoff: &Backoff, now: Duration) -> Option<u32> {
        let works_for = now.saturating_sub(self.works_since.filter(|_| self.moves)?);
        let worst = self.of_kind.values().copied().max()?;
        (works_for >= backoff.lasting(worst)).then(|| self.forget())
    }

    /// Forgets the failures, which leaves the present incarnation as it is. Returns their number.
    pub(super) fn forget(&mut self) -> u32 {
        self.of_kind.clear();
        std::mem::take(&mut self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(20) };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn fail(streak: &mut Streak, kind: Reopen) -> u64 {
        streak.failed(kind, &BACKOFF, 1.0).as_secs()
    }

    #[test]
    fn every_kind_of_failure_grows_by_itself_and_to_the_longest_delay() {
        let mut streak = Streak::default();
        for delay in [1, 2, 4, 8, 16, 20, 20] {
            assert_eq!(fail(&mut streak, Reopen::Soon), delay);
            assert_eq!(fail(&mut streak, Reopen::AfterBackoff), delay);
        }
        assert_eq!((fail(&mut streak, Reopen::Slowly), streak.total()), (1, 15));
    }

    #[test]
    fn a_link_that_opens_and_falls_forgets_nothing() {
        let mut streak = Streak::default();
        for (second, delay) in [(0, 1), (10, 2), (20, 4)] {
            streak.opened(at(second));
            streak.moved();
            assert_eq!(streak.forget_lasting(&BACKOFF, at(second + 9)), None);
            assert_eq!(fail(&mut streak, Reopen::AfterBackoff), delay);
        }
        assert_eq!(streak.forget_lasting(&BACKOFF, at(999)), None, "it is down");
    }

    #[test]
    fn failures_are_forgotten_after_success_that_lasts_and_moves_something() {
        let mut streak = Streak::default();
        (0..9).for_each(|_| _ = fail(&mut streak, Reopen::AfterBackoff));
        streak.opened(at(100));
        streak.opened(at(130));
        assert_eq!(streak.forget_lasting(&BACKOFF, at(999)), None, "nothing has moved");
        streak.moved();
        assert_eq!(streak.forget_lasting(&BACKOFF, at(139)), None);
        assert_eq!(streak.forget_lasting(&BACKOFF, at(140)), Some(9));
        assert_eq!(streak.forget_lasting(&BACKOFF, at(141)), None, "reported once");
        assert_eq!(fail(&mut streak, Reopen::AfterBackoff), 1);
    }
}
