//! Counts failures by kind since the start, for metrics. The number of kinds is bounded.

use std::collections::BTreeMap;

use mcbp::Side;

use crate::link::{NodeAnswer, ReasonCode};

/// Bound on the kinds that are counted separately. A few statuses are usual; a peer that sends a
/// new one each time must not exhaust the memory.
const KINDS_MAX: usize = 64;

/// The kind of a failure.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FailureKind {
    /// The producer.
    pub producer: String,
    /// What happened.
    pub reason: ReasonCode,
    /// The side at fault, if one is.
    pub side: Option<Side>,
    /// What a data node answered; [`NodeAnswer::Other`] after the bound on kinds is reached.
    pub answer: Option<NodeAnswer>,
}

/// Failures since the start, by kind.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Tally(BTreeMap<FailureKind, u64>);

impl Tally {
    pub(super) fn count(
        &mut self,
        producer: &str,
        side: Option<Side>,
        reason: ReasonCode,
        answer: Option<NodeAnswer>,
    ) {
        let mut kind = FailureKind { producer: producer.to_owned(), side, reason, answer };
        if self.0.len() >= KINDS_MAX && !self.0.contains_key(&kind) {
            // Still bounded: producers are configured, and reasons are an enum.
            kind.answer = Some(NodeAnswer::Other);
        }
        let count = self.0.entry(kind).or_default();
        *count = count.saturating_add(1);
    }

    /// Returns every kind with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&FailureKind, u64)> {
        self.0.iter().map(|(kind, &count)| (kind, count))
    }
}

#[cfg(test)]
mod tests {
    use mcbp::Status;

    use super::*;

    #[test]
    fn kinds_are_counted_one_by_one_up_to_a_bound() {
        let mut tally = Tally::default();
        for status in 0..500 {
            let answer = Some(NodeAnswer::Status(Status(status)));
            tally.count("alpha", Some(Side::Producer), ReasonCode::Refused, answer);
        }
        tally.count("alpha", None, ReasonCode::LinkLost, None);
        let kinds: Vec<_> = tally.iter().collect();
        assert_eq!(kinds.len(), KINDS_MAX + 2);
        assert_eq!(kinds.iter().map(|(_, count)| count).sum::<u64>(), 501);
        let other = kinds.iter().find(|(kind, _)| kind.answer == Some(NodeAnswer::Other));
        assert_eq!(other.map(|&(_, count)| count), Some(500 - KINDS_MAX as u64));
    }
}
