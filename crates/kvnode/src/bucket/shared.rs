//! What the vBuckets of a bucket share.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use vbucket::engine::SharedStore;

use super::counters::Counters;
use super::filling::HashRoom;
use super::key_locks::KeyLocks;
use super::options::BucketOptions;
use super::queue::CommitQueue;

/// See the module.
pub(super) struct Shared {
    pub(super) options: BucketOptions,
    pub(super) store: SharedStore,
    pub(super) queue: CommitQueue,
    pub(super) keys: KeyLocks,
    pub(super) counters: Counters,
    /// What the memory logs hold.
    pub(super) logged_bytes: AtomicUsize,
    /// For the keys of vBuckets that are being filled.
    pub(super) hash_room: Arc<HashRoom>,
}

impl Shared {
    pub(super) fn new(options: BucketOptions, store: SharedStore) -> Self {
        Self {
            queue: CommitQueue::new(options.queue_bytes_max),
            keys: KeyLocks::new(),
            counters: Counters::default(),
            logged_bytes: AtomicUsize::new(0),
            hash_room: Arc::new(HashRoom::new(options.hash_bytes())),
            store,
            options,
        }
    }
}
