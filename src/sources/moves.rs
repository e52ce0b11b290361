//! Takeovers: a vBucket that is active here is not wanted from anybody.
//!
//! What this process has taken over is written down as soon as it is. What was active here before
//! it started, and what is active elsewhere again, is read from the data node's own reports.

use std::collections::BTreeMap;
use std::time::Duration;

use dcp_actors::{BucketStatus, Moved};
use mcbp::VbId;
use replica::plan::VbSet;
use tokio_util::sync::CancellationToken;

use super::{Sources, mark, now_ms};

/// How often the reports of the data node are compared with what was taken over.
const OBSERVE_EVERY: Duration = Duration::from_secs(5);
/// Takeovers that ended at about the same time are written at once.
const BATCH_MAX: usize = 1024;
/// Who takes vBuckets over, in the marks.
const SIDECAR: &str = "sidecar";

impl Sources {
    /// Writes takeovers down. Where that fails, it is tried again: the vBuckets are active here all
    /// the same.
    pub async fn took_over(&self, moved: &[Moved]) {
        let mut sets: BTreeMap<(&str, &str), VbSet> = BTreeMap::new();
        for Moved { bucket, vbucket, from, .. } in moved {
            sets.entry((bucket, from)).or_default().insert(VbId(*vbucket));
        }
        self.follow_with(|maps| {
            for ((bucket, from), set) in sets {
                if let Some(maps) = maps.bucket_mut(bucket) {
                    maps.took_over(set, from, &mark(SIDECAR));
                }
            }
        })
        .await;
        // A change that was accepted before the takeover may still want the vBuckets.
        self.0.unsettled.notify_one();
    }

    /// Follows takeovers and reports until `stopped` is cancelled, and all takeovers before that
    /// are written down.
    pub(super) async fn watch_moves(&self, stopped: CancellationToken) {
        let Some(running) = self.0.running.get() else { return };
        let mut moves = running.replication.moved_vbuckets();
        let mut ticks = tokio::time::interval(OBSERVE_EVERY);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                count = moves.recv_many(&mut batch, BATCH_MAX) => match count {
                    0 => return,
                    _ => self.took_over(&std::mem::take(&mut batch)).await,
                },
                () = stopped.cancelled() => return,
                _ = ticks.tick() => {
                    if self.state_error().is_some() {
                        // Its error is noted, and logged at the first time.
                        _ = self.save_again().await;
                    }
                    self.observe(&running.replication.status().await).await;
                }
            }
        }
    }

    /// Releases what was taken over and is active elsewhere by now.
    async fn observe(&self, buckets: &[BucketStatus]) {
        let is_over = |status: &&BucketStatus| {
            let maps = self.maps();
            let taken = maps.bucket(&status.bucket).map(|maps| maps.taken_over());
            let active = status.active_here.as_ref();
            taken.zip(active).is_some_and(|(taken, active)| {
                taken.iter().any(|vb| !active.as_set().contains(&vb))
            })
        };
        if !buckets.iter().any(|status| is_over(&status)) {
            return;
        }
        let released = self
            .follow_with(|maps| {
                let released = buckets.iter().filter_map(|status| {
                    let maps = maps.bucket_mut(&status.bucket)?;
                    let vbs = maps.observe(status.active_here.as_ref()?, now_ms());
                    (!vbs.is_empty()).then(|| (status.bucket.clone(), vbs))
                });
                released.collect::<Vec<_>>()
            })
            .await;
        for (bucket, vbs) in &released {
            log::info!("vbuckets are not active here any more bucket={bucket} vbs={vbs}");
        }
        if !released.is_empty() {
            self.0.unsettled.notify_one();
        }
    }
}
