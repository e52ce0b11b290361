//! Changes of a vBucket's state, history or existence.
//!
//! Each holds the vBucket's admin lock, keeps new work out (`moving`), waits until what is queued is
//! committed, has the change synced, and only then makes it visible.

use std::sync::Arc;

use mcbp::dcp::FailoverEntry;
use mcbp::{Seqno, VbId, VbState};
use vbucket::{FailoverTable, StoreError, VbMeta};

use super::listener::VbEvent;
use super::queue::{Entry, Room, Work};
use super::{Bucket, Vb, VbError, Warmup};
use crate::clock;
use crate::sync::lock;

/// Keeps work out of a vBucket until it is dropped.
struct Moving<'a> {
    vb: &'a Arc<Vb>,
    _admin: tokio::sync::MutexGuard<'a, ()>,
}

impl<'a> Moving<'a> {
    async fn begin(vb: &'a Arc<Vb>) -> Result<Self, VbError> {
        let limit = std::time::Duration::from_secs(super::queue::COMMIT_WAIT_SECONDS);
        let admin = tokio::time::timeout(limit, vb.admin.lock()).await;
        let admin = admin.map_err(|_| super::CommitError::Late)?;
        {
            let mut inner = lock(&vb.inner);
            if inner.removed {
                return Err(VbError::NoVbucket(vb.id()));
            }
            inner.moving = true;
        }
        let moving = Self { vb, _admin: admin };
        vb.drained().await?;
        Ok(moving)
    }

    fn meta(&self) -> VbMeta {
        lock(&self.vb.inner).meta.clone()
    }

    /// Has `meta` synced, then makes it visible.
    async fn commit(&self, meta: VbMeta) -> Result<(), VbError> {
        commit_meta(self.vb, meta).await?;
        self.vb.listeners.notify(self.vb.id(), VbEvent::StateChanged);
        Ok(())
    }
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        lock(&self.vb.inner).moving = false;
    }
}

async fn commit_meta(vb: &Arc<Vb>, meta: VbMeta) -> Result<(), VbError> {
    let work = Work::Meta(Box::new(meta));
    // A handful at a time: one for each vBucket that is moving.
    let entry = Entry { vb: Arc::clone(vb), work, _room: Room::NONE };
    Ok(vb.shared.queue.push([entry])?.wait().await?)
}

impl Bucket {
    /// Gives a vBucket its state and topology; makes it where there is none. The change is synced
    /// before it is visible. A vBucket that becomes active begins a new branch of history.
    ///
    /// # Errors
    /// [`VbError::OutOfRange`], [`VbError::NotReady`] or [`VbError::Commit`]; nothing has changed
    /// then.
    pub async fn set_state(
        self: &Arc<Self>,
        id: VbId,
        state: VbState,
        topology: Option<String>,
    ) -> Result<(), VbError> {
        self.check_ready()?;
        let count = self.shared.options.vbuckets;
        if id.0 >= count {
            return Err(VbError::OutOfRange { vb: id, count });
        }
        loop {
            let Some(vb) = self.vb(id) else {
                let _making = self.making.lock().await;
                if self.vb(id).is_some() {
                    continue;
                }
                let vb = Vb::new(new_meta(id, state, topology), Arc::clone(&self.shared));
                let meta = lock(&vb.inner).meta.clone();
                commit_meta(&vb, meta).await?;
                self.put_slot(id, Some(vb));
                return Ok(());
            };
            let moving = match Moving::begin(&vb).await {
                Err(VbError::NoVbucket(_)) => continue,
                other => other?,
            };
            let mut meta = moving.meta();
            let was = std::mem::replace(&mut meta.state, state);
            meta.topology = topology.unwrap_or_default();
            if state == VbState::Active && was != VbState::Active {
                begin_branch(&mut meta);
            }
            return moving.commit(meta).await;
        }
    }

