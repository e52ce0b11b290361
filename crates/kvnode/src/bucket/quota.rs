//! How the memory of a bucket is shared out.
//!
//! The parts and the consumers' windows (a twentieth) add up to the quota. What connections that
//! stream hold comes on top; `docs/performance.md` says how much that is.

use super::BucketOptions;

/// Blocks of the disk that were read.
const CACHE_PARTS: u64 = 4;
/// What one of four tables holds before it is written out. Up to three pieces of each are there
/// while the disk is behind, and small entries take twice what they count: three eighths in all.
const TABLE_PARTS: u64 = 64;
/// Committed rows for streams. One that lags by more reads the disk, which is what disks are for.
const LOG_PARTS: u64 = 8;
/// Rows that wait for their commit, thrice: queued, encoded, on their way into the journal.
const QUEUE_PARTS: u64 = 16;
/// Hashes of the keys of vBuckets that are being filled.
const HASH_PARTS: u64 = 80;

impl BucketOptions {
    /// The smallest quota in bytes. Source: Couchbase.
    pub const QUOTA_BYTES_MIN: u64 = 100 << 20;
    /// The quota in bytes where none is given.
    pub const QUOTA_BYTES_DEFAULT: u64 = 256 << 20;

    /// Sets the quota and shares it out.
    pub fn set_quota(&mut self, bytes: u64) {
        let part = |parts| usize::try_from(bytes / parts).unwrap_or(usize::MAX);
        self.quota_bytes = bytes;
        self.log_bytes_max = part(LOG_PARTS);
        self.queue_bytes_max = part(QUEUE_PARTS);
    }

    /// The share of the hashes of keys.
    pub(super) fn hash_bytes(&self) -> usize {
        usize::try_from(self.quota_bytes / HASH_PARTS).unwrap_or(usize::MAX)
    }

    /// The store's share. What its tables hold stays as it was when the store was made.
    pub(crate) fn store_options(&self) -> store::Options {
        store::Options {
            cache_bytes: self.quota_bytes / CACHE_PARTS,
            memtable_bytes: self.quota_bytes / TABLE_PARTS,
            ..store::Options::default()
        }
    }
}
