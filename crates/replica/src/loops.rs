//! Repeated failures of vBuckets and of links: which of them to log, and when one is in a retry
//! loop and counts as broken, so that it is retried at the longest backoff only.
//!
//! Backoff alone slows down what opens and fails in turn, and tells nobody.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use mcbp::{Status, StreamEndStatus};
use serde::Serialize;

use crate::breaker::Breaker;
use crate::link::{Reason, VbError};

/// The kind of retry loop that a failure may belong to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoopKind {
    /// The producer asks for a rollback each time.
    Rollback,
    /// The producer rejects the STREAM_REQ as invalid each time.
    InvalidRequest,
    /// The stream opens and ends in turn, or the link comes up and falls at once.
    Flapping,
    /// Another sidecar uses the connection name of the link.
    Rival,
}

impl LoopKind {
    /// Returns the name in the status and in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::InvalidRequest => "invalid-request",
            Self::Flapping => "flapping",
            Self::Rival => "rival",
        }
    }

    /// Returns the loop that a stream which did not open may be in. Other failures rely on backoff.
    #[must_use]
    pub const fn of_failure(error: &VbError) -> Option<Self> {
        match error.reason {
            Reason::StreamEnd(StreamEndStatus::ROLLBACK)
            | Reason::Refused { status: Status::ROLLBACK, .. } => Some(Self::Rollback),
            Reason::Refused { status: Status::ERANGE | Status::EINVAL, .. } => {
                Some(Self::InvalidRequest)
            }
            _ => None,
        }
    }

    /// Returns the loop that an open stream which ended may be in.
    #[must_use]
    pub fn of_end(error: &VbError) -> Self {
        Self::of_failure(error).unwrap_or(Self::Flapping)
    }
}

impl fmt::Display for LoopKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A vBucket, or a link, in a retry loop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Broken {
    /// Which loop.
    pub kind: LoopKind,
    /// When the loop was detected; times are since any fixed start.
    pub since: Duration,
}

/// Whether and how to log a failure.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Notice {
    /// Log it, with the number of failures so far: a new reason, or failure 1, 10, 100 and so on.
    Log(u64),
    /// Log an error: the vBucket, or the link, is broken from now on.
    Tripped(LoopKind),
    /// Do not log it.
    Suppress,
}

/// The failures of everything of kind `K` in a bucket: of its vBuckets, or of its links.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Loops<K> {
    breakers: BTreeMap<LoopKind, Breaker<K>>,
    records: BTreeMap<K, Record>,
    quiet: Duration,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Record {
    failures: u64,
    last: Duration,
    broken: Option<Broken>,
    logged: LoggedReasons,
}

impl<K: Ord + Copy> Loops<K> {
    /// Something is broken at `limit` failures of one kind within `window`. Its failures are
    /// forgotten after `quiet` without a new one, which must exceed the longest backoff.
    #[must_use]
    pub fn new(limit: usize, window: Duration, quiet: Duration) -> Self {
        use LoopKind::{Flapping, InvalidRequest, Rival, Rollback};
        let kinds = [Rollback, InvalidRequest, Flapping, Rival];
        let breakers = kinds.map(|kind| (kind, Breaker::new(limit, window)));
        Self { breakers: breakers.into(), records: BTreeMap::new(), quiet }
    }

    /// Counts a failure; `why` is its text in the log.
    pub fn failed(&mut self, key: K, kind: Option<LoopKind>, why: &str, now: Duration) -> Notice {
        let fresh =
            || Record { failures: 0, last: now, broken: None, logged: LoggedReasons::default() };
        let record = self.records.entry(key).or_insert_with(fresh);
        if now.saturating_sub(record.last) > self.quiet {
            *record = fresh();
        }
        record.failures = record.failures.saturating_add(1);
        record.last = now;
        let breaker = kind.and_then(|kind| self.breakers.get_mut(&kind).zip(Some(kind)));
        if let Some((breaker, kind)) = breaker
            && breaker.failed(key, now)
            && record.broken.is_none()
        {
            record.broken = Some(Broken { kind, since: now });
            return Notice::Tripped(kind);
        }
        let failures = record.failures;
        if record.logged.should_log(why, failures) {
            Notice::Log(failures)
        } else {
            Notice::Suppress
        }
    }

    /// Returns the loop that `key` is in, if any.
    #[must_use]
    pub fn broken(&self, key: K, now: Duration) -> Option<Broken> {
        let record = self.records.get(&key)?;
        record.broken.filter(|_| now.saturating_sub(record.last) <= self.quiet)
    }

    /// Returns everything that is broken in ascending order, with its number of failures.
    pub fn all_broken(&self, now: Duration) -> impl Iterator<Item = (K, Broken, u64)> {
        let broken = move |(&key, record): (&K, &Record)| {
            self.broken(key, now).map(|broken| (key, broken, record.failures))
        };
        self.records.iter().filter_map(broken)
    }

    /// Forgets the failures of `key`: the operator asked for a retry, or it has worked for long.
    pub fn reset(&mut self, key: K) {
        self.records.remove(&key);
        for breaker in self.breakers.values_mut() {
            breaker.reset(key);
        }
    }
}

/// The reasons already logged of one thing that fails repeatedly.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct LoggedReasons(Vec<String>);

impl LoggedReasons {
    /// Bound on the remembered reasons. Failures have few reasons; a text that differs each time,
    /// such as one with a number in it, must not be logged each time.
    const REASONS_MAX: usize = 8;

    /// Whether to log failure number `count`, which has this reason: yes for a new reason, and for
    /// number 1, 10, 100 and so on.
    pub fn should_log(&mut self, why: &str, count: u64) -> bool {
        let is_new = self.0.len() < Self::REASONS_MAX && !self.0.iter().any(|logged| logged == why);
        if is_new {
            self.0.push(why.to_owned());
        }
        is_new || count.checked_ilog10().is_some_and(|digits| 10u64.pow(digits) == count)
    }
}

#[cfg(test)]
mod tests;
