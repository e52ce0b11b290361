//! A response, taken apart without copying, and what it is when it says no.

use bytes::Bytes;
use mcbp::{Datatype, Frame, FrameError, Opaque, Opcode, Status};

use crate::{Fault, Step};

/// How much of a peer's error text goes into a message.
const ERROR_TEXT_CHARS: usize = 200;

/// A whole response. The parts share one allocation with what was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// What was asked.
    pub opcode: Opcode,
    /// The outcome.
    pub status: Status,
    /// What the value is.
    pub datatype: Datatype,
    /// The CAS of the document, 0 where the response is about none.
    pub cas: u64,
    /// Extras, laid out by opcode.
    pub extras: Bytes,
    /// Key.
    pub key: Bytes,
    /// Value; of an error often empty, else text or JSON.
    pub value: Bytes,
    frame: Bytes,
}

impl Response {
    /// Takes `frame`, which must be the response of `step` to the request with `opaque`.
    pub(crate) fn of(frame: Bytes, step: Step, opaque: Opaque) -> Result<Self, Fault> {
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

    /// This response if its status is success.
    pub(crate) fn accepted(self) -> Result<Self, Fault> {
        if self.status.is_success() { Ok(self) } else { Err(self.refusal()) }
    }

    /// The fault that a response with an error status is.
    pub(crate) fn refusal(&self) -> Fault {
        Fault::Refused { step: self.step(), status: self.status, text: shown(&self.value) }
    }

    /// What a decoder of [`mcbp`] makes of the frame.
    pub(crate) fn decode<T>(
        &self,
        decoder: impl FnOnce(&Frame<'_>) -> Result<T, FrameError>,
    ) -> Result<T, Fault> {
        let step = self.step();
        decoder(&parse(&self.frame, step)?).map_err(|source| Fault::Garbage { step, source })
    }

    /// The request that this answers.
    const fn step(&self) -> Step {
        Step::Request(self.opcode)
    }
}

/// Parses a whole frame.
pub(crate) fn parse(frame: &[u8], step: Step) -> Result<Frame<'_>, Fault> {
    Frame::parse(frame).map_err(|source| Fault::Garbage { step, source })
}

/// Parses a whole frame, which must be the response of `step` to the request with `opaque`.
pub(crate) fn answering(frame: &[u8], step: Step, opaque: Opaque) -> Result<Frame<'_>, Fault> {
    let frame = parse(frame, step)?;
    let right_opcode = step == Step::Request(frame.opcode());
    if frame.header.is_request() || !right_opcode || frame.header.opaque != opaque {
        return Err(Fault::Unexpected { step, opcode: frame.opcode() });
    }
    Ok(frame)
}

/// A peer's text as a message may hold it: one line, and not too long.
pub(crate) fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars().filter(|c| !c.is_control()).take(ERROR_TEXT_CHARS).collect()
}
