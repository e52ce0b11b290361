//! The options of a bucket, and how its memory is divided.
//!
//! The shares and the consumers' windows (a twentieth) add up to the quota. What connections that
//! stream hold comes on top; see `docs/performance.md`.

use std::time::Duration;

use mcbp::{Seqno, VbState};
use store::Retention;
use vbucket::conflict::Resolution;
use vbucket::hlc::DriftLimits;
use vbucket::store::Durability;

/// The cache of disk blocks.
const CACHE_PARTS: u64 = 16;
/// The newest rows of documents: they take less memory than the blocks that they are in.
const ROW_PARTS: u64 = 8;
/// What connections hold: requests that are being read, answers that are not written yet.
const CONNECTION_PARTS: u64 = 16;
/// What one of the four tables holds before it is written out. While the disk lags, up to three
/// pieces of each are in memory, and small entries use twice what they count: three eighths in all.
const TABLE_PARTS: u64 = 64;
/// Committed rows for streams. A stream that lags by more reads the disk.
const LOG_PARTS: u64 = 8;
/// Rows that wait for their commit, in up to three copies: queued, encoded, in the journal's
/// buffer. Rows that were queued before those that replace them may be held once more.
const QUEUE_PARTS: u64 = 16;
/// Hashes of the keys of vBuckets that are being filled.
const HASH_PARTS: u64 = 80;

/// The options of a bucket.
#[derive(Clone, Debug)]
pub struct BucketOptions {
    /// Its name, 1 to 100 bytes.
    pub name: String,
    /// How many vBuckets it has, 1 to 1024.
    pub vbuckets: u16,
    /// The state of all vBuckets in a new store; `None` creates no vBuckets.
    pub initial_state: Option<VbState>,
    /// Whether a write is acknowledged once it is synced, or once it is buffered.
    pub durability: Durability,
    /// A write without a durability level is acknowledged, and shown, once it is in memory. It is
    /// written a moment later: a killed process loses what it had acknowledged since.
    pub memory_first: bool,
    /// How many bytes of memory it may use; see [`BucketOptions::set_quota`].
    pub quota_bytes: u64,
    /// How many bytes may wait for their commit; beyond that, writers wait. A part of the quota.
    pub queue_bytes_max: usize,
    /// How many bytes of committed rows are kept in memory for streams. A part of the quota.
    pub log_bytes_max: usize,
    /// How many bytes of the newest rows of documents are kept in memory for readers; 0 for none. A
    /// part of the quota.
    pub row_cache_bytes_max: u64,
    /// How often documents are checked for expiry.
    pub expiry_pager_interval: Duration,
    /// How long deletions are kept; a copy that was away for longer is rebuilt.
    pub deletions_kept: Duration,
    /// How far a CAS from elsewhere may be from this node's clock.
    pub drift: DriftLimits,
    /// Which of two changes of different clusters wins.
    pub resolution: Resolution,
    /// How much change history of collections with `history` is kept.
    pub retention: Retention,
}

impl BucketOptions {
    /// The longest name. Source: kv_engine.
    pub const NAME_BYTES_MAX: usize = 100;
    /// The most vBuckets. Source: `ep_max_vbuckets` of kv_engine.
    pub const VBUCKETS_MAX: u16 = 1024;
    /// The smallest quota in bytes. Source: Couchbase.
    pub const QUOTA_BYTES_MIN: u64 = 100 << 20;
    /// The quota in bytes where none is given.
    pub const QUOTA_BYTES_DEFAULT: u64 = 256 << 20;

    /// A bucket of 1024 active vBuckets that acknowledges what is synced.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let mut options = Self {
            name: name.into(),
            vbuckets: Self::VBUCKETS_MAX,
            initial_state: Some(VbState::Active),
            durability: Durability::Synced,
            memory_first: false,
            quota_bytes: 0,
            queue_bytes_max: 0,
            log_bytes_max: 0,
            row_cache_bytes_max: 0,
            // As often as kv_engine (`ep_exp_pager_stime`).
            expiry_pager_interval: Duration::from_secs(600),
            // Couchbase's `metadata purge interval`.
            deletions_kept: Duration::from_secs(3 * 24 * 60 * 60),
            drift: DriftLimits::default(),
            resolution: Resolution::default(),
            retention: Retention::default(),
        };
        options.set_quota(Self::QUOTA_BYTES_DEFAULT);
        options
    }

    /// # Errors
    /// What is wrong, as text.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self { name, vbuckets, .. } = self;
        let good = |c: char| c.is_ascii_alphanumeric() || "_.%-".contains(c);
        if name.is_empty() || name.len() > Self::NAME_BYTES_MAX || !name.chars().all(good) {
            return Err(format!(
                "bucket name {name:?}: give 1 to 100 letters, digits, '_', '.', '%' or '-'"
            ));
        }
        if name.starts_with('.') {
            return Err(format!(
                "bucket name {name:?} begins with a dot: give it another first character"
            ));
        }
        if !(1..=Self::VBUCKETS_MAX).contains(vbuckets) {
            return Err(format!("bucket {name:?} has {vbuckets} vBuckets: give 1 to 1024"));
        }
        Ok(())
    }

    /// Sets the quota and divides it into shares.
    pub fn set_quota(&mut self, bytes: u64) {
        let part = |parts| usize::try_from(bytes / parts).unwrap_or(usize::MAX);
        self.quota_bytes = bytes;
        self.log_bytes_max = part(LOG_PARTS);
        self.queue_bytes_max = part(QUEUE_PARTS);
        self.row_cache_bytes_max = bytes / ROW_PARTS;
    }

    /// What an acknowledged write has become, as the configuration spells it.
    pub(crate) const fn acknowledges(&self) -> &'static str {
        match self.durability {
            _ if self.memory_first => "memory-first",
            Durability::Synced => "synced",
            Durability::Buffered => "buffered",
        }
    }

    /// How many bytes of durable writes may wait for replicas. Most of them are rows that are kept
    /// for streams too, and so no share of their own.
    pub(super) const fn prepared_bytes_max(&self) -> usize {
        self.log_bytes_max / 2
    }

    /// Where the change history of a vBucket begins that has none so far; 0 where none is kept.
    pub(super) fn history_start(&self, high: Seqno) -> Seqno {
        if self.retention.is_on() { high.next() } else { Seqno::ZERO }
    }

    /// The share of the hashes of keys.
    pub(super) fn hash_bytes(&self) -> usize {
        usize::try_from(self.quota_bytes / HASH_PARTS).unwrap_or(usize::MAX)
    }

    /// The share of what connections hold.
    pub(crate) const fn connection_bytes(&self) -> u64 {
        self.quota_bytes / CONNECTION_PARTS
    }

    /// The options of its store. An existing store keeps the table size that it was created with.
    pub(crate) fn store_options(&self) -> store::Options {
        store::Options {
            cache_bytes: self.quota_bytes / CACHE_PARTS,
            memtable_bytes: self.quota_bytes / TABLE_PARTS,
            retention: self.retention,
            ..store::Options::default()
        }
    }
}
