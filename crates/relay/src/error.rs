//! The error of a connection: which peer it was, what happened (`fault`), and whether to try again.

mod fault;

use std::fmt;
use std::io;

use mcbp::Status;

use crate::{ConnectionStep, Peer, Side, TlsFault};

pub use self::fault::Fault;

/// Why a connection, or the link it was part of, ended.
///
/// The text is complete in one line and includes the OS error; `source` is for programs.
#[derive(Debug)]
pub struct LinkError {
    /// The peer of the connection.
    pub peer: Peer,
    /// What happened to the connection.
    pub fault: Fault,
}

impl LinkError {
    /// The end of the link that failed; `None` if the connection was not part of a link.
    #[must_use]
    pub const fn side(&self) -> Option<Side> {
        self.peer.side
    }

    /// When to connect again.
    #[must_use]
    pub const fn retry(&self) -> Reconnect {
        self.fault.retry()
    }

    /// The status of the peer's answer, if it answered.
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

/// When to connect again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reconnect {
    /// After a delay that grows with each failure: the peer is expected to be ready soon.
    Soon,
    /// After a delay that grows with each failure.
    AfterBackoff,
    /// After the longest delay, again and again: it needs a change of configuration.
    Slowly,
    /// Not at all: it was ended on purpose.
    Never,
}

/// Statuses that the request will get again until the configuration of a node changes.
const fn needs_a_person(status: Status) -> bool {
    matches!(
        status,
        Status::EACCESS | Status::EINVAL | Status::NOT_SUPPORTED | Status::UNKNOWN_COMMAND
    )
}

impl Fault {
    /// When to connect again.
    #[must_use]
    pub const fn retry(&self) -> Reconnect {
        match self {
            Self::WarmingUp => Reconnect::Soon,
            Self::Login { .. }
            | Self::Mechanism { .. }
            | Self::PlainOnly { .. }
            | Self::Scram { .. }
            | Self::NoBucket { .. }
            | Self::Features { .. }
            | Self::NotAskedFor { .. } => Reconnect::Slowly,
            Self::Refused { status, .. } if needs_a_person(*status) => Reconnect::Slowly,
            Self::Tls(fault) if fault.needs_a_person() => Reconnect::Slowly,
            Self::Stopped => Reconnect::Never,
            Self::Tls(_)
            | Self::Rival { .. }
            | Self::Connect { .. }
            | Self::TimedOut { .. }
            | Self::Closed { .. }
            | Self::Broken { .. }
            | Self::Garbage { .. }
            | Self::Unexpected { .. }
            | Self::Refused { .. }
            | Self::TooLarge { .. }
            | Self::WriteFailed { .. }
            | Self::WriteStalled { .. }
            | Self::NoVerdict { .. }
            | Self::Internal(_) => Reconnect::AfterBackoff,
        }
    }

    /// The fault of a connection that broke: the TLS error if there is one.
    pub(crate) fn broken(step: ConnectionStep, source: io::Error) -> Self {
        TlsFault::of(&source).map_or(Self::Broken { step, source }, Self::Tls)
    }

    /// The status of the peer's answer, if it answered.
    #[must_use]
    pub const fn status(&self) -> Option<Status> {
        match self {
            Self::Login { status, .. }
            | Self::NoBucket { status, .. }
            | Self::Refused { status, .. } => Some(*status),
            Self::WarmingUp => Some(Status::ETMPFAIL),
            _ => None,
        }
    }

    /// Adds the peer whose connection it was.
    #[must_use]
    pub const fn at(self, peer: Peer) -> LinkError {
        LinkError { peer, fault: self }
    }
}
