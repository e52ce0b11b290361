//! The purge of old deletions: by age at intervals, and on request.
//!
//! Every vBucket on this node is purged, replicas too: the purge seqno of each copy tells what it
//! lacks.

use std::sync::Arc;
use std::time::Duration;

use log::{error, info};
use logline::value;
use mcbp::Seqno;
use tokio_util::sync::CancellationToken;
use vbucket::StoreError;
use vbucket::store::{PurgeRule, PurgeStep};

use super::core::Bucket;
use super::error::VbError;
use super::moving::{blocking, to_its_end};
use super::pending_commit::in_time;
use super::vb::Vb;
use crate::clock::unix_now;
use crate::sync::lock;

/// How often old deletions are purged. They are kept for days, so an hour does not matter, and a
/// purge reads every key.
const INTERVAL_MAX: Duration = Duration::from_secs(3600);

impl Bucket {
    /// Runs until `shutdown`.
    pub(crate) async fn run_purger(self: Arc<Self>, shutdown: CancellationToken) {
        let age = self.options().deletions_kept;
        let passes = async {
            loop {
                tokio::time::sleep(age.min(INTERVAL_MAX)).await;
                self.purge_older_than(age).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = passes => {}
        }
    }

    async fn purge_older_than(&self, age: Duration) {
        let age = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
        let rule = PurgeRule { made_before: unix_now().saturating_sub(age), up_to: Seqno::MAX };
        for vb in self.all_vbs().filter(|vb| vb.ever_deleted()) {
            if let Err(error) = vb.purge(rule).await {
                let unread = matches!(error, VbError::Store(StoreError::Damaged { .. }));
                if !unread || self.counters().read_failures.add() {
                    let (bucket, vb) = (self.name(), vb.id().0);
                    error!("purge failed bucket={bucket} vb={vb} error={}", value(error));
                }
            }
        }
    }
}

impl Vb {
    /// Drops the deletions that `rule` selects; returns how many. From then on, streams that lack
    /// one of them are told to roll back.
    ///
    /// # Errors
    /// [`VbError::NoVbucket`], [`VbError::Commit`] if a change of the vBucket does not end in time,
    /// or [`VbError::Store`]. Some deletions may have been dropped then.
    pub async fn purge(self: &Arc<Self>, rule: PurgeRule) -> Result<u64, VbError> {
        let mut from = bytes::Bytes::new();
        let mut dropped = 0;
        loop {
            let vb = Arc::clone(self);
            let step = to_its_end(async move { vb.purge_step(rule, from).await }).await?;
            dropped += step.dropped;
            match step.next {
                Some(next) => from = next,
                None => break,
            }
        }
        if dropped > 0 {
            self.shared.counters.purged.add(dropped);
            let (vb, seqno) = (self.id().0, lock(&self.cell.inner).meta.purge_seqno);
            let bucket = self.bucket_name();
            info!("deletions purged bucket={bucket} vb={vb} count={dropped} purge_seqno={seqno}");
        }
        Ok(dropped)
    }

    /// One step, during which the vBucket is neither rolled back nor removed.
    async fn purge_step(&self, rule: PurgeRule, from: bytes::Bytes) -> Result<PurgeStep, VbError> {
        let _admin = in_time(self.cell.admin.lock()).await?;
        if lock(&self.cell.inner).removed {
            return Err(VbError::NoVbucket(self.id()));
        }
        let (store, id) = (Arc::clone(&self.shared.store), self.id());
        let step = blocking(move || store.purge(id, &rule, &from)).await?;
        // A stream that begins before this line finds the purge seqno in its scan.
        lock(&self.cell.inner).meta.purge_seqno = step.purge_seqno;
        Ok(step)
    }

    fn ever_deleted(&self) -> bool {
        lock(&self.cell.inner).meta.max_deleted_rev > 0
    }
}
