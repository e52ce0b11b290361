//! Messages between a bucket and the actors of its links.

use actix::Message;
use mcbp::Side;
use relay::Verdict;
use replica::bucket::{LinkDown, LinkId, LinkReport};
use replica::link::{Command, ControlFrame, OwnFrame, Snapshot, Ticket};

use super::gauges::Gauges;

/// A report of a link to its bucket.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct FromLink {
    pub(crate) id: LinkId,
    pub(crate) report: LinkReport,
    /// The counters of the link; set with [`LinkReport::Up`].
    pub(crate) gauges: Option<Gauges>,
}

/// A report of the consumer connection to its replicator. All reports take one path, so that none
/// overtakes another: an end that overtook the answer of the set-up that opened its stream would be
/// lost.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct FromConn(pub(super) LinkReport);

/// A command. The link answers with [`LinkReport::Answered`] and this ticket, unless it ends first.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Run {
    pub(crate) ticket: Ticket,
    pub(crate) command: Command,
}

/// End this link, for a fault that only its bucket can detect.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct GiveUp {
    /// The side at fault.
    pub(crate) side: Side,
    pub(crate) down: LinkDown,
}

/// The link is over: the receiver stops at once and reports nothing.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LinkOver;

/// Reads a snapshot of a link's machine; never waits for a command.
#[derive(Message)]
#[rtype(result = "Option<Snapshot>")]
pub(crate) struct ReadLink;

/// A control frame of the producer, which waits for the verdict.
#[derive(Message)]
#[rtype(result = "Verdict")]
pub(super) struct ProducerFrame(pub(super) ControlFrame);

/// Send this frame of ours to the producer.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct SendOwn(pub(super) OwnFrame);

/// A connection of the link was lost, or its peer sent a malformed frame.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Faulted {
    pub(super) side: Side,
    pub(super) why: String,
}
