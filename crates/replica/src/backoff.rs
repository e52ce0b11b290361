//! The delay before the next attempt: exponential, bounded, with jitter.
//!
//! Draws no random number; the caller passes one in.

use std::time::Duration;

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
    fn jitter_takes_away_at_most_half() {
        let backoff = Backoff::default();
        assert_eq!(backoff.delay(3, 0.0), Duration::from_millis(400));
        assert_eq!(backoff.delay(3, 7.0), Duration::from_millis(800));
    }
}
