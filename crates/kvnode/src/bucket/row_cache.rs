//! The newest rows of documents in memory: what was read or written lately needs no disk.
//!
//! A row is put in under the lock of its vBucket, when it becomes visible or when it was read and
//! nothing has become visible meanwhile: so a cached row is the newest one that is on disk. Rows
//! belong to one life of an active vBucket, which ends with every change of its state or history.
//! What is left of an ended life is evicted in time.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use mcbp::Seqno;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};
use vbucket::{Kind, Row};

/// Larger rows are read from the disk: a few of them would push out thousands of others.
const ROW_BYTES_MAX: usize = 16 << 10;
/// What an entry takes beside its row: its place in the map, its key and its counters, and what the
/// allocator rounds up. Measured with 240,000 rows of a few bytes.
const ENTRY_BYTES: usize = 168;
/// A guess, from which the cache takes how many evicted keys it remembers.
const ROW_BYTES_USUAL: u64 = 512;

/// One life of a vBucket; of no other vBucket of the bucket either.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Life(u64);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Key {
    life: Life,
    key: Bytes,
}

/// A key to look up, which has the hash of a [`Key`].
#[derive(Hash)]
struct Wanted<'a> {
    life: Life,
    key: &'a [u8],
}

impl Equivalent<Key> for Wanted<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.life == key.life && self.key == key.key
    }
}

#[derive(Clone, Debug)]
struct Bytewise;

impl Weighter<Key, Arc<Row>> for Bytewise {
    fn weight(&self, _: &Key, row: &Arc<Row>) -> u64 {
        (row.memory_bytes() + ENTRY_BYTES) as u64
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct RowCache {
    rows: Cache<Key, Arc<Row>, Bytewise>,
    lives: AtomicU64,
}

impl RowCache {
    pub(super) fn new(bytes_max: u64) -> Self {
        let items = usize::try_from(bytes_max / ROW_BYTES_USUAL).unwrap_or(usize::MAX);
        let rows = Cache::with_weighter(items, bytes_max, Bytewise);
        Self { rows, lives: AtomicU64::new(0) }
    }

    /// A life that nothing is cached of.
    pub(super) fn begin(&self) -> Life {
        Life(self.lives.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether a row is worth its memory.
    pub(super) fn takes(row: &Row) -> bool {
        matches!(row.kind, Kind::Document { .. }) && row.memory_bytes() <= ROW_BYTES_MAX
    }

    pub(super) fn get(&self, life: Life, key: &[u8]) -> Option<Arc<Row>> {
        self.rows.get(&Wanted { life, key })
    }

    /// A row that was read and is the newest one of its key. It keeps no block of the store alive.
    pub(super) fn put(&self, life: Life, row: Arc<Row>) {
        self.rows.insert(Key { life, key: row.key.clone() }, row);
    }

    /// `row` is the newest one of its key now.
    pub(super) fn follow(&self, life: Life, row: &Arc<Row>) {
        if !row.is_visible() {
            return;
        }
        if !Self::takes(row) {
            self.rows.remove(&Wanted { life, key: &row.key });
        } else if row.prepared == Seqno::ZERO {
            self.put(life, Arc::clone(row));
        } else {
            // The prepare is no part of the row on disk.
            self.put(life, Arc::new(Row { prepared: Seqno::ZERO, ..Row::clone(row) }));
        }
    }

    /// Bytes of memory that it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.rows.weight()
    }
}
