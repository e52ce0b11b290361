//! What to do about a vBucket whose takeover failed, from what both nodes say of it.
//!
//! At most one copy may be active. So nothing is made active here unless an unfinished takeover is
//! all that can have left the copies as they are, and no word of it is on its way any more: that
//! the caller has to know.

use std::fmt;

use mcbp::{Seqno, VbId, VbState, VbUuid};

/// What a node says of its copy of a vBucket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CopyReport {
    /// It has one.
    Present(CopyInfo),
    /// It has none.
    Absent,
    /// It could not be asked, or its answer cannot be understood.
    Unknown,
}

/// A copy of a vBucket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CopyInfo {
    /// Its state.
    pub state: VbState,
    /// The newest branch of its history.
    pub branch: VbUuid,
    /// The newest change on that branch.
    pub high: Seqno,
}

/// What follows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Remedy {
    /// Nothing is to be done: it is active at the consumer, and for all that is known not at the
    /// producer.
    Done,
    /// The takeover was cut off when everything had been sent: make it active at the consumer.
    Activate,
    /// The takeover was cut off before that: make it active at the producer again, as nobody else
    /// has all of it, and begin anew.
    GiveBack,
    /// It is active at the producer, as it was before.
    AsBefore,
    /// Nothing proves what happened, or where the newest data is: a person decides.
    Ask(Advice),
}

/// What a person is told. Reads on from what both nodes have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Advice {
    /// Both copies accept writes.
    #[error("both accept writes, set one of them dead by SET_VBUCKET")]
    BothActive,
    /// Neither does, and no takeover leaves them like that.
    #[error("no takeover left it so, set it active by SET_VBUCKET at the node that is to have it")]
    NoneActive,
    /// Not both nodes have said what they have.
    #[error("ask again when both nodes answer")]
    Unknown,
}

impl CopyReport {
    /// The group of statistics that tells all of it at one moment.
    #[must_use]
    pub fn group(vb: VbId) -> String {
        format!("vbucket-details {}", vb.0)
    }

    /// Reads the statistics of [`Self::group`].
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

    /// Whether it has a copy in this state.
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
    /// What follows from what both nodes say, and from whether the consumer's copy `is_complete`:
    /// one that refused a row may have the same seqnos and other documents.
    ///
    /// Dead at the producer and pending at the consumer is what a takeover leaves that was cut off:
    /// pending comes before dead, and active after both.
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
    fn what_was_cut_off_is_finished_only_where_the_consumer_has_all_of_the_same_history() {
        let dead = has(VbState::Dead, 7, 10);
        let pending = |branch, high| Remedy::of(&dead, &has(VbState::Pending, branch, high), true);
        assert_eq!(pending(7, 10), Remedy::Activate);
        assert_eq!(pending(7, 9), Remedy::GiveBack);
        assert_eq!(pending(8, 10), Remedy::GiveBack, "another history");
        assert_eq!(pending(8, 99), Remedy::GiveBack, "another history");
        let same = has(VbState::Pending, 7, 10);
        assert_eq!(Remedy::of(&dead, &same, false), Remedy::GiveBack, "equal seqnos, a gap below");
    }

    #[test]
    fn a_copy_is_read_from_its_statistics_whole_or_not_at_all() {
        let stat = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let stats = [("vb_7", "pending"), ("vb_7:uuid", "99"), ("vb_7:high_seqno", "5")].map(stat);
        assert_eq!(CopyReport::of(VbId(7), &stats), has(VbState::Pending, 99, 5));
        assert_eq!(CopyReport::of(VbId(7), &stats[..2]), CopyReport::Unknown);
        assert_eq!(CopyReport::of(VbId(8), &stats), CopyReport::Unknown);
        assert_eq!(CopyReport::of(VbId(7), &[("vb_7", "gone")].map(stat)), CopyReport::Unknown);
        assert_eq!(CopyReport::group(VbId(7)), "vbucket-details 7");
    }
}
