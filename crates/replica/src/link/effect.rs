//! What the machine wants done. The shell carries it out, in order, and adds no rule of its own.

use bytes::Bytes;
use mcbp::dcp::{AddStream, SetVbucketState};
use mcbp::{FrameBuilder, Opaque, Opcode, Seqno, Status, StreamEndStatus, VbId, VbState};

use super::{Deadline, Outcome, Side, StopReason, Ticket, VbError};

/// What one event leads to, to be carried out in this order.
pub type Effects = Vec<Effect>;

/// What becomes of a control frame after the effects that came with it were carried out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[must_use = "a pump waits for this"]
pub enum Verdict {
    /// Pass it on to the other side.
    Forward,
    /// Drop it: the other side never sees it.
    Withhold,
}

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Effect {
    /// Send a frame of our own to one side, between whole frames.
    Send(Side, OwnFrame),
    /// Give the event [`DeadlinePassed`](super::Event::DeadlinePassed) after the time that
    /// [`StepLimits`](super::StepLimits) names for its step. There is no disarming: late is harmless.
    Arm(Deadline),
    /// Answer a command. Every ticket gets exactly one answer.
    Answer(Ticket, Outcome),
    /// An open stream is gone without any command that asked for it: tell the owner, who heals it.
    Ended(VbError),
    /// The consumer's copy is complete only up to this seqno: it refused a row and may have taken
    /// later ones. Remember it beyond this link, and give it back with the next set-up.
    Incomplete(VbId, Seqno),
    /// The consumer's copy has no gap any more.
    Complete(VbId),
    /// A stream is open of a set-up that still runs, and that may take long: others roll back. The
    /// answer says so too.
    Opened(VbId),
    /// A deadline passed, and is extended because the link made progress since it was armed.
    Progress,
    /// Log this.
    Note(Note),
    /// The machine has come to its end: drop both connections. Comes exactly once.
    Stop(StopReason),
}

/// A frame that the proxy sends for itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OwnFrame {
    /// To the consumer: add a stream.
    AddStream {
        /// The vBucket.
        vb: VbId,
        /// Unique to this attempt.
        opaque: Opaque,
        /// See [`mcbp::dcp::stream_flags`].
        flags: u32,
    },
    /// To either side: close a stream.
    CloseStream {
        /// The vBucket.
        vb: VbId,
        /// Unique to this attempt; the same on both sides.
        opaque: Opaque,
    },
    /// To the consumer, in the producer's place: its STREAM_REQ is answered with ROLLBACK.
    Rollback {
        /// The stream's opaque.
        opaque: Opaque,
        /// Up to where its copy is complete.
        to: Seqno,
    },
    /// To the consumer, in the producer's place: its STREAM_REQ is answered with ETMPFAIL.
    RefuseRequest {
        /// The stream's opaque.
        opaque: Opaque,
    },
    /// To the consumer: it answers this after everything that was sent to it before.
    Noop {
        /// Unique to this attempt.
        opaque: Opaque,
    },
    /// To the consumer: the producer's order, which was withheld until now.
    SetVbucketState {
        /// The vBucket.
        vb: VbId,
        /// The stream's opaque.
        opaque: Opaque,
        /// The state to take.
        state: VbState,
    },
}

impl OwnFrame {
    /// The frame as it goes out.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        match *self {
            Self::AddStream { vb, opaque, flags } => {
                let mut out = bytes::BytesMut::new();
                AddStream { flags }.write(vb, opaque, &mut out);
                out.freeze()
            }
            Self::CloseStream { vb, opaque } => {
                FrameBuilder::request(Opcode::DCP_CLOSE_STREAM).vbucket(vb).opaque(opaque).build()
            }
            Self::Rollback { opaque, to } => {
                let answer = FrameBuilder::response(Opcode::DCP_STREAM_REQ, Status::ROLLBACK);
                answer.opaque(opaque).value(&to.0.to_be_bytes()).build()
            }
            Self::RefuseRequest { opaque } => {
                let answer = FrameBuilder::response(Opcode::DCP_STREAM_REQ, Status::ETMPFAIL);
                answer.opaque(opaque).build()
            }
            Self::Noop { opaque } => FrameBuilder::request(Opcode::DCP_NOOP).opaque(opaque).build(),
            Self::SetVbucketState { vb, opaque, state } => {
                let mut out = bytes::BytesMut::new();
                SetVbucketState { state }.write(vb, opaque, &mut out);
                out.freeze()
            }
        }
    }
}

