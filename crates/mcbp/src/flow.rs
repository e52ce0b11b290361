//! What a frame costs in DCP flow control.
//!
//! A producer charges a frame to the connection's window when it sends it; the consumer gives the
//! same number back with BUFFER_ACK. Source: `docs/dcp/documentation/flow-control.md` of
//! couchbase/kv_engine, and its `DcpResponse::getMessageSize` for the exception below.

use crate::{Header, Opcode};

/// The bytes by which kv_engine overstates a PREPARE (it charges 57, the frame has 55).
const PREPARE_SURPLUS: usize = 2;

/// How many bytes of the window the frame takes, both when it is sent and when it is acknowledged.
///
/// Zero for responses and for the frames that are not buffered: NOOP, BUFFER_ACK, CONTROL and
/// whatever a consumer sends.
#[must_use]
#[inline]
pub const fn charge(header: &Header) -> usize {
    if !header.is_request() {
        return 0;
    }
    match header.opcode {
        Opcode::DCP_PREPARE => header.frame_bytes() + PREPARE_SURPLUS,
        Opcode::DCP_STREAM_END
        | Opcode::DCP_SNAPSHOT_MARKER
        | Opcode::DCP_MUTATION
        | Opcode::DCP_DELETION
        | Opcode::DCP_EXPIRATION
        | Opcode::DCP_SET_VBUCKET_STATE
        | Opcode::DCP_SYSTEM_EVENT
        | Opcode::DCP_COMMIT
        | Opcode::DCP_ABORT
        | Opcode::DCP_SEQNO_ADVANCED
        | Opcode::DCP_OSO_SNAPSHOT
        | Opcode::DCP_CACHE_TRANSFER
        | Opcode::DCP_CACHE_TRANSFER_END => header.frame_bytes(),
        _ => 0,
    }
}
