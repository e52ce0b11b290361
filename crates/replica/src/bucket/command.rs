//! The commands of a bucket, and their results.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use mcbp::VbId;

use super::failure::{Cause, VbFailure};
use crate::link::{ReasonCode, Retry};
use crate::plan::{Connections, Desired, PlanError, VbSet};

/// A command.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum BucketCommand {
    /// Change the desired map or the number of connections; answered when every stream concerned is
    /// open, closed or has failed.
    Change(Change),
    /// Close links or streams and open them again; answered when what is wanted is open again, or
    /// has failed.
    Restart(Restart),
    /// Move a vBucket to this node; answered when it is active here, or has failed and both nodes
    /// were asked for their copies.
    Move(MoveRequest),
    /// Refuse every command; answered when a takeover that has begun has ended. A
    /// [`Self::Stop`] is to follow.
    Remove,
    /// Refuse every command, close every stream and stop; answered when no link is left. A takeover
    /// that has begun ends first.
    Stop {
        /// The time for the whole stop. A takeover gets half of it, and its examination a quarter;
        /// what is left by then is logged.
        within: Duration,
    },
}

/// A change of the desired map or of the connections.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Change {
    /// The whole map.
    All(Desired),
    /// The map and the connections of the sources. vBuckets that were taken over in this process
    /// stay out of it, until another change names them. Concerns what differs, and nothing else.
    Follow {
        /// The map.
        desired: Desired,
        /// The number of connections.
        connections: Connections,
    },
    /// These vBuckets, in place of their previous producers; all others stay as they are.
    Add(Desired),
    /// One vBucket: from this producer, or from none.
    One {
        /// The vBucket.
        vb: VbId,
        /// The producer; `None` to stop replicating the vBucket.
        from: Option<String>,
    },
    /// How many connections carry the streams of a producer.
    Connections(Connections),
}

/// What to close and to open again. Delays, retry loops and pauses for a rival end with it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Restart {
    /// The links to a producer.
    Links {
        /// The producer.
        producer: String,
        /// The number of the connection; `None` for all links to the producer.
        connection: Option<u8>,
    },
    /// Single streams.
    Streams(VbSet),
    /// Single streams, whose copies at the consumer are rolled back to zero first, so that the
    /// producer sends everything again: what they have is not what it has.
    Copies(VbSet),
}

/// A vBucket to be moved to this node.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MoveRequest {
    /// The vBucket.
    pub vb: VbId,
    /// The producer that has it.
    pub from: String,
    /// The kind of move.
    pub kind: MoveKind,
}

/// The kind of a move.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MoveKind {
    /// Take over at once, however many changes are missing.
    Takeover,
    /// Replicate first, and take over once few changes are missing.
    WithData,
}

impl MoveKind {
    /// The word of the request and of the subcommand.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Takeover => "takeover",
            Self::WithData => "move",
        }
    }
}

/// The result of a command that succeeded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Done {
    /// Every stream concerned is as the change wants it.
    Changed {
        /// The number of open streams of the bucket.
        open: usize,
    },
    /// The vBucket is active here.
    Moved {
        /// From the request to the answer, in milliseconds.
        elapsed_ms: u64,
    },
    /// No takeover runs, and none will.
    Removed,
    /// No link is left.
    Stopped,
}

impl Change {
    pub(super) fn unknown_producer(&self, is_known: impl Fn(&str) -> bool) -> Option<&str> {
        let is_unknown = |name: &&str| !is_known(name);
        match self {
            Self::One { from, .. } => from.as_deref().filter(is_unknown),
            Self::All(map) | Self::Add(map) | Self::Follow { desired: map, .. } => {
                map.producers().keys().map(String::as_str).find(is_unknown)
            }
            Self::Connections(_) => None,
        }
    }

    /// Returns the vBuckets that a caller names in the change. Those of a [`Self::Follow`] are
    /// named by no caller.
    pub(super) fn named(&self) -> BTreeSet<VbId> {
        match self {
            Self::All(map) | Self::Add(map) => {
                map.producers().values().flat_map(VbSet::iter).collect()
            }
            Self::One { vb, .. } => BTreeSet::from([*vb]),
            Self::Follow { .. } | Self::Connections(_) => BTreeSet::new(),
        }
    }
}

