//! What to do about a vBucket whose takeover failed, by the copies that both nodes report.
//!
//! At most one copy may be active. So a copy is activated only where an interrupted takeover is the
//! only explanation of both states, and no frame of that takeover can still be on its way. The
//! caller must know the latter.

use std::fmt;

use mcbp::{Seqno, VbId, VbState, VbUuid};

/// What a node reports of its copy of a vBucket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CopyReport {
    /// The node has a copy.
    Present(CopyInfo),
    /// The node has no copy.
    Absent,
    /// The node did not answer, or its answer is malformed.
    Unknown,
}

/// A copy of a vBucket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CopyInfo {
    /// Its state.
    pub state: VbState,
    /// The newest branch of its history.
    pub branch: VbUuid,
    /// The seqno of the newest change on that branch.
    pub high: Seqno,
}

/// What to do about the two copies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Remedy {
    /// Nothing: the consumer's copy is active, and no report shows the producer's active.
    Done,
    /// The takeover was interrupted after all data was sent: activate the consumer's copy.
    Activate,
    /// The takeover was interrupted before all data was sent: activate the producer's copy, which
    /// alone has all changes, and take over anew.
    GiveBack,
    /// Nothing: the producer's copy is active, as before the takeover.
    AsBefore,
    /// The cause, or the place of the newest data, is unknown: the operator decides.
    Ask(Advice),
}

/// Advice to the operator. Follows the states of both copies in a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Advice {
    /// Both copies are active and accept writes.
    #[error("both copies accept writes; set one of them dead with SET_VBUCKET")]
    BothActive,
    /// No copy is active, and an interrupted takeover does not explain the states.
    #[error("no interrupted takeover explains this; activate one copy with SET_VBUCKET")]
    NoneActive,
    /// At least one copy is unknown.
    #[error("a copy is unknown; ask again when both nodes answer")]
    Unknown,
}

impl CopyReport {
    /// Returns the group of statistics that reports a copy as of one moment.
    #[must_use]
    pub fn group(vb: VbId) -> String {
        format!("vbucket-details {}", vb.0)
    }

    /// Parses the statistics of [`Self::group`].
    #[must_use]
    pub fn of(vb: VbId, stats: &[(String, String)]) -> Self {
        let find = |key: &str| {
            let name = format!("vb_{}{key}", vb.0);
            stats.iter().find(|(stat, _)| *stat == name).map(|(_, value)| value.as_str())
        };
        let number = |key| find(key).and_then(|value| value.parse().ok());
        let states = [VbState::Active, VbState::Replica, VbState::Pending, VbState::Dead];
        let state = find("").and_then(|name| states.into_iter().find(|state| state.name() == name));
        match (state, number(":uuid"), number(":high_seqno")) {
            (Some(state), Some(branch), Some(high)) => {
                Self::Present(CopyInfo { state, branch: VbUuid(branch), high: Seqno(high) })
            }
            _ => Self::Unknown,
        }
    }

    /// Whether the node has a copy in this state.
    #[must_use]
    pub fn is(&self, state: VbState) -> bool {
        matches!(self, Self::Present(copy) if copy.state == state)
    }
}

impl fmt::Display for CopyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present(copy) => write!(f, "{} up to {}", copy.state, copy.high),
            Self::Absent => f.write_str("missing"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl Remedy {
    /// Returns the remedy for two copies. `is_complete` is false for a consumer that refused a row:
    /// its copy may have the same seqnos and other documents.
    ///
    /// A takeover makes the consumer's copy pending, then the producer's dead, then the consumer's
    /// active. So an interrupted one leaves dead at the producer and pending at the consumer.
    #[must_use]
    pub fn of(producer: &CopyReport, consumer: &CopyReport, is_complete: bool) -> Self {
        use VbState::{Active, Dead, Pending};
        match (producer, consumer) {
            (_, there) if there.is(Active) => {
                if producer.is(Active) {
                    Self::Ask(Advice::BothActive)
                } else {
                    Self::Done
                }
            }
            (here, _) if here.is(Active) => Self::AsBefore,
            (CopyReport::Unknown, _) | (_, CopyReport::Unknown) => Self::Ask(Advice::Unknown),
            (CopyReport::Present(from), CopyReport::Present(to))
                if from.state == Dead && to.state == Pending =>
            {
                let has_all = is_complete && from.branch == to.branch && from.high <= to.high;
                if has_all { Self::Activate } else { Self::GiveBack }
            }
            _ => Self::Ask(Advice::NoneActive),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(state: VbState, branch: u64, high: u64) -> CopyReport {
        CopyReport::Present(CopyInfo { state, branch: VbUuid(branch), high: Seqno(high) })
    }

    #[test]
    fn each_pair_of_states_has_one_remedy() {
        use VbState::{Active, Dead, Pending, Replica};
        let both = [Active, Replica, Pending, Dead].map(|state| has(state, 7, 10));
        let [active, replica, pending, dead] = both;
        for producer in [replica, pending, dead, CopyReport::Absent, CopyReport::Unknown] {
            assert_eq!(Remedy::of(&producer, &active, true), Remedy::Done, "{producer}");
        }
        assert_eq!(Remedy::of(&active, &active, true), Remedy::Ask(Advice::BothActive));
        for consumer in [replica, pending, dead, CopyReport::Absent, CopyReport::Unknown] {
            assert_eq!(Remedy::of(&active, &consumer, true), Remedy::AsBefore, "{consumer}");
        }
        for (producer, consumer) in
            [(dead, replica), (dead, dead), (dead, CopyReport::Absent), (replica, pending)]
        {
            let advice = Remedy::Ask(Advice::NoneActive);
            assert_eq!(Remedy::of(&producer, &consumer, true), advice, "{producer}, {consumer}");
        }
        for (producer, consumer) in [(dead, CopyReport::Unknown), (CopyReport::Unknown, pending)] {
            assert_eq!(Remedy::of(&producer, &consumer, true), Remedy::Ask(Advice::Unknown));
        }
    }

    #[test]
    fn an_interrupted_takeover_is_finished_only_where_the_consumer_has_all_of_the_same_history() {
        let dead = has(VbState::Dead, 7, 10);
        let pending = |branch, high| Remedy::of(&dead, &has(VbState::Pending, branch, high), true);
        assert_eq!(pending(7, 10), Remedy::Activate);
        assert_eq!(pending(7, 9), Remedy::GiveBack);
        assert_eq!(pending(8, 10), Remedy::GiveBack, "another history");
        assert_eq!(pending(8, 99), Remedy::GiveBack, "another history");
        let same = has(VbState::Pending, 7, 10);
        assert_eq!(Remedy::of(&dead, &same, false), Remedy::GiveBack, "equal seqnos and a gap");
    }

    #[test]
    fn a_copy_with_a_missing_or_malformed_statistic_is_unknown() {
        let stat = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let stats = [("vb_7", "pending"), ("vb_7:uuid", "99"), ("vb_7:high_seqno", "5")].map(stat);
        assert_eq!(CopyReport::of(VbId(7), &stats), has(VbState::Pending, 99, 5));
        assert_eq!(CopyReport::of(VbId(7), &stats[..2]), CopyReport::Unknown);
        assert_eq!(CopyReport::of(VbId(8), &stats), CopyReport::Unknown);
        assert_eq!(CopyReport::of(VbId(7), &[("vb_7", "gone")].map(stat)), CopyReport::Unknown);
        assert_eq!(CopyReport::group(VbId(7)), "vbucket-details 7");
    }
}
