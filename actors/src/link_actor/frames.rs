//! The control frames of a link, among them every error response of either side. The pump passes
//! all others without a verdict, unknown opcodes too.

use mcbp::Opcode;
use mcbp::scan::ControlSet;

/// The frames of the consumer that the machine or the flow gauge needs.
pub(crate) static OF_CONSUMER: ControlSet = ControlSet::new(
    &[Opcode::DCP_STREAM_REQ, Opcode::DCP_BUFFER_ACK, Opcode::DCP_CONTROL],
    &[
        Opcode::DCP_ADD_STREAM,
        Opcode::DCP_CLOSE_STREAM,
        Opcode::DCP_SET_VBUCKET_STATE,
        Opcode::DCP_NOOP,
    ],
)
.and_errors();

/// The frames of the producer that the machine needs.
pub(crate) static OF_PRODUCER: ControlSet = ControlSet::new(
    &[Opcode::DCP_STREAM_END, Opcode::DCP_SET_VBUCKET_STATE],
    &[Opcode::DCP_STREAM_REQ, Opcode::DCP_CLOSE_STREAM],
)
.and_errors();

#[cfg(test)]
mod tests;
