//! What went wrong, in one word for programs; and what a data node answered.

use std::fmt;

use mcbp::{Status, StreamEndStatus};
use serde::{Serialize, Serializer};

/// Why something failed, without the particulars.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonCode {
    /// A request was answered with an error.
    Refused,
    /// The consumer could not store a row, or not follow the stream.
    RowRefused,
    /// The consumer has dropped the stream.
    StreamGone,
    /// The copy misses rows.
    Incomplete,
    /// The consumer has not finished its rollback.
    RollingBack,
    /// A stream or a link stood still.
    Stalled,
    /// The producer ended the stream.
    StreamEnd,
    /// A step, or a command, took too long.
    Deadline,
    /// The connection was lost.
    LinkLost,
    /// A peer broke the protocol.
    Protocol,
    /// The link was shut down.
    Shut,
    /// It fails again and again, and is tried at the slowest pace.
    Loop,
    /// The producer's estimate allows no takeover.
    Estimate,
    /// The vBucket is being moved already.
    AlreadyMoving,
    /// Too many commands wait.
    Busy,
    /// Replication is being stopped.
    Stopping,
    /// An invariant of this program is broken.
    Internal,
}

impl ReasonCode {
    /// As answers to programs, status pages and metrics spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::RowRefused => "row-refused",
            Self::StreamGone => "stream-gone",
            Self::Incomplete => "incomplete",
            Self::RollingBack => "rolling-back",
            Self::Stalled => "stalled",
            Self::StreamEnd => "stream-end",
            Self::Deadline => "deadline",
            Self::LinkLost => "link-lost",
            Self::Protocol => "protocol",
            Self::Shut => "shut",
            Self::Loop => "loop",
            Self::Estimate => "estimate",
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
    /// A word in its statistics.
    Text(String),
    /// One of the many that are not counted one by one.
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
