//! Sizes of the store's parts.

use std::time::Duration;

/// Into how many steps the age of older versions is divided.
const AGE_STEPS: u64 = 16;

/// How much change history a store keeps: older versions of documents whose collection has
/// `history`. Whichever limit is reached first counts. With both 0, the default, it keeps none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Retention {
    /// How many bytes of the disk the older versions of all vBuckets take at most, 0 for no such
    /// limit. Each vBucket has an equal share.
    pub bytes: u64,
    /// How old a version becomes, in seconds, 0 for no such limit. It may become a sixteenth older.
    pub seconds: u64,
}

impl Retention {
    /// Whether any history is kept.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.bytes > 0 || self.seconds > 0
    }

    /// How much longer than asked a version may be kept because of its age.
    pub(crate) fn age_step(&self) -> Duration {
        Duration::from_secs((self.seconds / AGE_STEPS).max(1))
    }
}

/// Sizes; [`Options::default`] suits a node of a few gigabytes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Memory for blocks that were read, in bytes.
    pub cache_bytes: u64,
    /// The size in bytes at which a memtable is flushed. While flushes lag behind, up to three
    /// times as much is held for each of four tables.
    pub memtable_bytes: u64,
    /// The least size in bytes at which a value file is full and the next one begins.
    pub value_file_bytes: u64,
    /// Threads that flush and compact tables, at least 1. With several the engine keeps one for
    /// flushes, which polls in a busy loop while there are only compactions to do.
    pub worker_threads: usize,
    /// For how many seqnos of a vBucket, at least, replaced rows are kept for a rollback.
    ///
    /// A replica is ahead of a promoted copy by the changes that were in flight: some seconds of
    /// writes, spread over all vBuckets. 1,000 for each of 1,024 vBuckets is a million writes. Each
    /// of them may keep an old row on the disk.
    pub undo_seqnos: u64,
    /// How many bytes of the disk commits leave free, at most a twentieth of it. With 0 the disk
    /// may run full, which stops all writing until a restart.
    pub disk_reserve_bytes: u64,
    /// How much change history is kept.
    pub retention: Retention,
    /// From how many vBuckets on a commit writes the steps of their records in one entry, instead
    /// of the records.
    pub steps_vbuckets_min: usize,
    /// How many such entries there are at most, before the records are written.
    pub steps_max: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 128 << 20,
            memtable_bytes: 16 << 20,
            value_file_bytes: 64 << 20,
            worker_threads: 1,
            undo_seqnos: 1_000,
            // Enough for the journals, and for the flushes after which they are deleted.
            disk_reserve_bytes: 256 << 20,
            retention: Retention::default(),
            // Fewer records cost no more than an entry.
            steps_vbuckets_min: 4,
            steps_max: 1024,
        }
    }
}
