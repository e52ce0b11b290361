//! The trait that a store of vBuckets implements. Blocking: callers bring a thread.

use std::sync::Arc;

use bytes::Bytes;
use mcbp::{Seqno, VbId};

use crate::{Change, Row, VbMeta};

/// Why the store could not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Bytes on disk are not what was written.
    #[error("{what} is damaged: {detail}")]
    Damaged {
        /// Which part, such as "vb:7 seqno 12" or a file name.
        what: String,
        /// What was found.
        detail: String,
    },
    /// The disk refused: full, read-only, gone.
    #[error("{doing}: {detail}")]
    Io {
        /// What was being done, such as "committing 12 rows".
        doing: &'static str,
        /// The system's word.
        detail: String,
    },
    /// An earlier failed sync stopped all writing; the node must be restarted.
    #[error("writing stopped until a restart, because a write failed: {0}")]
    Poisoned(String),
    /// A defect of this program.
    #[error(transparent)]
    Broken(#[from] invariant::Broken),
    /// The vBucket is not in the store.
    #[error("{0} is not in the store")]
    NoVbucket(VbId),
    /// A batch would take a vBucket back; only [`Store::rollback`] does that.
    #[error("{vb} is at seqno {high}, a commit must not bring it {seqno}")]
    OutOfOrder {
        /// The vBucket.
        vb: VbId,
        /// Where it stands, or the row before in the batch.
        high: Seqno,
        /// What the batch brought: a row at or below, or a record below.
        seqno: Seqno,
    },
}

/// Whether a commit waits for the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// Returns after fsync: survives a power cut.
    Synced,
    /// Returns after the write reached the operating system: survives a killed process.
    Buffered,
}

/// What one commit writes, all of it or nothing.
#[derive(Default, Debug)]
pub struct Batch {
    /// Rows, in seqno order within each vBucket; a row replaces the older row of its key.
    pub changes: Vec<Change>,
    /// vBucket records; at most one for a vBucket, as it is after `changes`. A purge seqno below
    /// the one that the store has is left out.
    pub metas: Vec<VbMeta>,
}

/// How far a scan got.
#[derive(Debug)]
pub enum ScanEnd {
    /// Everything in the range was given.
    Finished,
    /// The receiver asked for a pause; calling again goes on behind the last row that it took.
    Yielded,
    /// The receiver does not want any more.
    Cancelled,
    /// The disk could not be read. Never to be taken for `Finished` (MB-47790).
    Failed(StoreError),
}

/// What the receiver of a row wants next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScanStep {
    /// The next row.
    More,
    /// A pause; the row was taken.
    Yield,
    /// A pause; the row was not taken and comes first when the scan goes on. Until then it is read
    /// no more: memory holds nothing of it.
    Later,
    /// No more rows at all.
    Cancel,
}

/// A scan over one vBucket in seqno order, over the state of the moment it was opened.
pub trait Scan: Send {
    /// Gives rows to `each` until the range ends or `each` says otherwise.
    fn run(&mut self, each: &mut dyn FnMut(Row) -> ScanStep) -> ScanEnd;

    /// The vBucket's record at the moment the scan was opened.
    fn meta(&self) -> &VbMeta;
}

/// Which deletions may be dropped for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PurgeRule {
    /// Those that are older: Unix time in seconds, [`PurgeRule::ANY_AGE`] for all.
    pub made_before: u32,
    /// Those up to this seqno.
    pub up_to: Seqno,
}

impl PurgeRule {
    /// The `made_before` under which no deletion is too young.
    pub const ANY_AGE: u32 = u32::MAX;

    /// Whether a deletion at `seqno`, made at `at`, may go.
    #[must_use]
    pub const fn covers(&self, seqno: Seqno, at: u32) -> bool {
        let old = at < self.made_before || self.made_before == Self::ANY_AGE;
        old && seqno.0 <= self.up_to.0
    }
}

