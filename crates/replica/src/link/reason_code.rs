//! The code of a failure, for programs; and what a data node answered.

use std::fmt;

use mcbp::{Status, StreamEndStatus};
use serde::{Serialize, Serializer};

/// The kind of a failure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonCode {
    /// A request was answered with an error.
    Refused,
    /// The consumer could not store a row, or could not follow the stream.
    RowRefused,
    /// The consumer has dropped the stream.
    StreamGone,
    /// The copy is incomplete.
    Incomplete,
    /// The consumer has not finished its rollback.
    RollingBack,
    /// A stream or a link made no progress.
    Stalled,
    /// A connection is silent although NOOPs are due and its node answers elsewhere.
    Unresponsive,
    /// The producer ended the stream.
    StreamEnd,
    /// A step or a command was not finished before its deadline.
    Deadline,
    /// The connection was lost.
    LinkLost,
    /// Another sidecar uses the connection name of the link.
    Rival,
    /// A peer broke the protocol.
    Protocol,
    /// The link was shut down.
    Shut,
    /// The vBucket fails repeatedly and is retried at the longest backoff only.
    Loop,
    /// The producer's estimate allows no takeover.
    Estimate,
    /// The vBucket is active at the consumer, so that it is not asked for.
    ActiveHere,
    /// A move of the vBucket is queued or running.
    AlreadyMoving,
    /// The queue of commands is full, or made no progress.
    Busy,
    /// Replication is being stopped.
    Stopping,
    /// An invariant of this program is broken.
    Internal,
}

impl ReasonCode {
    /// Returns the name in the API, status and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::RowRefused => "row-refused",
            Self::StreamGone => "stream-gone",
            Self::Incomplete => "incomplete",
            Self::RollingBack => "rolling-back",
            Self::Stalled => "stalled",
            Self::Unresponsive => "unresponsive",
            Self::StreamEnd => "stream-end",
            Self::Deadline => "deadline",
            Self::LinkLost => "link-lost",
            Self::Rival => "rival",
            Self::Protocol => "protocol",
            Self::Shut => "shut",
            Self::Loop => "loop",
            Self::Estimate => "estimate",
            Self::ActiveHere => "active-here",
            Self::AlreadyMoving => "already-moving",
            Self::Busy => "busy",
            Self::Stopping => "stopping",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a data node answered with.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NodeAnswer {
    /// The status of a response.
    Status(Status),
    /// The reason of a STREAM_END.
    StreamEnd(StreamEndStatus),
    /// A status text in its statistics.
    Text(String),
    /// An answer after the bound on separately counted ones was reached.
    Other,
}

impl fmt::Display for NodeAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status} ({:#04x})", status.0),
            Self::StreamEnd(status) => write!(f, "{status} ({})", status.0),
            Self::Text(text) => f.write_str(text),
            Self::Other => f.write_str("other"),
        }
    }
}

impl Serialize for NodeAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
