//! Which frames of a link stop at the proxy. Everything else passes unseen, unknown opcodes too.

use mcbp::Opcode;
use mcbp::scan::ControlSet;

/// What the consumer says that the consumer machine or the flow gauge must know. Of frames of data
/// it answers those alone that it refuses, and some markers.
pub(crate) static OF_CONSUMER: ControlSet = ControlSet::new(
    &[Opcode::DCP_STREAM_REQ, Opcode::DCP_BUFFER_ACK, Opcode::DCP_CONTROL],
    &[
        Opcode::DCP_ADD_STREAM,
        Opcode::DCP_CLOSE_STREAM,
        Opcode::DCP_SET_VBUCKET_STATE,
        Opcode::DCP_NOOP,
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
    ],
);

/// What the producer says that the consumer machine must know.
pub(crate) static OF_PRODUCER: ControlSet = ControlSet::new(
    &[Opcode::DCP_STREAM_END, Opcode::DCP_SET_VBUCKET_STATE],
    &[Opcode::DCP_STREAM_REQ, Opcode::DCP_CLOSE_STREAM],
);

#[cfg(test)]
mod tests;
