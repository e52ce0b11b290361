//! Failures that come again and again: how each is to be logged, and when a vBucket counts as
//! broken, because trying at full speed leads nowhere.
//!
//! Backoff alone does not see a stream that opens and fails in turn: every opening resets it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use mcbp::{Status, StreamEndStatus, VbId};

use crate::breaker::Breaker;
use crate::link::{Reason, VbError};

/// The loop that a failure may be a part of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LoopKind {
    /// The producer wants the consumer to roll back.
    Rollback,
    /// The consumer asks for something that the producer calls invalid.
    InvalidRequest,
    /// The stream opens and ends.
    Flapping,
}

impl LoopKind {
    /// As status pages and logs spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::InvalidRequest => "invalid-request",
            Self::Flapping => "flapping",
        }
    }

    /// The loop that a stream which did not open may be in. Other failures have backoff.
    #[must_use]
    pub const fn of_failure(error: &VbError) -> Option<Self> {
        match error.reason {
            Reason::StreamEnd(StreamEndStatus::ROLLBACK)
            | Reason::Refused { status: Status::ROLLBACK, .. } => Some(Self::Rollback),
            Reason::Refused { status: Status::ERANGE | Status::EINVAL, .. } => {
                Some(Self::InvalidRequest)
            }
            _ => None,
        }
    }

    /// The loop that an open stream which ended may be in.
    #[must_use]
    pub fn of_end(error: &VbError) -> Self {
        Self::of_failure(error).unwrap_or(Self::Flapping)
    }
}

impl fmt::Display for LoopKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A vBucket that is in a loop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Broken {
    /// Which loop.
    pub kind: LoopKind,
    /// When that was found; times are since any fixed start.
    pub since: Duration,
}

/// How a failure is to be logged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Notice {
    /// With the number of failures so far: for a new reason, and at 1, 10, 100 and so on.
    Log(u64),
    /// As an error: the vBucket is broken from now on.
    Tripped(LoopKind),
    /// Not at all.
    Suppress,
}

/// The failures of all vBuckets of a bucket.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Loops {
    breakers: BTreeMap<LoopKind, Breaker>,
    records: BTreeMap<VbId, Record>,
    quiet: Duration,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Record {
    failures: u64,
    last: Duration,
    broken: Option<Broken>,
    logged: LoggedReasons,
}

impl Loops {
    /// Breaks a vBucket at `limit` failures of one kind within `window`. It is forgotten once
    /// nothing has failed for `quiet`, which is to be longer than the slowest pace of retries.
    #[must_use]
    pub fn new(limit: usize, window: Duration, quiet: Duration) -> Self {
        let kinds = [LoopKind::Rollback, LoopKind::InvalidRequest, LoopKind::Flapping];
        let breakers = kinds.map(|kind| (kind, Breaker::new(limit, window)));
        Self { breakers: breakers.into(), records: BTreeMap::new(), quiet }
    }

    /// Counts a failure; `why` is what would be logged.
    pub fn failed(&mut self, vb: VbId, kind: Option<LoopKind>, why: &str, now: Duration) -> Notice {
        let fresh =
            || Record { failures: 0, last: now, broken: None, logged: LoggedReasons::default() };
        let record = self.records.entry(vb).or_insert_with(fresh);
        if now.saturating_sub(record.last) > self.quiet {
            *record = fresh();
        }
        record.failures = record.failures.saturating_add(1);
        record.last = now;
        let breaker = kind.and_then(|kind| self.breakers.get_mut(&kind).zip(Some(kind)));
        if let Some((breaker, kind)) = breaker
            && breaker.failed(vb, now)
            && record.broken.is_none()
        {
            record.broken = Some(Broken { kind, since: now });
            return Notice::Tripped(kind);
        }
        let failures = record.failures;
        if record.logged.should_log(why, failures) {
            Notice::Log(failures)
        } else {
            Notice::Suppress
        }
    }

    /// The loop that a vBucket is in, if any.
    #[must_use]
    pub fn broken(&self, vb: VbId, now: Duration) -> Option<Broken> {
        let record = self.records.get(&vb)?;
        record.broken.filter(|_| now.saturating_sub(record.last) <= self.quiet)
    }

    /// Every broken vBucket in ascending order, with the number of failures.
    pub fn all_broken(&self, now: Duration) -> impl Iterator<Item = (VbId, Broken, u64)> {
        let broken = move |(&vb, record): (&VbId, &Record)| {
            self.broken(vb, now).map(|broken| (vb, broken, record.failures))
        };
        self.records.iter().filter_map(broken)
    }

    /// Forgets the failures of a vBucket: a person has changed something.
    pub fn reset(&mut self, vb: VbId) {
        self.records.remove(&vb);
        for breaker in self.breakers.values_mut() {
            breaker.reset(vb);
        }
    }
}

/// The reasons that were logged of something that fails again and again.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct LoggedReasons(Vec<String>);

