//! What a consumer machine wants done, and why it may fail.

use std::fmt;

use mcbp::dcp::FailoverEntry;
use mcbp::{Opaque, Opcode, Seqno, Status, VbId, VbState};

use super::Part;

/// What is to be done, in order.
pub type Effects = Vec<Effect>;

/// What the shell has to do. Each carries the opaque of its stream. The event that ends it repeats
/// the opaque, so that an event for an older stream is recognised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Give [`super::Event::Changed`] now and whenever the vBucket's state changes.
    Watch(VbId),
    /// The stream has ended: no more changes of the vBucket are of interest.
    Unwatch(VbId),
    /// Roll the vBucket back to this seqno, then give [`super::Event::RolledBack`].
    Rollback(VbId, Opaque, Seqno),
    /// Replace the failover table by the producer's, synced, then give
    /// [`super::Event::HistoryTaken`].
    TakeHistory(VbId, Opaque, Vec<FailoverEntry>),
    /// Write these in order, wait until they are durable, then give [`super::Event::Applied`].
    ///
    /// The first part must follow directly on the given seqno, and each part on the one before it.
    /// Where it does not, nothing more may be written, because that would leave a gap.
    Apply(VbId, Opaque, Seqno, Vec<Part>),
    /// Change the state, synced, then give [`super::Event::StateSet`].
    SetState(VbId, Opaque, VbState),
    /// Log why a stream ended or was not opened.
    Note(VbId, String),
    /// Log that a frame was refused and its stream ended: once for each stream.
    Refused(VbId, Refused),
    /// Close the connection once the output is written; holds the reason for the log.
    Close(String),
}

/// The frame that ended its stream because it could not be stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The opcode of the frame.
    pub opcode: Opcode,
    /// The seqno that the frame carries, where it carries one.
    pub seqno: Option<Seqno>,
    /// The newest seqno before it: nothing after that one is written.
    pub last_seqno: Seqno,
    /// The status of the answer to the producer.
    pub status: Status,
    /// The reason, as text.
    pub reason: String,
}

impl fmt::Display for Refused {
    /// As the fields of a log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { opcode, seqno, last_seqno, status, reason } = self;
        write!(f, "opcode={opcode} ")?;
        if let Some(seqno) = seqno {
            write!(f, "seqno={seqno} ")?;
        }
        write!(f, "last_seqno={last_seqno} status={status} reason={reason:?}")
    }
}

/// Why an effect failed. It ends its stream; the others continue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The vBucket was removed, or is neither replica nor pending.
    NotReplica,
    /// Any other cause, as text.
    Other(String),
}
