//! Which frames of a link stop at the proxy. Everything else passes unseen, unknown opcodes too.

use mcbp::Opcode;
use mcbp::scan::ControlSet;
use replica::link::DATA_OPCODES;

/// What the consumer says that the consumer machine or the flow gauge must know.
pub(crate) static OF_CONSUMER: ControlSet = ControlSet::new(
    &[Opcode::DCP_STREAM_REQ, Opcode::DCP_BUFFER_ACK, Opcode::DCP_CONTROL],
    &[
        Opcode::DCP_ADD_STREAM,
        Opcode::DCP_CLOSE_STREAM,
        Opcode::DCP_SET_VBUCKET_STATE,
        Opcode::DCP_NOOP,
    ],
)
.and_responses(&DATA_OPCODES);

/// What the producer says that the consumer machine must know.
pub(crate) static OF_PRODUCER: ControlSet = ControlSet::new(
    &[Opcode::DCP_STREAM_END, Opcode::DCP_SET_VBUCKET_STATE],
    &[Opcode::DCP_STREAM_REQ, Opcode::DCP_CLOSE_STREAM],
);

#[cfg(test)]
mod tests;
