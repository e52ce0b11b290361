//! SuspectCopies of the consumer that need care. One that refused a row may have taken later ones, so that
//! equal seqnos would hide the gap: it is rolled back before its stream opens again, and no
//! takeover begins with it. And one that the consumer does not serve, because it is dead or
//! deleted, cannot be rolled back: a real node accepts ADD_STREAM for it and gives its rollback up
//! without a word, so that the attempt would never end.
//!
//! What is known is kept here and not by a link: the link may be gone when the copy is mended.

use std::collections::{BTreeMap, BTreeSet};

use mcbp::{Seqno, Side, Status, VbId};

use super::event::LinkId;
use crate::link::{Reason, VbError};

/// A copy that may miss rows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Incomplete {
    /// The seqno up to which it is complete.
    complete_to: Seqno,
    /// The link that found it.
    by: LinkId,
}

/// What is known of the consumer's copies.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct SuspectCopies {
    incomplete: BTreeMap<VbId, Incomplete>,
    /// Refused by a consumer that may not serve them any more, since it was polled last.
    doubtful: BTreeSet<VbId>,
    /// Rollbacks that the consumer has given up, until it serves the vBucket again.
    given_up: BTreeSet<VbId>,
}

impl SuspectCopies {
    /// Notes up to where a copy is complete, by what this link found. Returns the seqno up to which
    /// it is known to be, over all links.
    pub(super) fn mark_incomplete(&mut self, vb: VbId, complete_to: Seqno, by: LinkId) -> Seqno {
        let known = self.complete_to(vb).map_or(complete_to, |known| known.min(complete_to));
        self.incomplete.insert(vb, Incomplete { complete_to: known, by });
        known
    }

    /// Notes that a copy has no gap any more. Returns whether it was known to have one.
    pub(super) fn mark_complete(&mut self, vb: VbId) -> bool {
        self.incomplete.remove(&vb).is_some()
    }

    /// The seqno up to which a copy is complete, where it may miss rows after it.
    pub(super) fn complete_to(&self, vb: VbId) -> Option<Seqno> {
        self.incomplete.get(&vb).map(|copy| copy.complete_to)
    }

    /// Every copy that may miss rows, and up to where it is complete.
    pub(super) fn all_incomplete(&self) -> impl Iterator<Item = (VbId, Seqno)> {
        self.incomplete.iter().map(|(&vb, copy)| (vb, copy.complete_to))
    }

    /// What a link is to roll back among these vBuckets: what was not found by itself, for it knows
    /// better what became of that since.
    pub(super) fn to_roll_back_on(
        &self,
        link: LinkId,
        wanted: &BTreeSet<VbId>,
    ) -> BTreeMap<VbId, Seqno> {
        let is_of_another_link =
            |vb: &VbId, copy: &Incomplete| wanted.contains(vb) && copy.by != link;
        let found = self.incomplete.iter().filter(|(vb, copy)| is_of_another_link(vb, copy));
        found.map(|(&vb, copy)| (vb, copy.complete_to)).collect()
    }

    /// A refusal may mean that the vBucket is dead at the consumer: the next poll tells.
    pub(super) fn note_doubt(&mut self, error: &VbError) {
        if error.side == Side::Consumer
            && matches!(error.reason, Reason::RowRefused { status: Status::ERANGE, .. })
        {
            self.doubtful.insert(error.vb);
        }
    }

    /// The consumer was polled, and lacks these vBuckets.
    pub(super) fn consumer_polled(&mut self, lacks: impl Fn(VbId) -> bool) {
        self.doubtful.clear();
        self.given_up.retain(|&vb| lacks(vb));
    }

    /// The consumer will not roll these back.
    pub(super) fn mark_given_up(&mut self, vbs: BTreeSet<VbId>) {
        self.given_up.extend(vbs);
    }

    /// Those that must not be asked for now, because the consumer would not roll them back.
    pub(super) fn held_back(&self, lacks: impl Fn(VbId) -> bool) -> BTreeSet<VbId> {
        let must_roll_back = self.incomplete.keys().chain(&self.given_up).copied();
        must_roll_back.filter(|vb| self.doubtful.contains(vb) || lacks(*vb)).collect()
    }
}
