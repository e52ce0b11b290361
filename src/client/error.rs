//! Why a subcommand has no good answer, and the exit code that says so.

use std::process::ExitCode;

use serde_json::Value;
use ureq::http::StatusCode;

/// The result of a subcommand, as the exit code of the process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Exit {
    /// The sidecar did what it was asked.
    Done,
    /// The sidecar has shown its status, and is not ready.
    NotReady,
    /// The sidecar failed to do it, or does not answer.
    Failed,
    /// The request, the token or the configuration is wrong.
    Wrong,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::NotReady | Exit::Failed => Self::FAILURE,
            // As clap does.
            Exit::Wrong => Self::from(2),
        }
    }
}

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// The request cannot be sent.
    #[error("{0}")]
    Usage(String),
    /// Nothing listens at the address, or the answer does not arrive in time.
    #[error("the sidecar at {url} does not answer: {source}: is it running, is --admin right?")]
    Silent { url: String, source: Box<ureq::Error> },
    /// Streams would close, and nobody can be asked.
    #[error("{text}")]
    Unconfirmed { text: String, body: Value },
    /// The person at the terminal does not want it.
    #[error("nothing was changed")]
    Declined,
    /// The command goes on in the sidecar without this program.
    #[error("{0}")]
    Interrupted(String),
    /// It was tried, and this is why it is not done.
    #[error("{0}")]
    Failed(String),
    /// The answer is not one of a sidecar of this version.
    #[error("unexpected response from {url}: not dcp-proxy, or an incompatible version: {reason}")]
    Unexpected { url: String, reason: String },
    /// The answer to a command that was sent does not arrive.
    #[error(
        "no answer from the sidecar at {url}, and its status cannot be read or shows no move in \
         progress: check with status and streams, then repeat the command"
    )]
    Lost { url: String },
    /// The sidecar refused the request, or failed to do it.
    #[error("{text}")]
    Refused { status: StatusCode, text: String, body: Value },
}

impl AskError {
    /// What the sidecar answered, if it did.
    pub(super) const fn body(&self) -> Option<&Value> {
        match self {
            Self::Refused { body, .. } | Self::Unconfirmed { body, .. } => Some(body),
            _ => None,
        }
    }

    /// Whether the same request may be answered later: the sidecar is away, starts or is busy.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Silent { .. } => true,
            Self::Refused { status, .. } => *status == StatusCode::SERVICE_UNAVAILABLE,
            _ => false,
        }
    }

    /// The sidecar does not have the bucket that the command line names.
    pub(super) fn no_bucket(name: &str) -> Self {
        Self::Usage(format!("the sidecar has no bucket {name:?}"))
    }

    /// Whether the sidecar has no such path, as one that is older than this program.
    pub(super) fn is_no_such_path(&self) -> bool {
        let text = "no such path";
        matches!(self, Self::Refused { status: StatusCode::NOT_FOUND, text: said, .. }
            if said.starts_with(text))
    }

    /// Says so, where the sidecar has no such path.
    pub(super) fn or_older(self) -> Self {
        if self.is_no_such_path() {
            let text = format!("{self}: the sidecar is older than this program, update it");
            return Self::Failed(text);
        }
        self
    }

    /// Whether nothing listens at the address.
    pub(super) fn is_refused_connection(&self) -> bool {
        let Self::Silent { source, .. } = self else { return false };
        matches!(&**source, ureq::Error::Io(error)
            if error.kind() == std::io::ErrorKind::ConnectionRefused)
    }

    /// Whether a bucket is at another revision than the one of the request.
    pub(super) const fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::PRECONDITION_FAILED, .. })
    }

    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Unconfirmed { .. } => Exit::Wrong,
            Self::Silent { .. }
            | Self::Unexpected { .. }
            | Self::Lost { .. }
            | Self::Declined
            | Self::Interrupted(_)
            | Self::Failed(_) => Exit::Failed,
            Self::Refused { status, .. } => match *status {
                StatusCode::BAD_REQUEST
                | StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::NOT_FOUND => Exit::Wrong,
                _ => Exit::Failed,
            },
        }
    }
}
