//! One attempt to add a stream: its plan, and the side that acts next.

use mcbp::dcp::stream_flags;
use mcbp::{Opaque, Status, VbId};

use super::stream::Request;
use super::{Deadline, LinkStep, Reason, Side, VbError};

/// A stream that is being added.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Adding {
    /// The opaque of our ADD_STREAM.
    pub(super) attempt: Opaque,
    /// The STREAM_REQ of the stream, once seen.
    pub(super) request: Option<Request>,
    pub(super) phase: AddPhase,
    /// The number of ROLLBACK answers to its STREAM_REQ.
    pub(super) rollbacks: u8,
    /// Whether the producer ended the stream with Ok: all data was sent, and only the answer to
    /// ADD_STREAM is pending.
    pub(super) finished: bool,
    pub(super) plan: AddPlan,
}

/// The plan of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct AddPlan {
    pub(super) flags: u32,
    /// Whether a left-over stream was closed for it already. A second time would be a loop
    /// (MB-9343).
    pub(super) retried: bool,
}

/// The phase of an attempt, by the side that acts next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum AddPhase {
    /// The consumer, which sends STREAM_REQ.
    Adding,
    /// The producer, which answers STREAM_REQ.
    Requested,
    /// The consumer, which rolls back and repeats its STREAM_REQ. Nodes roll back one vBucket at a
    /// time; the number is the position in that queue, counted over the life of the link.
    RollingBack(u32),
    /// The consumer, which answers ADD_STREAM.
    Accepted,
    /// The consumer too, but its answer may never come: the producer refused the stream, or it was
    /// refused in the producer's place with ROLLBACK, after too many rollbacks.
    Refused(Status),
    /// As [`Self::Refused`], in the producer's place: the incomplete copy is rolled back.
    RolledBack,
}

impl AddPlan {
    pub(super) const REPLICATE: Self = Self { flags: 0, retried: false };
    pub(super) const TAKEOVER: Self = Self { flags: stream_flags::TAKEOVER, retried: false };

    const fn is_takeover(self) -> bool {
        self.flags & stream_flags::TAKEOVER != 0
    }
}

impl AddPhase {
    /// Returns the status with which the stream was refused, if it was. The answer to ADD_STREAM is
    /// then due at once, and may never come.
    pub(super) const fn refusal(self) -> Option<Status> {
        match self {
            Self::Refused(status) => Some(status),
            Self::RolledBack => Some(Status::ETMPFAIL),
            _ => None,
        }
    }

    pub(super) const fn is_refusal(self) -> bool {
        self.refusal().is_some()
    }
}

impl Adding {
    /// Returns the deadline of a takeover's attempt, which it shares with no other attempt.
    pub(super) fn takeover_deadline(&self) -> Option<Deadline> {
        let deadline = Deadline { step: LinkStep::Takeover, opaque: self.attempt };
        self.plan.is_takeover().then_some(deadline)
    }

    pub(super) fn opaque(&self) -> Option<Opaque> {
        self.request.map(|request| request.opaque)
    }

    /// Returns the side that is waited for, which an error names.
    pub(super) const fn awaited(&self) -> Side {
        match self.phase {
            AddPhase::Adding
            | AddPhase::Accepted
            | AddPhase::RollingBack(_)
            | AddPhase::RolledBack => Side::Consumer,
            AddPhase::Requested | AddPhase::Refused(_) => Side::Producer,
        }
    }

    pub(super) const fn refused(&self, vb: VbId, status: Status) -> VbError {
        let side = match self.phase {
            AddPhase::Refused(_) => Side::Producer,
            _ => Side::Consumer,
        };
        VbError { vb, side, reason: Reason::Refused { step: LinkStep::AddStream, status } }
    }
}
