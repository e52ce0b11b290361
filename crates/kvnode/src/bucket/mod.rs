//! A bucket: vBuckets over one store, one commit queue, one committer thread.
//!
//! - `vb`, `memory_log`, `listener`: one vBucket as others see it; everything they see is durable
//! - `write`, `apply`: the two ways in, for clients (active) and for producers (replica)
//! - `filling`: what a replica that is filled from nothing need not look for
//! - `queue`, `committer`: group commit; `quota`: how its memory is shared out
//! - `admin`, `history`, `moving`: state, history and existence of vBuckets; on disk before they
//!   are visible
//! - `warmup`: from the store to vBuckets, all or nothing; `pager`: expired documents;
//!   `purge`: old deletions; `read_failures`: what is told of a broken disk

mod admin;
mod apply;
mod committer;
mod counters;
mod error;
mod filling;
mod history;
mod listener;
mod memory_log;
mod moving;
mod pager;
mod purge;
mod queue;
mod quota;
mod read_failures;
mod vb;
mod warmup;
mod write;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use mcbp::VbId;
use vbucket::engine::{Durability, SharedStore};

pub use error::{CommitError, VbError};
pub use listener::{Subscription, VbEvent, VbListener};
pub use memory_log::LogRead;
pub use queue::Ticket;
pub use vb::{Vb, VbView, WriteHold};

use crate::sync::{lock, read, write};
use counters::Counters;
use filling::HashRoom;
use queue::CommitQueue;
use write::KeyLocks;
pub(crate) use write::{Draft, Refusal, Version, Written};

/// What a bucket is like.
#[derive(Clone, Debug)]
pub struct BucketOptions {
    /// Its name, 1 to 100 bytes.
    pub name: String,
    /// How many vBuckets it has, 1 to 1024.
    pub vbuckets: u16,
    /// The state that all vBuckets get when the store is new; `None` leaves them out.
    pub initial_state: Option<mcbp::VbState>,
    /// What "acknowledged" means.
    pub durability: Durability,
    /// How many bytes of memory it may take; see [`BucketOptions::set_quota`].
    pub quota_bytes: u64,
    /// How many bytes may wait for their commit; writers wait beyond that. A part of the quota.
    pub queue_bytes_max: usize,
    /// How many bytes of committed rows are kept in memory for streams. A part of the quota.
    pub log_bytes_max: usize,
    /// How often expired documents are looked for.
    pub expiry_pager_interval: std::time::Duration,
    /// For how long deletions are kept: a copy that was away for longer is built anew.
    pub deletions_kept: std::time::Duration,
}

impl BucketOptions {
    /// The longest name. Source: kv_engine.
    pub const NAME_BYTES_MAX: usize = 100;
    /// The most vBuckets. Source: `ep_max_vbuckets` of kv_engine.
    pub const VBUCKETS_MAX: u16 = 1024;

    /// A bucket of 1024 active vBuckets that acknowledges what is synced.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let mut options = Self {
            name: name.into(),
            vbuckets: Self::VBUCKETS_MAX,
            initial_state: Some(mcbp::VbState::Active),
            durability: Durability::Synced,
            quota_bytes: 0,
            queue_bytes_max: 0,
            log_bytes_max: 0,
            // As often as kv_engine (`ep_exp_pager_stime`).
            expiry_pager_interval: std::time::Duration::from_secs(600),
            // Couchbase's `metadata purge interval`.
            deletions_kept: std::time::Duration::from_secs(3 * 24 * 60 * 60),
        };
        options.set_quota(Self::QUOTA_BYTES_DEFAULT);
        options
    }

    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self { name, vbuckets, .. } = self;
        let good = |c: char| c.is_ascii_alphanumeric() || "_.%-".contains(c);
        if name.is_empty() || name.len() > Self::NAME_BYTES_MAX || !name.chars().all(good) {
            return Err(format!(
                "bucket name {name:?}: give 1 to 100 letters, digits, '_', '.', '%' or '-'"
            ));
        }
        if name.starts_with('.') {
            return Err(format!("bucket name {name:?} begins with a dot"));
        }
        if !(1..=Self::VBUCKETS_MAX).contains(vbuckets) {
            return Err(format!("bucket {name:?} has {vbuckets} vBuckets: give 1 to 1024"));
        }
        Ok(())
    }
}

/// What the vBuckets of a bucket share.
pub(crate) struct Shared {
    pub(crate) options: BucketOptions,
    pub(crate) store: SharedStore,
    pub(crate) queue: CommitQueue,
    pub(crate) keys: KeyLocks,
    pub(crate) counters: Counters,
    /// What the memory logs hold.
    pub(crate) logged_bytes: AtomicUsize,
    /// For the keys of vBuckets that are being filled.
    pub(crate) hash_room: Arc<HashRoom>,
}

/// How far warm-up is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warmup {
    /// Nothing is served yet.
    Loading,
    /// Everything is served.
    Done,
    /// Nothing will be served; the reason is for people.
    Failed(String),
    /// The bucket was closed.
    Closed,
}

/// See the module.
pub struct Bucket {
    shared: Arc<Shared>,
    slots: Vec<RwLock<Option<Arc<Vb>>>>,
    /// Held while a vBucket is made, so that there is one of each id.
    making: tokio::sync::Mutex<()>,
    warmup: Mutex<Warmup>,
    committer: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Bucket {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.options.name
    }

    /// The vBucket, where it is on this node and warm-up has ended.
    #[must_use]
    pub fn vb(&self, vb: VbId) -> Option<Arc<Vb>> {
        self.slots.get(usize::from(vb.0)).and_then(|slot| read(slot).clone())
    }

    /// The vBuckets on this node in the order of their ids.
    #[must_use]
    pub fn vbuckets(&self) -> Vec<VbId> {
        self.all_vbs().map(|vb| vb.id()).collect()
    }

    pub(crate) fn all_vbs(&self) -> impl Iterator<Item = Arc<Vb>> {
        self.slots.iter().filter_map(|slot| read(slot).clone())
    }

    /// The store, for backfills. Its calls block.
    #[must_use]
    pub fn store(&self) -> &SharedStore {
        &self.shared.store
    }

    /// Whether warm-up has ended well: before, nothing is served and no consumer is accepted.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.warmup() == Warmup::Done
    }

    /// How far warm-up is.
    #[must_use]
    pub fn warmup(&self) -> Warmup {
        lock(&self.warmup).clone()
    }

    /// What happened in this bucket since it was opened.
    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    pub(crate) fn options(&self) -> &BucketOptions {
        &self.shared.options
    }

    /// Bytes that wait for their commit.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.shared.queue.used_bytes()
    }

    /// Bytes of committed rows that are kept for streams.
    pub(crate) fn logged_bytes(&self) -> usize {
        self.shared.logged_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of its quota that are in use, but for what connections hold.
    pub(crate) fn used_bytes(&self) -> u64 {
        let hashes = self.shared.hash_room.used_bytes();
        (self.queued_bytes() + self.logged_bytes() + hashes) as u64 + self.store().memory_bytes()
    }

    /// What the last commit failed with, if it did.
    pub(crate) fn write_failure(&self) -> Option<vbucket::StoreError> {
        self.shared.queue.failure()
    }

    fn put_slot(&self, vb: VbId, value: Option<Arc<Vb>>) {
        if let Some(slot) = self.slots.get(usize::from(vb.0)) {
            *write(slot) = value;
        }
    }
}
