//! Which of two maps is newer, and what becomes of one that arrives.

use std::fmt;

/// How new a map is: the epoch counts first. Both begin with 1; old clusters send no epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Revision {
    /// Bumped when the cluster was restored by hand, after which numbers begin anew.
    pub epoch: i64,
    /// The number of the map within its epoch.
    pub number: i64,
}

/// What a map is, compared with the newest one before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// It is newer, or the first.
    Newer,
    /// It has the same revision.
    Same,
    /// It is older. A node that was away sends such a map until it has heard of the newer one.
    Older,
}

impl Revision {
    /// The extras of GET_CLUSTER_CONFIG with a known revision: epoch and number, each an i64 in
    /// network order.
    #[must_use]
    pub fn encode(self) -> [u8; 16] {
        let bytes = (i128::from(self.epoch) << 64) | i128::from(self.number.cast_unsigned());
        bytes.to_be_bytes()
    }

    /// What a map of this revision is after one of revision `newest`.
    #[must_use]
    pub fn after(self, newest: Option<Self>) -> Seen {
        match newest.map(|newest| self.cmp(&newest)) {
            None | Some(std::cmp::Ordering::Greater) => Seen::Newer,
            Some(std::cmp::Ordering::Equal) => Seen::Same,
            Some(std::cmp::Ordering::Less) => Seen::Older,
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision((epoch, number): (i64, i64)) -> Revision {
        Revision { epoch, number }
    }

    #[test]
    fn the_epoch_counts_first() {
        for (new, old, seen) in [
            ((1, 10), None, Seen::Newer),
            ((1, 10), Some((1, 9)), Seen::Newer),
            ((1, 10), Some((1, 10)), Seen::Same),
            ((1, 10), Some((1, 11)), Seen::Older),
            ((2, 1), Some((1, 11)), Seen::Newer),
            ((1, 11), Some((2, 1)), Seen::Older),
        ] {
            assert_eq!(revision(new).after(old.map(revision)), seen, "{new:?} after {old:?}");
        }
    }

    #[test]
    fn extras_are_two_numbers_in_network_order() {
        let bytes = revision((1, 10)).encode();
        assert_eq!(bytes, [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 10]);
    }
}
