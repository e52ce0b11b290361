//! Log lines about single vBuckets and about links, rate-limited by link and event, with a
//! suppressed count.

use std::fmt::{self, Display};

use super::effect::{BucketEffect, LogLevel, LogLine};

/// An event of a vBucket, or of a link, that is logged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum LineKind {
    Failed,
    Ended,
    Rollback,
    RolledBack,
    Incomplete,
    Complete,
    Broken,
    Up,
    Settled,
    ErrorAnswer,
}

impl LineKind {
    const fn level(self) -> LogLevel {
        match self {
            Self::Rollback | Self::Complete | Self::Up | Self::Settled => LogLevel::Info,
            Self::Failed
            | Self::Ended
            | Self::RolledBack
            | Self::Incomplete
            | Self::ErrorAnswer => LogLevel::Warn,
            Self::Broken => LogLevel::Error,
        }
    }

    /// Returns the log line of this event on a link.
    pub(super) fn line(self, link: &str, fields: &str) -> BucketEffect {
        let text = format!("{self} link={link} {fields}");
        BucketEffect::Log(LogLine { level: self.level(), text })
    }
}

impl Display for LineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "stream failed",
            Self::Ended => "stream ended",
            Self::Rollback => "rollback requested",
            Self::RolledBack => "copy rolled back",
            Self::Incomplete => "copy may miss rows",
            Self::Complete => "copy is complete",
            Self::Broken => "vbucket in retry loop",
            Self::Up => "link up",
            Self::Settled => "streams settled",
            Self::ErrorAnswer => "error answer",
        })
    }
}
