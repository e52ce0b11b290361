//! The charge of a frame in DCP flow control.
//!
//! A producer charges each frame that it sends to the connection's window; the consumer
//! acknowledges the same number of bytes with BUFFER_ACK. Source:
//! `docs/dcp/documentation/flow-control.md` of couchbase/kv_engine, and its
//! `DcpResponse::getMessageSize` for the exception below.

use crate::{Header, Opcode};

/// By how many bytes kv_engine overcharges a PREPARE (57 for a frame of 55).
const PREPARE_SURPLUS: usize = 2;

/// Returns how many bytes of the window the frame takes, when it is sent and when it is
/// acknowledged.
///
/// Zero for responses and for frames without flow control: NOOP, BUFFER_ACK, CONTROL and everything
/// that a consumer sends.
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
