//! A response, split into its parts without copying, and the fault if its status is an error.

use bytes::Bytes;
use mcbp::{Datatype, Frame, FrameError, Opaque, Opcode, Status};

use crate::{ConnectionStep, Fault};

/// How much of a peer's error text goes into a message.
const ERROR_TEXT_CHARS: usize = 200;

/// A whole response. The parts share one allocation with what was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// The opcode of the request.
    pub opcode: Opcode,
    /// The status.
    pub status: Status,
    /// The datatype of the value.
    pub datatype: Datatype,
    /// The CAS of the document; 0 if the response is not about a document.
    pub cas: u64,
    /// Extras, laid out by opcode.
    pub extras: Bytes,
    /// Key.
    pub key: Bytes,
    /// Value; with an error status empty, text or JSON.
    pub value: Bytes,
    frame: Bytes,
}

impl Response {
    /// Checks that `frame` is the response of `step` to the request with `opaque`.
    pub(crate) fn of(frame: Bytes, step: ConnectionStep, opaque: Opaque) -> Result<Self, Fault> {
        let parsed = answering(&frame, step, opaque)?;
        Ok(Self {
            opcode: parsed.opcode(),
            status: parsed.header.status(),
            datatype: parsed.header.datatype,
            cas: parsed.header.cas,
            extras: frame.slice_ref(parsed.extras),
            key: frame.slice_ref(parsed.key),
            value: frame.slice_ref(parsed.value),
            frame,
        })
    }

    /// Returns this response if its status is success.
    pub(crate) fn accepted(self) -> Result<Self, Fault> {
        if self.status.is_success() { Ok(self) } else { Err(self.refusal()) }
    }

    /// The fault for this response, which has an error status.
    pub(crate) fn refusal(&self) -> Fault {
        Fault::Refused { step: self.step(), status: self.status, text: shown(&self.value) }
    }

    /// Decodes the frame with a decoder of [`mcbp`].
    pub(crate) fn decode<T>(
        &self,
        decoder: impl FnOnce(&Frame<'_>) -> Result<T, FrameError>,
    ) -> Result<T, Fault> {
        let step = self.step();
        decoder(&parse(&self.frame, step)?).map_err(|source| Fault::Garbage { step, source })
    }

    /// The request, as error messages name it.
    const fn step(&self) -> ConnectionStep {
        ConnectionStep::Request(self.opcode)
    }
}

/// Parses a whole frame.
pub(crate) fn parse(frame: &[u8], step: ConnectionStep) -> Result<Frame<'_>, Fault> {
    Frame::parse(frame).map_err(|source| Fault::Garbage { step, source })
}

/// Parses a whole frame, which must be the response of `step` to the request with `opaque`.
pub(crate) fn answering(
    frame: &[u8],
    step: ConnectionStep,
    opaque: Opaque,
) -> Result<Frame<'_>, Fault> {
    let frame = parse(frame, step)?;
    let right_opcode = step == ConnectionStep::Request(frame.opcode());
    if frame.header.is_request() || !right_opcode || frame.header.opaque != opaque {
        return Err(Fault::Unexpected { step, opcode: frame.opcode() });
    }
    Ok(frame)
}

/// Returns a peer's text for a message: one line of at most [`ERROR_TEXT_CHARS`].
pub(crate) fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars().filter(|c| !c.is_control()).take(ERROR_TEXT_CHARS).collect()
}
