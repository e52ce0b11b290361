//! A handle to the commit of a batch.

use std::sync::Arc;
use std::time::Duration;

use mcbp::VbId;
use tokio::sync::SetOnce;

use super::error::{COMMIT_WAIT_SECONDS, CommitError};

/// Waits for `what`, at most as long as a commit may take.
pub(super) async fn in_time<T>(what: impl Future<Output = T>) -> Result<T, CommitError> {
    let limit = Duration::from_secs(COMMIT_WAIT_SECONDS);
    tokio::time::timeout(limit, what).await.map_err(|_| CommitError::Late)
}

/// The outcome of a batch: it was committed, but for the parts of these vBuckets.
type Outcome = Result<Vec<(VbId, CommitError)>, CommitError>;

/// A handle to the commit of a batch, for the writers of one vBucket whose changes are in it.
#[derive(Clone, Debug)]
pub struct PendingCommit {
    batch: Arc<SetOnce<Outcome>>,
    vb: VbId,
}

impl PendingCommit {
    pub(super) fn new(vb: VbId) -> Self {
        Self { batch: Arc::new(SetOnce::new()), vb }
    }

    /// A handle to the same batch for the writers of `vb`.
    pub(super) fn of(&self, vb: VbId) -> Self {
        Self { batch: Arc::clone(&self.batch), vb }
    }

    /// Waits until the batch is durable and visible.
    ///
    /// # Errors
    /// The error of the batch, or of its part of this vBucket; [`CommitError::Late`] after 30 s.
    pub async fn wait(&self) -> Result<(), CommitError> {
        let left_out = in_time(self.batch.wait()).await?.as_ref().map_err(Clone::clone)?;
        match left_out.iter().find(|(vb, _)| *vb == self.vb) {
            Some((_, error)) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// The commit of an empty batch, which has succeeded.
    pub(super) fn of_nothing(vb: VbId) -> Self {
        let commit = Self::new(vb);
        commit.complete(Ok(Vec::new()));
        commit
    }

    /// Whether both have the same outcome: that of one vBucket in one batch.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.batch, &other.batch) && self.vb == other.vb
    }

    /// Wakes everyone who waits. Only the first call counts.
    pub(super) fn complete(&self, outcome: Outcome) {
        let _first = self.batch.set(outcome);
    }
}
