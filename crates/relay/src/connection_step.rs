//! The steps of a connection, as error messages name them.

use std::fmt;

use mcbp::Opcode;

/// What was in progress on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectionStep {
    /// Opening the TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// A request of this opcode, in the handshake or later.
    Request(Opcode),
    /// Relaying frames, or reading a stream.
    Relay,
}

impl fmt::Display for ConnectionStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("the TCP connect"),
            Self::Tls => f.write_str("the TLS handshake"),
            Self::Request(opcode) => opcode.fmt(f),
            Self::Relay => f.write_str("replication"),
        }
    }
}
