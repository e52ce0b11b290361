//! Copies of the consumer that must not be streamed to as they are, of two kinds.
//!
//! - One that refused a row may have taken later ones, so that equal seqnos would hide the gap. It
//!   is rolled back before its stream opens again, and no takeover begins with it. So is one that
//!   was found to differ, and is made anew on request.
//! - One that the consumer does not serve, because it is dead or deleted, cannot be rolled back: a
//!   real node accepts ADD_STREAM for it and drops its rollback silently, so that the attempt would
//!   never end.
//!
//! The bucket keeps this state, not a link: the link may be lost before the copy is rolled back.

use std::collections::{BTreeMap, BTreeSet};

use mcbp::{Seqno, Side, Status, VbId};

use super::event::LinkId;
use crate::link::{Reason, VbError};

/// A copy that may miss rows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Incomplete {
    /// The seqno up to which the copy is complete.
    complete_to: Seqno,
    /// The link that reported it; `None` for a copy that is made anew on request.
    by: Option<LinkId>,
}

/// The incomplete and unserved copies of the consumer.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct SuspectCopies {
    incomplete: BTreeMap<VbId, Incomplete>,
    /// Copies that the consumer may no longer serve: it refused a row with ERANGE after its last
    /// poll.
    doubtful: BTreeSet<VbId>,
    /// Copies whose rollback the consumer dropped; until it serves the vBucket again.
    given_up: BTreeSet<VbId>,
    /// Copies that are to be made anew, once their producer has accepted a stream of them again:
    /// one that is emptied while nobody can fill it may have been the last one.
    to_accept: BTreeSet<VbId>,
    /// Copies that were emptied on request, or may have been, and whose streams are not open yet.
    emptied: BTreeSet<VbId>,
}

impl SuspectCopies {
    /// Records the seqno up to which this link found the copy complete. Returns the lowest such
    /// seqno over all links.
    pub(super) fn mark_incomplete(&mut self, vb: VbId, complete_to: Seqno, by: LinkId) -> Seqno {
        let known = self.complete_to(vb).map_or(complete_to, |known| known.min(complete_to));
        self.incomplete.insert(vb, Incomplete { complete_to: known, by: Some(by) });
        known
    }

    /// Records that a copy is to be made anew once its producer accepts a stream of it.
    pub(super) fn ask_renewal(&mut self, vb: VbId) {
        self.to_accept.insert(vb);
    }

    /// Records that the stream of a copy is open. Returns whether it is to be made anew: nothing
    /// of it is kept then, and whichever link opens its stream next rolls it back to zero.
    pub(super) fn opened(&mut self, vb: VbId) -> bool {
        let is_accepted = self.to_accept.remove(&vb);
        if is_accepted {
            self.incomplete.insert(vb, Incomplete { complete_to: Seqno(0), by: None });
        } else if !self.incomplete.contains_key(&vb) {
            self.emptied.remove(&vb);
        }
        is_accepted
    }

    /// Records that the consumer was told to roll back.
    pub(super) fn rolls_back(&mut self, vb: VbId) {
        if self.incomplete.get(&vb).is_some_and(|copy| copy.by.is_none()) {
            self.emptied.insert(vb);
        }
    }

    /// Records that a copy cannot be filled now: it is not made anew.
    pub(super) fn give_up_renewal(&mut self, vb: VbId) {
        self.to_accept.remove(&vb);
        if self.incomplete.get(&vb).is_some_and(|copy| copy.by.is_none()) {
            self.incomplete.remove(&vb);
        }
    }

    /// Records that no stream of a copy can be opened before its producer accepts one.
    pub(super) fn not_accepted(&mut self, vb: VbId) {
        self.to_accept.remove(&vb);
    }

    /// Whether a copy was emptied on request, or may have been, and has no stream yet.
    pub(super) fn is_emptied(&self, vb: VbId) -> bool {
        self.emptied.contains(&vb)
    }

    /// Whether a copy is still to be made anew, or has a gap.
    pub(super) fn is_unfinished(&self, vb: VbId) -> bool {
        self.to_accept.contains(&vb) || self.incomplete.contains_key(&vb)
    }

    /// Returns the copies that are to be made anew.
    pub(super) fn to_renew(&self) -> impl Iterator<Item = VbId> {
        self.incomplete.iter().filter(|(_, copy)| copy.by.is_none()).map(|(&vb, _)| vb)
    }

    /// Records that a copy has no gap. Returns whether it was known to have one.
    pub(super) fn mark_complete(&mut self, vb: VbId) -> bool {
        self.incomplete.remove(&vb).is_some()
    }

    /// Returns the seqno up to which an incomplete copy is complete; `None` for a complete one.
    pub(super) fn complete_to(&self, vb: VbId) -> Option<Seqno> {
        self.incomplete.get(&vb).map(|copy| copy.complete_to)
    }

    /// Returns every incomplete copy, with the seqno up to which it is complete.
    pub(super) fn all_incomplete(&self) -> impl Iterator<Item = (VbId, Seqno)> {
        self.incomplete.iter().map(|(&vb, copy)| (vb, copy.complete_to))
    }

    /// Returns which of these vBuckets a link must roll back, and to which seqno. Those that the
    /// link found itself are left out: its own state of them is newer.
    pub(super) fn to_roll_back_on(
        &self,
        link: LinkId,
        wanted: &BTreeSet<VbId>,
    ) -> BTreeMap<VbId, Seqno> {
        let is_of_another_link =
            |vb: &VbId, copy: &Incomplete| wanted.contains(vb) && copy.by != Some(link);
        let found = self.incomplete.iter().filter(|(vb, copy)| is_of_another_link(vb, copy));
        found.map(|(&vb, copy)| (vb, copy.complete_to)).collect()
    }

    /// Records that a refusal may mean that the vBucket is dead at the consumer. The next poll
    /// decides.
    pub(super) fn note_doubt(&mut self, error: &VbError) {
        if error.side == Side::Consumer
            && matches!(error.reason, Reason::RowRefused { status: Status::ERANGE, .. })
        {
            self.doubtful.insert(error.vb);
        }
    }

    /// Records a poll of the consumer, which does not serve the vBuckets that it `lacks`.
    pub(super) fn consumer_polled(&mut self, lacks: impl Fn(VbId) -> bool) {
        self.doubtful.clear();
        self.given_up.retain(|&vb| lacks(vb));
    }

    /// Records that the consumer dropped these rollbacks.
    pub(super) fn mark_given_up(&mut self, vbs: BTreeSet<VbId>) {
        self.given_up.extend(vbs);
    }

    /// Returns the vBuckets that must not be asked for now, because the consumer would drop their
    /// rollback.
    pub(super) fn held_back(&self, lacks: impl Fn(VbId) -> bool) -> BTreeSet<VbId> {
        let must_roll_back = self.incomplete.keys().chain(&self.given_up).copied();
        must_roll_back.filter(|vb| self.doubtful.contains(vb) || lacks(*vb)).collect()
    }
}
