//! The answer to a command: one outcome per vBucket; errors with side, reason and retry advice.

use std::collections::BTreeMap;

use mcbp::{Opcode, Status, StreamEndStatus, VbId, VbUuid};

use super::{LinkStep, NodeAnswer, ReasonCode, Side};

/// The answer to a command.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// The command ran to its end; each vBucket concerned has its own outcome.
    Done(BTreeMap<VbId, VbOutcome>),
    /// Another command is running; nothing was changed. Retry later.
    Busy,
    /// The link is shutting down or down; nothing was changed.
    Down(StopReason),
}

impl Outcome {
    /// Returns the errors among the outcomes, by vBucket.
    pub fn errors(&self) -> impl Iterator<Item = &VbError> {
        let vbs = match self {
            Self::Done(vbs) => Some(vbs.values()),
            Self::Busy | Self::Down(_) => None,
        };
        vbs.into_iter().flatten().filter_map(VbOutcome::error)
    }

    /// Whether the command ran and has no error.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Done(_)) && self.errors().next().is_none()
    }
}

/// The outcome of one vBucket.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum VbOutcome {
    /// The stream was opened.
    Opened,
    /// The stream was open before the command.
    AlreadyOpen,
    /// The stream was opened and has ended with status Ok: all data was sent.
    Finished,
    /// The stream is closed on both sides (in a shutdown: on the consumer).
    Closed,
    /// The vBucket is active at the consumer.
    TakenOver,
    /// The consumer's incomplete copy was rolled back to the seqno up to which it is complete. The
    /// stream is not open; a new set-up opens it.
    RolledBack,
    /// The vBucket failed.
    Failed(VbError),
}

impl VbOutcome {
    /// Returns the error, if the vBucket failed.
    #[must_use]
    pub const fn error(&self) -> Option<&VbError> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Opened
            | Self::AlreadyOpen
            | Self::Finished
            | Self::Closed
            | Self::TakenOver
            | Self::RolledBack => None,
        }
    }
}

/// Why a vBucket failed.
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[error("{vb}: {side} {reason}")]
pub struct VbError {
    /// The vBucket.
    pub vb: VbId,
    /// The side at fault.
    pub side: Side,
    /// What happened.
    pub reason: Reason,
}

/// The reason of a failure. Its text continues "`vb`: `side` ...".
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Reason {
    /// A request was answered with an error.
    #[error("refused {step} with {status} ({:#04x})", .status.0)]
    Refused {
        /// The request.
        step: LinkStep,
        /// The answer.
        status: Status,
    },
    /// The consumer could not store a row, or could not follow the stream.
    #[error("refused {opcode} with {status} ({:#04x})", .status.0)]
    RowRefused {
        /// What it refused.
        opcode: Opcode,
        /// Its answer.
        status: Status,
    },
    /// The consumer dropped the stream, because its vBucket was changed or deleted.
    #[error("has dropped the stream: it answered {opcode} with {status} ({:#04x})", .status.0)]
    StreamGone {
        /// What it answered.
        opcode: Opcode,
        /// Its answer.
        status: Status,
    },
    /// The consumer dropped the stream, because its vBucket was made active there.
    #[error("has dropped the stream: the vBucket is active there")]
    ActiveThere,
    /// The consumer dropped the stream, because its vBucket was active there in between, or created
    /// anew.
    #[error(
        "has dropped the stream: its copy is on branch {consumer}, the producer's is on {producer} \
         (vBucket UUIDs); it rolls back to what both have"
    )]
    OtherBranch {
        /// The vBucket UUID at the producer.
        producer: VbUuid,
        /// The vBucket UUID at the consumer.
        consumer: VbUuid,
    },
    /// The copy lacks rows below its high seqno.
    #[error("has an incomplete copy; its stream must roll it back and open first")]
    Incomplete,
    /// The consumer has not finished its rollback. Nothing else can be asked for the vBucket
    /// before.
    #[error("is still rolling back, without progress before the deadline")]
    RollingBack,
    /// The stream made no progress while its link did.
    #[error("is {behind} seqnos ahead, and the consumer has not moved for {for_ms} ms")]
    Stalled {
        /// The lag in seqnos.
        behind: u64,
        /// Milliseconds without progress.
        for_ms: u64,
    },
    /// The producer ended the stream.
    #[error("ended the stream with {0} ({n})", n = .0.0)]
    StreamEnd(StreamEndStatus),
    /// A step was not finished before its deadline.
    #[error("did not finish {0} in time")]
    Deadline(LinkStep),
    /// The connection was lost before the vBucket was settled.
    #[error("was lost: {0}")]
    LinkLost(String),
    /// A peer broke the protocol, which ended the link.
    #[error("broke the protocol: {0}")]
    Protocol(&'static str),
    /// The link was shut down before the vBucket was settled.
    #[error("was not done when the link was shut down")]
    Shut,
    /// A broken invariant of this program ended the link.
    #[error("was not done when an internal error ended the link: {0}")]
    Internal(&'static str),
}

impl VbError {
    /// Returns the reason code.
    #[must_use]
    pub const fn reason_code(&self) -> ReasonCode {
        match self.reason {
            Reason::Refused { .. } => ReasonCode::Refused,
            Reason::RowRefused { .. } => ReasonCode::RowRefused,
            Reason::StreamGone { .. } | Reason::ActiveThere | Reason::OtherBranch { .. } => {
                ReasonCode::StreamGone
            }
            Reason::Incomplete => ReasonCode::Incomplete,
            Reason::RollingBack => ReasonCode::RollingBack,
            Reason::Stalled { .. } => ReasonCode::Stalled,
            Reason::StreamEnd(_) => ReasonCode::StreamEnd,
            Reason::Deadline(_) => ReasonCode::Deadline,
            Reason::LinkLost(_) => ReasonCode::LinkLost,
            Reason::Protocol(_) => ReasonCode::Protocol,
            Reason::Shut => ReasonCode::Shut,
            Reason::Internal(_) => ReasonCode::Internal,
        }
    }

    /// Returns what a data node answered, if one did.
    #[must_use]
    pub const fn answer(&self) -> Option<NodeAnswer> {
        match self.reason {
            Reason::Refused { status, .. }
            | Reason::RowRefused { status, .. }
            | Reason::StreamGone { status, .. } => Some(NodeAnswer::Status(status)),
            Reason::StreamEnd(status) => Some(NodeAnswer::StreamEnd(status)),
            Reason::ActiveThere
            | Reason::OtherBranch { .. }
            | Reason::Incomplete
            | Reason::RollingBack
            | Reason::Stalled { .. }
            | Reason::Deadline(_)
            | Reason::LinkLost(_)
            | Reason::Protocol(_)
            | Reason::Shut
            | Reason::Internal(_) => None,
        }
    }
}

/// Why a machine stopped.
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum StopReason {
    /// A command shut the link down.
    #[error("the link was shut down")]
    Shut,
    /// A connection was lost.
    #[error("the connection to the {side} was lost: {why}")]
    LinkLost {
        /// Whose connection.
        side: Side,
        /// What was seen.
        why: String,
    },
    /// A peer broke the protocol, so that its state is unknown.
    #[error("the {side} broke the protocol: {what}")]
    Protocol {
        /// The side at fault.
        side: Side,
        /// What was seen.
        what: &'static str,
    },
    /// An invariant of this program is broken: a defect.
    #[error("internal error: {what}; this is a bug, please report it")]
    Internal {
        /// The broken invariant.
        what: &'static str,
    },
}
