//! The answers of a consumer to requests of the proxy and of the producer.

use bytes::BytesMut;
use mcbp::{Frame, FrameBuilder, Opaque, Opcode, Status};

use super::counter::number;

/// Answers a request with nothing but a status.
pub(super) fn answer(frame: &Frame<'_>, status: Status, out: &mut BytesMut) {
    FrameBuilder::response(frame.opcode(), status).opaque(frame.header.opaque).write(out);
}

/// Answers an ADD_STREAM. `stream` is the opaque of the stream, where one was made.
pub(super) fn answer_add(add: Opaque, status: Status, stream: Option<Opaque>, out: &mut BytesMut) {
    let extras = stream.map(|stream| number(stream).to_be_bytes());
    let extras = extras.as_ref().map_or(&[][..], |bytes| &bytes[..]);
    FrameBuilder::response(Opcode::DCP_ADD_STREAM, status).opaque(add).extras(extras).write(out);
}
