//! How large the store's parts may become.

/// Sizes; [`Options::default`] suits a node of a few gigabytes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Memory for blocks that were read, in bytes.
    pub cache_bytes: u64,
    /// The size in bytes at which a table's memory is written out. While the disk is behind, up to
    /// three times as much is held for each of four tables.
    pub memtable_bytes: u64,
    /// The size in bytes at which the next file of large values is begun, at least.
    pub value_file_bytes: u64,
    /// Threads that write out and merge tables, at least 1. With more of them the engine keeps one
    /// for writing out, which asks in a busy loop while there is nothing for it but to merge.
    pub worker_threads: usize,
    /// For how many seqnos of a vBucket, at least, replaced rows are kept for a rollback.
    ///
    /// A replica is ahead of a promoted copy by what was in flight, seconds of writes spread over
    /// all vBuckets: 1,000 for each of 1,024 is a million writes. Each costs an old row on disk.
    pub undo_seqnos: u64,
    /// How many bytes of the disk commits leave free, but no more than a twentieth of it; 0 to
    /// let the disk run full, which stops all writing until a restart.
    pub disk_reserve_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 128 << 20,
            memtable_bytes: 16 << 20,
            value_file_bytes: 64 << 20,
            worker_threads: 1,
            undo_seqnos: 1_000,
            // The journals, and the tables that are written out to let them go.
            disk_reserve_bytes: 256 << 20,
        }
    }
}
