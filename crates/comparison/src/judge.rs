//! Whether what two nodes have of one key is a difference, though both were read at different
//! moments while they changed.
//!
//! Each side was read as a whole snapshot: the newest change of every key up to the snapshot's end.
//! So a change after the other side's end says nothing: the other side had not got there yet. A
//! change up to it must be there, or a newer one, unless it is a deletion that was purged.

use mcbp::Seqno;

use crate::{Class, Version};

/// A node of the two that are compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    /// The node that changes come from.
    A,
    /// The node that changes go to.
    B,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// What is known of one side's snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Snapshot {
    /// The last seqno of it.
    pub end: Seqno,
    /// Deletions up to this seqno may be missing from it. It may be of a later moment.
    pub purge: Seqno,
}

/// What both sides' keys are judged by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// Side A.
    pub a: Snapshot,
    /// Side B.
    pub b: Snapshot,
    /// Where the histories part: a side that does not have a change after it will not get it.
    pub parted_at: Option<Seqno>,
}

/// What follows for one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// Nothing is wrong.
    Fine,
    /// It is a difference.
    Differs(Class),
    /// Both moments are too far apart: a deletion may have come and been purged between them.
    Unknown,
}

impl Facts {
    /// Judges what both sides have of one key, not both at one seqno.
    #[must_use]
    pub fn judge(&self, a: Option<Version>, b: Option<Version>) -> Judgement {
        match (a, b) {
            (None, None) => Judgement::Fine,
            (Some(a), Some(b)) if a.seqno == b.seqno => Judgement::Fine,
            (Some(a), Some(b)) if a.seqno > b.seqno => self.newer(a.seqno, self.b, Class::Older),
            (Some(_), Some(b)) => self.newer(b.seqno, self.a, Class::Newer),
            (Some(a), None) => self.only(a, self.a, self.b, Class::Missing),
            (None, Some(b)) => self.only(b, self.b, self.a, Class::Extra),
        }
    }

    /// The other side has not got there, and will.
    fn is_to_come(&self, seqno: Seqno, other: Snapshot) -> bool {
        seqno > other.end && self.parted_at.is_none_or(|parted| seqno <= parted)
    }

    fn newer(&self, seqno: Seqno, other: Snapshot, class: Class) -> Judgement {
        if self.is_to_come(seqno, other) { Judgement::Fine } else { Judgement::Differs(class) }
    }

    fn only(&self, it: Version, here: Snapshot, other: Snapshot, class: Class) -> Judgement {
        let was_purged = it.deleted && it.seqno <= other.purge;
        if was_purged || self.is_to_come(it.seqno, other) {
            return Judgement::Fine;
        }
        // The other side may have had a deletion of this key after the end of this snapshot.
        if other.purge > here.end { Judgement::Unknown } else { Judgement::Differs(class) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_judged_by_what_the_other_side_can_have() {
        let at = |seqno| Some(Version { seqno: Seqno(seqno), cas: 1, revision: 1, deleted: false });
        let gone = |seqno| at(seqno).map(|version| Version { deleted: true, ..version });
        let ends = |a, b| Facts {
            a: Snapshot { end: Seqno(a), purge: Seqno(0) },
            b: Snapshot { end: Seqno(b), purge: Seqno(0) },
            parted_at: None,
        };
        let purged = |mut facts: Facts, a, b| {
            (facts.a.purge, facts.b.purge) = (Seqno(a), Seqno(b));
            facts
        };
        let parted = |facts: Facts, at| Facts { parted_at: Some(Seqno(at)), ..facts };
        use Class::{Extra, Missing, Newer, Older};
        use Judgement::{Differs, Fine, Unknown};
        let table = [
            ("equal", ends(9, 9), at(5), at(5), Fine),
            ("B had it and lost it", ends(9, 9), at(5), None, Differs(Missing)),
            ("B has not got there", ends(9, 4), at(5), None, Fine),
            ("the last one of the snapshot", ends(9, 5), at(5), None, Differs(Missing)),
            ("A has not got there", ends(4, 9), None, at(5), Fine),
            ("only on B", ends(9, 9), None, at(5), Differs(Extra)),
            ("a stale one", ends(9, 9), at(5), at(3), Differs(Older)),
            ("B will get it", ends(9, 4), at(5), at(3), Fine),
            ("A is stale", ends(9, 9), at(3), at(5), Differs(Newer)),
            ("A will get it", ends(4, 9), at(3), at(5), Fine),
            ("a deletion is missing", ends(9, 9), gone(5), None, Differs(Missing)),
            ("a deletion was purged", purged(ends(9, 9), 0, 5), gone(5), None, Fine),
            ("a later one was", purged(ends(9, 9), 0, 4), gone(5), None, Differs(Missing)),
            ("purged on A", purged(ends(9, 9), 7, 0), None, gone(5), Fine),
            ("not a document", purged(ends(9, 9), 0, 5), at(5), None, Differs(Missing)),
            ("deleted and purged since", purged(ends(9, 20), 0, 12), at(5), None, Unknown),
            ("on the other side too", purged(ends(20, 9), 12, 0), None, at(5), Unknown),
            (
                "a purge leaves no older one",
                purged(ends(9, 20), 0, 12),
                at(5),
                at(3),
                Differs(Older),
            ),
            ("it will not come", parted(ends(9, 4), 4), at(5), None, Differs(Missing)),
            ("it will", parted(ends(9, 4), 6), at(5), None, Fine),
        ];
        for (what, facts, a, b, want) in table {
            assert_eq!(facts.judge(a, b), want, "{what}");
        }
    }
}
