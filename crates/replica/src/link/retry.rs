//! Whether and when to retry what failed.

use std::fmt;

use mcbp::{Status, StreamEndStatus};
use serde::Serialize;

use super::outcome::{Reason, VbError};

/// Whether and when to retry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retry {
    /// Retry at once.
    AtOnce,
    /// Retry after a delay that grows with each failure.
    AfterBackoff,
    /// Retry after the map of vBuckets has changed: this producer does not serve the vBucket.
    AfterNewTopology,
    /// Do not retry before the operator has changed something.
    Never,
}

impl Retry {
    /// Returns the name in the API.
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
    /// Returns whether and when to retry. Unknown statuses are retried after a backoff.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        match &self.reason {
            Reason::Refused { status, .. } | Reason::RowRefused { status, .. } => {
                retry_after_refusal(*status)
            }
            Reason::StreamGone { .. }
            | Reason::ActiveThere
            | Reason::OtherBranch { .. }
            | Reason::Incomplete
            | Reason::RollingBack => Retry::AfterBackoff,
            Reason::Stalled { .. } => Retry::AtOnce,
            Reason::StreamEnd(status) => retry_after_end(*status),
            Reason::Deadline(_)
            | Reason::LinkLost(_)
            | Reason::Protocol(_)
            | Reason::Internal(_) => Retry::AfterBackoff,
            Reason::Shut => Retry::Never,
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
