//! What a bucket tells its links, and what they tell it.

use actix::Message;
use mcbp::Side;
use relay::Verdict;
use replica::bucket::{LinkDown, LinkId, LinkReport};
use replica::link::{Command, ControlFrame, OwnFrame, Snapshot, Ticket};

use super::gauges::Gauges;

/// A link reports to its bucket.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct FromLink {
    pub(crate) id: LinkId,
    pub(crate) report: LinkReport,
    /// With [`LinkReport::Up`]: what can be read of the link from now on.
    pub(crate) gauges: Option<Gauges>,
}

/// The consumer connection reports to its replicator. All of it comes on one way, so that nothing
/// overtakes: an end that came before the answer of the command that opened the stream would be
/// forgotten.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct FromConn(pub(super) LinkReport);

/// A command. It is answered by [`LinkReport::Answered`] with this ticket, or the link is over.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Run {
    pub(crate) ticket: Ticket,
    pub(crate) command: Command,
}

/// End this link, for a reason that only its bucket can see.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct GiveUp {
    /// Whose fault it is.
    pub(crate) side: Side,
    pub(crate) down: LinkDown,
}

/// The link is over: whoever gets this stops at once and reports nothing.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LinkOver;

/// Reads the machine of a link, at any time: it does not block.
#[derive(Message)]
#[rtype(result = "Option<Snapshot>")]
pub(crate) struct ReadLink;

/// The producer says this; it is forwarded after the answer.
#[derive(Message)]
#[rtype(result = "Verdict")]
pub(super) struct ProducerFrame(pub(super) ControlFrame);

/// Send this to the producer.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct SendOwn(pub(super) OwnFrame);

/// A connection of the link is lost, or its peer cannot be understood.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Faulted {
    pub(super) side: Side,
    pub(super) why: String,
}
