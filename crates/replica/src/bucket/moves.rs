//! A move of a vBucket to this node: it is replicated until few changes are missing, then taken
//! over. A takeover command skips the first part.
//!
//! A move is queued like any other command and answered once. A failure is answered after both
//! nodes were asked for their copies: the link knows only the frames that it saw.

use std::time::Duration;

use mcbp::VbId;
use serde::Serialize;

use super::command::MoveRequest;
use super::event::{Finding, TaskId};
use super::failure::Cause;
use crate::link::{Ticket, VbOutcome};
use crate::plan::{Connections, Desired, LinkKey};

/// A queued or running move.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Move {
    pub(super) request: MoveRequest,
    pub(super) step: MoveStep,
    /// Changes that the producer still had to send when it was last asked.
    pub(super) estimate: Option<u64>,
    /// The minimum of these estimates.
    estimate_min: u64,
    /// Whether its takeover began: orders for it may take effect after the move has ended.
    pub(super) took_over: bool,
    /// Whether both nodes were asked what they have, after a failure.
    pub(super) was_examined: bool,
    /// The desired map before the move; restored if the move fails.
    pub(super) before: Desired,
    /// Whether the producer's copy was activated again already. A second time would be a loop.
    pub(super) was_given_back: bool,
}

/// What a move waits for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum MoveStep {
    /// Its turn in the queue.
    Queued,
    /// The stream of the vBucket to open.
    Opening,
    /// The producer's estimate of missing changes to become small.
    Copying { task: TaskId, result: Option<Result<(), Cause>> },
    /// Other links to close the stream of the vBucket, and its own link to accept a command.
    Closing,
    /// Nothing: the takeover is refused, because the copy is incomplete.
    Refused(Cause),
    /// The answer to the takeover command of this ticket.
    TakingOver { ticket: Ticket, outcome: Option<VbOutcome> },
    /// The examining task, after this failure.
    Examining { task: TaskId, cause: Cause, finding: Option<Finding> },
}

/// The phase of a move, in this order; a takeover begins with `Closing`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MovePhase {
    /// Other commands of this bucket are ahead in the queue.
    Queued,
    /// The stream of the vBucket is being opened.
    Opening,
    /// The producer still has many changes to send.
    Copying,
    /// A stream from a third node is being closed, or the link is being opened.
    Closing,
    /// The takeover runs at the data nodes.
    TakingOver,
    /// The takeover failed, and both nodes are asked for their copies.
    Examining,
}

/// How many moves have ended since the start of the bucket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize)]
pub struct MovesDone {
    /// vBuckets that became active here.
    pub moved: u64,
    /// Moves that failed, or whose turn did not come before their deadline.
    pub failed: u64,
}

/// What to do with the move at the front.
pub(super) enum MoveDecision {
    Wait,
    /// Take the next step, with its time limit.
    Step(MoveStep, Duration),
    Done(Result<(), Cause>),
}

impl Move {
    pub(super) fn new(request: MoveRequest) -> Self {
        Self {
            request,
            step: MoveStep::Queued,
            estimate: None,
            estimate_min: u64::MAX,
            took_over: false,
            was_examined: false,
            before: Desired::default(),
            was_given_back: false,
        }
    }

    pub(super) const fn vb(&self) -> VbId {
        self.request.vb
    }

    pub(super) fn from(&self) -> &str {
        &self.request.from
    }

    /// Returns the link of the takeover.
    pub(super) fn link_key(&self, connections: Connections) -> LinkKey {
        LinkKey { producer: self.request.from.clone(), connection: connections.of(self.vb()) }
    }

    pub(super) const fn phase(&self) -> MovePhase {
        match self.step {
            MoveStep::Queued => MovePhase::Queued,
            MoveStep::Opening => MovePhase::Opening,
            MoveStep::Copying { .. } => MovePhase::Copying,
            MoveStep::Closing | MoveStep::Refused(_) => MovePhase::Closing,
            MoveStep::TakingOver { .. } => MovePhase::TakingOver,
            MoveStep::Examining { .. } => MovePhase::Examining,
        }
    }

    /// Whether the takeover runs at the data nodes.
    pub(super) const fn is_taking_over(&self) -> bool {
        matches!(self.step, MoveStep::TakingOver { .. })
    }

    /// Whether both copies may be changed already, and the end of it is not known: cut off here, a
    /// vBucket may be active nowhere.
    pub(super) const fn is_half_done(&self) -> bool {
        matches!(self.step, MoveStep::TakingOver { .. } | MoveStep::Examining { .. })
    }

    /// Returns the running task of this move, if any.
    pub(super) const fn task(&self) -> Option<TaskId> {
        match self.step {
            MoveStep::Copying { task, .. } | MoveStep::Examining { task, .. } => Some(task),
            MoveStep::Queued
            | MoveStep::Opening
            | MoveStep::Closing
            | MoveStep::Refused(_)
            | MoveStep::TakingOver { .. } => None,
        }
    }

    /// Records an estimate. Returns whether it is a new minimum.
    pub(super) fn estimated(&mut self, by: TaskId, changes: u64) -> bool {
        if self.task() != Some(by) {
            return false;
        }
        self.estimate = Some(changes);
        let is_less = changes < self.estimate_min;
        self.estimate_min = self.estimate_min.min(changes);
        is_less
    }

    /// Records the result of the estimating task.
    pub(super) fn copied(&mut self, by: TaskId, copied: Result<(), Cause>) {
        if let MoveStep::Copying { task, result } = &mut self.step
            && *task == by
        {
            *result = Some(copied);
        }
    }

    /// Whether the takeover waits for this command.
    pub(super) fn awaits(&self, command: Ticket) -> bool {
        matches!(self.step, MoveStep::TakingOver { ticket, .. } if ticket == command)
    }

    /// Records the outcome of the takeover.
    pub(super) fn taken_over(&mut self, of: Option<VbOutcome>) {
        if let MoveStep::TakingOver { outcome, .. } = &mut self.step {
            *outcome = of;
        }
    }

    /// Records the finding of the examining task.
    pub(super) fn examined(&mut self, by: TaskId, found: Finding) {
        if let MoveStep::Examining { task, finding, .. } = &mut self.step
            && *task == by
        {
            *finding = Some(found);
        }
    }
}
