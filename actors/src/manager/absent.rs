//! vBuckets that the consumer does not serve: dead, or deleted. A real node accepts ADD_STREAM for
//! one that is dead, and gives its rollback up without a word: that attempt would never end. So a
//! vBucket that has to be rolled back is not asked for while the consumer does not tell its seqno,
//! and where that comes to light too late the link is ended.

use std::collections::BTreeSet;

use mcbp::{Side, Status, VbId};
use replica::link::{Reason, VbError};
use replica::wanted::StreamPhase;

use super::ReplicationManager;
use crate::error::LinkDown;

impl ReplicationManager {
    /// A refusal may mean that the vBucket is dead at the consumer: the next poll tells.
    pub(super) fn note_doubt(&mut self, error: &VbError) {
        let is_polled = self.limits.lag_interval.is_some();
        if is_polled
            && error.side == Side::Consumer
            && matches!(error.reason, Reason::RowRefused { status: Status::ERANGE, .. })
        {
            self.doubtful.insert(error.vb);
        }
    }

    /// Those that must not be asked for now, because the consumer would not roll them back.
    pub(super) fn held_back(&self) -> BTreeSet<VbId> {
        let must_roll_back = self.incomplete.keys().chain(&self.given_up).copied();
        let is_held = |vb: &VbId| self.doubtful.contains(vb) || self.consumer_lacks(*vb);
        must_roll_back.filter(is_held).collect()
    }

    fn consumer_lacks(&self, vb: VbId) -> bool {
        self.lag.as_ref().is_some_and(|lag| lag.consumer_lacks(vb))
    }

    /// The consumer was asked for its seqnos, and has answered or failed to.
    pub(super) fn consumer_polled(&mut self) {
        self.doubtful.clear();
        let given_up = std::mem::take(&mut self.given_up);
        self.given_up = given_up.into_iter().filter(|&vb| self.consumer_lacks(vb)).collect();
        for index in 0..self.links.len() {
            self.end_given_up_rollbacks(index);
        }
    }

    /// Ends a link whose consumer has to roll back what it did not serve at two polls in a row.
    fn end_given_up_rollbacks(&mut self, index: usize) {
        let Some(link) = self.links.get(index) else { return };
        let is_asked = |vb: &VbId| {
            let stream = link.wanted.streams().get(vb);
            stream.is_some_and(|stream| stream.phase == StreamPhase::Asked)
        };
        let lacking = link.rolling.iter().copied();
        let lacking: BTreeSet<_> =
            lacking.filter(|vb| is_asked(vb) && self.consumer_lacks(*vb)).collect();
        let given_up: BTreeSet<_> = lacking.intersection(&link.lacking).copied().collect();
        let Some(link) = self.links.get_mut(index) else { return };
        link.lacking = lacking;
        if let Some(&vb) = given_up.first() {
            link.lacking.clear();
            link.give_up(Side::Consumer, LinkDown::rollback_given_up(vb));
            self.given_up.extend(given_up);
        }
    }
}
