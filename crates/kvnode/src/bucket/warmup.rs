//! Opening and closing a bucket. Warm-up loads every vBucket's record, all or nothing; after an
//! unclean stop each active vBucket begins a new branch of history, which is synced before any
//! vBucket is visible (MB-41942, MB-41257). A failure keeps traffic off and names its reason.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, RwLock};

use log::{error, info, warn};
use mcbp::{VbId, VbState};
use vbucket::StoreError;
use vbucket::engine::{Batch, Durability, SharedStore};

use super::committer::Committer;
use super::counters::Counters;
use super::filling::HashRoom;
use super::history::{begin_branch, new_meta};
use super::queue::CommitQueue;
use super::write::KeyLocks;
use super::{Bucket, BucketOptions, Shared, Vb, Warmup};
use crate::sync::lock;

/// Why warm-up failed.
#[derive(Debug, thiserror::Error)]
enum WarmupError {
    #[error("loading the vBuckets: {0}")]
    Load(StoreError),
    #[error("writing the failover entries: {0}")]
    Commit(StoreError),
    #[error(
        "the store holds {found}, but the bucket is configured with {count} vBuckets; \
         configure at least {}", found.0 + 1
    )]
    TooMany { found: VbId, count: u16 },
}

impl Bucket {
    /// A bucket over `store`, with its committer running and nothing visible: call
    /// [`Bucket::warm_up`] next.
    ///
    /// # Errors
    /// When the committer's thread cannot be started.
    pub fn open(options: BucketOptions, store: SharedStore) -> std::io::Result<Arc<Self>> {
        let slots = std::iter::repeat_with(RwLock::default);
        let slots = slots.take(usize::from(options.vbuckets)).collect();
        let shared = Arc::new(Shared {
            queue: CommitQueue::new(options.queue_bytes_max),
            keys: KeyLocks::new(),
            counters: Counters::default(),
            logged_bytes: AtomicUsize::new(0),
            hash_room: Arc::new(HashRoom::new(options.hash_bytes())),
            store,
            options,
        });
        let committer = Committer::new(Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("committer".to_owned());
        let thread = thread.spawn(move || committer.run())?;
        Ok(Arc::new(Self {
            shared,
            slots,
            making: tokio::sync::Mutex::default(),
            warmup: Mutex::new(Warmup::Loading),
            committer: Mutex::new(Some(thread)),
        }))
    }

    /// Loads the vBuckets and makes them visible. Blocks on the disk; says how it went, as
    /// [`Bucket::warmup`] does from then on.
    pub fn warm_up(self: &Arc<Self>) -> Warmup {
        let name = self.name();
        let outcome = match self.load() {
            Ok(count) => {
                info!("bucket is ready bucket={name} vbuckets={count}");
                Warmup::Done
            }
            Err(reason) => {
                error!("warm-up failed, the bucket is not served bucket={name} error={reason}");
                Warmup::Failed(reason.to_string())
            }
        };
        let mut warmup = lock(&self.warmup);
        if *warmup == Warmup::Loading {
            *warmup = outcome;
        }
        warmup.clone()
    }

    fn load(self: &Arc<Self>) -> Result<usize, WarmupError> {
        let options = &self.shared.options;
        let mut metas = self.shared.store.load().map_err(WarmupError::Load)?;
        failpoint::reach("warmup-loaded");
        let mut batch = Batch::default();
        if metas.is_empty() {
            let state = options.initial_state;
            let all = (0..options.vbuckets).map(VbId);
            metas =
                state.map(|s| all.map(|vb| new_meta(vb, s, None)).collect()).unwrap_or_default();
            batch.metas.clone_from(&metas);
        } else if !self.shared.store.was_clean() {
            for meta in metas.iter_mut().filter(|meta| meta.state == VbState::Active) {
                begin_branch(meta);
                if !failpoint::is_on("no-early-commit") {
                    batch.metas.push(meta.clone());
                }
            }
            warn!(
                "the last stop was not clean, active vBuckets begin a branch bucket={} count={}",
                options.name,
                batch.metas.len()
            );
        }
        let count = options.vbuckets;
        if let Some(found) = metas.iter().map(|meta| meta.vb).max().filter(|vb| vb.0 >= count) {
            return Err(WarmupError::TooMany { found, count });
        }
        if !batch.metas.is_empty() {
            let commit = self.shared.store.commit(&batch, Durability::Synced);
            commit.map_err(WarmupError::Commit)?;
            failpoint::reach("warmup-committed");
        }
        let loaded = metas.len();
        for meta in metas {
            self.put_slot(meta.vb, Some(Vb::new(meta, Arc::clone(&self.shared))));
        }
        failpoint::reach("warmup-visible");
        Ok(loaded)
    }

    /// Commits what is queued and closes the store clean. Blocks. Nothing can be written any more.
    ///
    /// # Errors
    /// What the store said; the next start will take this stop for an unclean one then.
    pub fn close(&self) -> Result<(), StoreError> {
        if self.stop_committer() {
            self.shared.store.close()
        } else {
            let detail = "the committer had died".to_owned();
            Err(StoreError::Io { doing: "closing the bucket", detail })
        }
    }

    /// Stops without closing the store: the next start takes it for a crash. Does nothing to a
    /// bucket that was closed.
    pub(crate) fn abandon(&self) {
        self.stop_committer();
    }

    /// Commits what is queued and ends the committer; false where that had died.
    fn stop_committer(&self) -> bool {
        *lock(&self.warmup) = Warmup::Closed;
        self.shared.queue.close();
        let thread = lock(&self.committer).take();
        thread.is_none_or(|thread| thread.join().is_ok())
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.abandon();
    }
}
