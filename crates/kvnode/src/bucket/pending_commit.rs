//! A handle to the commit of a batch.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::SetOnce;

use super::error::{COMMIT_WAIT_SECONDS, CommitError};

/// Waits for `what`, at most as long as a commit may take.
pub(super) async fn in_time<T>(what: impl Future<Output = T>) -> Result<T, CommitError> {
    let limit = Duration::from_secs(COMMIT_WAIT_SECONDS);
    tokio::time::timeout(limit, what).await.map_err(|_| CommitError::Late)
}

/// A handle to the commit of a batch, for those whose changes are in the batch.
#[derive(Clone, Debug)]
pub struct PendingCommit(Arc<SetOnce<Result<(), CommitError>>>);

impl PendingCommit {
    pub(super) fn new() -> Self {
        Self(Arc::new(SetOnce::new()))
    }

    /// Waits until the batch is durable and visible.
    ///
    /// # Errors
    /// The store's error, or [`CommitError::Late`] after 30 s.
    pub async fn wait(&self) -> Result<(), CommitError> {
        in_time(self.0.wait()).await?.clone()
    }

    /// The commit of an empty batch, which has succeeded.
    pub(super) fn of_nothing() -> Self {
        let commit = Self::new();
        commit.complete(Ok(()));
        commit
    }

    /// Whether both are for the same batch.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Wakes everyone who waits. Only the first call counts.
    pub(super) fn complete(&self, outcome: Result<(), CommitError>) {
        let _first = self.0.set(outcome);
    }
}
