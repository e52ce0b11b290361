//! What the machine wants done. The shell carries it out in order and decides nothing.

use bytes::Bytes;
use logline::value;
use mcbp::dcp::{AddStream, SetVbucketState};
use mcbp::{FrameBuilder, Opaque, Opcode, Seqno, Status, StreamEndStatus, VbId, VbState};

use super::{Deadline, ErrorAnswer, Outcome, Side, StopReason, Ticket, VbError};

/// The effects of one event, to be carried out in this order.
pub type Effects = Vec<Effect>;

/// Whether a control frame is passed on. Applies after the effects that came with it are carried
/// out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[must_use = "a pump waits for this"]
pub enum Verdict {
    /// Pass the frame on to the other side.
    Forward,
    /// Drop the frame: the other side never sees it.
    Withhold,
}

/// One effect.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Effect {
    /// Send a frame of our own to one side, between whole frames.
    Send(Side, OwnFrame),
    /// Give the event [`DeadlinePassed`](super::Event::DeadlinePassed) after the time that
    /// [`StepLimits`](super::StepLimits) names for its step. A deadline is never disarmed: the
    /// machine ignores one that nothing waits for.
    Arm(Deadline),
    /// Answer a command. Every ticket gets exactly one answer.
    Answer(Ticket, Outcome),
    /// An open stream ended without a command that asked for it. The owner decides when to add it
    /// again.
    Ended(VbError),
    /// The consumer's copy is complete only up to this seqno: it refused a row and may have taken
    /// later ones. The owner must keep this beyond the link, and pass it in with the next set-up.
    Incomplete(VbId, Seqno),
    /// The consumer's copy has no gap any more.
    Complete(VbId),
    /// A stream opened in a set-up that may take long, because others roll back. The answer
    /// includes the stream too.
    Opened(VbId),
    /// A deadline passed and was extended, because the link made progress since it was armed.
    Progress,
    /// Log this line.
    Note(Note),
    /// The machine has stopped: drop both connections. Comes exactly once.
    Stop(StopReason),
}

/// A frame that the sidecar itself sends.
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
    /// To the consumer, in the producer's place: the answer ROLLBACK to its STREAM_REQ.
    Rollback {
        /// The stream's opaque.
        opaque: Opaque,
        /// The seqno up to which its copy is complete.
        to: Seqno,
    },
    /// To the consumer, in the producer's place: the answer ETMPFAIL to its STREAM_REQ.
    RefuseRequest {
        /// The stream's opaque.
        opaque: Opaque,
    },
    /// To the consumer, which answers it after every frame that was sent before it.
    Noop {
        /// Unique to this attempt.
        opaque: Opaque,
    },
    /// To the consumer: the producer's order to take a state, which was withheld before.
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
    /// Returns the encoded frame.
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

/// An event that is logged and needs no action.
#[derive(Clone, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Note {
    /// An answer to a frame of ours that nothing waits for any more. Withheld.
    #[error("late answer withheld side={side} opaque={opaque} status={status}")]
    LateAnswer {
        /// Who answered.
        side: Side,
        /// The opaque of our request.
        opaque: Opaque,
        /// Its status.
        status: Status,
    },
    /// An answer carries an opaque that we never sent. Withheld.
    #[error("answer to an unknown request withheld side={side} opaque={opaque} status={status}")]
    StrayAnswer {
        /// Who answered.
        side: Side,
        /// The opaque.
        opaque: Opaque,
        /// Its status.
        status: Status,
    },
    /// A STREAM_END of an older stream of its vBucket. Forwarded; no effect on the newer stream.
    #[error("stale stream end vb={} opaque={opaque} status={status}", .vb.0)]
    StaleEnd {
        /// The vBucket.
        vb: VbId,
        /// The opaque of the older stream.
        opaque: Opaque,
        /// Its status.
        status: StreamEndStatus,
    },
    /// A STREAM_END with status Ok came before the answer to ADD_STREAM, which is still pending.
    #[error("stream finished before it was acknowledged vb={} opaque={opaque}", .vb.0)]
    FinishedEarly {
        /// The vBucket.
        vb: VbId,
        /// The stream's opaque.
        opaque: Opaque,
    },
    /// ADD_STREAM was refused because of a left-over stream, which is closed before one more
    /// attempt.
    #[error("left-over stream closed and added once more vb={}", .vb.0)]
    LeftOver {
        /// The vBucket.
        vb: VbId,
    },
    /// The producer asked the consumer to roll back and to repeat its STREAM_REQ. Once or twice is
    /// normal; see [`Breaker`](crate::breaker::Breaker) for more.
    #[error("rollback requested vb={} opaque={opaque}", .vb.0)]
    RollbackAsked {
        /// The vBucket.
        vb: VbId,
        /// The stream's opaque.
        opaque: Opaque,
    },
    /// The consumer has rolled back and repeats its STREAM_REQ: its stream may be closed like any
    /// other.
    #[error("rollback finished vb={} opaque={opaque}", .vb.0)]
    RollbackOver {
        /// The vBucket.
        vb: VbId,
        /// The stream's opaque.
        opaque: Opaque,
        /// The last seqno that the consumer had before.
        from: Seqno,
        /// The last one that it has.
        to: Seqno,
    },
    /// A STREAM_REQ passed for a vBucket without an ADD_STREAM.
    #[error("stream request without an add-stream vb={} opaque={opaque}", .vb.0)]
    UnexpectedRequest {
        /// The vBucket.
        vb: VbId,
        /// The stream's opaque.
        opaque: Opaque,
    },
    /// A consumer refused a frame of an unknown stream, or a node answered a request of the other
    /// one with an error. Forwarded. Comes once for each side, opcode and status.
    #[error(
        "error answer forwarded side={} opcode={} opaque={} status={}",
        .0.side, .0.opcode, .0.opaque, .0.status
    )]
    ErrorAnswer(ErrorAnswer),
    /// A SET_VBUCKET_STATE passed outside of a takeover of its vBucket, which may have moved
    /// although its takeover was given up.
    #[error("vbucket state change outside of a takeover vb={} state={state}", .vb.0)]
    UnexpectedState {
        /// The vBucket.
        vb: VbId,
        /// The ordered state.
        state: VbState,
    },
    /// A connection was lost while the link was shutting down.
    #[error("connection lost during shutdown side={side} reason={}", value(.why))]
    LostInShut {
        /// Whose connection.
        side: Side,
        /// What was seen.
        why: String,
    },
}