impl LoggedReasons {
    /// More reasons than anything fails for in turn; texts that differ each time end here.
    const REASONS_MAX: usize = 8;

    /// Whether failure number `count`, with this reason, is worth a line in the log: a new reason
    /// is, and each at 1, 10, 100 and so on.
    pub fn should_log(&mut self, why: &str, count: u64) -> bool {
        let is_new = self.0.len() < Self::REASONS_MAX && !self.0.iter().any(|logged| logged == why);
        if is_new {
            self.0.push(why.to_owned());
        }
        is_new || count.checked_ilog10().is_some_and(|digits| 10u64.pow(digits) == count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Side, Step};

    const VB: VbId = VbId(7);
    const WHY: &str = "producer refused add-stream";

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn loops() -> Loops {
        Loops::new(3, at(60), at(120))
    }

    fn error(reason: Reason) -> VbError {
        VbError { vb: VB, side: Side::Producer, reason }
    }

    #[test]
    fn sync_gateway_1198_a_rollback_loop_is_broken_and_told_once() {
        let mut loops = loops();
        let kind = Some(LoopKind::Rollback);
        assert_eq!(loops.failed(VB, kind, WHY, at(1)), Notice::Log(1));
        assert_eq!(loops.failed(VB, kind, WHY, at(2)), Notice::Suppress);
        assert_eq!(loops.failed(VB, kind, WHY, at(3)), Notice::Tripped(LoopKind::Rollback));
        for n in 4..10 {
            assert_eq!(loops.failed(VB, kind, WHY, at(n)), Notice::Suppress);
        }
        assert_eq!(loops.failed(VB, kind, WHY, at(10)), Notice::Log(10));
        let broken = Broken { kind: LoopKind::Rollback, since: at(3) };
        assert_eq!(loops.all_broken(at(10)).collect::<Vec<_>>(), [(VB, broken, 10)]);
    }

    #[test]
    fn a_new_reason_is_told_at_once_and_one_that_was_told_is_not() {
        let mut loops = loops();
        let mut tell = |why: &str, second| loops.failed(VB, None, why, at(second));
        assert_eq!(tell("no", 1), Notice::Log(1));
        assert_eq!(tell("no", 2), Notice::Suppress);
        assert_eq!(tell("never", 3), Notice::Log(3));
        assert_eq!(tell("no", 4), Notice::Suppress);
        assert_eq!(tell("never", 5), Notice::Suppress);
        let told = (6..=1000).filter(|n| tell(&n.to_string(), 6) != Notice::Suppress).count();
        assert_eq!(
            told,
            LoggedReasons::REASONS_MAX - 2 + 2,
            "reasons without end are not all told"
        );
    }

    #[test]
    fn a_broken_vbucket_stays_broken_at_the_slowest_pace() {
        let mut loops = loops();
        for second in [1, 2, 3, 100, 200, 300] {
            loops.failed(VB, Some(LoopKind::Flapping), WHY, at(second));
        }
        assert!(loops.broken(VB, at(310)).is_some());
        assert!(loops.broken(VB, at(421)).is_none(), "nothing failed for two minutes");
        assert_eq!(loops.failed(VB, Some(LoopKind::Flapping), WHY, at(500)), Notice::Log(1));
    }

    #[test]
    fn failures_that_have_backoff_are_counted_and_break_nothing() {
        let mut loops = loops();
        for second in 0..50 {
            loops.failed(VB, None, WHY, at(second));
        }
        assert!(loops.broken(VB, at(50)).is_none());
    }

    #[test]
    fn a_person_mends_it() {
        let mut loops = loops();
        for second in 1..4 {
            loops.failed(VB, Some(LoopKind::InvalidRequest), WHY, at(second));
        }
        loops.reset(VB);
        assert!(loops.broken(VB, at(4)).is_none());
        assert_eq!(loops.failed(VB, Some(LoopKind::InvalidRequest), WHY, at(4)), Notice::Log(1));
    }

    #[test]
    fn what_is_part_of_which_loop() {
        let refused = |status| error(Reason::Refused { step: Step::AddStream, status });
        let ended = |status| error(Reason::StreamEnd(status));
        let (rollback, invalid) = (Some(LoopKind::Rollback), Some(LoopKind::InvalidRequest));
        assert_eq!(LoopKind::of_failure(&refused(Status::ROLLBACK)), rollback);
        assert_eq!(LoopKind::of_failure(&ended(StreamEndStatus::ROLLBACK)), rollback);
        assert_eq!(LoopKind::of_failure(&refused(Status::ERANGE)), invalid);
        assert_eq!(LoopKind::of_failure(&refused(Status::NOT_MY_VBUCKET)), None);
        assert_eq!(LoopKind::of_end(&ended(StreamEndStatus::SLOW)), LoopKind::Flapping);
        assert_eq!(LoopKind::of_end(&ended(StreamEndStatus::ROLLBACK)), LoopKind::Rollback);
    }
}
