//! Decodes frames on the wire into control frames of the machine.

use mcbp::dcp::{SetVbucketState, StreamEnd, StreamReq};
use mcbp::{Frame, FrameError, Opcode};

use super::{ControlFrame, ErrorAnswer, Side};

impl ControlFrame {
    /// Decodes `frame`, read from the connection to `from`. Returns `None` for a frame that passes
    /// without a verdict of the machine.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] where the body of a control frame does not fit its opcode, and for
    /// a request that no node sends to another.
    pub fn decode(from: Side, frame: &Frame<'_>) -> Result<Option<Self>, FrameError> {
        let header = &frame.header;
        let (vb, opaque, status) = (header.vbucket(), header.opaque, header.status());
        let decoded = match (from, header.is_request(), header.opcode) {
            (Side::Consumer, false, Opcode::DCP_ADD_STREAM) => {
                Self::AddStreamResponse { opaque, status }
            }
            (side, false, Opcode::DCP_CLOSE_STREAM) => {
                Self::CloseStreamResponse { side, opaque, status }
            }
            (Side::Consumer, true, Opcode::DCP_STREAM_REQ) => {
                let StreamReq { flags, start, .. } = StreamReq::decode(frame)?;
                Self::StreamReq { vb, opaque, flags, start }
            }
            (Side::Consumer, false, Opcode::DCP_NOOP) => Self::NoopResponse { opaque },
            (Side::Consumer, false, opcode)
                if DATA_OPCODES.contains(&opcode) && !status.is_success() =>
            {
                Self::DataRefused { opaque, opcode, status }
            }
            (Side::Producer, false, Opcode::DCP_STREAM_REQ) => {
                Self::StreamReqResponse { opaque, status }
            }
            (Side::Producer, true, Opcode::DCP_STREAM_END) => {
                Self::StreamEnd { vb, opaque, status: StreamEnd::decode(frame)?.status }
            }
            (Side::Producer, true, Opcode::DCP_SET_VBUCKET_STATE) => {
                Self::SetVbucketState { vb, opaque, state: SetVbucketState::decode(frame)?.state }
            }
            (Side::Consumer, false, Opcode::DCP_SET_VBUCKET_STATE) => {
                Self::SetVbucketStateResponse { opaque, status }
            }
            (side, false, opcode) if !status.is_success() && !NEGOTIATION.contains(&opcode) => {
                Self::ErrorAnswer(ErrorAnswer { side, opcode, status, opaque })
            }
            (side, true, opcode) if !opcode.is_in_dcp_block() => {
                if side == Side::Consumer && REQUESTS_OF_CONSUMERS.contains(&opcode) {
                    return Ok(None);
                }
                return Err(frame.malformed("not a request of DCP: links pass no others"));
            }
            _ => return Ok(None),
        };
        Ok(Some(decoded))
    }
}

/// The requests of consumers that are not DCP's.
pub const REQUESTS_OF_CONSUMERS: [Opcode; 1] = [Opcode::GET_ERROR_MAP];

/// Requests of a producer on a stream that a consumer must store or follow. A consumer answers
/// those that it refuses, and some markers.
pub const DATA_OPCODES: [Opcode; 14] = [
    Opcode::DCP_SNAPSHOT_MARKER,
    Opcode::DCP_MUTATION,
    Opcode::DCP_DELETION,
    Opcode::DCP_EXPIRATION,
    Opcode::DCP_FLUSH,
    Opcode::DCP_SYSTEM_EVENT,
    Opcode::DCP_PREPARE,
    Opcode::DCP_COMMIT,
    Opcode::DCP_ABORT,
    Opcode::DCP_SEQNO_ADVANCED,
    Opcode::DCP_OSO_SNAPSHOT,
    Opcode::DCP_CACHE_TRANSFER,
    Opcode::DCP_CACHE_TRANSFER_END,
    Opcode::DCP_STREAM_END,
];

/// By these a consumer asks a producer for options that an older version lacks. It copes with a
/// refusal, which real nodes send on every link of two versions.
const NEGOTIATION: [Opcode; 2] = [Opcode::GET_ERROR_MAP, Opcode::DCP_CONTROL];
