//! A change of a vBucket's state, history or existence.
//!
//! It holds the vBucket's admin lock, lets nothing new be queued (`moving`), waits until what is
//! queued is committed, syncs the change, and only then makes it visible. It runs to its end even
//! if the caller is dropped, because memory would not know of a change that is half on disk.

use std::sync::Arc;

use invariant::broken;
use mcbp::VbState;
use tokio::sync::OwnedMutexGuard;
use vbucket::{StoreError, VbMeta};

use super::advance::follow_state;
use super::batch::{Entry, Room, Work};
use super::error::{CommitError, VbError};
use super::pending_commit::{PendingCommit, in_time};
use super::vb::Vb;
use crate::sync::lock;

/// Lets nothing be queued for a vBucket until it is dropped.
pub(super) struct Moving {
    vb: Arc<Vb>,
    _admin: OwnedMutexGuard<()>,
}

impl Moving {
    pub(super) async fn begin(vb: &Arc<Vb>) -> Result<Self, VbError> {
        let admin = in_time(Arc::clone(&vb.cell.admin).lock_owned()).await?;
        {
            let mut inner = lock(&vb.cell.inner);
            if inner.removed {
                return Err(VbError::NoVbucket(vb.id()));
            }
            inner.moving = true;
            inner.epoch += 1;
        }
        let moving = Self { vb: Arc::clone(vb), _admin: admin };
        vb.drained().await?;
        failpoint::reach("change-begun");
        Ok(moving)
    }

    /// The record, which is as on disk.
    ///
    /// # Errors
    /// [`VbError::Store`] where a failed rollback left an unknown one.
    pub(super) fn meta(&self) -> Result<VbMeta, VbError> {
        let inner = lock(&self.vb.cell.inner);
        match &inner.lost {
            None => Ok(inner.meta.clone()),
            Some(error) => Err(error.clone().into()),
        }
    }

    /// Syncs `meta`, then makes it visible. If that takes longer than anyone waits, it goes on, and
    /// nothing is queued before its end: it would be of a state that ends.
    pub(super) async fn commit(self, meta: VbMeta) -> Result<(), VbError> {
        let commit = queue_meta(&self.vb, meta)?;
        match commit.wait().await {
            Err(CommitError::Late) => {
                tokio::spawn(async move {
                    let mut outcome = commit.wait().await;
                    while let Err(CommitError::Late) = outcome {
                        outcome = commit.wait().await;
                    }
                    if outcome.is_ok() {
                        self.follow();
                    }
                });
                Err(CommitError::Late.into())
            }
            outcome => {
                outcome?;
                self.follow();
                Ok(())
            }
        }
    }

    /// Follows the record that is visible now.
    fn follow(&self) {
        {
            let mut inner = lock(&self.vb.cell.inner);
            if inner.meta.state != VbState::Active {
                inner.locks.clear();
            }
            follow_state(&self.vb.shared, self.vb.id(), &mut inner);
        }
        failpoint::reach("change-committed");
        self.vb.tell_state_changed();
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        let mut inner = lock(&self.vb.cell.inner);
        inner.moving = false;
        inner.life = self.vb.shared.rows.begin();
    }
}

/// Syncs the record of a vBucket that is new.
pub(super) async fn commit_meta(vb: &Arc<Vb>, meta: VbMeta) -> Result<(), VbError> {
    Ok(queue_meta(vb, meta)?.wait().await?)
}

/// Queues the record of a vBucket that is new or moving.
fn queue_meta(vb: &Arc<Vb>, meta: VbMeta) -> Result<PendingCommit, VbError> {
    let work = Work::Meta(Box::new(meta));
    // No room is needed: there is one such entry for each vBucket that is moving.
    let entry = Entry { vb: Arc::clone(&vb.cell), work, room: Room::NONE };
    let mut inner = lock(&vb.cell.inner);
    let commit = vb.shared.queue.push(entry)?;
    inner.last = Some(commit.clone());
    Ok(commit)
}

/// Runs `change` in a task of its own, which ends even if the caller is dropped.
pub(super) async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, VbError>> + Send + 'static,
) -> Result<T, VbError> {
    match tokio::spawn(change).await {
        Ok(outcome) => outcome,
        Err(gone) if gone.is_panic() => Err(broken!("a change of a vBucket: {gone}").into()),
        // The runtime stops.
        Err(_) => Err(CommitError::Closed.into()),
    }
}

/// Runs a call of the store on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(outcome) => outcome,
        Err(gone) => Err(StoreError::Io { doing: "calling the store", detail: gone.to_string() }),
    }
}
