//! The steps of a move. After every event the machine checks whether the next step can be taken. A
//! move that fails restores the previous desired map.

use std::time::Duration;

use super::command::{CommandError, Done, MoveKind};
use super::effect::{BucketEffect, BucketEffects};
use super::event::millis;
use super::event::{Finding, Moment};
use super::examine::Examine;
use super::failure::Cause;
use super::link::StreamResult;
use super::machine::BucketMachine;
use super::moves::{Move, MoveStep};
use super::queue::{Job, QueuedCommand};
use crate::link::{Command, Reason, Step, VbError, VbOutcome};

/// What to do with the move at the front.
enum MoveDecision {
    Wait,
    /// Take the next step, with its time limit.
    Step(MoveStep, Duration),
    Done(Result<(), Cause>),
}

impl BucketMachine {
    /// Takes the first step. Returns its deadline.
    pub(super) fn begin_move(
        &mut self,
        moving: &mut Move,
        at: Moment,
        fx: &mut BucketEffects,
    ) -> Duration {
        moving.before = self.desired.clone();
        let vb = moving.vb();
        match moving.request.kind {
            MoveKind::WithData => {
                moving.step = MoveStep::Opening;
                self.desired.assign(vb, Some(moving.from()));
                self.spread(fx);
                for link in self.links.iter_mut() {
                    link.retry_now(|other| other == vb);
                }
                at.now + self.settings.command
            }
            MoveKind::Takeover => {
                moving.step = self.close_or_refuse(moving, fx);
                at.now + self.settings.takeover_step()
            }
        }
    }

    /// Continues with the takeover, unless the copy here is incomplete.
    fn close_or_refuse(&mut self, moving: &Move, fx: &mut BucketEffects) -> MoveStep {
        match self.copies.complete_to(moving.vb()) {
            Some(seqno) => MoveStep::Refused(Cause::Incomplete(seqno)),
            None => self.close_stream(moving, fx),
        }
    }

    /// Removes the vBucket from the desired map, as it will be active here, and reserves its link
    /// for the takeover.
    fn close_stream(&mut self, moving: &Move, fx: &mut BucketEffects) -> MoveStep {
        self.desired.assign(moving.vb(), None);
        self.spread(fx);
        self.links.reserve(&moving.link_key(self.connections), &self.settings);
        MoveStep::Closing
    }

    /// Takes the next step of the move at the front, if it can be taken. Returns whether anything
    /// changed.
    pub(super) fn serve_move(
        &mut self,
        mut front: QueuedCommand,
        is_late: bool,
        at: Moment,
        fx: &mut BucketEffects,
    ) -> bool {
        let Job::Move(moving) = &mut front.job else { return false };
        let next = match self.decide(moving, fx) {
            MoveDecision::Wait if is_late => self.late(moving, fx),
            next => next,
        };
        match next {
            MoveDecision::Wait => {
                self.queue.put_back(front);
                false
            }
            MoveDecision::Step(step, limit) => {
                moving.step = step;
                front.deadline = Some(at.now + limit);
                self.queue.note_progress(at.now);
                self.queue.put_back(front);
                true
            }
            MoveDecision::Done(result) => {
                self.end_move(front, result, at, fx);
                true
            }
        }
    }

    fn decide(&mut self, moving: &mut Move, fx: &mut BucketEffects) -> MoveDecision {
        let vb = moving.vb();
        let Some(link) = self.links.of_key(&moving.link_key(self.connections)) else {
            return MoveDecision::Wait;
        };
        let (stream, down) = (link.stream_result(vb), link.down());
        match (&mut moving.step, stream, down) {
            (MoveStep::Opening, StreamResult::Open, _) => self.estimate(moving, fx),
            (MoveStep::Opening, StreamResult::Failed(cause), _) => {
                self.stream_failed(moving, cause, fx)
            }
            (MoveStep::Closing, _, Some(cause)) => self.examine(moving, cause, false, fx),
            // No takeover has begun, so there is nothing to examine.
            (MoveStep::Copying { .. }, StreamResult::Failed(cause), _) => {
                MoveDecision::Done(Err(cause))
            }
            (MoveStep::Copying { result, .. }, StreamResult::Open | StreamResult::Pending, _) => {
                match result.take() {
                    None => MoveDecision::Wait,
                    Some(Err(cause)) => MoveDecision::Done(Err(cause)),
                    Some(Ok(())) => {
                        let step = self.close_or_refuse(moving, fx);
                        MoveDecision::Step(step, self.settings.takeover_step())
                    }
                }
            }
            (MoveStep::Refused(cause), ..) => MoveDecision::Done(Err(cause.clone())),
            (MoveStep::Closing, _, None) => self.take_over(moving, fx),
            (MoveStep::TakingOver { outcome, .. }, _, down) => match (outcome.take(), down) {
                (Some(VbOutcome::TakenOver), _) => MoveDecision::Done(Ok(())),
                (Some(VbOutcome::Failed(error)), _) => {
                    self.stream_failed(moving, Cause::Stream(error), fx)
                }
                (_, Some(cause)) => self.examine(moving, cause, false, fx),
                // A takeover has no other outcome; the deadline of the step bounds the wait.
                (_, None) => MoveDecision::Wait,
            },
            (MoveStep::Examining { finding, .. }, ..) => match finding.take() {
                None => MoveDecision::Wait,
                Some(Finding::Moved) => MoveDecision::Done(Ok(())),
                Some(Finding::NotMoved(cause)) => MoveDecision::Done(Err(cause)),
                Some(Finding::GivenBack) => {
                    moving.was_given_back = true;
                    let step = self.close_stream(moving, fx);
                    MoveDecision::Step(step, self.settings.takeover_step())
                }
            },
            (MoveStep::Queued, ..) | (MoveStep::Opening, StreamResult::Pending, _) => {
                MoveDecision::Wait
            }
        }
    }

