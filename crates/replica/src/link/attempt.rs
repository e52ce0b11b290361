//! One attempt to add a stream: how it was asked for, and who moves next.

use mcbp::dcp::stream_flags;
use mcbp::{Opaque, Status, VbId};

use super::stream::Request;
use super::{Deadline, Reason, Side, Step, VbError};

/// A stream that is being added.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Adding {
    /// The opaque of our ADD_STREAM.
    pub(super) attempt: Opaque,
    /// The stream's STREAM_REQ, once one was seen.
    pub(super) request: Option<Request>,
    pub(super) phase: AddPhase,
    /// How often its STREAM_REQ was answered ROLLBACK.
    pub(super) rollbacks: u8,
    /// The producer has ended the stream with Ok: it has sent everything, and the answer to
    /// ADD_STREAM is merely late.
    pub(super) finished: bool,
    pub(super) plan: AddPlan,
}

/// How a stream is to be added.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct AddPlan {
    pub(super) flags: u32,
    /// Whether a left-over stream was closed for it already: once is enough (MB-9343).
    pub(super) retried: bool,
}

/// Who moves next while a stream is being added.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum AddPhase {
    /// The consumer: it has to ask for the stream.
    Adding,
    /// The producer: it has to answer STREAM_REQ.
    Requested,
    /// The consumer: it has to roll back and ask again. Nodes roll back one vBucket after the
    /// other; the number is the place in that line, counted over the life of the link.
    RollingBack(u32),
    /// The consumer: it has to answer ADD_STREAM.
    Accepted,
    /// The consumer as well, but it may never do so: the producer has refused, or it was refused in
    /// the producer's place with ROLLBACK, having been asked for too many.
    Refused(Status),
    /// The same, and it was refused in the producer's place: the incomplete copy is rolled back.
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
    /// With what the stream was refused: the answer to ADD_STREAM is due at once, and may never
    /// come.
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
    /// The deadline of a takeover's attempt, which is its own.
    pub(super) fn takeover_deadline(&self) -> Option<Deadline> {
        let deadline = Deadline { step: Step::Takeover, opaque: self.attempt };
        self.plan.is_takeover().then_some(deadline)
    }

    pub(super) fn opaque(&self) -> Option<Opaque> {
        self.request.map(|request| request.opaque)
    }

    /// Who is to blame when nothing more happens.
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
        VbError { vb, side, reason: Reason::Refused { step: Step::AddStream, status } }
    }
}
