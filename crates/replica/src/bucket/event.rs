//! The events of a bucket. Each event comes with its [`Moment`].

use std::collections::BTreeSet;
use std::time::Duration;

use mcbp::{Seqno, Side, VbId, VbState, VbUuid};

use super::command::BucketCommand;
use super::failure::Cause;
use super::link_down::LinkDown;
use crate::link::{ErrorAnswer, Outcome, Ticket, VbError};
use crate::stall::Sample;
use crate::topology::TopologyMismatch;

/// The time of an event and a random number: the machine reads no clock and draws no random number.
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

/// A task of the move at the front of the queue. Reports of cancelled tasks are ignored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TaskId(pub u64);

/// One event.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum BucketEvent {
    /// The owner gives a command.
    Command {
        /// The ticket of the answer; each ticket is answered once.
        ticket: Ticket,
        /// The command.
        command: BucketCommand,
    },
    /// The configured producers are these from now on.
    Producers {
        /// All of them, by name.
        known: BTreeSet<String>,
        /// Those whose address or login is another one: links to them are opened anew.
        changed: BTreeSet<String>,
    },
    /// A link reports.
    Link(LinkId, LinkReport),
    /// The estimating task reports how many changes the producer still has to send.
    Estimated(TaskId, u64),
    /// The estimating task has ended: few changes are missing, or an answer was not usable.
    Copied(TaskId, Result<(), Cause>),
    /// The examining task has ended.
    Examined(TaskId, Finding),
    /// A data node answered a poll on its control connection, or failed to.
    Polled(Polled),
    /// Samples of the links that are up, taken at a fixed interval.
    Sampled(Vec<(LinkId, Sample)>),
    /// This process did not run for so long until now, as
    /// [`pause`](crate::liveness::pause) found.
    Resumed(Duration),
    /// The time of [`BucketMachine::wake_at`](super::BucketMachine::wake_at) has come.
    Woken,
}

/// What a link reports to its bucket. All reports of a link arrive in order: an end that overtook
/// the answer of the set-up that opened the stream would be lost.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum LinkReport {
    /// Both connections are open; the link accepts commands.
    Up,
    /// The answer to a command.
    Answered(Ticket, Outcome),
    /// An open stream ended without a command.
    Ended(VbError),
    /// The producer asks the consumer to roll back and to repeat its STREAM_REQ. Once is normal.
    RollbackAsked(VbId),
    /// The consumer has rolled back and repeats its STREAM_REQ.
    RollbackOver {
        /// The vBucket.
        vb: VbId,
        /// The last seqno that the consumer had before.
        from: Seqno,
        /// The last one that it has.
        to: Seqno,
    },
    /// The seqno up to which the consumer's copy is complete, or `None` for a copy without a gap.
    Copy(VbId, Option<Seqno>),
    /// A stream opened before its set-up is answered.
    Opened(VbId),
    /// A deadline was extended, because the link makes progress.
    Progress,
    /// A node answered the other one with an error. Reported once for each kind.
    ErrorAnswer(ErrorAnswer),
    /// The link has ended; the last report of this incarnation.
    Down(LinkDown),
}

/// The result of the examining task after a failed takeover.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Finding {
    /// The vBucket is active at the consumer.
    Moved,
    /// The vBucket is active at the producer again, and may be taken over anew.
    GivenBack,
    /// The vBucket did not move.
    NotMoved(Cause),
}

/// The result of one poll of a data node.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Polled {
    /// The role in which the node was polled.
    pub side: Side,
    /// The name of the node.
    pub node: String,
    /// The answer.
    pub answer: PollAnswer,
    /// Time since it was asked for: it says nothing of what happened since then.
    pub age: Duration,
}

/// The answer to one poll.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum PollAnswer {
    /// The high seqno of every vBucket that the node serves, or why they are unknown.
    Seqnos(Result<Vec<(VbId, Seqno)>, PollError>),
    /// The vBuckets that the node has in a state that its role cannot use; `None` where the node
    /// does not say.
    Misfits(Option<Vec<(VbId, VbState)>>),
    /// The present branch of each vBucket, by its vBucket UUID; `None` where the node does not say.
    Branches(Option<Vec<(VbId, VbUuid)>>),
    /// Set where the topologies of a producer do not name our node.
    Topology(Option<TopologyMismatch>),
}

/// Why a poll has no seqnos.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PollError {
    /// The full text in one line, for the operator.
    pub text: String,
    /// Whether the error is an answer of the node, so that the node is not silent.
    pub is_sign: bool,
}

/// Returns whole milliseconds, as the status shows them.
#[must_use]
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
