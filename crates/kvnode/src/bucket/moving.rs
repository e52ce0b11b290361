//! A change of a vBucket's state, history or existence while it is under way.
//!
//! It holds the vBucket's admin lock, keeps new work out (`moving`), waits until what is queued is
//! committed, has the change synced, and only then makes it visible. It runs to its end even when
//! the caller goes away: half a change on disk would be one that memory does not know.

use std::sync::Arc;

use invariant::broken;
use tokio::sync::OwnedMutexGuard;
use vbucket::{StoreError, VbMeta};

use super::error::{CommitError, VbError};
use super::listener::VbEvent;
use super::queue::{Entry, Room, Work};
use super::ticket::in_time;
use super::vb::Vb;
use crate::sync::lock;

/// Keeps work out of a vBucket until it is dropped.
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

    /// Has `meta` synced, then makes it visible.
    pub(super) async fn commit(&self, meta: VbMeta) -> Result<(), VbError> {
        commit_meta(&self.vb, meta).await?;
        failpoint::reach("change-committed");
        self.vb.cell.listeners.notify(self.vb.id(), VbEvent::StateChanged);
        Ok(())
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        lock(&self.vb.cell.inner).moving = false;
    }
}

/// Has the record of a vBucket synced that others do not see, or do not write to.
pub(super) async fn commit_meta(vb: &Arc<Vb>, meta: VbMeta) -> Result<(), VbError> {
    let work = Work::Meta(Box::new(meta));
    // A handful at a time: one for each vBucket that is moving.
    let entry = Entry { vb: Arc::clone(&vb.cell), work, room: Room::NONE };
    let ticket = {
        let mut inner = lock(&vb.cell.inner);
        let ticket = vb.shared.queue.push([entry])?;
        inner.last = Some(ticket.clone());
        ticket
    };
    Ok(ticket.wait().await?)
}

/// Runs `change` in a task of its own.
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

/// Runs a call of the store in a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(outcome) => outcome,
        Err(gone) => Err(StoreError::Io { doing: "calling the store", detail: gone.to_string() }),
    }
}
