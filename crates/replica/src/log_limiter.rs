//! Lines for a log when a thousand vBuckets have the same to say at once: the first few, then how
//! many more.

use std::collections::BTreeMap;
use std::time::Duration;

/// Lines of one kind that are told one by one: enough to see what they have in common.
pub const LINES_MAX: u64 = 5;

/// The time for which lines count together: what belongs together comes within it.
pub const WINDOW: Duration = Duration::from_secs(1);

/// Counts lines of the kinds `K`; times are since any fixed start.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LogLimiter<K>(BTreeMap<K, Burst>);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Burst {
    since: Duration,
    lines: u64,
}

impl<K> Default for LogLimiter<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Copy> LogLimiter<K> {
    /// Counts a line, and says whether it is to be told.
    pub fn allow(&mut self, kind: K, now: Duration) -> bool {
        let burst = self.0.entry(kind).or_insert(Burst { since: now, lines: 0 });
        burst.lines += 1;
        burst.lines <= LINES_MAX
    }

    /// How many more lines there were of each kind whose time is over; to be asked now and then.
    pub fn take_suppressed(&mut self, now: Duration) -> Vec<(K, u64)> {
        let over = self.0.extract_if(.., |_, burst| now.saturating_sub(burst.since) >= WINDOW);
        let more = over.map(|(kind, burst)| (kind, burst.lines.saturating_sub(LINES_MAX)));
        more.filter(|&(_, more)| more > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_lines_are_a_few_and_a_number() {
        let mut limiter = LogLimiter::default();
        let told = (0..1024).filter(|_| limiter.allow('a', Duration::ZERO)).count();
        assert_eq!(told as u64, LINES_MAX);
        assert!(limiter.allow('b', Duration::ZERO), "of another kind");
        assert_eq!(limiter.take_suppressed(WINDOW / 2), []);
        assert_eq!(limiter.take_suppressed(WINDOW), [('a', 1024 - LINES_MAX)]);
        assert_eq!(limiter.take_suppressed(WINDOW), [], "told once");
        assert!(limiter.allow('a', WINDOW), "and begins anew");
    }
}
