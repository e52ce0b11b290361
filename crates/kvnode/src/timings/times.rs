//! The times of one opcode: a histogram of microseconds with the buckets of kv_engine's, which are
//! exact to one decimal digit: one bucket for each of 0 to 31, then 16 for each power of two.

use std::time::Duration;

use histogram::{AtomicHistogram, Config, Histogram};

use crate::counter::Counter;

/// Sixteen buckets for each power of two, up to the one above [`MAX_US`].
const CONFIG: Config = match Config::new(4, 26) {
    Ok(config) => config,
    Err(_) => panic!("the powers are in the range of the library"),
};

/// What takes longer is in no bucket. Source: kv_engine's `Hdr1sfMicroSecHistogram`.
pub(super) const MAX_US: u64 = 60_000_000;

/// See the module.
pub(super) struct Times {
    counts: AtomicHistogram,
    sum_us: Counter,
    overflowed: Counter,
    overflowed_sum_us: Counter,
}

impl Default for Times {
    fn default() -> Self {
        let counts = AtomicHistogram::with_config(&CONFIG);
        let (sum_us, overflowed) = (Counter::default(), Counter::default());
        Self { counts, sum_us, overflowed, overflowed_sum_us: Counter::default() }
    }
}

impl Times {
    pub(super) fn observe(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if us <= MAX_US && self.counts.increment(us).is_ok() {
            self.sum_us.add(us);
        } else {
            self.overflowed.add(1);
            self.overflowed_sum_us.add(us);
        }
    }

    pub(super) fn read(&self) -> Reading {
        Reading {
            counts: self.counts.load(),
            sum_us: self.sum_us.get(),
            overflowed: self.overflowed.get(),
            overflowed_sum_us: self.overflowed_sum_us.get(),
        }
    }
}

/// What [`Times`] had counted at one moment, of one opcode or of several.
pub(crate) struct Reading {
    counts: Histogram,
    sum_us: u64,
    pub(super) overflowed: u64,
    pub(super) overflowed_sum_us: u64,
}

impl Default for Reading {
    fn default() -> Self {
        let counts = Histogram::with_config(&CONFIG);
        Self { counts, sum_us: 0, overflowed: 0, overflowed_sum_us: 0 }
    }
}

impl Reading {
    /// Adds what another one has counted.
    pub(crate) fn add(&mut self, other: &Self) {
        if let Ok(sum) = self.counts.wrapping_add(&other.counts) {
            self.counts = sum;
        }
        self.sum_us = self.sum_us.wrapping_add(other.sum_us);
        self.overflowed = self.overflowed.wrapping_add(other.overflowed);
        self.overflowed_sum_us = self.overflowed_sum_us.wrapping_add(other.overflowed_sum_us);
    }

    /// The greatest time in microseconds and the count of each bucket that is not empty.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let buckets = self.counts.iter().filter(|bucket| bucket.count() > 0);
        buckets.map(|bucket| (bucket.end(), bucket.count()))
    }

    /// Returns the sum of all times in seconds, their number, and the upper bounds in seconds of
    /// fewer buckets, each with its own count, as an encoder takes them.
    pub(crate) fn rebinned(&self) -> (f64, u64, Vec<(f64, u64)>) {
        // Powers of four: those are bounds of the finer buckets too, so that no count is a guess.
        let bounds_us = (2..=12).map(|power| 1_u64 << (2 * power));
        let seconds = |us: u64| Duration::from_micros(us).as_secs_f64();
        let mut bins: Vec<_> = bounds_us.map(|us| (us, 0_u64)).collect();
        let mut beyond = self.overflowed;
        for (most_us, count) in self.buckets() {
            match bins.iter_mut().find(|(bound_us, _)| most_us < *bound_us) {
                Some((_, bin)) => *bin += count,
                None => beyond += count,
            }
        }
        let total = bins.iter().map(|(_, count)| count).sum::<u64>() + beyond;
        let bins = bins.into_iter().map(|(us, count)| (seconds(us), count));
        let sum_us = self.sum_us.saturating_add(self.overflowed_sum_us);
        (seconds(sum_us), total, bins.chain([(f64::INFINITY, beyond)]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times_us: &[u64]) -> Reading {
        let times = Times::default();
        times_us.iter().for_each(|&us| times.observe(Duration::from_micros(us)));
        times.read()
    }

    #[test]
    fn buckets_end_where_those_of_a_real_node_end() {
        // Upper ends of buckets in recorded statistics, each with the least time that is in it.
        for (least, end) in [(0, 0), (31, 31), (32, 33), (94, 95), (528, 543), (2816, 2943)] {
            assert_eq!(of(&[least, end]).buckets().collect::<Vec<_>>(), [(end, 2)]);
        }
    }

    #[test]
    fn what_takes_too_long_is_counted_apart() {
        let reading = of(&[MAX_US, MAX_US + 1, u64::MAX / 2_000]);
        assert_eq!(reading.buckets().map(|(_, count)| count).sum::<u64>(), 1);
        assert_eq!(reading.overflowed, 2);
        assert_eq!(reading.overflowed_sum_us, MAX_US + 1 + u64::MAX / 2_000);
    }

    #[test]
    fn times_of_several_opcodes_are_added() {
        let mut sum = of(&[5, 70_000_000]);
        sum.add(&of(&[5, 6]));
        assert_eq!(sum.buckets().collect::<Vec<_>>(), [(5, 2), (6, 1)]);
        assert_eq!((sum.sum_us, sum.overflowed), (16, 1));
    }

    #[test]
    fn fewer_buckets_have_the_same_events() {
        let (sum, count, bins) = of(&[0, 15, 16, 1_000, 70_000_000]).rebinned();
        assert_eq!((sum, count), (70.001_031, 5));
        let found: Vec<_> = bins.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(found, [(0.000_016, 2), (0.000_064, 1), (0.001_024, 1), (f64::INFINITY, 1)]);
    }
}