/// What one step of a purge did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PurgeStep {
    /// How many deletions were dropped.
    pub dropped: u64,
    /// The vBucket's purge seqno now.
    pub purge_seqno: Seqno,
    /// The key to go on from; `None` at the end.
    pub next: Option<Bytes>,
}

/// A store of vBuckets.
///
/// Every read checks checksums. All calls may block on the disk.
pub trait Store: Send + Sync + 'static {
    /// Every vBucket's record, in no order.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] or [`StoreError::Io`]; no vBucket may be served then.
    fn load(&self) -> Result<Vec<VbMeta>, StoreError>;

    /// Whether the last run ended with [`Store::close`]; false in a new store too.
    fn was_clean(&self) -> bool;

    /// Writes a batch, all of it or nothing.
    ///
    /// # Errors
    /// Nothing of the batch counts as written then. [`StoreError::NoVbucket`] for rows of a vBucket
    /// that is neither there nor comes with its record, [`StoreError::OutOfOrder`],
    /// [`StoreError::Io`], [`StoreError::Poisoned`], [`StoreError::Damaged`].
    fn commit(&self, batch: &Batch, durability: Durability) -> Result<(), StoreError>;

    /// The newest row of a key, a deletion too; `None` where the key was never written.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] or [`StoreError::Io`].
    fn get(&self, vb: VbId, key: &[u8]) -> Result<Option<Row>, StoreError>;

    /// Opens a scan of the rows with `start <= seqno <= end`.
    ///
    /// # Errors
    /// [`StoreError::NoVbucket`], [`StoreError::Damaged`] or [`StoreError::Io`].
    fn scan(&self, vb: VbId, start: Seqno, end: Seqno) -> Result<Box<dyn Scan>, StoreError>;

    /// How many documents the vBucket holds (deletions not counted).
    ///
    /// # Errors
    /// [`StoreError::NoVbucket`], [`StoreError::Damaged`] or [`StoreError::Io`].
    fn item_count(&self, vb: VbId) -> Result<u64, StoreError>;

    /// Takes the vBucket back to `to` or, where that is inside a snapshot or a commit, to the
    /// newest whole state below that is still known; where the rows to restore are gone, to 0. The
    /// returned record says where it is now. The failover table loses the entries above, the
    /// snapshot becomes `seqno..=seqno`. Synced. Interrupted by a crash it leaves a vBucket that is
    /// at some seqno between, and can be called again.
    ///
    /// # Errors
    /// [`StoreError::NoVbucket`], [`StoreError::Damaged`] or [`StoreError::Io`].
    fn rollback(&self, vb: VbId, to: Seqno) -> Result<VbMeta, StoreError>;

    /// Removes the vBucket and its rows; the space is freed in the background. Synced. Nothing
    /// happens where there is none.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Poisoned`].
    fn remove(&self, vb: VbId) -> Result<(), StoreError>;

    /// Drops some of the deletions that `rule` lets go, from the key `from` on (empty for the
    /// first), and moves the purge seqno in the same commit; never the row at the high seqno
    /// (MB-13386). A bounded step: other commits go on between two. The space is freed in the
    /// background.
    ///
    /// # Errors
    /// [`StoreError::NoVbucket`], [`StoreError::Damaged`], [`StoreError::Io`] or
    /// [`StoreError::Poisoned`].
    fn purge(&self, vb: VbId, rule: &PurgeRule, from: &[u8]) -> Result<PurgeStep, StoreError>;

    /// Marks the stop as clean, synced. No commit may follow.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Poisoned`].
    fn close(&self) -> Result<(), StoreError>;

    /// Bytes on disk, roughly.
    fn disk_bytes(&self) -> u64;

    /// Bytes in memory, roughly: caches, and what is written out later.
    fn memory_bytes(&self) -> u64;
}

/// A store that is shared between sessions and the committer.
pub type SharedStore = Arc<dyn Store>;
