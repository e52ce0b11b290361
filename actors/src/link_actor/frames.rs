//! The control frames of a link, among them every error response of either side, and every request
//! that is not DCP's: a node executes those with what the user of the sidecar may do, so that one
//! node must not send them to the other. The pump passes all others without a verdict, unknown
//! opcodes of DCP too.

use mcbp::Opcode;
use mcbp::scan::ControlSet;
use replica::link::REQUESTS_OF_CONSUMERS;

/// The frames of the consumer that the machine or a gauge needs.
pub(crate) static OF_CONSUMER: ControlSet = ControlSet::new(
    &[Opcode::DCP_STREAM_REQ, Opcode::DCP_BUFFER_ACK, Opcode::DCP_CONTROL, Opcode::DCP_SEQNO_ACK],
    &[
        Opcode::DCP_ADD_STREAM,
        Opcode::DCP_CLOSE_STREAM,
        Opcode::DCP_SET_VBUCKET_STATE,
        Opcode::DCP_NOOP,
    ],
)
.and_requests_outside_dcp(&REQUESTS_OF_CONSUMERS)
.and_errors();

/// The frames of the producer that the machine needs.
pub(crate) static OF_PRODUCER: ControlSet = ControlSet::new(
    &[Opcode::DCP_STREAM_END, Opcode::DCP_SET_VBUCKET_STATE],
    &[Opcode::DCP_STREAM_REQ, Opcode::DCP_CLOSE_STREAM],
)
.and_requests_outside_dcp(&[])
.and_errors();

#[cfg(test)]
mod tests;
