//! The steps of a move. After every event the machine checks whether the next step can be taken. A
//! move that fails restores the previous desired map.

use std::time::Duration;

use super::command::{CommandError, Done};
use super::effect::{BucketEffect, BucketEffects};
use super::event::{Finding, Moment, millis};
use super::failure::Cause;
use super::link::{Link, StreamResult};
use super::machine::BucketMachine;
use super::moves::{Move, MoveDecision, MoveStep};
use super::queue::{Job, QueuedCommand};
use crate::link::VbOutcome;
use logline::value;

impl BucketMachine {
    /// Takes the first step. Returns its deadline.
    pub(super) fn begin_move(
        &mut self,
        moving: &mut Move,
        at: Moment,
        fx: &mut BucketEffects,
    ) -> Duration {
        moving.before = self.desired.clone();
        let (step, limit) = self.first_step(moving, fx);
        moving.step = step;
        at.now + limit
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
                moving.took_over |= matches!(step, MoveStep::TakingOver { .. });
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
        // A vBucket that is active here is examined without a link.
        let link = self.links.of_key(&moving.link_key(self.connections));
        let stream = link.map_or(StreamResult::Pending, |link| link.stream_result(vb));
        let down = link.and_then(Link::down);
        match (&mut moving.step, stream, down) {
            (MoveStep::Opening, StreamResult::Open, _) => self.estimate(moving, fx),
            (MoveStep::Opening, StreamResult::Failed(cause), _) => {
                self.stream_failed(moving, cause, fx)
            }
            (MoveStep::Opening, StreamResult::Held, _) => self.examine_held(moving, fx),
            (MoveStep::Closing, _, Some(cause)) => self.examine(moving, cause, false, fx),
            (MoveStep::Copying { .. }, StreamResult::Held, _) => self.examine_held(moving, fx),
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
                Some(Finding::NotMoved(cause)) if self.was_old(vb, &cause) => {
                    let (step, limit) = self.first_step(moving, fx);
                    MoveDecision::Step(step, limit)
                }
                Some(Finding::NotMoved(cause)) => {
                    moving.was_examined = true;
                    MoveDecision::Done(Err(cause))
                }
                Some(Finding::GivenBack) => {
                    moving.was_given_back = true;
                    let (step, limit) = self.first_step(moving, fx);
                    MoveDecision::Step(step, limit)
                }
            },
            (MoveStep::Queued, ..) | (MoveStep::Opening, StreamResult::Pending, _) => {
                MoveDecision::Wait
            }
        }
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
        let vb = moving.vb();
        if moving.took_over && result.is_err() {
            self.interrupted.insert(vb, moving.link_key(self.connections));
        } else if moving.was_examined || result.is_ok() {
            // Frames of an earlier takeover have taken effect by now.
            self.interrupted.remove(&vb);
        }
        let bucket = &self.settings.bucket;
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
                self.taken_over.insert(vb);
                self.nodes.note_active(vb, &self.settings.node);
                self.moves_done.moved += 1;
                let from = from.to_owned();
                fx.push(BucketEffect::Moved { vb, from, elapsed_ms });
                Ok(Done::Moved { elapsed_ms })
            }
            Err(cause) => {
                let failure = self.failure(vb, moving.from(), cause);
                let text = format!(
                    "vbucket not moved bucket={bucket} vb={} from={} how={} reason={}",
                    vb.0,
                    moving.from(),
                    moving.request.kind.name(),
                    value(failure.detail())
                );
                fx.push(BucketEffect::warn(text));
                if self.is_stopping() {
                    fx.push(self.left_half_done(&moving));
                } else {
                    self.desired = std::mem::take(&mut moving.before);
                }
                self.moves_done.failed += 1;
                Err(CommandError::Failed(vec![failure]))
            }
        };
        self.spread(fx);
        self.hold_back(at.now);
        fx.push(BucketEffect::Answer(front.ticket, result));
    }
}
