//! Which frames of a link are control frames, and what they say to the consumer machine.
//!
//! Everything else passes the proxy unseen, unknown opcodes too.

use mcbp::dcp::{SetVbucketState, StreamEnd, StreamReq};
use mcbp::scan::Class;
use mcbp::{Frame, FrameError, Header, Opcode};
use replica::machine::{ControlFrame, Side};

/// Classifies what the consumer sends.
pub(crate) const fn consumer_class(header: &Header) -> Class {
    match (header.opcode, header.is_request()) {
        (
            Opcode::DCP_ADD_STREAM | Opcode::DCP_CLOSE_STREAM | Opcode::DCP_SET_VBUCKET_STATE,
            false,
        )
        | (Opcode::DCP_STREAM_REQ, true) => Class::Control,
        _ => Class::Data,
    }
}

/// Classifies what the producer sends.
pub(crate) const fn producer_class(header: &Header) -> Class {
    match (header.opcode, header.is_request()) {
        (Opcode::DCP_STREAM_REQ | Opcode::DCP_CLOSE_STREAM, false)
        | (Opcode::DCP_STREAM_END | Opcode::DCP_SET_VBUCKET_STATE, true) => Class::Control,
        _ => Class::Data,
    }
}

/// What a control frame from `side` says, or `None` for a frame that is none.
///
/// # Errors
/// [`FrameError`] where the frame does not have the form of its opcode.
pub(crate) fn decode(side: Side, bytes: &[u8]) -> Result<Option<ControlFrame>, FrameError> {
    let frame = Frame::parse(bytes)?;
    let header = frame.header;
    let (opaque, vb) = (header.opaque, header.vbucket());
    let said = match (header.opcode, header.is_request()) {
        (Opcode::DCP_ADD_STREAM, false) => {
            ControlFrame::AddStreamResponse { opaque, status: header.status() }
        }
        (Opcode::DCP_CLOSE_STREAM, false) => {
            ControlFrame::CloseStreamResponse { side, opaque, status: header.status() }
        }
        (Opcode::DCP_SET_VBUCKET_STATE, false) => {
            ControlFrame::SetVbucketStateResponse { opaque, status: header.status() }
        }
        (Opcode::DCP_STREAM_REQ, false) => {
            ControlFrame::StreamReqResponse { opaque, status: header.status() }
        }
        (Opcode::DCP_STREAM_REQ, true) => {
            ControlFrame::StreamReq { vb, opaque, flags: StreamReq::decode(&frame)?.flags }
        }
        (Opcode::DCP_STREAM_END, true) => {
            ControlFrame::StreamEnd { vb, opaque, status: StreamEnd::decode(&frame)?.status }
        }
        (Opcode::DCP_SET_VBUCKET_STATE, true) => {
            let state = SetVbucketState::decode(&frame)?.state;
            ControlFrame::SetVbucketState { vb, opaque, state }
        }
        _ => return Ok(None),
    };
    Ok(Some(said))
}

#[cfg(test)]
mod tests;
