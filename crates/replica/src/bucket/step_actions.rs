//! What each step of a move begins with: streams that open and close, requests to the nodes, and
//! the takeover itself.

use std::time::Duration;

use super::command::MoveKind;
use super::effect::{BucketEffect, BucketEffects};
use super::examine::Examine;
use super::failure::Cause;
use super::machine::BucketMachine;
use super::moves::{Move, MoveDecision, MoveStep};
use crate::link::{Command, LinkStep, Reason, VbError};

impl BucketMachine {
    /// Returns the step that a move begins with, and begins again with, and its time limit.
    pub(super) fn first_step(
        &mut self,
        moving: &Move,
        fx: &mut BucketEffects,
    ) -> (MoveStep, Duration) {
        if self.is_active_here(moving.vb())
            && let MoveDecision::Step(step, limit) = self.examine_held(moving, fx)
        {
            return (step, limit);
        }
        match moving.request.kind {
            MoveKind::WithData => (self.open_stream(moving, fx), self.settings.command),
            MoveKind::Takeover => (self.close_or_refuse(moving, fx), self.settings.takeover_step()),
        }
    }

    /// Wants the vBucket from its producer.
    pub(super) fn open_stream(&mut self, moving: &Move, fx: &mut BucketEffects) -> MoveStep {
        let vb = moving.vb();
        // A link that is reserved gets no set-up.
        self.links.release();
        self.desired.assign(vb, Some(moving.from()));
        self.spread(fx);
        for link in self.links.iter_mut() {
            link.retry_now(|other| other == vb);
        }
        MoveStep::Opening
    }

    /// Continues with the takeover, unless the copy here is incomplete.
    pub(super) fn close_or_refuse(&mut self, moving: &Move, fx: &mut BucketEffects) -> MoveStep {
        match self.copies.complete_to(moving.vb()) {
            Some(seqno) => MoveStep::Refused(Cause::Incomplete(seqno)),
            None => self.close_stream(moving, fx),
        }
    }

    /// Removes the vBucket from the desired map, as it will be active here, and reserves its link
    /// for the takeover.
    pub(super) fn close_stream(&mut self, moving: &Move, fx: &mut BucketEffects) -> MoveStep {
        self.desired.assign(moving.vb(), None);
        self.spread(fx);
        self.links.reserve(&moving.link_key(self.connections), &self.settings);
        MoveStep::Closing
    }

    pub(super) fn estimate(&mut self, moving: &Move, fx: &mut BucketEffects) -> MoveDecision {
        let (task, key) = (self.next_task(), moving.link_key(self.connections));
        fx.push(BucketEffect::Estimate(task, key, moving.vb()));
        MoveDecision::Step(MoveStep::Copying { task, result: None }, self.settings.data_move)
    }

    /// Begins the takeover once the consumer has no stream of the vBucket on any other link
    /// (MB-29354). The machine of its own link closes that link's stream (MB-9343).
    pub(super) fn take_over(&mut self, moving: &Move, fx: &mut BucketEffects) -> MoveDecision {
        let (vb, key) = (moving.vb(), moving.link_key(self.connections));
        let Some(link) = self.links.of_key(&key).filter(|link| link.is_ready()) else {
            return MoveDecision::Wait;
        };
        let index = link.id.index;
        if self.links.is_held_elsewhere(vb, &key) {
            return MoveDecision::Wait;
        }
        let (bucket, from) = (&self.settings.bucket, moving.from());
        fx.push(BucketEffect::info(format!(
            "takeover begins bucket={bucket} vb={} from={from}",
            vb.0
        )));
        match self.links.run(index, Command::Takeover { vb }, fx) {
            Some(ticket) => {
                let step = MoveStep::TakingOver { ticket, outcome: None };
                MoveDecision::Step(step, self.settings.takeover_step())
            }
            None => MoveDecision::Wait,
        }
    }

    /// Handles a stream that did not open, or a takeover that failed.
    ///
    /// Where a node refused ADD_STREAM, no takeover has begun on this link. Frames of an earlier
    /// incarnation have taken effect: this one displaced its connections by their name. So the
    /// copies that an earlier takeover left may be repaired, unless that ran on another link.
    pub(super) fn stream_failed(
        &mut self,
        moving: &Move,
        cause: Cause,
        fx: &mut BucketEffects,
    ) -> MoveDecision {
        let is_refused = matches!(
            cause,
            Cause::Stream(VbError {
                reason: Reason::Refused { step: LinkStep::AddStream, .. },
                ..
            })
        );
        let key = moving.link_key(self.connections);
        let is_displaced = self.interrupted.get(&moving.vb()).is_none_or(|link| *link == key);
        let may_repair = is_refused && is_displaced && !moving.was_given_back;
        self.examine(moving, cause, may_repair, fx)
    }

    /// Asks both nodes for their copies before the caller is answered: a link that is lost after
    /// the order to become active was forwarded cannot know whether the vBucket moved. The copies
    /// may be repaired only where no frame of a takeover can be on its way.
    pub(super) fn examine(
        &mut self,
        moving: &Move,
        cause: Cause,
        may_repair: bool,
        fx: &mut BucketEffects,
    ) -> MoveDecision {
        let (task, vb) = (self.next_task(), moving.vb());
        let is_complete = self.copies.complete_to(vb).is_none();
        let key = moving.link_key(self.connections);
        let consumer = self.settings.node.clone();
        let (failed, answer_max) = (cause.clone(), self.answer_max());
        let examine =
            Examine { key, consumer, vb, cause: failed, may_repair, is_complete, answer_max };
        fx.push(BucketEffect::Examine(task, examine));
        let step = MoveStep::Examining { task, cause, finding: None };
        MoveDecision::Step(step, self.settings.command)
    }
}
