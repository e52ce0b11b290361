//! A vBucket on its way here: replicated until little is missing, then taken over. A takeover by
//! itself is a move without the first part.
//!
//! A move is a command like any other: it waits for its turn, and is answered once. A failure is
//! answered after both nodes were asked what they have: the link knows only what it saw.

use mcbp::VbId;
use serde::Serialize;

use super::command::MoveRequest;
use super::event::{Finding, TaskId};
use super::failure::Cause;
use crate::link::{Ticket, VbOutcome};
use crate::plan::{Connections, Desired, LinkKey};

/// A move that waits for its turn, or has begun.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Move {
    pub(super) request: MoveRequest,
    pub(super) step: MoveStep,
    /// Changes that the producer still had to send when it was last asked.
    pub(super) estimate: Option<u64>,
    /// The smallest of these estimates.
    estimate_min: u64,
    /// What was wanted before it began.
    pub(super) before: Desired,
    /// Whether the vBucket was given back to its producer already; once is enough.
    pub(super) was_given_back: bool,
}

/// What a move waits for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum MoveStep {
    /// Its turn.
    Queued,
    /// The stream of the vBucket to open.
    Opening,
    /// The producer to have little more to send.
    Copying { task: TaskId, result: Option<Result<(), Cause>> },
    /// The vBucket to be let go of by other links, and its own link to be ready.
    Closing,
    /// Nothing: it must not become active here.
    Refused(Cause),
    /// The data nodes, by the command of this ticket.
    TakingOver { ticket: Ticket, outcome: Option<VbOutcome> },
    /// Both nodes to say what they have, after this failure.
    Examining { task: TaskId, cause: Cause, finding: Option<Finding> },
}

/// How far a move is; the phases come in this order, and a takeover begins with `Closing`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MovePhase {
    /// Other commands of this bucket come first.
    Queued,
    /// The vBucket is being replicated here.
    Opening,
    /// The producer still has much to send.
    Copying,
    /// A stream from a third node is being closed, or the link opened.
    Closing,
    /// The vBucket changes its owner.
    TakingOver,
    /// That failed, and both nodes are asked what they have.
    Examining,
}

impl Move {
    pub(super) fn new(request: MoveRequest) -> Self {
        Self {
            request,
            step: MoveStep::Queued,
            estimate: None,
            estimate_min: u64::MAX,
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

    /// The link that takes it over.
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

    /// Whether the data nodes are at it.
    pub(super) const fn is_taking_over(&self) -> bool {
        matches!(self.step, MoveStep::TakingOver { .. })
    }

    /// The task that runs for it, where one does.
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

    /// Takes in an estimate. Returns whether less is left than ever before.
    pub(super) fn estimated(&mut self, by: TaskId, changes: u64) -> bool {
        if self.task() != Some(by) {
            return false;
        }
        self.estimate = Some(changes);
        let is_less = changes < self.estimate_min;
        self.estimate_min = self.estimate_min.min(changes);
        is_less
    }

    /// Takes in how copying ended.
    pub(super) fn copied(&mut self, by: TaskId, copied: Result<(), Cause>) {
        if let MoveStep::Copying { task, result } = &mut self.step
            && *task == by
        {
            *result = Some(copied);
        }
    }

    /// Whether this is the command that its takeover waits for.
    pub(super) fn awaits(&self, command: Ticket) -> bool {
        matches!(self.step, MoveStep::TakingOver { ticket, .. } if ticket == command)
    }

    /// Takes in the outcome of the takeover.
    pub(super) fn taken_over(&mut self, of: Option<VbOutcome>) {
        if let MoveStep::TakingOver { outcome, .. } = &mut self.step {
            *outcome = of;
        }
    }

    /// Takes in what both nodes have.
    pub(super) fn examined(&mut self, by: TaskId, found: Finding) {
        if let MoveStep::Examining { task, finding, .. } = &mut self.step
            && *task == by
        {
            *finding = Some(found);
        }
    }
}
