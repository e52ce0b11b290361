//! The classes of differences, with their words.

use serde::{Serialize, Serializer};

/// What is different between node A, which changes come from, and node B, which they go to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// One node does not have the vBucket.
    Absent,
    /// A node could not be read to the end of its snapshot.
    Unreadable,
    /// The vBucket was different each time it was looked at: it moves, or is rolled back.
    Unsettled,
    /// One node does not have all changes that the other one had when the comparison began, and
    /// received none for the given time.
    Behind,
    /// The failover logs differ: after the last common seqno, equal seqnos are not equal changes.
    History,
    /// A has a change of this key, B has none.
    Missing,
    /// B has a change of this key, A has none.
    Extra,
    /// Both have a change of this key, and that of B is older.
    Older,
    /// Both have a change of this key, and that of B is newer.
    Newer,
    /// One is a document, the other one a deletion.
    Existence,
    /// The values differ.
    Value,
    /// The extended attributes differ.
    Xattrs,
    /// The CAS differ.
    Cas,
    /// The revisions differ.
    Revision,
    /// The flags differ.
    Flags,
    /// The expiries differ.
    Expiry,
    /// The datatypes differ; compression does not count.
    Datatype,
    /// The times of the deletions differ, or one was deleted and the other one expired.
    Deletion,
}

impl Class {
    /// Every class, the most important one first.
    pub const ALL: [Self; 18] = [
        Self::Absent,
        Self::Unreadable,
        Self::Unsettled,
        Self::Behind,
        Self::History,
        Self::Missing,
        Self::Extra,
        Self::Older,
        Self::Newer,
        Self::Existence,
        Self::Value,
        Self::Xattrs,
        Self::Cas,
        Self::Revision,
        Self::Flags,
        Self::Expiry,
        Self::Datatype,
        Self::Deletion,
    ];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Unreadable => "unreadable",
            Self::Unsettled => "unsettled",
            Self::Behind => "behind",
            Self::History => "history",
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Older => "older",
            Self::Newer => "newer",
            Self::Existence => "existence",
            Self::Value => "value",
            Self::Xattrs => "xattrs",
            Self::Cas => "cas",
            Self::Revision => "revision",
            Self::Flags => "flags",
            Self::Expiry => "expiry",
            Self::Datatype => "datatype",
            Self::Deletion => "deletion",
        }
    }

    /// What it says of B, for people.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Absent => "a node does not have the vBucket",
            Self::Unreadable => "a node could not be read to the end of its snapshot",
            Self::Unsettled => "the vBucket was different each time it was looked at",
            Self::Behind => "a node does not get the changes that the other one has",
            Self::History => "the failover logs differ",
            Self::Missing => "B lacks a change of A",
            Self::Extra => "B has a change that A lacks",
            Self::Older => "the change of B is older",
            Self::Newer => "the change of B is newer",
            Self::Existence => "a document on one node is deleted on the other one",
            Self::Value => "the values differ",
            Self::Xattrs => "the extended attributes differ",
            Self::Cas => "the CAS differ",
            Self::Revision => "the revisions differ",
            Self::Flags => "the flags differ",
            Self::Expiry => "the expiries differ",
            Self::Datatype => "the datatypes differ",
            Self::Deletion => "the times of the deletions differ, or their kinds",
        }
    }

    /// Whether it says that the vBucket could not be compared as a whole, and nothing of its data.
    #[must_use]
    pub const fn is_unknown(self) -> bool {
        matches!(self, Self::Absent | Self::Unreadable | Self::Unsettled | Self::Behind)
    }

    /// The class of a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Class {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_word_of_its_own_in_the_order_of_importance() {
        for (index, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, index, "{class}");
            assert_eq!(Class::of(class.as_str()), Some(class));
        }
        assert!(Class::ALL.is_sorted());
        assert_eq!(Class::of("same"), None);
    }
}
