//! A stream that is being closed, and what an answer to CLOSE_STREAM means.

use mcbp::{Opaque, Status};

use super::attempt::AddPlan;
use super::stream::Stream;
use super::{Reason, Side, Step, VbError};

/// A stream that is being closed.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Closing {
    /// The opaque of our CLOSE_STREAM, the same on both sides.
    pub(super) attempt: Opaque,
    /// The stream, while it is neither closed nor ended.
    pub(super) stream: Option<Stream>,
    pub(super) consumer: Answer,
    pub(super) producer: Answer,
    /// What to add once it is closed.
    pub(super) then: Option<AddPlan>,
    /// What the consumer refused meanwhile: nothing is added on top of that.
    pub(super) refused: Option<VbError>,
}

/// What one side has said to CLOSE_STREAM.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Answer {
    Awaited,
    Closed,
    Refused(Status),
}

impl Answer {
    pub(super) const fn from_status(status: Status) -> Self {
        if means_closed(status) { Self::Closed } else { Self::Refused(status) }
    }

    /// Why the stream may still be there on this side.
    pub(super) const fn reason(self) -> Option<Reason> {
        match self {
            Self::Awaited => Some(Reason::Deadline(Step::CloseStream)),
            Self::Closed => None,
            Self::Refused(status) => Some(Reason::Refused { step: Step::CloseStream, status }),
        }
    }
}

impl Closing {
    /// Who is to blame when nothing more happens.
    pub(super) fn awaited(&self) -> Side {
        if self.consumer == Answer::Awaited { Side::Consumer } else { Side::Producer }
    }
}

/// Whether an answer to CLOSE_STREAM means that there is no stream now (MB-15926): a producer says
/// KEY_ENOENT where there was none, a consumer that speaks v7 codes DCP_STREAM_NOT_FOUND.
pub(super) const fn means_closed(status: Status) -> bool {
    matches!(status, Status::SUCCESS) || was_none(status)
}

/// Whether an answer to CLOSE_STREAM means that there was no stream before it either.
pub(super) const fn was_none(status: Status) -> bool {
    matches!(status, Status::KEY_ENOENT | Status::DCP_STREAM_NOT_FOUND)
}