    /// Removes a vBucket and what it holds. Nothing happens where there is none.
    ///
    /// # Errors
    /// [`VbError::Commit`] or [`VbError::Store`]; the vBucket is still there then.
    pub async fn remove_vb(self: &Arc<Self>, id: VbId) -> Result<(), VbError> {
        self.check_ready()?;
        let Some(vb) = self.vb(id) else { return Ok(()) };
        let moving = match Moving::begin(&vb).await {
            Err(VbError::NoVbucket(_)) => return Ok(()),
            other => other?,
        };
        let store = Arc::clone(self.store());
        blocking(move || store.remove(id)).await?;
        lock(&vb.inner).removed = true;
        self.put_slot(id, None);
        drop(moving);
        vb.listeners.notify(id, VbEvent::Removed);
        Ok(())
    }

    fn check_ready(&self) -> Result<(), VbError> {
        match self.warmup() {
            Warmup::Done => Ok(()),
            Warmup::Loading => Err(VbError::NotReady("warm-up is under way".to_owned())),
            Warmup::Failed(reason) => Err(VbError::NotReady(reason)),
            Warmup::Closed => Err(super::CommitError::Closed.into()),
        }
    }
}

impl Vb {
    /// Takes a replica back to `to`, or to 0 where its store cannot go there; says what it is then.
    ///
    /// # Errors
    /// [`VbError::WrongState`] unless it is replica or pending (MB-25258: it is left alone then),
    /// [`VbError::NoVbucket`], [`VbError::Commit`] or [`VbError::Store`].
    pub async fn rollback(self: &Arc<Self>, to: Seqno) -> Result<VbMeta, VbError> {
        let moving = Moving::begin(self).await?;
        self.check_replica(&moving)?;
        let (store, id) = (Arc::clone(&self.shared.store), self.id());
        let meta = blocking(move || store.rollback(id, to)).await?;
        lock(&self.inner).reset(meta.clone());
        self.shared.counters.rollbacks.add(1);
        self.listeners.notify(id, VbEvent::StateChanged);
        Ok(meta)
    }

    /// Takes over a producer's failover table, newest entry first.
    ///
    /// # Errors
    /// [`VbError::Failover`] where it is none; else as [`Vb::rollback`].
    pub async fn replace_failover(
        self: &Arc<Self>,
        entries: &[FailoverEntry],
    ) -> Result<(), VbError> {
        let moving = Moving::begin(self).await?;
        self.check_replica(&moving)?;
        let table = FailoverTable::from_log(entries)?;
        let mut meta = moving.meta();
        if meta.failover == table {
            return Ok(());
        }
        meta.failover = table;
        moving.commit(meta).await
    }

    fn check_replica(&self, moving: &Moving<'_>) -> Result<(), VbError> {
        match moving.meta().state {
            VbState::Replica | VbState::Pending => Ok(()),
            state => Err(VbError::WrongState { vb: self.id(), state }),
        }
    }
}

/// The record of a vBucket that has just come into being.
pub(super) fn new_meta(vb: VbId, state: VbState, topology: Option<String>) -> VbMeta {
    VbMeta {
        vb,
        state,
        failover: FailoverTable::new(clock::new_uuid()),
        high_seqno: Seqno::ZERO,
        snapshot_start: Seqno::ZERO,
        snapshot_end: Seqno::ZERO,
        purge_seqno: Seqno::ZERO,
        max_cas: 0,
        max_deleted_rev: 0,
        topology: topology.unwrap_or_default(),
    }
}

/// Begins a branch of history at the last seqno that others can have in full: the high seqno where
/// the snapshot is whole, else the snapshot's start (MB-41942 and what followed it).
pub(super) fn begin_branch(meta: &mut VbMeta) {
    let whole = meta.high_seqno == meta.snapshot_end;
    let from = if whole { meta.high_seqno } else { meta.snapshot_start };
    meta.failover.create_entry(clock::new_uuid(), from);
    meta.snapshot_start = meta.high_seqno;
    meta.snapshot_end = meta.high_seqno;
}

async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(outcome) => outcome,
        Err(gone) => Err(StoreError::Io { doing: "calling the store", detail: gone.to_string() }),
    }
}
