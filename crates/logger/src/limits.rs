//! Which lines are suppressed because their event repeats. Lines at debug and trace are not:
//! whoever turned them on wants them all.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use log::Level;
use logline::{Limit, LogLimiter, split};

/// The longest name of an event, in bytes; longer ones are told apart by their beginning.
const EVENT_BYTES_MAX: usize = 160;
/// Fields that tell events apart, as they name what the configuration names. What a peer chooses,
/// such as its address or a user name, does not: a peer would choose a new one for each line.
const IDENTITY: [&str; 4] = ["link", "bucket", "node", "producer"];

/// An event: what its lines have in common.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Event {
    pub(crate) level: Level,
    pub(crate) words: String,
    /// The fields that tell it apart, as they stand in the line, each with a space before it.
    pub(crate) identity: String,
}

impl Event {
    pub(crate) fn of(level: Level, message: &str) -> Self {
        let (words, fields) = split(message);
        let mut identity = String::new();
        for field in fields.iter().filter(|field| IDENTITY.contains(&field.key)) {
            identity.push_str(&format!(" {}={}", field.key, logline::value(&field.value)));
        }
        Self { level, words: kind_of(words), identity: logline::capped(identity, EVENT_BYTES_MAX) }
    }
}

/// The words of an event without what differs from line to line where a message is no list of
/// fields: what begins with `key=`, and numbers.
fn kind_of(words: &str) -> String {
    let mut kind = String::new();
    for word in words.split(' ').take_while(|word| !word.contains('=')) {
        if !kind.is_empty() {
            kind.push(' ');
        }
        kind.push_str(if word.contains(|char: char| char.is_ascii_digit()) { "N" } else { word });
        if kind.len() >= EVENT_BYTES_MAX {
            break;
        }
    }
    logline::capped(kind, EVENT_BYTES_MAX)
}

/// The limits of a process.
pub(crate) struct Limits {
    started: Instant,
    limiter: Mutex<LogLimiter<Event>>,
}

impl Limits {
    pub(crate) fn new() -> Self {
        let limiter = LogLimiter::new(Limit::OF_A_PROCESS);
        Self { started: Instant::now(), limiter: Mutex::new(limiter) }
    }

    /// Counts a line; returns whether to write it.
    pub(crate) fn allow(&self, level: Level, message: &str) -> bool {
        if level > Level::Info {
            return true;
        }
        let (event, now) = (Event::of(level, message), self.started.elapsed());
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner).allow(event, now)
    }

    /// Returns the messages, with their levels, that tell how many lines were suppressed: of the
    /// events whose window has ended, or of all.
    pub(crate) fn report(&self, all: bool) -> Vec<(Level, u64, String)> {
        let now = self.started.elapsed()
            + if all { Limit::OF_A_PROCESS.window } else { Default::default() };
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        let events = limiter.take_suppressed(now);
        let others = limiter.take_others();
        drop(limiter);
        let mut reports: Vec<_> =
            events.into_iter().map(|(event, count)| message(&event, count)).collect();
        if others > 0 {
            let event =
                Event { level: Level::Warn, words: "others".to_owned(), identity: String::new() };
            reports.push(message(&event, others));
        }
        reports
    }
}

fn message(event: &Event, count: u64) -> (Level, u64, String) {
    let Event { level, words, identity } = event;
    let text =
        format!("log lines suppressed event={} count={count}{identity}", logline::value(words));
    (*level, count, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_few_lines_and_a_number() {
        let limits = Limits::new();
        let message = |n: u32| format!("authentication failed peer=10.0.0.{n} user=u{n}");
        let written = (0..5000).filter(|n| limits.allow(Level::Warn, &message(*n))).count();
        assert_eq!(written as u64, Limit::OF_A_PROCESS.lines);
        assert!(limits.allow(Level::Warn, "listening failed"), "another event");
        assert!(limits.report(false).is_empty(), "its window has not ended");
        let count = 5000 - Limit::OF_A_PROCESS.lines;
        let text = format!("log lines suppressed event=\"authentication failed\" count={count}");
        assert_eq!(limits.report(true), [(Level::Warn, count, text)]);
        assert!(limits.report(true).is_empty(), "reported once");
    }

    #[test]
    fn links_and_buckets_are_told_apart_and_peers_are_not() {
        let event = |message| Event::of(Level::Info, message);
        assert_ne!(event("link up link=a peer=1"), event("link up link=b peer=1"));
        assert_eq!(event("link up link=a peer=1"), event("link up link=a peer=2"));
        assert_eq!(event("cut vb=1 a \"b"), event("cut vb=2 c \"d"), "no list of fields");
        assert_eq!(event("thread 17 of 20 ended"), event("thread 1 of 3 ended"));
    }

    #[test]
    fn what_was_turned_on_for_debugging_is_not_limited() {
        let limits = Limits::new();
        assert!((0..5000).all(|_| limits.allow(Level::Debug, "frame")));
    }
}
