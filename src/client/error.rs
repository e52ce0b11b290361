//! Why a subcommand has no good answer, and the exit code that says so.

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

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// The request cannot be sent.
    #[error("{0}")]
    Usage(String),
    /// Nothing listens at the address, or the answer does not arrive in time.
    #[error("the sidecar at {url} does not answer: {source}: is it running, is --admin right?")]
    Silent { url: String, source: Box<ureq::Error> },
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
            Self::Refused { body, .. } => Some(body),
            Self::Usage(_) | Self::Silent { .. } | Self::Unexpected { .. } | Self::Lost { .. } => {
                None
            }
        }
    }

    /// Whether the same request may be answered later: the sidecar is away, starts or is busy.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Silent { .. } => true,
            Self::Refused { status, .. } => *status == StatusCode::SERVICE_UNAVAILABLE,
            Self::Usage(_) | Self::Unexpected { .. } | Self::Lost { .. } => false,
        }
    }

    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Wrong,
            Self::Silent { .. } | Self::Unexpected { .. } | Self::Lost { .. } => Exit::Failed,
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
