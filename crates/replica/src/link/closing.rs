//! A stream that is being closed, and what an answer to CLOSE_STREAM means.

use mcbp::{Opaque, Status};

use super::attempt::AddPlan;
use super::stream::Stream;
use super::{LinkStep, Reason, Side, VbError};

/// A stream that is being closed.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Closing {
    /// The opaque of our CLOSE_STREAM, the same on both sides.
    pub(super) attempt: Opaque,
    /// The stream, until it is closed or has ended.
    pub(super) stream: Option<Stream>,
    pub(super) consumer: Answer,
    pub(super) producer: Answer,
    /// What to add after it is closed.
    pub(super) then: Option<AddPlan>,
    /// The refusal of the consumer that came meanwhile: then nothing is added.
    pub(super) refused: Option<VbError>,
}

/// The answer of one side to CLOSE_STREAM.
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

    /// Returns why the stream may still exist on this side.
    pub(super) const fn reason(self) -> Option<Reason> {
        match self {
            Self::Awaited => Some(Reason::Deadline(LinkStep::CloseStream)),
            Self::Closed => None,
            Self::Refused(status) => Some(Reason::Refused { step: LinkStep::CloseStream, status }),
        }
    }
}

impl Closing {
    /// Returns the side that is waited for, which an error names.
    pub(super) fn awaited(&self) -> Side {
        if self.consumer == Answer::Awaited { Side::Consumer } else { Side::Producer }
    }
}

/// Whether an answer to CLOSE_STREAM means that no stream exists now (MB-15926). Without such a
/// stream a producer answers KEY_ENOENT, and a consumer with v7 status codes DCP_STREAM_NOT_FOUND.
pub(super) const fn means_closed(status: Status) -> bool {
    matches!(status, Status::SUCCESS) || was_none(status)
}

/// Whether an answer to CLOSE_STREAM means that no stream existed before it either.
pub(super) const fn was_none(status: Status) -> bool {
    matches!(status, Status::KEY_ENOENT | Status::DCP_STREAM_NOT_FOUND)
}
