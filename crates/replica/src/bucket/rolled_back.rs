//! Copies that lost changes in a rollback, as they are kept for the status.

use std::collections::BTreeMap;
use std::time::Duration;

use mcbp::{Seqno, VbId};

/// How long a rollback is kept.
const KEPT_FOR: Duration = Duration::from_secs(3600);
/// So many copies that lost changes at once are no usual failover, in which a few may.
pub const MANY_ROLLED_BACK: usize = 64;
/// What counts as at once.
const AT_ONCE: Duration = Duration::from_secs(60);

/// The last rollback of each vBucket: one each, so it is bounded.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct RolledBack(BTreeMap<VbId, Lost>);

/// The last one of a vBucket.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Lost {
    pub(super) producer: String,
    pub(super) from: Seqno,
    pub(super) to: Seqno,
    pub(super) at: Duration,
}

/// A copy that lost changes in a rollback.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RolledBackView<'a> {
    /// The vBucket.
    pub vb: VbId,
    /// The producer that lacked the changes.
    pub producer: &'a str,
    /// The seqno of the copy before.
    pub from: Seqno,
    /// The seqno of the copy after.
    pub to: Seqno,
    /// Time since then.
    pub since: Duration,
}

impl RolledBack {
    /// Keeps one that lost changes. Returns whether that is more than a usual failover does.
    pub(super) fn note(&mut self, vb: VbId, mut lost: Lost) -> bool {
        if lost.to >= lost.from {
            return false;
        }
        let (now, to) = (lost.at, lost.to);
        // A rollback may take several steps.
        let before = self.0.get(&vb).filter(|old| now.saturating_sub(old.at) < AT_ONCE);
        lost.from = before.map_or(lost.from, |old| old.from.max(lost.from));
        self.0.retain(|_, old| now.saturating_sub(old.at) < KEPT_FOR);
        self.0.insert(vb, lost);
        let at_once = self.0.values().filter(|old| now.saturating_sub(old.at) < AT_ONCE).count();
        to.0 == 0 || at_once >= MANY_ROLLED_BACK
    }

    /// The rollbacks of the last hour.
    pub(super) fn views(&self, now: Duration) -> impl Iterator<Item = RolledBackView<'_>> {
        let views = self.0.iter().map(move |(&vb, lost)| RolledBackView {
            vb,
            producer: &lost.producer,
            from: lost.from,
            to: lost.to,
            since: now.saturating_sub(lost.at),
        });
        views.filter(|view| view.since < KEPT_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(from: u64, to: u64, second: u64) -> Lost {
        let (from, to) = (Seqno(from), Seqno(to));
        Lost { producer: "alpha".to_owned(), from, to, at: Duration::from_secs(second) }
    }

    #[test]
    fn what_goes_to_zero_or_comes_in_great_number_is_more_than_a_failover() {
        let mut all = RolledBack::default();
        assert!(!all.note(VbId(1), lost(0, 0, 0)), "it had nothing");
        assert_eq!(all, RolledBack::default());
        assert!(!all.note(VbId(1), lost(90, 80, 0)), "a few changes");
        assert!(all.note(VbId(1), lost(80, 0, 1)));
        assert_eq!(all.0[&VbId(1)], lost(90, 0, 1), "in two steps");
        for vb in 2..MANY_ROLLED_BACK {
            assert!(!all.note(VbId(vb as u16), lost(90, 80, 2)), "{vb}");
        }
        assert!(all.note(VbId(900), lost(90, 80, 3)), "many at once");
        assert!(!all.note(VbId(901), lost(90, 80, 90)), "not at once");
        assert_eq!(all.0.len(), MANY_ROLLED_BACK + 1);
        all.note(VbId(901), lost(90, 80, 3601));
        assert_eq!(all.0.len(), MANY_ROLLED_BACK, "the first is forgotten");
    }
}
