//! What the owner of a bucket may ask for, and what it is answered.

use std::fmt;

use mcbp::VbId;

use super::failure::{Cause, VbFailure};
use crate::link::{ReasonCode, Retry};
use crate::plan::{Connections, Desired, PlanError};

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum BucketCommand {
    /// A change of what is wanted; answered when every stream concerned is open, closed or has
    /// failed.
    Change(Change),
    /// Make a vBucket ours; answered when it is, or when both nodes were asked why not.
    Move(MoveRequest),
    /// Close every stream and end; answered when no link is left.
    Stop,
}

/// What to change about what is wanted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Change {
    /// The whole map.
    All(Desired),
    /// One vBucket, from a producer or from nobody.
    One {
        /// The vBucket.
        vb: VbId,
        /// The producer.
        from: Option<String>,
    },
    /// How many connections carry the streams of a producer.
    Connections(Connections),
}

/// A vBucket that is to be moved here.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MoveRequest {
    /// The vBucket.
    pub vb: VbId,
    /// The producer that has it.
    pub from: String,
    /// How.
    pub kind: MoveKind,
}

/// What kind of move.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MoveKind {
    /// At once, whatever is missing.
    Takeover,
    /// Once the producer has little more to send.
    WithData,
}

/// What a command came to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Done {
    /// What was wanted is so; this many streams of the bucket are open.
    Changed {
        /// Streams.
        open: usize,
    },
    /// The vBucket is ours.
    Moved {
        /// From the request to the answer, in milliseconds.
        elapsed_ms: u64,
    },
    /// No link is left.
    Stopped,
}

impl Change {
    /// Whether the change is about this vBucket.
    #[must_use]
    pub fn concerns(&self, vb: VbId) -> bool {
        match self {
            Self::All(_) | Self::Connections(_) => true,
            Self::One { vb: one, .. } => vb == *one,
        }
    }
}

impl BucketCommand {
    /// The first producer that it names and that is not known, if any.
    pub(super) fn unknown_producer(&self, is_known: impl Fn(&str) -> bool) -> Option<&str> {
        let is_unknown = |name: &&str| !is_known(name);
        match self {
            Self::Change(Change::All(desired)) => {
                desired.producers().keys().map(String::as_str).find(is_unknown)
            }
            Self::Change(Change::One { from, .. }) => from.as_deref().filter(is_unknown),
            Self::Move(request) => Some(request.from.as_str()).filter(is_unknown),
            Self::Change(Change::Connections(_)) | Self::Stop => None,
        }
    }
}

/// Why a command was not carried out at all, or not completely.
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no such bucket in the configuration.
    #[error("no bucket {bucket:?} is configured")]
    NoBucket {
        /// The name that was given.
        bucket: String,
    },
    /// There is no such producer in the configuration.
    #[error("no producer {producer:?} is configured")]
    NoProducer {
        /// The name that was given.
        producer: String,
    },
    /// The desired map contradicts itself.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Other commands of this bucket come first: too many, or without progress for too long.
    #[error("{waiting} commands of this bucket come first, try again later")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// A vBucket is moved once at a time.
    #[error(
        "{vb} is already being moved from {from}, or waits for its turn: see \"moves\" of the \
         replications, and ask again when it is not there any more"
    )]
    AlreadyMoving {
        /// The vBucket.
        vb: VbId,
        /// The producer that the earlier command named.
        from: String,
    },
    /// Some vBuckets are not settled; the sidecar goes on trying.
    #[error("{} vBuckets failed, the first: {}", .0.len(), First(.0))]
    Failed(Vec<VbFailure>),
    /// Replication is being stopped.
    #[error("replication is being stopped")]
    Stopping,
    /// An invariant of this program is broken: a defect.
    #[error(transparent)]
    Broken(#[from] invariant::Broken),
}

impl CommandError {
    /// The cause of the failure of a vBucket of a set, whose command was not carried out.
    #[must_use]
    pub fn cause(&self) -> Cause {
        let (code, retry) = (self.reason(), self.retry());
        Cause::NotBegun { code, detail: self.to_string(), retry }
    }

    const fn reason(&self) -> ReasonCode {
        match self {
            Self::AlreadyMoving { .. } => ReasonCode::AlreadyMoving,
            Self::Busy { .. } => ReasonCode::Busy,
            Self::Stopping => ReasonCode::Stopping,
            Self::Broken(_) => ReasonCode::Internal,
            Self::NoBucket { .. } | Self::NoProducer { .. } | Self::Plan(_) | Self::Failed(_) => {
                ReasonCode::Refused
            }
        }
    }

    const fn retry(&self) -> Retry {
        match self {
            Self::AlreadyMoving { .. } | Self::Busy { .. } | Self::Stopping => Retry::AfterBackoff,
            Self::NoBucket { .. }
            | Self::NoProducer { .. }
            | Self::Plan(_)
            | Self::Failed(_)
            | Self::Broken(_) => Retry::Never,
        }
    }
}

/// The first of some failures.
struct First<'a>(&'a [VbFailure]);

impl fmt::Display for First<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.first().map_or(Ok(()), |failure| failure.fmt(f))
    }
}
