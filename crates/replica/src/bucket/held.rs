//! vBuckets that are active at the consumer are never asked for: a node refuses ADD_STREAM for
//! them, and a set-up that waits for the refusal only makes noise. They are held back by the states
//! that the consumer reports in polls, and asked for once it reports them as replica.

use std::collections::BTreeSet;
use std::time::Duration;

use mcbp::VbId;

use super::effect::BucketEffects;
use super::event::LinkId;
use super::failure::Cause;
use super::link_state::LinkState;
use super::machine::BucketMachine;
use super::moves::{Move, MoveDecision};
use crate::link::Outcome;
use crate::plan::VbSet;
use crate::remedy::{Advice, Remedy};

impl BucketMachine {
    /// Holds back what is active at the consumer by a recent poll, and releases what is not.
    pub(super) fn hold_back(&mut self, now: Duration) {
        let active = self.nodes.active_here(&self.settings, now);
        let none = BTreeSet::new();
        let active = active.as_ref().unwrap_or(&none);
        if active.is_empty() && !self.links.iter().any(|link| link.wanted.holds_any()) {
            return;
        }
        for link in self.links.iter_mut() {
            link.wanted.hold(|vb| active.contains(&vb));
        }
    }

    /// Returns the vBuckets that are active at the consumer by a recent poll; `None` while that is
    /// unknown.
    #[must_use]
    pub fn active_here(&self, now: Duration) -> Option<VbSet> {
        let active = self.nodes.active_here(&self.settings, now)?;
        Some(active.into_iter().collect())
    }

    /// Records for the running change what a link did not close.
    pub(super) fn note_unclosed(&mut self, id: LinkId, outcome: &Outcome) {
        let Some(link) = self.links.live(id) else { return };
        let is_closing = matches!(link.state, LinkState::Closing | LinkState::Up { .. });
        if is_closing && let Some(work) = self.queue.front_work() {
            work.note_unclosed(id.index, &link.key.producer, outcome);
        }
    }

    /// Whether a vBucket is active at the consumer by a recent poll.
    pub(super) fn is_active_here(&self, vb: VbId) -> bool {
        let active = self.nodes.active_here(&self.settings, self.now);
        active.is_some_and(|active| active.contains(&vb))
    }

    /// Examines a vBucket that is not asked for, because it is active here by the last poll.
    pub(super) fn examine_held(&mut self, moving: &Move, fx: &mut BucketEffects) -> MoveDecision {
        let cause = Cause::ActiveHere { node: self.settings.node.clone() };
        self.examine(moving, cause, false, fx)
    }

    /// Whether a vBucket that was examined because the last poll called it active is not active
    /// any more. Then the poll was old: it is forgotten, and the move may begin.
    pub(super) fn was_old(&mut self, vb: VbId, finding: &Cause) -> bool {
        let Cause::Examined(examined) = finding else { return false };
        let is_old = matches!(examined.cause, Cause::ActiveHere { .. })
            && !matches!(examined.remedy, Remedy::Ask(Advice::BothActive | Advice::Unknown));
        if is_old {
            self.nodes.forget_active(vb, &self.settings.node);
        }
        is_old
    }
}