/// Something worth a line in the log that needs nobody to act.
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Note {
    /// An answer to a frame of ours came after nobody waited for it. Withheld.
    #[error("late answer from {side} withheld opaque={opaque} status={status}")]
    LateAnswer {
        /// Who answered.
        side: Side,
        /// The opaque of our request.
        opaque: Opaque,
        /// What it said.
        status: Status,
    },
    /// An answer carries an opaque that we never sent. Withheld.
    #[error("answer from {side} to a request never made withheld opaque={opaque} status={status}")]
    StrayAnswer {
        /// Who answered.
        side: Side,
        /// The unknown opaque.
        opaque: Opaque,
        /// What it said.
        status: Status,
    },
    /// A STREAM_END belongs to an older stream of its vBucket. Forwarded, no effect.
    #[error("stale stream end {vb} opaque={opaque} status={status}")]
    StaleEnd {
        /// The vBucket.
        vb: VbId,
        /// The opaque of the older stream.
        opaque: Opaque,
        /// What it said.
        status: StreamEndStatus,
    },
    /// A vBucket ended with status Ok while it was being added: the answer is still awaited.
    #[error("stream finished before it was acknowledged {vb} opaque={opaque}")]
    FinishedEarly {
        /// The vBucket.
        vb: VbId,
        /// The stream's opaque.
        opaque: Opaque,
    },
    /// ADD_STREAM was refused because a stream is left over: it is closed and added once more.
    #[error("left-over stream {vb}: closing it and adding once more")]
    LeftOver {
        /// The vBucket.
        vb: VbId,
    },
    /// The producer wants the consumer to roll back and to ask again. Once or twice is normal; see
    /// [`Breaker`](crate::breaker::Breaker) for more.
    #[error("rollback asked for {vb} opaque={opaque}")]
    RollbackAsked {
        /// The vBucket.
        vb: VbId,
        /// The stream's opaque.
        opaque: Opaque,
    },
    /// The consumer has rolled back, and asks again: its stream may be closed like any other.
    #[error("rollback over for {vb} opaque={opaque}")]
    RollbackOver {
        /// The vBucket.
        vb: VbId,
        /// The stream's opaque.
        opaque: Opaque,
    },
    /// A STREAM_REQ passed for a vBucket that nobody is adding.
    #[error("stream request that nobody asked for {vb} opaque={opaque}")]
    UnexpectedRequest {
        /// The vBucket.
        vb: VbId,
        /// The stream's opaque.
        opaque: Opaque,
    },
    /// A consumer refused a frame of a stream that is not known here. Forwarded.
    #[error("consumer refused {opcode} of an unknown stream opaque={opaque} status={status}")]
    UnknownRefusal {
        /// The opaque of the stream.
        opaque: Opaque,
        /// What was refused.
        opcode: Opcode,
        /// Why.
        status: Status,
    },
    /// A SET_VBUCKET_STATE passed outside of a takeover of its vBucket: the vBucket may have moved
    /// although its takeover was given up.
    #[error("vbucket state change outside of a takeover {vb} state={state}")]
    UnexpectedState {
        /// The vBucket.
        vb: VbId,
        /// The state it is told to take.
        state: VbState,
    },
    /// A connection was lost while the link was shutting down.
    #[error("{side} lost while shutting down: {why}")]
    LostInShut {
        /// Whose connection.
        side: Side,
        /// What was seen.
        why: String,
    },
}
