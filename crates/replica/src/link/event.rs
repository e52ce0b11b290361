//! What the machine is told: commands of its owner, control frames, the passing of time, losses.

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

/// What the owner of a link asks for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Command {
    /// Make the open set equal to `wanted`: close what is too much, add what is missing, at once.
    SetupStreams {
        /// Every stream that shall be open afterwards.
        wanted: BTreeSet<VbId>,
        /// Those of them that are closed first where they are open: they stand still.
        reopen: BTreeSet<VbId>,
        /// Copies that are known to be incomplete, with the seqno up to which each is complete.
        /// Each is rolled back to there before its stream may open.
        incomplete: BTreeMap<VbId, Seqno>,
    },
    /// Add these streams and leave all others alone.
    AddStreams {
        /// The streams to add; one that is open already stays as it is.
        vbs: BTreeSet<VbId>,
    },
    /// Close these streams, on both sides, and leave all others alone.
    CloseStreams {
        /// The streams to close. One that is not known to be open is closed all the same.
        vbs: BTreeSet<VbId>,
    },
    /// Move a vBucket: it ends active at the consumer and dead at the producer.
    Takeover {
        /// The vBucket to move.
        vb: VbId,
    },
    /// Close the consumer's streams and come to an end. Accepted in every phase.
    Shut,
}

impl Command {
    /// The vBuckets of which it asks the consumer to have a stream.
    pub fn asks_for(&self) -> impl Iterator<Item = VbId> {
        let (set, one) = match self {
            Self::SetupStreams { wanted: vbs, .. } | Self::AddStreams { vbs } => (Some(vbs), None),
            Self::Takeover { vb } => (None, Some(*vb)),
            Self::CloseStreams { .. } | Self::Shut => (None, None),
        };
        set.into_iter().flatten().copied().chain(one)
    }

    /// A set-up of streams of which nothing bad is known.
    #[must_use]
    pub const fn set_up(wanted: BTreeSet<VbId>) -> Self {
        Self::SetupStreams { wanted, reopen: BTreeSet::new(), incomplete: BTreeMap::new() }
    }
}

/// What happened, other than a frame. For frames see [`ControlFrame`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// The owner asks for something.
    Command {
        /// Who is to be answered.
        ticket: Ticket,
        /// What is asked for.
        command: Command,
    },
    /// Data of the vBucket that is taken over has passed since its deadline was armed. Told right
    /// before that deadline passes; the frames themselves pass unseen.
    DataPassed,
    /// A deadline that was armed has passed. One that nothing waits for any more does nothing.
    DeadlinePassed(Deadline),
    /// A connection is gone: end of file, an error, or a peer that broke the framing.
    LinkLost {
        /// Whose connection.
        side: Side,
        /// What was seen, for the operator; lowercase, no full stop.
        why: String,
    },
}

/// A control frame that passes through, told before it is forwarded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ControlFrame {
    /// Consumer to proxy: the answer to our ADD_STREAM.
    AddStreamResponse {
        /// The opaque of our request.
        opaque: Opaque,
        /// The outcome, as a rule the producer's answer to STREAM_REQ.
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
    /// Consumer to producer: a stream is asked for.
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
        /// The outcome; [`Status::ROLLBACK`] is followed by a second STREAM_REQ.
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
    /// Consumer to proxy or producer: the answer to a NOOP.
    NoopResponse {
        /// The opaque of the NOOP.
        opaque: Opaque,
    },
    /// Producer to consumer: a stream has ended.
    StreamEnd {
        /// The vBucket; this, and not the opaque, says which stream.
        vb: VbId,
        /// The stream's opaque; tells the end of an older stream of this vBucket.
        opaque: Opaque,
        /// Why.
        status: StreamEndStatus,
    },
    /// Producer to consumer, in a takeover: take this state.
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
