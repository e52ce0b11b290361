//! What a manager logs of single vBuckets: of a thousand that fail together a few, and a number.

use std::fmt::{self, Display};

use mcbp::VbId;
use replica::loops::Notice;

use super::ReplicationManager;
use crate::replicator::LinkId;

/// What is logged of a vBucket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Line {
    Failed,
    Ended,
    Rollback,
    Incomplete,
    Complete,
    Broken,
}

impl Line {
    const fn level(self) -> log::Level {
        match self {
            Self::Rollback | Self::Complete => log::Level::Info,
            Self::Failed | Self::Ended | Self::Incomplete => log::Level::Warn,
            Self::Broken => log::Level::Error,
        }
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "stream failed",
            Self::Ended => "stream ended",
            Self::Rollback => "rollback asked for",
            Self::Incomplete => "copy may miss rows",
            Self::Complete => "copy is complete",
            Self::Broken => "vbucket is in a loop and is tried at the slowest pace",
        })
    }
}

impl ReplicationManager {
    /// Logs what happened to a vBucket, unless many others of its link have just said the same.
    pub(super) fn tell(
        &mut self,
        id: LinkId,
        line: Line,
        vb: VbId,
        why: &dyn Display,
        notice: Notice,
    ) {
        let now = self.now();
        let (line, text) = match notice {
            Notice::Tell(times) => (line, format!("times={times} reason=\"{why}\"")),
            Notice::Broke(kind) => (Line::Broken, format!("{vb} kind={kind}")),
            Notice::Quiet => return,
        };
        if let Some(link) = self.links.get_mut(id.index)
            && link.lines.may_tell(line, now)
        {
            log::log!(line.level(), "{line} link={} {text}", link.spec.name);
        }
    }

    /// Says how many lines were not told one by one.
    pub(super) fn tell_the_rest(&mut self) {
        let now = self.now();
        for link in &mut self.links {
            for (line, more) in link.lines.over(now) {
                log::log!(line.level(), "{line} link={} more={more}", link.spec.name);
            }
        }
    }
}
