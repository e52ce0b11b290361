//! The delay before the next attempt: exponential, bounded, with jitter.
//!
//! Draws no random number; the caller passes one in.

use std::time::Duration;

/// How long something must work, at the least, before its earlier failures are forgotten. Ten
/// seconds: what falls once in this time does no harm with the shortest delay.
const LASTING_MIN: Duration = Duration::from_secs(10);

/// Delays that double from `min` to `max`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Backoff {
    /// The first delay, before jitter. 100 ms: about the time in which a process restarts.
    pub min: Duration,
    /// The longest delay, before jitter. 30 s: how long an operator waits at most after a repair.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { min: Duration::from_millis(100), max: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// Returns the delay after `failures` earlier failures in a row: between half and all of the
    /// doubled delay, by `random` from 0 to 1. The jitter spreads the attempts of many links.
    #[must_use]
    pub fn delay(&self, failures: u32, random: f64) -> Duration {
        let doubled = self.min.saturating_mul(1u32.checked_shl(failures).unwrap_or(u32::MAX));
        doubled.min(self.max).mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }

    /// Returns how long something must work after `failures` failures in a row before they are
    /// forgotten: twice its last delay, at least 10 s, and at most twice the longest delay. Two
    /// sidecars that displace each other let each other work for one delay only.
    #[must_use]
    pub fn lasting(&self, failures: u32) -> Duration {
        let last = self.delay(failures.saturating_sub(1), 1.0);
        (last * 2).max(LASTING_MIN).min(self.max * 2)
    }
}

#[cfg(test)]
mod tests {
    //! Bounds and growth.

    use super::*;

    #[test]
    fn doubles_up_to_the_bound_and_stays_there() {
        let backoff = Backoff::default();
        let at = |failures| backoff.delay(failures, 1.0).as_millis();
        assert_eq!((at(0), at(1), at(2), at(8), at(9)), (100, 200, 400, 25_600, 30_000));
        assert_eq!(at(u32::MAX), 30_000);
    }

    #[test]
    fn success_must_last_longer_the_more_failures_there_were() {
        let backoff = Backoff::default();
        let seconds = |failures| backoff.lasting(failures).as_millis();
        assert_eq!([0, 1, 6].map(seconds), [10_000; 3]);
        assert_eq!([7, 8, 9, u32::MAX].map(seconds), [12_800, 25_600, 51_200, 60_000]);
        let brisk = Backoff { min: Duration::from_millis(1), max: Duration::from_millis(100) };
        assert_eq!(brisk.lasting(1), Duration::from_millis(200), "for short settings");
    }

    #[test]
    fn jitter_takes_away_at_most_half() {
        let backoff = Backoff::default();
        assert_eq!(backoff.delay(3, 0.0), Duration::from_millis(400));
        assert_eq!(backoff.delay(3, 7.0), Duration::from_millis(800));
    }
}
