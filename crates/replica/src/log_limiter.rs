//! Limits the log lines of one kind in a time window: the first few are logged, the others are
//! suppressed and counted. A lost producer may end 1,024 streams at once.

use std::collections::BTreeMap;
use std::time::Duration;

/// Lines of one kind that are logged within a window: enough to see what they have in common.
pub const LINES_MAX: u64 = 5;

/// The window. Lines with one cause come within it.
pub const WINDOW: Duration = Duration::from_secs(1);

/// Counts lines by kind `K`. Times are since any fixed start.
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
    /// Counts a line. Returns whether to log it.
    pub fn allow(&mut self, kind: K, now: Duration) -> bool {
        let burst = self.0.entry(kind).or_insert(Burst { since: now, lines: 0 });
        burst.lines += 1;
        burst.lines <= LINES_MAX
    }

    /// Returns the number of suppressed lines of each kind whose window has ended, and forgets the
    /// window. To be called at least once per window.
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
    fn lines_after_the_first_few_are_suppressed_and_counted() {
        let mut limiter = LogLimiter::default();
        let logged = (0..1024).filter(|_| limiter.allow('a', Duration::ZERO)).count();
        assert_eq!(logged as u64, LINES_MAX);
        assert!(limiter.allow('b', Duration::ZERO), "another kind");
        assert_eq!(limiter.take_suppressed(WINDOW / 2), []);
        assert_eq!(limiter.take_suppressed(WINDOW), [('a', 1024 - LINES_MAX)]);
        assert_eq!(limiter.take_suppressed(WINDOW), [], "reported once");
        assert!(limiter.allow('a', WINDOW), "a new window");
    }
}
