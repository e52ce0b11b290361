//! How a bucket gets a manifest of collections, which is on disk before it is in force, and how
//! each active vBucket follows it with system events. A replica follows its producer instead.

use std::sync::Arc;

use log::{error, info};
use logline::value;
use mcbp::key::{DEFAULT_COLLECTION, collection_id};
use mcbp::{Status, VbState};
use vbucket::Replaces;
use vbucket::collections::{Manifest, SystemEvent, VbCollections};

use super::batch::{Answered, NewRow, Room};
use super::cell::Inner;
use super::core::Bucket;
use super::error::VbError;
use super::moving::{blocking, to_its_end};
use super::pending_commit::PendingCommit;
use super::vb::Vb;
use crate::sync::lock;

/// Why a manifest was not taken.
#[derive(Debug)]
pub(crate) enum ManifestError {
    /// It may not follow the one before; status and reason.
    Refused(Status, String),
    Vb(VbError),
}

impl<E: Into<VbError>> From<E> for ManifestError {
    fn from(error: E) -> Self {
        Self::Vb(error.into())
    }
}

impl Bucket {
    /// The newest manifest that is known here.
    pub(crate) fn manifest(&self) -> Arc<Manifest> {
        self.shared.manifest.newest()
    }

    /// Puts a manifest in force. All active vBuckets have followed it on disk when this returns;
    /// after a failure they follow once the node starts again, or with the next one.
    pub(crate) async fn set_manifest(
        self: &Arc<Self>,
        manifest: Manifest,
    ) -> Result<(), ManifestError> {
        let bucket = Arc::clone(self);
        to_its_end(async move { Ok(bucket.take_manifest(manifest).await) }).await?
    }

    async fn take_manifest(&self, manifest: Manifest) -> Result<(), ManifestError> {
        let _changing = self.shared.manifest.change().await;
        let refused = |error: vbucket::collections::ManifestRefusal| {
            ManifestError::Refused(error.status, error.text)
        };
        manifest.may_follow(&self.shared.manifest.set_here()).map_err(refused)?;
        let active = || self.all_vbs().filter(|vb| vb.state() == VbState::Active);
        active().try_for_each(|vb| vb.collections().may_take(&manifest).map_err(refused))?;
        let (store, text) = (Arc::clone(self.store()), manifest.to_json());
        blocking(move || store.put_manifest(text.as_bytes())).await?;
        failpoint::reach("manifest-stored");
        let uid = manifest.uid();
        self.shared.manifest.put(manifest);
        info!("collections changed bucket={} manifest={uid:x}", self.name());
        let mut commits = Vec::new();
        for vb in active() {
            commits.extend(vb.follow_manifest().await?);
        }
        for commit in commits {
            commit.wait().await?;
        }
        Ok(())
    }
}

impl Vb {
    /// Its collections, with those that are not durable yet.
    pub(crate) fn collections(&self) -> Arc<VbCollections> {
        Arc::clone(&lock(&self.cell.inner).collections)
    }

    /// Checks that a client may use the collection of a key. An active vBucket that does not follow
    /// the manifest yet, as it has just become active, may have one that was dropped.
    pub(super) fn check_usable(&self, inner: &Inner, key: &[u8]) -> Result<(), VbError> {
        self.check_collection(&inner.collections, key)?;
        let follows = self.shared.manifest.uid_here() <= inner.collections.uid();
        if follows || inner.meta.state != VbState::Active {
            return Ok(());
        }
        let manifest = self.shared.manifest.set_here();
        let id = collection_id(key).unwrap_or(DEFAULT_COLLECTION);
        if manifest.collection(id).is_some() {
            return Ok(());
        }
        Err(VbError::UnknownCollection { vb: self.id(), id, uid: manifest.uid() })
    }

    /// The same where it is not locked yet.
    pub(crate) fn check_readable(&self, key: &[u8]) -> Result<(), VbError> {
        self.check_usable(&lock(&self.cell.inner), key)
    }

    /// Queues the system events that lead to the manifest, if the vBucket is active and they are
    /// not there. Returns the commit to wait for.
    pub(super) async fn follow_manifest(
        self: &Arc<Self>,
    ) -> Result<Option<PendingCommit>, VbError> {
        loop {
            let events = self.collections().changes_to(&self.shared.manifest.set_here());
            let rows = events.iter().map(|event| event.row(mcbp::Seqno::ZERO).memory_bytes());
            let room = self.shared.queue.room(rows.sum()).await?;
            match self.queue_events(&events, room)? {
                Queued::Done(commit) => return Ok(commit),
                Queued::Moving => self.settled().await?,
                Queued::Changed => {}
            }
        }
    }

    /// The same where no room is to be waited for, and nothing is moving.
    pub(super) fn follow_manifest_at_once(self: &Arc<Self>) -> Result<(), VbError> {
        let events = self.collections().changes_to(&self.shared.manifest.set_here());
        self.queue_events(&events, Room::NONE).map(drop)
    }

    fn queue_events(
        self: &Arc<Self>,
        events: &[SystemEvent],
        mut room: Room,
    ) -> Result<Queued, VbError> {
        let mut inner = lock(&self.cell.inner);
        if inner.removed || inner.meta.state != VbState::Active {
            return Ok(Queued::Done(None));
        }
        if inner.moving {
            return Ok(Queued::Moving);
        }
        let manifest = self.shared.manifest.set_here();
        if let Err(refusal) = inner.collections.may_take(&manifest) {
            let (bucket, vb, reason) = (self.bucket_name(), self.id().0, value(&refusal.text));
            error!("vbucket cannot follow the manifest bucket={bucket} vb={vb} reason={reason}");
            return Ok(Queued::Done(None));
        }
        if inner.collections.changes_to(&manifest) != events {
            return Ok(Queued::Changed);
        }
        if events.is_empty() && manifest.uid() > inner.collections.uid() {
            Arc::make_mut(&mut inner.collections).note_uid(manifest.uid());
            return Ok(Queued::Done(None));
        }
        for event in events {
            let exhausted = || VbError::Exhausted { vb: self.id(), counter: "seqno" };
            let seqno = inner.tail.seqno.successor().ok_or_else(exhausted)?;
            let row = Arc::new(event.row(seqno));
            let room = room.split(row.memory_bytes());
            let (replaces, answered) = (Replaces::Unknown, Answered::Stored);
            let new = NewRow { row, replaces, completes: None, answered };
            self.shared.queue.push_row(&self.cell, &mut inner, new, room)?;
            Arc::make_mut(&mut inner.collections).follow(seqno, event);
            // Whoever has looked at a document looks again: its collection may be gone.
            inner.epoch += 1;
        }
        Ok(Queued::Done(inner.last.clone().filter(|_| !events.is_empty())))
    }
}

/// What became of events that were to be queued.
enum Queued {
    Done(Option<PendingCommit>),
    /// State or history is being changed: try again afterwards.
    Moving,
    /// Others are to be queued by now.
    Changed,
}
