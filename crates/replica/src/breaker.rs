//! Detects a vBucket that is rolled back or refused again and again (MB-64246), and a link that
//! falls again and again.
//!
//! Times are since any fixed start; nothing here reads a clock.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Failures of one vBucket, or link, within the window that trip the breaker. A rollback that
/// succeeds takes one or two attempts; more of them are a loop.
pub const BREAKER_LIMIT: usize = 5;

/// The time window in which failures count together.
pub const BREAKER_WINDOW: Duration = Duration::from_secs(60);

/// Counts failures by `K`, a vBucket or a link. The owner keeps one breaker for each kind of
/// failure.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Breaker<K> {
    limit: usize,
    window: Duration,
    /// The newest failures of each, oldest first, never more than `limit`.
    failures: BTreeMap<K, VecDeque<Duration>>,
}

impl<K: Ord + Copy> Default for Breaker<K> {
    fn default() -> Self {
        Self::new(BREAKER_LIMIT, BREAKER_WINDOW)
    }
}

impl<K: Ord + Copy> Breaker<K> {
    /// Returns a breaker that trips at `limit` failures (at least 1) of one `K` within `window`.
    #[must_use]
    pub fn new(limit: usize, window: Duration) -> Self {
        Self { limit: limit.max(1), window, failures: BTreeMap::new() }
    }

    /// Counts a failure at `now`. Returns whether the breaker is tripped for `key`.
    pub fn failed(&mut self, key: K, now: Duration) -> bool {
        let failures = self.failures.entry(key).or_default();
        if failures.len() == self.limit {
            failures.pop_front();
        }
        failures.push_back(now);
        self.is_broken(key, now)
    }

    /// Whether the breaker is tripped: `key` had `limit` failures in the window that ends at
    /// `now`. It resets by itself as failures leave the window.
    #[must_use]
    pub fn is_broken(&self, key: K, now: Duration) -> bool {
        let Some(failures) = self.failures.get(&key) else { return false };
        let is_recent = |oldest: &Duration| now.saturating_sub(*oldest) <= self.window;
        failures.len() == self.limit && failures.front().is_some_and(is_recent)
    }

    /// Returns everything whose breaker is tripped at `now`, in ascending order.
    pub fn broken(&self, now: Duration) -> impl Iterator<Item = K> {
        self.failures.keys().copied().filter(move |&key| self.is_broken(key, now))
    }

    /// Forgets the failures of `key`: the operator asked for a retry, or it works again.
    pub fn reset(&mut self, key: K) {
        self.failures.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use mcbp::VbId;

    use super::*;

    const VB: VbId = VbId(7);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn mb_64246_the_same_failure_again_and_again_trips_the_breaker() {
        let mut breaker = Breaker::new(3, seconds(10));
        assert!(!breaker.failed(VB, seconds(1)));
        assert!(!breaker.failed(VB, seconds(2)));
        assert!(breaker.failed(VB, seconds(3)));
        assert_eq!(breaker.broken(seconds(3)).collect::<Vec<_>>(), [VB]);
    }

    #[test]
    fn failures_far_apart_do_not_trip_it() {
        let mut breaker = Breaker::new(3, seconds(10));
        for at in [0, 6, 12, 18, 24] {
            assert!(!breaker.failed(VB, seconds(at)), "at {at}");
        }
    }

    #[test]
    fn it_resets_with_time_or_by_hand() {
        let mut breaker = Breaker::new(2, seconds(10));
        breaker.failed(VB, seconds(0));
        assert!(breaker.failed(VB, seconds(1)));
        assert!(breaker.is_broken(VB, seconds(10)));
        assert!(!breaker.is_broken(VB, seconds(11)));
        breaker.failed(VB, seconds(2));
        breaker.reset(VB);
        assert!(!breaker.is_broken(VB, seconds(2)));
    }

    #[test]
    fn neighbours_are_not_touched() {
        let mut breaker = Breaker::new(1, seconds(10));
        assert!(breaker.failed(VB, seconds(0)));
        assert!(!breaker.is_broken(VbId(8), seconds(0)));
    }
}
