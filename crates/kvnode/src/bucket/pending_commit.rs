//! A handle to the commit of a batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcbp::VbId;
use tokio::sync::SetOnce;

use super::bell::Bell;
use super::error::{COMMIT_WAIT_SECONDS, CommitError};

/// How long after its deadline a durable write is given up at the latest.
const DECISION_WAIT: Duration = Duration::from_secs(1);

/// Waits for `what`, at most as long as a commit may take.
pub(super) async fn in_time<T>(what: impl Future<Output = T>) -> Result<T, CommitError> {
    let limit = Duration::from_secs(COMMIT_WAIT_SECONDS);
    tokio::time::timeout(limit, what).await.map_err(|_| CommitError::Late)
}

/// The outcome of a batch: it was committed, but for the parts of these vBuckets.
type Outcome = Result<Vec<(VbId, CommitError)>, CommitError>;

/// What all handles to a batch share.
#[derive(Debug, Default)]
struct Shared {
    outcome: SetOnce<Outcome>,
    /// Whether somebody waits for it.
    is_wanted: AtomicBool,
    bell: Bell,
}

/// A handle to the commit of a batch, for the writers of one vBucket whose changes are in it.
#[derive(Clone, Debug)]
pub struct PendingCommit {
    batch: Arc<Shared>,
    vb: VbId,
    /// How long a durable write may take; `None` for a batch.
    patience: Option<Duration>,
    /// Nobody is kept waiting for it.
    answered_before: bool,
}

impl PendingCommit {
    /// A handle to a batch; `bell` calls who commits it.
    pub(super) fn of_batch(vb: VbId, bell: Bell) -> Self {
        let batch = Arc::new(Shared { bell, ..Shared::default() });
        Self { batch, vb, patience: None, answered_before: false }
    }

    /// A handle to the outcome of a durable write, which is decided within `patience`.
    pub(super) fn of_durable_write(vb: VbId, patience: Duration) -> Self {
        let patience = Some(patience + DECISION_WAIT);
        Self { patience, ..Self::of_batch(vb, Bell::default()) }
    }

    /// A handle to the same batch for the writers of `vb`.
    pub(super) fn of(&self, vb: VbId) -> Self {
        Self { batch: Arc::clone(&self.batch), vb, patience: None, answered_before: false }
    }

    /// The same, but clients hear of the change before it is stored.
    pub(super) fn answered_before(self) -> Self {
        Self { answered_before: true, ..self }
    }

    /// Whether clients hear of the change, and see it, before it is stored.
    pub(crate) const fn is_answered_before(&self) -> bool {
        self.answered_before
    }

    /// Somebody waits, or will: the batch is not left open for more.
    pub(super) fn want(&self) {
        self.batch.is_wanted.store(true, Ordering::Relaxed);
    }

    /// Whether somebody waits.
    pub(super) fn is_wanted(&self) -> bool {
        self.batch.is_wanted.load(Ordering::Relaxed)
    }

    /// Waits until the batch is durable and visible, or the durable write is decided.
    ///
    /// # Errors
    /// The error of the batch, or of its part of this vBucket; [`CommitError::Late`] after 30 s. Of
    /// a durable write [`CommitError::Ambiguous`] where it is not committed in time.
    pub async fn wait(&self) -> Result<(), CommitError> {
        if !self.is_wanted() {
            self.want();
            self.batch.bell.ring();
        }
        let decided = self.batch.outcome.wait();
        let outcome = match self.patience {
            None => in_time(decided).await?,
            Some(patience) => {
                tokio::time::timeout(patience, decided).await.map_err(|_| CommitError::Ambiguous)?
            }
        };
        let left_out = outcome.as_ref().map_err(Clone::clone)?;
        match left_out.iter().find(|(vb, _)| *vb == self.vb) {
            Some((_, error)) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// The commit of an empty batch, which has succeeded.
    pub(super) fn of_nothing(vb: VbId) -> Self {
        let commit = Self::of_batch(vb, Bell::default());
        commit.complete(Ok(Vec::new()));
        commit
    }

    /// Whether both have the same outcome: that of one vBucket in one batch.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.batch, &other.batch) && self.vb == other.vb
    }

    /// Whether it is the outcome of a durable write.
    pub(crate) const fn is_of_durable_write(&self) -> bool {
        self.patience.is_some()
    }

    /// Wakes everyone who waits. Only the first call counts.
    pub(super) fn complete(&self, outcome: Outcome) {
        let _first = self.batch.outcome.set(outcome);
    }
}