impl Restart {
    pub(super) fn unknown_producer(&self, is_known: impl Fn(&str) -> bool) -> Option<&str> {
        match self {
            Self::Links { producer, .. } => Some(producer.as_str()).filter(|name| !is_known(name)),
            Self::Streams(_) | Self::Copies(_) => None,
        }
    }
}

impl BucketCommand {
    /// Returns the first producer in the command that is not configured, if any.
    pub(super) fn unknown_producer(&self, is_known: impl Fn(&str) -> bool) -> Option<&str> {
        match self {
            Self::Change(change) => change.unknown_producer(is_known),
            Self::Restart(restart) => restart.unknown_producer(is_known),
            Self::Move(request) => Some(request.from.as_str()).filter(|name| !is_known(name)),
            Self::Remove | Self::Stop { .. } => None,
        }
    }
}

/// Why a command was refused, or failed for some vBuckets.
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum CommandError {
    /// The bucket is not configured.
    #[error("no bucket {bucket:?} is configured")]
    NoBucket {
        /// The name that was given.
        bucket: String,
    },
    /// The producer is not configured.
    #[error("no producer {producer:?} is configured")]
    NoProducer {
        /// The name that was given.
        producer: String,
    },
    /// A bucket of this name is replicated already, or still being removed.
    #[error("bucket {bucket:?} {why}")]
    BucketExists {
        /// The name that was given.
        bucket: String,
        /// Its state, and what to do.
        why: &'static str,
    },
    /// The restart names a link or a stream that does not exist.
    #[error(
        "{what}: there is nothing to restart; GET /api/v1/replications lists the links and \
         streams"
    )]
    NothingToRestart {
        /// What does not exist.
        what: String,
    },
    /// The desired map contradicts itself.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The queue is full, or made no progress before the deadline of the command.
    #[error("{waiting} commands of this bucket are queued; try again later")]
    Busy {
        /// The number of queued commands.
        waiting: usize,
    },
    /// A vBucket is moved once at a time.
    #[error(
        "{vb} is already being moved from {from}, or its move is queued; ask again when \
         \"moves\" of the replications does not list it any more"
    )]
    AlreadyMoving {
        /// The vBucket.
        vb: VbId,
        /// The producer that the earlier command named.
        from: String,
    },
    /// Some vBuckets failed; the sidecar retries them.
    #[error("{} vBuckets failed, the first: {}", .0.len(), First(.0))]
    Failed(Vec<VbFailure>),
    /// Copies were emptied to be made anew, and could not be filled again; the sidecar retries it.
    #[error(
        "the copies of vBucket {emptied} were emptied, or may have been, and could not be filled \
         again; the sidecar goes on trying, see its status: {}", First(.failures)
    )]
    NotFilled {
        /// The copies.
        emptied: VbSet,
        /// Why, and which others failed.
        failures: Vec<VbFailure>,
    },
    /// The bucket is being removed.
    #[error("bucket {bucket} was removed from the configuration; ask again when it is back")]
    Removed {
        /// The bucket.
        bucket: String,
    },
    /// Replication is being stopped.
    #[error("replication is being stopped")]
    Stopping,
    /// An invariant of this program is broken: a defect.
    #[error(transparent)]
    Broken(#[from] invariant::Broken),
}

impl CommandError {
    /// Returns the cause of failure for a vBucket of a set whose command was refused.
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
            Self::NoBucket { .. }
            | Self::NoProducer { .. }
            | Self::BucketExists { .. }
            | Self::NothingToRestart { .. }
            | Self::Plan(_)
            | Self::Removed { .. }
            | Self::NotFilled { .. }
            | Self::Failed(_) => ReasonCode::Refused,
        }
    }

    const fn retry(&self) -> Retry {
        match self {
            Self::AlreadyMoving { .. } | Self::Busy { .. } | Self::Stopping => Retry::AfterBackoff,
            Self::NoBucket { .. }
            | Self::NoProducer { .. }
            | Self::BucketExists { .. }
            | Self::NothingToRestart { .. }
            | Self::Plan(_)
            | Self::Removed { .. }
            | Self::NotFilled { .. }
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
