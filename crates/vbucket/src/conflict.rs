//! Which of two changes of a document wins, when two clusters replicate to each other.
//!
//! The rules of kv_engine's buckets: both clusters reach the same result in whichever order they
//! receive the changes.

use mcbp::Datatype;

use crate::{Kind, Row};

/// A change that was made in another cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Incoming {
    /// Its revision there.
    pub rev: u64,
    /// Its CAS there.
    pub cas: u64,
    /// What the change did.
    pub kind: Kind,
    /// The datatype of its value.
    pub datatype: Datatype,
}

/// What decides first. All clusters that replicate a bucket must have the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Resolution {
    /// The revision, then the CAS: the document that was changed more often wins.
    #[default]
    Seqno,
    /// The CAS, which is a time, then the revision: the last write wins.
    LastWriteWins,
}

/// Whether `new` replaces `old`: by revision and CAS, in the order of `resolution`. If both are
/// equal, a document (never a deletion) wins by a later expiry, then higher flags, then by having
/// extended attributes that the other one lacks.
#[must_use]
pub fn replaces(new: &Incoming, old: &Row, resolution: Resolution) -> bool {
    let [by_rev, by_cas] = [new.rev.cmp(&old.rev), new.cas.cmp(&old.cas)];
    let by_change = match resolution {
        Resolution::Seqno => by_rev.then(by_cas),
        Resolution::LastWriteWins => by_cas.then(by_rev),
    };
    by_change.then_with(|| by_meta(new, old)).is_gt()
}

/// Equal if nothing decides: then `old` stays.
fn by_meta(new: &Incoming, old: &Row) -> std::cmp::Ordering {
    match new.kind {
        Kind::Document { flags, expiry } => {
            let (old_flags, old_expiry) = match old.kind {
                Kind::Document { flags, expiry } => (flags, expiry),
                Kind::Deleted { at } | Kind::Expired { at } => (0, at),
                // No document has the key of any other row.
                Kind::Event { .. } | Kind::Prepared { .. } | Kind::Aborted { .. } => (0, 0),
            };
            let has_xattrs = |datatype: Datatype| datatype.contains(Datatype::XATTR);
            let new = (expiry, flags, has_xattrs(new.datatype));
            new.cmp(&(old_expiry, old_flags, has_xattrs(old.datatype)))
        }
        _ => std::cmp::Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

    use bytes::Bytes;
    use mcbp::Seqno;

    use super::*;

    fn old(rev: u64, cas: u64, kind: Kind) -> Row {
        let (key, value) = (Bytes::from_static(b"k"), Bytes::from_static(b"v"));
        Row {
            key,
            seqno: Seqno(9),
            rev,
            cas,
            datatype: Datatype::RAW,
            kind,
            prepared: Seqno::ZERO,
            value,
        }
    }

    const DOCUMENT: Kind = Kind::Document { flags: 5, expiry: 50 };
    const DELETED: Kind = Kind::Deleted { at: 50 };

    #[track_caller]
    fn check(new: (u64, u64, Kind), against: Kind, wins: bool) {
        let (rev, cas, kind) = new;
        let incoming = Incoming { rev, cas, kind, datatype: Datatype::RAW };
        let old = old(3, 30, against);
        let found = replaces(&incoming, &old, Resolution::Seqno);
        assert_eq!(found, wins, "{new:?} over {against:?}");
    }

    #[test]
    fn rev_decides_before_cas_and_cas_before_the_rest() {
        for kind in [DOCUMENT, DELETED] {
            for against in [DOCUMENT, DELETED] {
                check((4, 1, kind), against, true);
                check((2, 99, kind), against, false);
                check((3, 31, kind), against, true);
                check((3, 29, kind), against, false);
            }
        }
    }

    #[test]
    fn the_same_change_again_does_not_win() {
        check((3, 30, DOCUMENT), DOCUMENT, false);
        check((3, 30, DELETED), DELETED, false);
        check((3, 30, DELETED), DOCUMENT, false);
    }

    #[test]
    fn expiry_flags_and_attributes_break_a_tie() {
        let document = |flags, expiry| Kind::Document { flags, expiry };
        check((3, 30, document(0, 51)), DOCUMENT, true);
        check((3, 30, document(99, 49)), DOCUMENT, false);
        check((3, 30, document(6, 50)), DOCUMENT, true);
        check((3, 30, document(4, 50)), DOCUMENT, false);
        let incoming = Incoming { rev: 3, cas: 30, kind: DOCUMENT, datatype: Datatype::XATTR };
        assert!(replaces(&incoming, &old(3, 30, DOCUMENT), Resolution::Seqno));
    }

    #[test]
    fn the_last_write_wins_whatever_its_rev() {
        for (rev, cas, wins) in
            [(1, 31, true), (99, 29, false), (4, 30, true), (2, 30, false), (3, 30, false)]
        {
            let incoming = Incoming { rev, cas, kind: DOCUMENT, datatype: Datatype::RAW };
            let found = replaces(&incoming, &old(3, 30, DOCUMENT), Resolution::LastWriteWins);
            assert_eq!(found, wins, "rev {rev}, CAS {cas}");
        }
    }
}
