//! A response, taken apart without copying.

use bytes::Bytes;
use mcbp::{Datatype, Frame, Opcode, Status};

use crate::Fault;
use crate::exchange::{parse, refused, step_of};

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
    pub(crate) fn new(frame: Bytes) -> Result<Self, Fault> {
        let parsed = parse(&frame, step_of(&frame))?;
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
        if self.status.is_success() { Ok(self) } else { Err(refused(&self.frame()?)) }
    }

    /// A borrowed view of the frame, for the decoders of [`mcbp`].
    pub(crate) fn frame(&self) -> Result<Frame<'_>, Fault> {
        parse(&self.frame, step_of(&self.frame))
    }
}
