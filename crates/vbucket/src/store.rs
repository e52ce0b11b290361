//! The trait that a store of vBuckets implements. Its calls block: they need a thread of their own.

mod error;
mod purge;

use std::sync::Arc;

use bytes::Bytes;
use mcbp::{Seqno, VbId};

pub use error::{PartError, Scope, StoreError};
pub use purge::{PurgeRule, PurgeStep};

use crate::{Change, Row, VbMeta};

/// Whether a commit waits for the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// The commit returns after fsync: it survives a power cut.
    Synced,
    /// The commit returns after the write reached the operating system: it survives a killed
    /// process.
    Buffered,
}

/// What one commit writes, all of it or nothing.
#[derive(Default, Debug)]
pub struct Batch {
    /// Rows, in seqno order within each vBucket; a row replaces the older row of its key, and the
    /// prepare that it completes.
    pub changes: Vec<Change>,
    /// vBucket records, at most one for a vBucket, as they are after `changes`. A purge seqno below
    /// that of the store is ignored.
    pub metas: Vec<VbMeta>,
}

/// Why [`Scan::run`] returned.
#[derive(Clone, Debug)]
pub enum ScanEnd {
    /// Every row of the range was passed.
    Finished,
    /// The receiver paused the scan; the next call continues after the last row that it took.
    Yielded,
    /// The receiver cancelled the scan.
    Cancelled,
    /// The disk could not be read. Never treated as `Finished` (MB-47790).
    Failed(StoreError),
}

/// What the receiver of a row asks for next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScanStep {
    /// The next row.
    More,
    /// A pause; the row was taken.
    Yield,
    /// A pause; the row was not taken and comes first when the scan continues. Until then it is not
    /// in memory.
    Later,
    /// No more rows.
    Cancel,
}

/// A scan over one vBucket, over the state at the moment at which it was opened.
pub trait Scan: Send {
    /// Passes rows to `each` until the range ends or `each` returns anything but
    /// [`ScanStep::More`].
    fn run(&mut self, each: &mut dyn FnMut(Row) -> ScanStep) -> ScanEnd;

    /// The vBucket's record at the moment the scan was opened.
    fn meta(&self) -> &VbMeta;

    /// The seqno of the newest row of the default collection at that moment; 0 for none.
    fn default_high_seqno(&self) -> Seqno;
}

/// What a vBucket has of one collection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CollectionCounts {
    /// Its id.
    pub id: u32,
    /// The seqno of its newest row or system event.
    pub high_seqno: Seqno,
    /// Number of documents, without deletions.
    pub items: u64,
}

/// The change history of a vBucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ChangeHistory {
    /// See [`VbMeta::history_start`].
    pub start: Seqno,
    /// The bytes of older versions on the disk.
    pub bytes: u64,
    /// Unix time in seconds at which the oldest version may have been written; `None` where
    /// versions have no age.
    pub since: Option<u64>,
}

