//! What happens to a bucket. Each event comes with its [`Moment`].

use std::time::Duration;

use mcbp::{Seqno, Side, VbId};

use super::command::BucketCommand;
use super::failure::Cause;
use super::link_down::LinkDown;
use crate::link::{Outcome, Ticket, VbError};
use crate::stall::Sample;
use crate::topology::TopologyMismatch;

/// When an event happens, and the chance that it brings: the machine reads no clock and draws no
/// random number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Moment {
    /// Time since any fixed start; never goes back.
    pub now: Duration,
    /// A random number from 0 to 1, for the jitter of delays.
    pub chance: f64,
}

/// One incarnation of one link. Messages of older incarnations are ignored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LinkId {
    /// The link's place in the table of its bucket; it never changes.
    pub index: usize,
    /// Counts the pairs of connections at that place, from 1.
    pub incarnation: u64,
}

/// A task that runs beside the links for the move at the front of the queue. Answers of tasks that
/// were cancelled are ignored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TaskId(pub u64);

/// What happened.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum BucketEvent {
    /// The owner asks for something.
    Command {
        /// Who is to be answered; each ticket is answered once.
        ticket: Ticket,
        /// What is asked for.
        command: BucketCommand,
    },
    /// A link reports.
    Link(LinkId, LinkReport),
    /// The estimating task heard how many changes the producer still has to send.
    Estimated(TaskId, u64),
    /// The estimating task has ended: little is missing, or nothing can be concluded.
    Copied(TaskId, Result<(), Cause>),
    /// The examining task has ended.
    Examined(TaskId, Finding),
    /// A data node was polled on its control connection.
    Polled(Polled),
    /// Samples of the links that are up, taken now and then.
    Sampled(Vec<(LinkId, Sample)>),
    /// The time that [`BucketMachine::wake_at`](super::BucketMachine::wake_at) named has come.
    Woken,
}

/// What a link reports to its bucket. All reports of a link come on one way, in their order.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum LinkReport {
    /// Both connections are open; commands may come.
    Up,
    /// The answer to a command.
    Answered(Ticket, Outcome),
    /// An open stream has ended by itself.
    Ended(VbError),
    /// The producer wants the consumer to roll back and ask again. Once is normal.
    RollbackAsked(VbId),
    /// The consumer has rolled back and asks again.
    RollbackOver(VbId),
    /// Up to where the consumer's copy is complete, or `None` for one without a gap.
    Copy(VbId, Option<Seqno>),
    /// A stream of a set-up that still runs is open.
    Opened(VbId),
    /// A deadline was extended, because the link makes progress.
    Progress,
    /// The link is over; the last report of this incarnation.
    Down(LinkDown),
}

/// What the examining task found after a takeover had failed.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Finding {
    /// The vBucket is active at the consumer.
    Moved,
    /// It is active at the producer again, and may be taken over anew.
    GivenBack,
    /// It did not move.
    NotMoved(Cause),
}

/// What a data node said on its control connection.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Polled {
    /// As what it was asked.
    pub side: Side,
    /// Its name.
    pub node: String,
    /// Its answer.
    pub answer: PollAnswer,
}

/// The answer to one question.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum PollAnswer {
    /// The high seqno of every vBucket that it serves, or why they are not known.
    Seqnos(Result<Vec<(VbId, Seqno)>, String>),
    /// Our node, where the topologies of a producer do not know it.
    Topology(Option<TopologyMismatch>),
}

/// Whole milliseconds, as status pages count them.
#[must_use]
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
