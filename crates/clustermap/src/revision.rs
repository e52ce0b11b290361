//! Which of two maps is newer, and what becomes of one that arrives.

pub use mcbp::MapRevision as Revision;

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

impl Seen {
    /// What a map of revision `new` is after one of revision `newest`.
    #[must_use]
    pub fn of(new: Revision, newest: Option<Revision>) -> Self {
        match newest.map(|newest| new.cmp(&newest)) {
            None | Some(std::cmp::Ordering::Greater) => Self::Newer,
            Some(std::cmp::Ordering::Equal) => Self::Same,
            Some(std::cmp::Ordering::Less) => Self::Older,
        }
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
            assert_eq!(Seen::of(revision(new), old.map(revision)), seen, "{new:?} after {old:?}");
        }
    }
}
