//! How often what failed, for metrics. It never forgets, and never grows beyond a bound.

use std::collections::BTreeMap;

use crate::status::FailureCount;

/// Kinds that are counted one by one. A few statuses are usual; a peer that invents a new one each
/// time must not fill the memory.
const KINDS_MAX: usize = 64;
/// The status of all kinds beyond that.
const OTHER: &str = "other";

/// What failures have in common.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Kind {
    producer: String,
    reason: &'static str,
    status: Option<String>,
}

/// The failures of one bucket, by kind.
#[derive(Default, Debug)]
pub(super) struct Tally(BTreeMap<Kind, u64>);

impl Tally {
    /// Counts one.
    pub(super) fn count(&mut self, producer: &str, reason: &'static str, status: Option<String>) {
        let mut kind = Kind { producer: producer.to_owned(), reason, status };
        if self.0.len() >= KINDS_MAX && !self.0.contains_key(&kind) {
            // Still bounded: producers are configured, and reasons are words of our own.
            kind.status = Some(OTHER.to_owned());
        }
        let count = self.0.entry(kind).or_default();
        *count = count.saturating_add(1);
    }

    /// All there is, for a status page.
    pub(super) fn status(&self) -> Vec<FailureCount> {
        let status = |(kind, &count): (&Kind, &u64)| FailureCount {
            producer: kind.producer.clone(),
            reason: kind.reason.to_owned(),
            status: kind.status.clone(),
            count,
        };
        self.0.iter().map(status).collect()
    }
}

#[cfg(test)]
mod tests;