/// A store of vBuckets.
///
/// Every read checks checksums. All calls may block on the disk.
pub trait Store: Send + Sync + 'static {
    /// Returns every vBucket's record, in no order.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] or [`StoreError::Io`]; then no vBucket may be served.
    fn load(&self) -> Result<Vec<VbMeta>, StoreError>;

    /// Whether the last run ended with [`Store::close`]; false in a new store too.
    fn was_clean(&self) -> bool;

    /// Writes a batch, all of it or nothing.
    ///
    /// # Errors
    /// Then nothing of the batch counts as written. Where [`StoreError::parts`] names vBuckets, the
    /// rest of the batch can be committed without them: [`StoreError::NoVbucket`] for rows of a
    /// vBucket that is neither in the store nor in the batch, [`StoreError::OutOfOrder`],
    /// [`StoreError::Unstorable`], [`StoreError::Parts`]. Any other error is of the whole store:
    /// [`StoreError::Io`], [`StoreError::Poisoned`], [`StoreError::Damaged`].
    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), StoreError>;

    /// Returns the newest row of a key, also a deletion; `None` if the key was never written, or
    /// its collection is gone or was flushed since.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] or [`StoreError::Io`].
    fn get(&self, vb: VbId, key: &[u8]) -> Result<Option<Row>, StoreError>;

    /// The same, but a value of more than `value_bytes_max` may be left on the disk: the row comes
    /// without it, with the number of its bytes, and else with 0.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn get_up_to(
        &self,
        vb: VbId,
        key: &[u8],
        value_bytes_max: usize,
    ) -> Result<Option<(Row, usize)>, StoreError> {
        let with_size = |mut row: Row| {
            let bytes = row.value.len();
            if bytes <= value_bytes_max {
                return (row, 0);
            }
            row.value = Bytes::new();
            (row, bytes)
        };
        Ok(self.get(vb, key)?.map(with_size))
    }

    /// Opens a scan of the rows with `start <= seqno <= end`, in seqno order, without those whose
    /// collection is gone or was flushed since; system events are among them.
    ///
    /// # Errors
    /// [`StoreError::NoVbucket`], [`StoreError::Damaged`] or [`StoreError::Io`].
    fn scan(&self, vb: VbId, start: Seqno, end: Seqno) -> Result<Box<dyn Scan>, StoreError>;

    /// Opens a scan of the newest row of each key from `start` up to, but without, `end`, in the
    /// order of keys, deletions too, without those whose collection is gone or was flushed since.
    /// Both are keys of documents of one collection, or where such keys would be.
    ///
    /// # Errors
    /// As [`Store::scan`].
    fn scan_keys(&self, vb: VbId, start: &[u8], end: &[u8]) -> Result<Box<dyn Scan>, StoreError>;

    /// The same as [`Store::scan`] with every version, from `start` on, of what the change history
    /// has: from the [`VbMeta::history_start`] of [`Scan::meta`] on, several rows may have the same
    /// key.
    ///
    /// A store that keeps no change history need not have it.
    ///
    /// # Errors
    /// As [`Store::scan`].
    fn scan_versions(&self, vb: VbId, start: Seqno) -> Result<Box<dyn Scan>, StoreError> {
        self.scan(vb, start, Seqno::MAX)
    }

    /// Returns what there is of the change history of a vBucket.
    ///
    /// # Errors
    /// [`StoreError::NoVbucket`].
    fn change_history(&self, vb: VbId) -> Result<ChangeHistory, StoreError> {
        _ = vb;
        Ok(ChangeHistory::default())
    }

    /// Returns the keys of at most `most` documents from the key `from` on, in the order of keys,
    /// of the same collection and without deletions. Overdue documents are among them.
    ///
    /// # Errors
    /// [`StoreError::NoVbucket`], [`StoreError::Damaged`] or [`StoreError::Io`].
    fn keys(&self, vb: VbId, from: &[u8], most: usize) -> Result<Vec<Bytes>, StoreError>;

    /// Returns how many documents the vBucket has, without deletions.
    ///
    /// # Errors
    /// [`StoreError::NoVbucket`], [`StoreError::Damaged`] or [`StoreError::Io`].
    fn item_count(&self, vb: VbId) -> Result<u64, StoreError>;

    /// Returns the newest row of each key of system events, of ends too, in no order.
    ///
    /// # Errors
    /// [`StoreError::NoVbucket`], [`StoreError::Damaged`] or [`StoreError::Io`].
    fn events(&self, vb: VbId) -> Result<Vec<Row>, StoreError>;

    /// Returns the prepares that are neither committed nor aborted, with their values, in no order.
    ///
    /// # Errors
    /// [`StoreError::NoVbucket`], [`StoreError::Damaged`] or [`StoreError::Io`].
    fn prepares(&self, vb: VbId) -> Result<Vec<Row>, StoreError>;

    /// Returns what the vBucket has of each collection.
    ///
    /// # Errors
    /// [`StoreError::NoVbucket`], [`StoreError::Damaged`] or [`StoreError::Io`].
    fn collections(&self, vb: VbId) -> Result<Vec<CollectionCounts>, StoreError>;

    /// Returns what was put last by [`Store::put_manifest`]; `None` for nothing.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] or [`StoreError::Io`].
    fn manifest(&self) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps the manifest of all collections of the bucket, as text. Synced.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Poisoned`].
    fn put_manifest(&self, text: &[u8]) -> Result<(), StoreError>;

    /// Rolls the vBucket back to `to`. If that is inside a snapshot or a commit, the vBucket is
    /// rolled back to the newest complete state below that is still known; if the rows to restore
    /// were purged, or the collections have changed since, to 0. The returned record has the new
    /// seqno. Entries of the failover table above it are dropped, the snapshot becomes
    /// `seqno..=seqno`. Synced. After a crash in between, the vBucket is at some seqno between the
    /// two, and the call can be repeated.
    ///
    /// # Errors
    /// [`StoreError::NoVbucket`], [`StoreError::Damaged`] or [`StoreError::Io`].
    fn rollback(&self, vb: VbId, to: Seqno) -> Result<VbMeta, StoreError>;

    /// Removes the vBucket and its rows; the space is freed in the background. Synced. Does nothing
    /// if the vBucket is not in the store.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Poisoned`].
    fn remove(&self, vb: VbId) -> Result<(), StoreError>;

    /// Purges some of the deletions that `rule` covers, from the key `from` on (empty for the first
    /// step), and raises the purge seqno in the same commit. Never purges the row at the high seqno
    /// (MB-13386). One step is bounded, so that other commits happen between two. The space is
    /// freed in the background.
    ///
    /// # Errors
    /// [`StoreError::NoVbucket`], [`StoreError::Damaged`], [`StoreError::Io`] or
    /// [`StoreError::Poisoned`].
    fn purge(&self, vb: VbId, rule: &PurgeRule, from: &[u8]) -> Result<PurgeStep, StoreError>;

    /// Records a clean stop, synced. No commit may follow.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Poisoned`].
    fn close(&self) -> Result<(), StoreError>;

    /// Returns the bytes on disk, roughly.
    fn disk_bytes(&self) -> u64;

    /// Returns the bytes that are free on the disk for this user; `None` if there is no disk, or
    /// the system does not say.
    fn disk_free_bytes(&self) -> Option<u64> {
        None
    }

    /// Returns the bytes in memory, roughly: caches, and rows that are not written to tables yet.
    fn memory_bytes(&self) -> u64;
}

/// A store that sessions and the committer share.
pub type SharedStore = Arc<dyn Store>;
