//! Creating, changing and removing vBuckets.

use std::sync::Arc;

use mcbp::{VbId, VbState};
use vbucket::collections::VbCollections;

use super::advance::{follow_state, note};
use super::core::{Bucket, Warmup};
use super::error::{CommitError, VbError};
use super::history::{begin_branch, new_meta};
use super::listener::VbEvent;
use super::moving::{Moving, blocking, commit_meta, to_its_end};
use super::pending_commit::in_time;
use super::vb::Vb;
use crate::sync::lock;

/// An active vBucket has the collections of the bucket.
async fn follow(vb: &Arc<Vb>) -> Result<(), VbError> {
    match vb.follow_manifest().await? {
        Some(commit) => Ok(commit.wait().await?),
        None => Ok(()),
    }
}

impl Bucket {
    /// Sets the state and topology of a vBucket; creates it if it does not exist. The change is
    /// synced before it is visible. A vBucket that becomes active begins a new branch of history.
    ///
    /// # Errors
    /// [`VbError::OutOfRange`], [`VbError::NotReady`] or [`VbError::Commit`]; nothing has changed
    /// then, unless it is [`CommitError::Late`].
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
        let bucket = Arc::clone(self);
        to_its_end(async move { bucket.take_state(id, state, topology).await }).await
    }

    async fn take_state(
        self: &Arc<Self>,
        id: VbId,
        state: VbState,
        topology: Option<String>,
    ) -> Result<(), VbError> {
        loop {
            let Some(vb) = self.vb(id) else {
                let _making = in_time(self.making.lock()).await?;
                if self.vb(id).is_some() {
                    continue;
                }
                let meta = new_meta(id, state, topology, &self.shared.options);
                let (collections, shared) = (VbCollections::default(), Arc::clone(&self.shared));
                let vb = Vb::new(meta.clone(), collections, Vec::new(), shared);
                commit_meta(&vb, meta).await?;
                follow_state(&self.shared, id, &mut lock(&vb.cell.inner));
                self.put_slot(id, Some(Arc::clone(&vb)))?;
                return follow(&vb).await;
            };
            let moving = match Moving::begin(&vb).await {
                Err(VbError::NoVbucket(_)) => continue,
                other => other?,
            };
            let mut meta = moving.meta()?;
            let was = std::mem::replace(&mut meta.state, state);
            meta.topology = topology.unwrap_or_default();
            if state == VbState::Active && was != VbState::Active {
                begin_branch(&mut meta);
            }
            moving.commit(meta).await?;
            return follow(&vb).await;
        }
    }

    /// Removes a vBucket with its rows. Does nothing if it does not exist.
    ///
    /// # Errors
    /// [`VbError::Commit`] or [`VbError::Store`]; the vBucket is still there then.
    pub async fn remove_vb(self: &Arc<Self>, id: VbId) -> Result<(), VbError> {
        self.check_ready()?;
        let bucket = Arc::clone(self);
        to_its_end(async move { bucket.remove(id).await }).await
    }

    async fn remove(&self, id: VbId) -> Result<(), VbError> {
        let Some(vb) = self.vb(id) else { return Ok(()) };
        let moving = match Moving::begin(&vb).await {
            Err(VbError::NoVbucket(_)) => return Ok(()),
            other => other?,
        };
        let store = Arc::clone(self.store());
        blocking(move || store.remove(id)).await?;
        {
            let mut inner = lock(&vb.cell.inner);
            inner.removed = true;
            inner.durable.replace(Vec::new());
            note(&self.shared, id, &mut inner);
        }
        self.put_slot(id, None)?;
        drop(moving);
        vb.cell.listeners.notify(id, VbEvent::Removed);
        Ok(())
    }

    fn check_ready(&self) -> Result<(), VbError> {
        match self.warmup() {
            Warmup::Done => Ok(()),
            Warmup::Loading => Err(VbError::NotReady("warm-up is under way".to_owned())),
            Warmup::Failed(reason) => Err(VbError::NotReady(reason)),
            Warmup::Closed => Err(CommitError::Closed.into()),
        }
    }
}
