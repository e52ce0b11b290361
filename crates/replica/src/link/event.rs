//! The inputs of the machine: commands of its owner, control frames, passed deadlines, lost
//! connections.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use mcbp::{Opaque, Opcode, Seqno, Side, Status, StreamEndStatus, VbId, VbState};
use serde::Serialize;

use super::Deadline;

/// Identifies one command. The shell gives each command its own, and gets exactly one
/// [`Effect::Answer`](super::Effect::Answer) with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Ticket(pub u64);

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The commands of a link.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Command {
    /// Make the set of open streams equal to `wanted`: close the surplus ones and add the missing
    /// ones, all at once.
    SetupStreams {
        /// Every stream that must be open after the command.
        wanted: BTreeSet<VbId>,
        /// Those of them that are closed first if they are open, because they are stalled.
        reopen: BTreeSet<VbId>,
        /// Incomplete copies, with the seqno up to which each is complete. Each is rolled back to
        /// that seqno before its stream may open.
        incomplete: BTreeMap<VbId, Seqno>,
    },
    /// Add these streams and leave all others alone.
    AddStreams {
        /// The streams to add; an open one stays as it is.
        vbs: BTreeSet<VbId>,
    },
    /// Close these streams, on both sides, and leave all others alone.
    CloseStreams {
        /// The streams to close, also those not known to be open.
        vbs: BTreeSet<VbId>,
    },
    /// Take a vBucket over: it becomes active at the consumer and dead at the producer.
    Takeover {
        /// The vBucket to move.
        vb: VbId,
    },
    /// Close the consumer's streams and stop. Accepted in every phase.
    Shut,
}

impl Command {
    /// Returns the vBuckets whose streams the command asks the consumer to open.
    pub fn asks_for(&self) -> impl Iterator<Item = VbId> {
        let (set, one) = match self {
            Self::SetupStreams { wanted: vbs, .. } | Self::AddStreams { vbs } => (Some(vbs), None),
            Self::Takeover { vb } => (None, Some(*vb)),
            Self::CloseStreams { .. } | Self::Shut => (None, None),
        };
        set.into_iter().flatten().copied().chain(one)
    }

    /// Returns a set-up without stalled streams and incomplete copies.
    #[must_use]
    pub const fn set_up(wanted: BTreeSet<VbId>) -> Self {
        Self::SetupStreams { wanted, reopen: BTreeSet::new(), incomplete: BTreeMap::new() }
    }
}

/// An event other than a frame. For frames see [`ControlFrame`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// The owner gives a command.
    Command {
        /// The ticket of the answer.
        ticket: Ticket,
        /// The command.
        command: Command,
    },
    /// Data of the vBucket that is taken over has passed since its deadline was armed. Given right
    /// before that deadline passes; the frames themselves never reach the machine.
    DataPassed,
    /// An armed deadline has passed. Ignored if nothing waits for it.
    DeadlinePassed(Deadline),
    /// A connection was lost: end of file, an I/O error, or malformed framing.
    LinkLost {
        /// Whose connection.
        side: Side,
        /// The reason, for the operator; lowercase, no full stop.
        why: String,
    },
}

/// An error response that no rule of the machine needs: it does not answer a request of ours,
/// belongs to no known stream, and is no routine refusal of an option. The node that receives it
/// may close its connection because of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ErrorAnswer {
    /// Who answered.
    pub side: Side,
    /// What it answered.
    pub opcode: Opcode,
    /// The error.
    pub status: Status,
    /// The opaque of the request, or of the stream.
    pub opaque: Opaque,
}

impl fmt::Display for ErrorAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { side, opcode, status, opaque } = self;
        write!(f, "the {side} answered {opcode} with {status} ({:#04x}), opaque {opaque}", status.0)
    }
}

/// A control frame, given to the machine before it is forwarded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ControlFrame {
    /// Consumer to proxy: the answer to our ADD_STREAM.
    AddStreamResponse {
        /// The opaque of our request.
        opaque: Opaque,
        /// The status, usually that of the producer's answer to STREAM_REQ.
        status: Status,
    },
    /// Either side to proxy: the answer to our CLOSE_STREAM.
    CloseStreamResponse {
        /// Who answers.
        side: Side,
        /// The opaque of our request.
        opaque: Opaque,
        /// The outcome.
        status: Status,
    },
    /// Consumer to producer: a request for a stream.
    StreamReq {
        /// The vBucket.
        vb: VbId,
        /// The opaque that every frame of the stream will carry.
        opaque: Opaque,
        /// See [`mcbp::dcp::stream_flags`].
        flags: u32,
        /// The last seqno that the consumer has.
        start: Seqno,
    },
    /// Producer to consumer: the answer to STREAM_REQ.
    StreamReqResponse {
        /// The stream's opaque.
        opaque: Opaque,
        /// The status; [`Status::ROLLBACK`] is followed by a second STREAM_REQ.
        status: Status,
    },
    /// Consumer to producer: a frame of a stream was refused.
    DataRefused {
        /// The stream's opaque.
        opaque: Opaque,
        /// What was refused.
        opcode: Opcode,
        /// Why.
        status: Status,
    },
    /// Either side: any other error response.
    ErrorAnswer(ErrorAnswer),
    /// Consumer to proxy or producer: the answer to a NOOP.
    NoopResponse {
        /// The opaque of the NOOP.
        opaque: Opaque,
    },
    /// Producer to consumer: a stream has ended.
    StreamEnd {
        /// The vBucket, which identifies the stream.
        vb: VbId,
        /// The stream's opaque, which identifies the end of an older stream of this vBucket.
        opaque: Opaque,
        /// Why.
        status: StreamEndStatus,
    },
    /// Producer to consumer, in a takeover: the order to take a state.
    SetVbucketState {
        /// The vBucket.
        vb: VbId,
        /// The stream's opaque.
        opaque: Opaque,
        /// The state to take.
        state: VbState,
    },
    /// Consumer to producer: the answer to SET_VBUCKET_STATE.
    SetVbucketStateResponse {
        /// The opaque of the request.
        opaque: Opaque,
        /// The outcome.
        status: Status,
    },
}
