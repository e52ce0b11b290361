//! Limits the log lines of one event in a time window: the first few are logged, the others are
//! suppressed and counted. A lost producer may end 1,024 streams at once, and a hostile peer can
//! cause one event a million times a second.

use std::collections::BTreeMap;
use std::time::Duration;

/// How many lines of one event are logged, and how many events are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Limit {
    /// Lines of one event that are logged within a window: enough to see what they have in common.
    pub lines: u64,
    /// The window, from the first line.
    pub window: Duration,
    /// Events that are told apart within a window; the lines of further ones are suppressed.
    pub events: usize,
}

impl Limit {
    /// For events of one link: lines with one cause come within a second.
    pub const OF_A_LINK: Self = Self { lines: 5, window: Duration::from_secs(1), events: 64 };
    /// For all events of a process: a flood that lasts writes fewer than 3,000 lines of an event in
    /// an hour.
    pub const OF_A_PROCESS: Self =
        Self { lines: 20, window: Duration::from_secs(30), events: 1024 };
}

/// Counts lines by event `K`. Times are since any fixed start.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LogLimiter<K> {
    limit: Limit,
    bursts: BTreeMap<K, Burst>,
    /// Lines of events that were too many to be told apart.
    others: u64,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Burst {
    since: Duration,
    lines: u64,
}

impl<K: Ord> LogLimiter<K> {
    /// Starts with nothing counted.
    #[must_use]
    pub const fn new(limit: Limit) -> Self {
        Self { limit, bursts: BTreeMap::new(), others: 0 }
    }

    /// Counts a line. Returns whether to log it.
    pub fn allow(&mut self, event: K, now: Duration) -> bool {
        if self.bursts.len() >= self.limit.events && !self.bursts.contains_key(&event) {
            self.others += 1;
            return false;
        }
        let burst = self.bursts.entry(event).or_insert(Burst { since: now, lines: 0 });
        burst.lines += 1;
        burst.lines <= self.limit.lines
    }

    /// Returns the number of suppressed lines of each event whose window has ended, and forgets the
    /// window. To be called at least once per window.
    pub fn take_suppressed(&mut self, now: Duration) -> Vec<(K, u64)> {
        let Limit { lines, window, .. } = self.limit;
        let over = self.bursts.extract_if(.., |_, it| now.saturating_sub(it.since) >= window);
        let more = over.map(|(event, burst)| (event, burst.lines.saturating_sub(lines)));
        more.filter(|&(_, more)| more > 0).collect()
    }

    /// Whether nothing is counted: every window has ended, and was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bursts.is_empty()
    }

    /// Returns how many lines of events beyond [`Limit::events`] were suppressed since the last
    /// call.
    pub fn take_others(&mut self) -> u64 {
        std::mem::take(&mut self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { events: 3, ..Limit::OF_A_LINK };

    #[test]
    fn lines_after_the_first_few_are_suppressed_and_counted() {
        let mut limiter = LogLimiter::new(LIMIT);
        let logged = (0..1024).filter(|_| limiter.allow('a', Duration::ZERO)).count();
        assert_eq!(logged as u64, LIMIT.lines);
        assert!(limiter.allow('b', Duration::ZERO), "another event");
        assert_eq!(limiter.take_suppressed(LIMIT.window / 2), []);
        assert_eq!(limiter.take_suppressed(LIMIT.window), [('a', 1024 - LIMIT.lines)]);
        assert_eq!(limiter.take_suppressed(LIMIT.window), [], "reported once");
        assert!(limiter.allow('a', LIMIT.window), "a new window");
    }

    #[test]
    fn events_without_end_take_no_memory_without_end() {
        let mut limiter = LogLimiter::new(LIMIT);
        let logged = (0..1000).filter(|event| limiter.allow(*event, Duration::ZERO)).count();
        assert_eq!(logged, 3, "one line of each event that is told apart");
        assert_eq!((limiter.take_others(), limiter.take_others()), (997, 0));
        assert_eq!(limiter.take_suppressed(LIMIT.window), []);
        assert!(limiter.allow(1000, LIMIT.window), "room for another event");
    }
}
