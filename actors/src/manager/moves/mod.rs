//! Moving one vBucket here: replicated until little is missing, then taken over. A takeover by
//! itself is a move without the first part.
//!
//! A move is a command like any other: it waits for its turn, and is answered once. A failure is
//! answered after both nodes were asked what they have: the link knows only what it saw.

mod failing;
mod steps;

use std::time::Duration;

use actix::{AsyncContext, Context, Handler, Message, SpawnHandle};
use futures::channel::oneshot;
use mcbp::VbId;
use replica::link::VbOutcome;
use replica::plan::Desired;

use super::queue::{Job, Pending};
use super::{Outcomes, ReplicationManager};
use crate::copying::Estimated;
use crate::error::{CommandError, VbFailure};
use crate::examine::Verdict;
use crate::status::{MovePhase, MoveStatus, Moved, millis};

/// What kind of move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MoveKind {
    /// At once, whatever is missing.
    Takeover,
    /// Once the producer has little more to send.
    WithData,
}

/// Where the one answer of a move goes.
type Answer = oneshot::Sender<Result<Moved, CommandError>>;

/// Make a vBucket ours.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct StartMove {
    pub(crate) vb: VbId,
    pub(crate) from: String,
    pub(crate) kind: MoveKind,
    pub(crate) answer: Answer,
}

/// A vBucket on its way here.
pub(super) struct Move {
    pub(super) vb: VbId,
    pub(super) from: String,
    kind: MoveKind,
    answer: Answer,
    step: Step,
    /// Changes that the producer still had to send when it was last asked.
    estimate: Option<u64>,
    /// The smallest of these estimates.
    estimate_min: u64,
    /// What was wanted before it began.
    before: Desired,
    /// Whether the vBucket was given back to its producer already; once is enough.
    was_given_back: bool,
}

/// What a move waits for.
enum Step {
    /// Its turn.
    Queued,
    /// The stream of the vBucket to open.
    Opening,
    /// The producer to have little more to send.
    Copying { asking: SpawnHandle, result: Option<Result<(), VbFailure>> },
    /// The vBucket to be let go of by other links, and its own link to be ready.
    Closing,
    /// Nothing: it must not become active here.
    Refused(VbFailure),
    /// The data nodes.
    TakingOver { outcome: Option<VbOutcome> },
    /// Both nodes to say what they have, after this failure.
    Examining { asking: SpawnHandle, failure: VbFailure, verdict: Option<Verdict> },
}

impl Move {
    pub(super) fn answer(self, result: Result<Moved, CommandError>) {
        // The caller may have gone; the vBucket has moved, or not, all the same.
        _ = self.answer.send(result);
    }

    /// Whether the data nodes are at it.
    pub(super) const fn is_taking_over(&self) -> bool {
        matches!(self.step, Step::TakingOver { .. })
    }

    /// Stops what runs for it, where something does.
    pub(super) fn abandon(&self, ctx: &mut Context<ReplicationManager>) {
        if let Step::Copying { asking, .. } | Step::Examining { asking, .. } = self.step {
            ctx.cancel_future(asking);
        }
    }

    pub(super) fn status(&self, bucket: &str, since: Duration) -> MoveStatus {
        MoveStatus {
            bucket: bucket.to_owned(),
            vbucket: self.vb.0,
            from: self.from.clone(),
            phase: match self.step {
                Step::Queued => MovePhase::Queued,
                Step::Opening => MovePhase::Opening,
                Step::Copying { .. } => MovePhase::Copying,
                Step::Closing | Step::Refused(_) => MovePhase::Closing,
                Step::TakingOver { .. } => MovePhase::TakingOver,
                Step::Examining { .. } => MovePhase::Examining,
            },
            estimate: self.estimate,
            since_ms: millis(since),
        }
    }
}

impl Handler<StartMove> for ReplicationManager {
    type Result = ();

    fn handle(&mut self, start: StartMove, ctx: &mut Context<Self>) {
        let StartMove { vb, from, kind, answer } = start;
        let moving = Move {
            vb,
            from,
            kind,
            answer,
            step: Step::Queued,
            estimate: None,
            estimate_min: u64::MAX,
            before: Desired::default(),
            was_given_back: false,
        };
        self.queue(Job::Move(Box::new(moving)), ctx);
    }
}

impl ReplicationManager {
    /// Takes in the outcome of a takeover, where that is what the move at the front waits for.
    /// Says whether it was.
    pub(super) fn note_takeover(&mut self, outcomes: &Outcomes) -> bool {
        if let Some(Pending { job: Job::Move(moving), .. }) = self.commands.front_mut()
            && let Step::TakingOver { outcome } = &mut moving.step
        {
            *outcome = outcomes.get(&moving.vb).cloned();
            return outcome.is_some();
        }
        false
    }

    /// Every move, in the order of their turns.
    pub(super) fn moves(&self) -> Vec<MoveStatus> {
        let since = |command: &Pending| self.now().saturating_sub(command.asked);
        let moves = self.commands.iter().filter_map(|command| match &command.job {
            Job::Move(moving) => Some(moving.status(&self.bucket, since(command))),
            Job::Change { .. } => None,
        });
        moves.collect()
    }
}

impl Handler<Estimated> for ReplicationManager {
    type Result = ();

    fn handle(&mut self, Estimated(changes): Estimated, _: &mut Context<Self>) {
        let extended = self.now() + self.limits.data_move;
        if let Some(Pending { job: Job::Move(moving), deadline, .. }) = self.commands.front_mut() {
            moving.estimate = Some(changes);
            if changes < moving.estimate_min {
                moving.estimate_min = changes;
                // The deadline of copying is for progress: less is left than ever before.
                *deadline = Some(extended);
                self.note_progress();
            }
        }
    }
}
