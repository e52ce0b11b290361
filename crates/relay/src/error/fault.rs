//! What can happen to a connection, and the text of each fault.

use std::io;
use std::time::Duration;

use invariant::Broken;
use mcbp::{Feature, FrameError, Opcode, Status};

use crate::{ConnectionStep, Mechanism, TlsFault};

/// What happened to a connection.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No TCP connection could be opened.
    #[error("could not connect: {source}")]
    Connect {
        /// The OS error.
        source: io::Error,
    },
    /// The TLS handshake failed, or TLS ended with an error.
    #[error(transparent)]
    Tls(TlsFault),
    /// The peer did not answer in time.
    #[error("{step} had no answer within {after:?}")]
    TimedOut {
        /// What was awaited.
        step: ConnectionStep,
        /// How long.
        after: Duration,
    },
    /// The peer closed the connection, which is never a normal end (MB-21511).
    #[error("closed the connection during {step}{}", cut_off(*.cut_off_bytes))]
    Closed {
        /// What was in progress.
        step: ConnectionStep,
        /// How many bytes of an incomplete frame had been received.
        cut_off_bytes: usize,
    },
    /// The connection broke.
    #[error("connection broke during {step}: {source}")]
    Broken {
        /// What was in progress.
        step: ConnectionStep,
        /// The OS error.
        source: io::Error,
    },
    /// The peer sent bytes that are not a frame.
    #[error("sent a malformed frame during {step}: {source}")]
    Garbage {
        /// What was in progress.
        step: ConnectionStep,
        /// What is wrong with the bytes.
        source: FrameError,
    },
    /// The peer sent another frame than the awaited answer.
    #[error("sent {opcode} while the answer to {step} was awaited")]
    Unexpected {
        /// What was awaited.
        step: ConnectionStep,
        /// The opcode of the frame.
        opcode: Opcode,
    },
    /// The peer refused the user or the password.
    #[error("refused user {username:?} ({status}), check username and password")]
    Login {
        /// The user.
        username: String,
        /// The peer's answer.
        status: Status,
    },
    /// The peer offers no SASL mechanism that is implemented here.
    #[error(
        "offers SASL {offered}, none of which is implemented here; enable SCRAM-SHA512 at this \
         node (sasl_mechanisms, with TLS ssl_sasl_mechanisms)"
    )]
    Mechanism {
        /// The mechanisms that it offers, as it lists them.
        offered: String,
    },
    /// The peer offers no SASL mechanism but PLAIN, which would send the password over a network
    /// that others may listen to.
    #[error(
        "offers SASL {}, which would send the password unencrypted over the network; give this \
         node tls, enable SCRAM-SHA512 at it (sasl_mechanisms), or accept that with allow_plain = \
         true for this node in the configuration",
        if .offered.is_empty() { "PLAIN at most, it lists nothing" } else { .offered }
    )]
    PlainOnly {
        /// The mechanisms that it offers, as it lists them; empty if it lists none.
        offered: String,
    },
    /// What the peer sent in a login is not acceptable.
    #[error("failed in the login with {mechanism}: {error}")]
    Scram {
        /// The mechanism.
        mechanism: Mechanism,
        /// What is wrong.
        error: scram::ClientError,
    },
    /// The peer has no such bucket, or the user may not open it.
    #[error("has no bucket {bucket:?} that this user may open ({status})")]
    NoBucket {
        /// The bucket.
        bucket: String,
        /// The peer's answer.
        status: Status,
    },
    /// The peer lacks features without which documents would be damaged.
    #[error(
        "does not support {missing:?}, which replication needs at both nodes; enable them at this \
         node or use a version that has them"
    )]
    Features {
        /// The features that it did not grant.
        missing: Vec<Feature>,
    },
    /// The peer granted features that were not requested.
    #[error(
        "granted {unasked:?} in its answer to HELLO, which were not requested; check that the \
         address is that of a data node"
    )]
    NotAskedFor {
        /// The features that were not requested.
        unasked: Vec<Feature>,
    },
    /// The peer is loading its data and accepts no consumer connection yet (MB-32577).
    #[error("is still warming up and accepts no DCP connection yet")]
    WarmingUp,
    /// Another client has an open DCP connection of our name.
    #[error(
        "has an open connection named {name:?} that this sidecar did not open: another sidecar \
         uses the same [node] name, producer and bucket; stop one of them, or give each its own \
         [node] name"
    )]
    Rival {
        /// The name of the connection.
        name: String,
    },
    /// The peer answered a request with an error.
    #[error("answered {step} with {status}{}", detail(.text))]
    Refused {
        /// The request.
        step: ConnectionStep,
        /// The peer's answer.
        status: Status,
        /// The text in the answer; often empty.
        text: String,
    },
    /// A control frame or an answer exceeds the limit; an answer of several frames in total.
    #[error("sent {opcode} of {frame_bytes} bytes, the limit is {max_bytes}")]
    TooLarge {
        /// The opcode of the frame.
        opcode: Opcode,
        /// Its length, or that of the answer so far.
        frame_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// Writing to the peer failed.
    #[error("writing to it failed: {source}")]
    WriteFailed {
        /// The OS error.
        source: io::Error,
    },
    /// The peer has stopped reading.
    #[error("accepted no bytes for {after:?}")]
    WriteStalled {
        /// How long.
        after: Duration,
    },
    /// There was no verdict on a control frame in time. A defect on our side, not the peer's.
    #[error("sent {opcode} and no verdict on it came within {after:?}")]
    NoVerdict {
        /// The opcode of the frame.
        opcode: Opcode,
        /// How long.
        after: Duration,
    },
    /// An invariant of this program is broken. Not the peer's fault.
    #[error("{0}")]
    Internal(Box<Broken>),
    /// The judge ended the pump.
    #[error("was disconnected on purpose")]
    Stopped,
}

fn cut_off(bytes: usize) -> String {
    if bytes == 0 { String::new() } else { format!(", {bytes} bytes into a frame") }
}

fn detail(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        Self::Internal(Box::new(broken))
    }
}
