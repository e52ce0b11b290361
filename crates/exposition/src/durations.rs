//! A histogram of durations, counted without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The upper bounds of the buckets in seconds: from a commit on a fast disk to the set-up of a
/// large bucket.
const BOUNDS: [f64; 14] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0];

/// How many events took how long, since the start.
#[derive(Debug, Default)]
pub struct Durations {
    /// The last one is for those beyond all bounds.
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum_ns: AtomicU64,
}

impl Durations {
    /// Counts one event.
    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let at = BOUNDS.partition_point(|&bound| bound < seconds);
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Relaxed);
        }
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns.fetch_add(ns, Relaxed);
    }

    /// Returns the sum of all durations in seconds, the number of events, and for each bucket its
    /// upper bound and its own events, as an encoder takes them.
    #[must_use]
    pub fn read(&self) -> (f64, u64, Vec<(f64, u64)>) {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Relaxed));
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        (Duration::from_nanos(self.sum_ns.load(Relaxed)).as_secs_f64(), count, buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_in_one_bucket() {
        let durations = Durations::default();
        for ms in [0, 1, 2, 1000, 400_000] {
            durations.observe(Duration::from_millis(ms));
        }
        let (sum, count, buckets) = durations.read();
        assert_eq!((sum, count), (401.003, 5));
        let found: Vec<_> = buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        let want = [(0.0001, 1), (0.001, 1), (0.0025, 1), (1.0, 1), (f64::INFINITY, 1)];
        assert_eq!(found, want);
    }
}
