//! The steps of a connection's life, as error messages name them.

use std::fmt;

use mcbp::Opcode;

/// What a connection was busy with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Opening the TCP connection.
    Connect,
    /// Encrypting it.
    Tls,
    /// The request of this opcode, be it part of the handshake or not.
    Request(Opcode),
    /// Passing frames on, or reading a stream.
    Relay,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("the TCP connect"),
            Self::Tls => f.write_str("the TLS handshake"),
            Self::Request(opcode) => opcode.fmt(f),
            Self::Relay => f.write_str("replication"),
        }
    }
}
