//! What a command comes to: one outcome per vBucket, errors with side, reason and advice.

use std::collections::BTreeMap;
use std::fmt;

use mcbp::{Opcode, Status, StreamEndStatus, VbId};
use serde::Serialize;

use super::{NodeAnswer, ReasonCode, Side, Step};

/// The answer to a command.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// The command ran to its end; each vBucket it touched has its own outcome.
    Done(BTreeMap<VbId, VbOutcome>),
    /// Another command is running; nothing was changed. Ask again later.
    Busy,
    /// The link is shutting down or down; nothing was changed. A new link is needed.
    Down(StopReason),
}

impl Outcome {
    /// The errors among the outcomes, by vBucket.
    pub fn errors(&self) -> impl Iterator<Item = &VbError> {
        let vbs = match self {
            Self::Done(vbs) => Some(vbs.values()),
            Self::Busy | Self::Down(_) => None,
        };
        vbs.into_iter().flatten().filter_map(VbOutcome::error)
    }

    /// Whether everything that was asked for was done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Done(_)) && self.errors().next().is_none()
    }
}

/// What became of one vBucket.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum VbOutcome {
    /// The stream is open now.
    Opened,
    /// The stream was open before, and still is.
    AlreadyOpen,
    /// The stream was opened and has already ended with status Ok: all that exists was sent.
    Finished,
    /// The stream is closed on both sides (in a shutdown: on the consumer).
    Closed,
    /// The vBucket is active at the consumer.
    TakenOver,
    /// The consumer's incomplete copy was rolled back to where it is complete. The stream is not
    /// open: ask again.
    RolledBack,
    /// None of these.
    Failed(VbError),
}

impl VbOutcome {
    /// The error, if it is one.
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

/// Why a vBucket is not where it was asked to be.
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[error("{vb}: {side} {reason}")]
pub struct VbError {
    /// The vBucket.
    pub vb: VbId,
    /// Where the reason lies.
    pub side: Side,
    /// What happened.
    pub reason: Reason,
}

/// What went wrong with one vBucket. Reads on from "`vb`: `side` ...".
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Reason {
    /// A request was answered with an error.
    #[error("refused {step} with {status} ({:#04x})", .status.0)]
    Refused {
        /// The request.
        step: Step,
        /// The answer.
        status: Status,
    },
    /// The consumer could not store a row, or not follow the stream.
    #[error("refused {opcode} with {status} ({:#04x})", .status.0)]
    RowRefused {
        /// What it refused.
        opcode: Opcode,
        /// Its answer.
        status: Status,
    },
    /// The consumer has dropped the stream: its vBucket was changed or is gone.
    #[error("has dropped the stream, and answers {opcode} with {status} ({:#04x})", .status.0)]
    StreamGone {
        /// What it answered.
        opcode: Opcode,
        /// Its answer.
        status: Status,
    },
    /// The copy misses rows below its high seqno.
    #[error("has an incomplete copy, which has to be rolled back and opened first")]
    Incomplete,
    /// The consumer has not finished its rollback, and until it does nothing else can be asked.
    #[error("is rolling back still, and does not come on")]
    RollingBack,
    /// The stream stood still while its link went on.
    #[error("is {behind} seqnos ahead, and the consumer has not moved for {for_ms} ms")]
    Stalled {
        /// By how many seqnos the consumer is behind.
        behind: u64,
        /// For how many milliseconds.
        for_ms: u64,
    },
    /// The producer ended the stream.
    #[error("ended the stream with {0} ({n})", n = .0.0)]
    StreamEnd(StreamEndStatus),
    /// A step took too long.
    #[error("did not finish {0} in time")]
    Deadline(Step),
    /// The connection was lost before the vBucket was settled.
    #[error("was lost: {0}")]
    LinkLost(String),
    /// A peer broke the protocol, and the link was given up.
    #[error("broke the protocol: {0}")]
    Protocol(&'static str),
    /// The link was told to shut down before the vBucket was settled.
    #[error("was not done when the link was shut down")]
    Shut,
    /// An invariant of this program was broken, and the link was given up.
    #[error("was not done when the link was given up by an internal error: {0}")]
    Internal(&'static str),
}

/// Whether and when to ask again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retry {
    /// Now: nothing has to change first.
    AtOnce,
    /// After a while, growing with each failure.
    AfterBackoff,
    /// When the vBucket has another home: this producer does not serve it.
    AfterNewTopology,
    /// Not before a person has changed something.
    Never,
}

impl Retry {
    /// As it is written in answers to programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AtOnce => "at-once",
            Self::AfterBackoff => "after-backoff",
            Self::AfterNewTopology => "after-new-topology",
            Self::Never => "never",
        }
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl VbError {
    /// Whether and when to ask again. Anything unknown is worth another try, after a while.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        match &self.reason {
            Reason::Refused { status, .. } | Reason::RowRefused { status, .. } => {
                retry_after_refusal(*status)
            }
            Reason::StreamGone { .. } | Reason::Incomplete | Reason::RollingBack => {
                Retry::AfterBackoff
            }
            Reason::Stalled { .. } => Retry::AtOnce,
            Reason::StreamEnd(status) => retry_after_end(*status),
            Reason::Deadline(_)
            | Reason::LinkLost(_)
            | Reason::Protocol(_)
            | Reason::Internal(_) => Retry::AfterBackoff,
            Reason::Shut => Retry::Never,
        }
    }

    /// What went wrong, without the particulars.
    #[must_use]
    pub const fn reason_code(&self) -> ReasonCode {
        match self.reason {
            Reason::Refused { .. } => ReasonCode::Refused,
            Reason::RowRefused { .. } => ReasonCode::RowRefused,
            Reason::StreamGone { .. } => ReasonCode::StreamGone,
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

    /// What a data node answered, where one did.
    #[must_use]
    pub const fn answer(&self) -> Option<NodeAnswer> {
        match self.reason {
            Reason::Refused { status, .. }
            | Reason::RowRefused { status, .. }
            | Reason::StreamGone { status, .. } => Some(NodeAnswer::Status(status)),
            Reason::StreamEnd(status) => Some(NodeAnswer::StreamEnd(status)),
            Reason::Incomplete
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

const fn retry_after_refusal(status: Status) -> Retry {
    match status {
        Status::NOT_MY_VBUCKET => Retry::AfterNewTopology,
        Status::EINVAL
        | Status::NOT_SUPPORTED
        | Status::UNKNOWN_COMMAND
        | Status::EACCESS
        | Status::AUTH_ERROR
        | Status::UNKNOWN_COLLECTION
        | Status::UNKNOWN_SCOPE => Retry::Never,
        _ => Retry::AfterBackoff,
    }
}

const fn retry_after_end(status: StreamEndStatus) -> Retry {
    match status {
        StreamEndStatus::ROLLBACK => Retry::AtOnce,
        StreamEndStatus::STATE_CHANGED => Retry::AfterNewTopology,
        StreamEndStatus::FILTER_EMPTY | StreamEndStatus::LOST_PRIVILEGES => Retry::Never,
        _ => Retry::AfterBackoff,
    }
}

/// Why a machine came to its end.
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum StopReason {
    /// It was told to.
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
    /// A peer broke the protocol in a way that leaves its state unknown.
    #[error("the {side} broke the protocol: {what}")]
    Protocol {
        /// Who did.
        side: Side,
        /// What was seen.
        what: &'static str,
    },
    /// An invariant of this program is broken: a defect.
    #[error("internal error: {what}; this is a bug, please report it")]
    Internal {
        /// What was found.
        what: &'static str,
    },
}
