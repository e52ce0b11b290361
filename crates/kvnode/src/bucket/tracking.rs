//! Where durable writes wait in a bucket, and what memory they have.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mcbp::VbId;
use tokio::sync::Notify;

use crate::sync::lock;

/// See the module.
pub(super) struct Tracking {
    began: Instant,
    /// The active vBuckets with prepares.
    vbs: Mutex<BTreeSet<VbId>>,
    added: Notify,
    /// Of all prepares.
    bytes: AtomicUsize,
    /// The node stops, and nobody can wait any more.
    is_stopping: AtomicBool,
}

impl Default for Tracking {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            vbs: Mutex::default(),
            added: Notify::new(),
            bytes: AtomicUsize::new(0),
            is_stopping: AtomicBool::new(false),
        }
    }
}

impl Tracking {
    /// The clock of deadlines.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The memory of all prepares, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The prepares of a vBucket take so many bytes now, and took so many before.
    pub(super) fn count(&self, before: usize, now: usize) {
        self.bytes.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
    }

    /// From now on no durable write is taken.
    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }

    /// The vBucket has prepares that wait.
    pub(super) fn add(&self, vb: VbId) {
        if lock(&self.vbs).insert(vb) {
            self.added.notify_one();
        }
    }

    /// It has none any more.
    pub(super) fn remove(&self, vb: VbId) {
        lock(&self.vbs).remove(&vb);
    }

    /// The vBuckets with prepares that wait.
    pub(super) fn all(&self) -> Vec<VbId> {
        lock(&self.vbs).iter().copied().collect()
    }

    /// Waits until there is one.
    pub(super) async fn any(&self) {
        if lock(&self.vbs).is_empty() {
            self.added.notified().await;
        }
    }
}