    fn estimate(&mut self, moving: &Move, fx: &mut BucketEffects) -> MoveDecision {
        let (task, key) = (self.next_task(), moving.link_key(self.connections));
        fx.push(BucketEffect::Estimate(task, key, moving.vb()));
        MoveDecision::Step(MoveStep::Copying { task, result: None }, self.settings.data_move)
    }

    /// Begins the takeover once the consumer has no stream of the vBucket on any other link
    /// (MB-29354). The machine of its own link closes that link's stream (MB-9343).
    fn take_over(&mut self, moving: &Move, fx: &mut BucketEffects) -> MoveDecision {
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
    /// link have taken effect: this link displaced its connections, which have the same name. So
    /// the copies that an earlier takeover left may be repaired.
    fn stream_failed(
        &mut self,
        moving: &Move,
        cause: Cause,
        fx: &mut BucketEffects,
    ) -> MoveDecision {
        let is_refused = matches!(
            cause,
            Cause::Stream(VbError { reason: Reason::Refused { step: Step::AddStream, .. }, .. })
        );
        self.examine(moving, cause, is_refused && !moving.was_given_back, fx)
    }

    /// Handles the passed deadline of the present step.
    fn late(&mut self, moving: &Move, fx: &mut BucketEffects) -> MoveDecision {
        match &moving.step {
            MoveStep::Examining { cause, .. } | MoveStep::Refused(cause) => {
                MoveDecision::Done(Err(cause.clone()))
            }
            MoveStep::Opening | MoveStep::Closing | MoveStep::TakingOver { .. } => {
                self.examine(moving, Cause::Deadline, false, fx)
            }
            MoveStep::Queued | MoveStep::Copying { .. } => MoveDecision::Done(Err(Cause::Deadline)),
        }
    }

    /// Asks both nodes for their copies before the caller is answered: a link that is lost after
    /// the order to become active was forwarded cannot know whether the vBucket moved. The copies
    /// may be repaired only where no frame of a takeover can be on its way.
    fn examine(
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
        let examine = Examine { key, consumer, vb, cause: cause.clone(), may_repair, is_complete };
        fx.push(BucketEffect::Examine(task, examine));
        let step = MoveStep::Examining { task, cause, finding: None };
        MoveDecision::Step(step, self.settings.command)
    }

    fn end_move(
        &mut self,
        front: QueuedCommand,
        result: Result<(), Cause>,
        at: Moment,
        fx: &mut BucketEffects,
    ) {
        let elapsed_ms = millis(at.now.saturating_sub(front.asked));
        let Job::Move(mut moving) = front.job else { return };
        fx.extend(moving.task().map(BucketEffect::Cancel));
        self.queue.note_progress(at.now);
        self.links.release();
        let (bucket, vb) = (&self.settings.bucket, moving.vb());
        let result = match result {
            Ok(()) => {
                let from = moving.from();
                let text = format!(
                    "vbucket moved bucket={bucket} vb={} from={from} ms={elapsed_ms}",
                    vb.0
                );
                fx.push(BucketEffect::info(text));
                // The vBucket may be active here without a takeover of this command.
                self.desired.assign(vb, None);
                Ok(Done::Moved { elapsed_ms })
            }
            Err(cause) => {
                let failure = self.failure(vb, moving.from(), cause);
                let text =
                    format!("vbucket not moved bucket={bucket} vb={} reason=\"{failure}\"", vb.0);
                fx.push(BucketEffect::warn(text));
                self.desired = std::mem::take(&mut moving.before);
                Err(CommandError::Failed(vec![failure]))
            }
        };
        self.spread(fx);
        fx.push(BucketEffect::Answer(front.ticket, result));
    }
}
