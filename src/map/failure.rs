//! Why a command about the maps in etcd failed, and its exit code.

use std::io;

use etcdmaps::EtcdError;
use serde_json::json;
use tokio::runtime::Runtime;

use super::output;
use crate::client::Exit;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Arguments, file or configuration are wrong; a line for each problem.
    #[error("{0}")]
    Wrong(String),
    /// It was not done.
    #[error("{0}")]
    Failed(String),
    /// Etcd did not do it.
    #[error(transparent)]
    Etcd(#[from] EtcdError),
    /// The output could not be written.
    #[error("the output could not be written: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Reports it, and returns the exit code.
    pub(super) fn report(&self, json: bool) -> Exit {
        // Where this cannot be written either, the exit code says it.
        _ = match self {
            // Who reads the output has closed it, as `head` does.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return Exit::Done,
            _ if json => output::json(&json!({ "error": self.to_string() })),
            _ => output::note(&self.to_string()),
        };
        match self {
            Self::Wrong(_) => Exit::Wrong,
            Self::Failed(_) | Self::Etcd(_) | Self::Output(_) => Exit::Failed,
        }
    }
}

/// What the client of etcd runs on: one thread does.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
