//! Why `tail` ends without having done what it was asked.

use relay::{LinkError, Reconnect};

use crate::client::Exit;

/// The text says what was found and what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The command line, the configuration or a login is wrong: the same again ends in the same
    /// way.
    #[error("{0}")]
    Wrong(String),
    /// It was tried.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// The first connection failed.
    pub(super) fn of(error: &LinkError) -> Self {
        match error.retry() {
            Reconnect::Slowly => Self::Wrong(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }

    pub(super) const fn exit(&self) -> Exit {
        match self {
            Self::Wrong(_) => Exit::Wrong,
            Self::Failed(_) => Exit::Failed,
        }
    }
}
