//! The hybrid logical clock of CAS values: wall time in nanoseconds, whose low bits count changes.
//!
//! Every CAS of a vBucket is higher than all before it. So one CAS from elsewhere that is far ahead
//! of the wall clock takes all later ones with it, and at the end of the range there is no higher
//! one: two changes with one CAS would lose an update of optimistic locking. The rule is that of
//! kv_engine: a CAS that is ahead of the clock is counted, one that is further ahead is refused.

use std::time::Duration;

/// The low bits of a CAS count changes within 65.5 us of the wall clock.
const LOGICAL_BITS: u64 = 0xffff;

/// The highest CAS that is taken from elsewhere, whatever the clock says: those of kv_engine are
/// signed. The other half of the range is left for the changes that follow it.
pub const CAS_TAKEN_MAX: u64 = i64::MAX as u64;

/// How far a CAS from elsewhere may be from the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DriftLimits {
    /// A CAS that is further ahead is counted. Source: `hlc_drift_ahead_threshold_us` of kv_engine.
    pub ahead: Duration,
    /// A CAS that is further behind is counted. Source: `hlc_drift_behind_threshold_us`.
    pub behind: Duration,
    /// A CAS that is further ahead is refused. Source: `hlc_max_future_threshold_us`.
    pub future_max: Duration,
}

impl Default for DriftLimits {
    fn default() -> Self {
        let threshold = Duration::from_secs(5);
        // 65 minutes: an hour too much from a clock that was set by hand, and some drift.
        Self { ahead: threshold, behind: threshold, future_max: Duration::from_secs(3900) }
    }
}

impl DriftLimits {
    /// The highest CAS that is taken from elsewhere while the wall clock is at `now_ns`.
    #[must_use]
    pub fn cas_max(&self, now_ns: u64) -> u64 {
        let latest = (u128::from(now_ns) + self.future_max.as_nanos()) | u128::from(LOGICAL_BITS);
        u64::try_from(latest).map_or(CAS_TAKEN_MAX, |latest| latest.min(CAS_TAKEN_MAX))
    }
}

/// The CAS of the next change of a vBucket whose highest CAS is `max`, while the wall clock is at
/// `now_ns` (ns since 1970). `None` where there is none: all ones are no CAS.
#[must_use]
pub fn next_cas(now_ns: u64, max: u64) -> Option<u64> {
    let next = (now_ns & !LOGICAL_BITS).max(max.checked_add(1)?);
    (next < u64::MAX).then_some(next)
}

/// How far the CAS values of some changes from elsewhere were from the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Drift {
    /// The sum of the distances in microseconds, ahead or behind; saturates.
    pub total_us: u64,
    /// How many CAS values there were.
    pub count: u64,
    /// How many were further ahead than the limit.
    pub ahead: u64,
    /// How many were further behind than the limit.
    pub behind: u64,
}

impl Drift {
    /// Adds a CAS that was received while the wall clock was at `now_ns`.
    #[inline]
    pub fn add(&mut self, cas: u64, now_ns: u64, limits: &DriftLimits) {
        let (cas, now) = (cas & !LOGICAL_BITS, now_ns & !LOGICAL_BITS);
        let distance_ns = cas.abs_diff(now);
        let distance = Duration::from_nanos(distance_ns);
        // A statistic: at its end it stays there.
        self.total_us = self.total_us.saturating_add(distance_ns / 1000);
        self.count += 1;
        self.ahead += u64::from(cas > now && distance > limits.ahead);
        self.behind += u64::from(cas < now && distance > limits.behind);
    }
}
