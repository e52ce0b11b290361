//! What the machine of a bucket wants done. The executors carry it out in order and decide nothing.

use mcbp::{Side, VbId};

use super::command::{CommandError, Done};
use super::event::{LinkId, TaskId};
use super::examine::Examine;
use super::link_down::LinkDown;
use crate::link::{Command, Ticket};
use crate::plan::{Desired, LinkKey};

/// The effects of one event, to be carried out in this order.
pub type BucketEffects = Vec<BucketEffect>;

/// One effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BucketEffect {
    /// Open the pair of connections of this link.
    Connect(LinkId, LinkKey),
    /// As `Connect`, unless a node has an open connection of the same name, of a rival. Nodes that
    /// do not list their connections count as free.
    ConnectIfFree(LinkId, LinkKey),
    /// Give a command to a link that is up. The link answers with
    /// [`LinkReport::Answered`](super::LinkReport::Answered), unless it ends first.
    Run(LinkId, Ticket, Command),
    /// Cancel the attempt to open this link. The link reports nothing after that.
    Abandon(LinkId),
    /// End this link for a fault of one side. The link reports that it is down.
    GiveUp(LinkId, Side, LinkDown),
    /// Poll the consumer and the producers of this map, and no others; `None`: poll no node.
    Poll(Option<Desired>),
    /// Poll the producer of a link for the changes that a vBucket still lacks, until there are few.
    Estimate(TaskId, LinkKey, VbId),
    /// Ask both nodes of a link for their copies of a vBucket, and repair them where that is
    /// allowed.
    Examine(TaskId, Examine),
    /// Cancel a task. It reports nothing after that.
    Cancel(TaskId),
    /// A vBucket has become active here. Comes before the answer of its command.
    Moved {
        /// The vBucket.
        vb: VbId,
        /// The producer that had it.
        from: String,
        /// Milliseconds from the request to the answer.
        elapsed_ms: u64,
    },
    /// Answer a command. Every ticket gets exactly one answer.
    Answer(Ticket, Result<Done, CommandError>),
    /// Log this line.
    Log(LogLine),
}

/// One line of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    /// The level.
    pub level: LogLevel,
    /// The event and its fields, in logfmt.
    pub text: String,
}

/// The level of a log line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LogLevel {
    /// An operation was lost, or needs the operator.
    Error,
    /// A failure that is retried.
    Warn,
    /// A normal event.
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
