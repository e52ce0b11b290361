//! What the vBuckets of a bucket share, with one lock for each key.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::{Duration, Instant};

use invariant::{Broken, broken};
use mcbp::{Seqno, VbId};
use tokio::runtime::Handle;
use tokio::sync::watch;
use vbucket::store::SharedStore;

use super::cell::VbCell;
use super::counters::Counters;
use super::filling::HashRoom;
use super::manifest::CurrentManifest;
use super::options::BucketOptions;
use super::queue::CommitQueue;
use super::row_cache::RowCache;
use super::tracking::Tracking;
use crate::blocking::disk;
use crate::sync::{lock, try_lock};

/// Enough that two writers seldom meet by chance.
const STRIPES: usize = 1024;

/// A worker that commits for so long is not waited for, and none begins the next commit.
pub(super) const STUCK: Duration = Duration::from_millis(1);

/// What the memory logs hold, oldest first: whose rows, up to which seqno, how many bytes.
pub(super) type Logged = VecDeque<(Weak<VbCell>, Seqno, usize)>;

/// See the module.
pub(super) struct Shared {
    pub(super) options: BucketOptions,
    pub(super) store: SharedStore,
    pub(super) queue: CommitQueue,
    pub(super) rows: RowCache,
    pub(super) keys: KeyLocks,
    /// Held while a large document is in memory only because it is being replaced.
    pub(super) large_reads: Mutex<()>,
    pub(super) counters: Counters,
    /// Whoever has it locked has the turn to commit.
    pub(super) logged: Mutex<Logged>,
    /// Whose workers commit, too.
    pub(super) runtime: OnceLock<Handle>,
    /// When the commit that runs has begun. One that waits for its next try does not run: a
    /// watchdog that took it for hanging would kill the process, and with it what was acknowledged.
    pub(super) committing: Mutex<Option<Instant>>,
    /// Whether the last commit took longer than [`STUCK`]; unknown is slow.
    pub(super) is_slow: AtomicBool,
    /// What the memory logs hold.
    pub(super) logged_bytes: AtomicUsize,
    /// For the keys of vBuckets that are being filled.
    pub(super) hash_room: Arc<HashRoom>,
    /// All collections.
    pub(super) manifest: CurrentManifest,
    /// Where durable writes wait.
    pub(super) tracking: Tracking,
    /// How often the state of a vBucket has changed.
    pub(super) states: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn new(options: BucketOptions, store: SharedStore) -> Self {
        Self {
            queue: CommitQueue::new(options.queue_bytes_max),
            rows: RowCache::new(options.row_cache_bytes_max),
            keys: KeyLocks::new(),
            large_reads: Mutex::default(),
            counters: Counters::default(),
            logged: Mutex::default(),
            runtime: OnceLock::new(),
            committing: Mutex::default(),
            is_slow: AtomicBool::new(true),
            logged_bytes: AtomicUsize::new(0),
            hash_room: Arc::new(HashRoom::new(options.hash_bytes())),
            manifest: CurrentManifest::default(),
            tracking: Tracking::default(),
            states: watch::Sender::new(0),
            store,
            options,
        }
    }

    /// The state of a vBucket has changed, or a vBucket has come or gone.
    pub(super) fn state_changed(&self) {
        self.states.send_modify(|count| *count += 1);
    }
}

/// Striped locks: one writer at a time for each key.
pub(crate) struct KeyLocks {
    hasher: RandomState,
    stripes: Vec<Mutex<()>>,
}

impl KeyLocks {
    pub(super) fn new() -> Self {
        let stripes = std::iter::repeat_with(Mutex::default).take(STRIPES).collect();
        Self { hasher: RandomState::new(), stripes }
    }

    /// Waits for the writer before, if there is one.
    pub(super) fn lock(&self, vb: VbId, key: &[u8]) -> Result<MutexGuard<'_, ()>, Broken> {
        let at = self.hasher.hash_one((vb, key)) % STRIPES as u64;
        let stripe = usize::try_from(at).ok().and_then(|at| self.stripes.get(at));
        let stripe = stripe.ok_or_else(|| broken!("no stripe {at} of {STRIPES}"))?;
        // The writer before may be reading the disk.
        Ok(try_lock(stripe).unwrap_or_else(|| disk(|| lock(stripe))))
    }
}
