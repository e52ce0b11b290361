//! What can go wrong with a connection, on which side, and whether to try again.

use std::fmt;
use std::io;
use std::time::Duration;

use invariant::Broken;
use mcbp::{Feature, FrameError, Opcode, Status};

use crate::{Peer, Side, Step, TlsFault};

/// Why a connection, or the link it was part of, ended.
///
/// The text is the whole story in one line, with the system's own words in it; `source` is there
/// for programs.
#[derive(Debug)]
pub struct LinkError {
    /// Whose connection it was.
    pub peer: Peer,
    /// What happened to it.
    pub fault: Fault,
}

impl LinkError {
    /// Which end of the link failed; `None` where the connection was no part of a link.
    #[must_use]
    pub const fn side(&self) -> Option<Side> {
        self.peer.side
    }

    /// Whether and when connecting again may help.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        self.fault.retry()
    }

    /// The status that the peer answered with, where it answered.
    #[must_use]
    pub const fn status(&self) -> Option<Status> {
        self.fault.status()
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.peer, self.fault)
    }
}

impl std::error::Error for LinkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.fault)
    }
}

/// What happened to a connection.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No TCP connection came about.
    #[error("could not connect: {source}")]
    Connect {
        /// The system's word.
        source: io::Error,
    },
    /// There is a TCP connection, and no TLS over it.
    #[error(transparent)]
    Tls(TlsFault),
    /// The peer did not answer in time.
    #[error("{step} had no answer within {after:?}")]
    TimedOut {
        /// What was waited for.
        step: Step,
        /// For how long.
        after: Duration,
    },
    /// The peer closed the connection. Never a normal end (MB-21511).
    #[error("closed the connection during {step}{}", cut_off(*.cut_off_bytes))]
    Closed {
        /// What was going on.
        step: Step,
        /// How much of an unfinished frame had come.
        cut_off_bytes: usize,
    },
    /// The connection broke.
    #[error("connection broke during {step}: {source}")]
    Broken {
        /// What was going on.
        step: Step,
        /// The system's word.
        source: io::Error,
    },
    /// What came is not the binary protocol.
    #[error("sent what is no frame during {step}: {source}")]
    Garbage {
        /// What was going on.
        step: Step,
        /// What is wrong with it.
        source: FrameError,
    },
    /// A frame came that does not answer what was asked.
    #[error("sent {opcode} while the answer to {step} was awaited")]
    Unexpected {
        /// What was waited for.
        step: Step,
        /// What came.
        opcode: Opcode,
    },
    /// The peer does not accept the user or the password.
    #[error("refused user {username:?} ({status}), check username and password")]
    Login {
        /// The user.
        username: String,
        /// The peer's answer.
        status: Status,
    },
    /// The peer does not have the only way to log in that there is here.
    #[error(
        "does not offer SASL mechanism PLAIN ({status}), it offers {}; enable PLAIN at this node \
         (sasl_mechanisms, with TLS ssl_sasl_mechanisms)",
        if .offered.is_empty() { "none" } else { .offered }
    )]
    Mechanism {
        /// What it offers, as it said it.
        offered: String,
        /// The peer's answer to PLAIN.
        status: Status,
    },
    /// The peer has no such bucket, or not for this user.
    #[error("has no bucket {bucket:?} that this user may open ({status})")]
    NoBucket {
        /// The bucket.
        bucket: String,
        /// The peer's answer.
        status: Status,
    },
    /// The peer lacks features without which documents would be damaged on their way.
    #[error(
        "does not support {missing:?}, which replication needs at both nodes; enable them at this \
         node or use a version that has them"
    )]
    Features {
        /// What it did not grant.
        missing: Vec<Feature>,
    },
    /// The peer granted features that it was not asked for.
    #[error(
        "granted {unasked:?} in its answer to HELLO, which it was not asked for; check that the \
         address is that of a data node"
    )]
    NotAskedFor {
        /// What it granted too much.
        unasked: Vec<Feature>,
    },
    /// The peer is loading its data and accepts no consumer connection yet (MB-32577).
    #[error("is still warming up and accepts no DCP connection yet")]
    WarmingUp,
    /// The peer answered a request with an error.
    #[error("answered {step} with {status}{}", detail(.text))]
    Refused {
        /// The request.
        step: Step,
        /// The peer's answer.
        status: Status,
        /// What the peer said beside it; often nothing.
        text: String,
    },
    /// A control frame is larger than any that makes sense.
    #[error("sent {opcode} of {frame_bytes} bytes, the limit is {max_bytes}")]
    ControlTooLarge {
        /// The opcode of the frame.
        opcode: Opcode,
        /// Its length.
        frame_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// Frames could not be written to the peer.
    #[error("could not be written to: {source}")]
    WriteFailed {
        /// The system's word.
        source: io::Error,
    },
    /// The peer stopped reading.
    #[error("took no byte for {after:?}")]
    WriteStalled {
        /// For how long.
        after: Duration,
    },
    /// Nobody decided on a control frame in time. A bug on our side, not the peer's.
    #[error("sent {opcode} and no verdict on it came within {after:?}")]
    NoVerdict {
        /// The opcode of the frame.
        opcode: Opcode,
        /// For how long.
        after: Duration,
    },
    /// This program found itself in a state that it excludes. Not the peer's fault.
    #[error(transparent)]
    Internal(#[from] Broken),
    /// The judge asked for the end.
    #[error("was disconnected on purpose")]
    Stopped,
}

fn cut_off(bytes: usize) -> String {
    if bytes == 0 { String::new() } else { format!(", {bytes} bytes into a frame") }
}

fn detail(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// Statuses that the same request will meet again until somebody changes something.
const fn needs_a_person(status: Status) -> bool {
    matches!(
        status,
        Status::EACCESS | Status::EINVAL | Status::NOT_SUPPORTED | Status::UNKNOWN_COMMAND
    )
}

impl Fault {
    /// Whether and when connecting again may help.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        match self {
            Self::WarmingUp => Retry::Soon,
            Self::Login { .. }
            | Self::Mechanism { .. }
            | Self::NoBucket { .. }
            | Self::Features { .. }
            | Self::NotAskedFor { .. } => Retry::Slowly,
            Self::Refused { status, .. } if needs_a_person(*status) => Retry::Slowly,
            Self::Tls(fault) if fault.needs_a_person() => Retry::Slowly,
            Self::Stopped => Retry::Never,
            Self::Tls(_)
            | Self::Connect { .. }
            | Self::TimedOut { .. }
            | Self::Closed { .. }
            | Self::Broken { .. }
            | Self::Garbage { .. }
            | Self::Unexpected { .. }
            | Self::Refused { .. }
            | Self::ControlTooLarge { .. }
            | Self::WriteFailed { .. }
            | Self::WriteStalled { .. }
            | Self::NoVerdict { .. }
            | Self::Internal(_) => Retry::AfterBackoff,
        }
    }

    /// A connection broke; where TLS says why, that.
    pub(crate) fn broken(step: Step, source: io::Error) -> Self {
        TlsFault::of(&source).map_or(Self::Broken { step, source }, Self::Tls)
    }

    /// The status that the peer answered with, where it answered.
    #[must_use]
    pub const fn status(&self) -> Option<Status> {
        match self {
            Self::Login { status, .. }
            | Self::Mechanism { status, .. }
            | Self::NoBucket { status, .. }
            | Self::Refused { status, .. } => Some(*status),
            Self::WarmingUp => Some(Status::ETMPFAIL),
            _ => None,
        }
    }

    /// Says whose fault it was.
    #[must_use]
    pub const fn at(self, peer: Peer) -> LinkError {
        LinkError { peer, fault: self }
    }
}

/// Whether and when connecting again may help.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Retry {
    /// The peer will be ready in a moment: a short, fixed delay.
    Soon,
    /// After a delay that grows from failure to failure.
    AfterBackoff,
    /// Only a change of somebody's configuration will help: at the longest delay, for ever.
    Slowly,
    /// It ended because we wanted it to.
    Never,
}
