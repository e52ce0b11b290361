//! What is logged of single vBuckets: of a thousand that say the same at once a few, and then how
//! many more.

use std::fmt::{self, Display};
use std::time::Duration;

use mcbp::VbId;

use super::effect::{BucketEffect, BucketEffects, LogLevel, LogLine};
use super::link::Link;
use super::links::Links;
use crate::loops::Notice;

/// What is logged of a vBucket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum LineKind {
    Failed,
    Ended,
    Rollback,
    Incomplete,
    Complete,
    Broken,
}

impl LineKind {
    const fn level(self) -> LogLevel {
        match self {
            Self::Rollback | Self::Complete => LogLevel::Info,
            Self::Failed | Self::Ended | Self::Incomplete => LogLevel::Warn,
            Self::Broken => LogLevel::Error,
        }
    }

    fn line(self, link: &Link, fields: &str) -> BucketEffect {
        let text = format!("{self} link={} {fields}", link.name);
        BucketEffect::Log(LogLine { level: self.level(), text })
    }
}

impl Display for LineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "stream failed",
            Self::Ended => "stream ended",
            Self::Rollback => "rollback requested",
            Self::Incomplete => "copy may miss rows",
            Self::Complete => "copy is complete",
            Self::Broken => "vbucket is in a loop and is tried at the slowest pace",
        })
    }
}

impl Link {
    /// Logs what happened to a vBucket, unless many others of this link have just said the same.
    pub(super) fn log(
        &mut self,
        kind: LineKind,
        vb: VbId,
        why: &dyn Display,
        notice: Notice,
        now: Duration,
    ) -> Option<BucketEffect> {
        let (kind, fields) = match notice {
            Notice::Tell(times) => (kind, format!("times={times} reason=\"{why}\"")),
            Notice::Broke(in_loop) => (LineKind::Broken, format!("{vb} kind={in_loop}")),
            Notice::Quiet => return None,
        };
        self.lines.may_tell(kind, now).then(|| kind.line(self, &fields))
    }
}

impl Links {
    /// Logs how many lines were suppressed, once their time is over.
    pub(super) fn log_suppressed(&mut self, now: Duration, fx: &mut BucketEffects) {
        for link in self.iter_mut() {
            for (kind, more) in link.lines.over(now) {
                fx.push(kind.line(link, &format!("more={more}")));
            }
        }
    }
}
