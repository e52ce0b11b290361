//! What a bucket wants done. The executors do it, in order, and add no rule of their own.

use mcbp::{Side, VbId};

use super::command::{CommandError, Done};
use super::event::{LinkId, TaskId};
use super::examine::Examine;
use super::link_down::LinkDown;
use crate::link::{Command, Ticket};
use crate::plan::{Desired, LinkKey};

/// What one event leads to, to be carried out in this order.
pub type BucketEffects = Vec<BucketEffect>;

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BucketEffect {
    /// Open the pair of connections of this link.
    Connect(LinkId, LinkKey),
    /// Give a command to a link that is up. It is answered by
    /// [`LinkReport::Answered`](super::LinkReport::Answered), or the link is over.
    Run(LinkId, Ticket, Command),
    /// Give up the attempt to open this link. It reports nothing any more.
    Abandon(LinkId),
    /// End this link by this fault of one side; it reports that it is down.
    GiveUp(LinkId, Side, LinkDown),
    /// Poll the data nodes of this map, and no others.
    Poll(Desired),
    /// Ask the producer of a link, again and again, how much of a vBucket it still has to send,
    /// until little is missing.
    Estimate(TaskId, LinkKey, VbId),
    /// Ask both nodes of a link what they have of a vBucket, and repair it where that is allowed.
    Examine(TaskId, Examine),
    /// End a task; it reports nothing any more.
    Cancel(TaskId),
    /// Answer a command. Every ticket gets exactly one answer.
    Answer(Ticket, Result<Done, CommandError>),
    /// Log this.
    Log(LogLine),
}

/// One line of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    /// How bad it is.
    pub level: LogLevel,
    /// The event and its fields.
    pub text: String,
}

/// How bad a line of the log is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LogLevel {
    /// Something ended that should not have.
    Error,
    /// Something failed and is tried again.
    Warn,
    /// Something went as it should.
    Info,
}

impl BucketEffect {
    pub(super) const fn info(text: String) -> Self {
        Self::Log(LogLine { level: LogLevel::Info, text })
    }

    pub(super) const fn warn(text: String) -> Self {
        Self::Log(LogLine { level: LogLevel::Warn, text })
    }
}
