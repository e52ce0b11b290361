//! The database: four tables, opened together, and the one way to commit to them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fjall::config::{BlockSizePolicy, PartitioningPolicy};
use fjall::{
    CompressionType, Database, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Slice,
};
use logline::value;
use vbucket::StoreError;
use vbucket::store::Durability;

use super::errors::{ReadError, WriteError};
use super::table::{Snapshot, Table, WriteBatch};
use crate::errors::{damaged, io};
use crate::format::{COMMIT_MARK, CommitMark};
use crate::options::Options;

/// The tables. They are few and shared by all vBuckets: each costs files, memory and entries in the
/// journal. `docs/format.md` describes their keys and values.
#[derive(Clone)]
pub(crate) struct Tables {
    pub(super) db: Database,
    /// generation, seqno -> the newest row of a key.
    pub rows: Table,
    /// generation, key -> seqno of the newest row.
    pub keys: Table,
    /// generation, newer seqno, older seqno -> the row that was replaced.
    pub undo: Table,
    /// Records of vBuckets, generations to remove, garbage in value files.
    pub meta: Table,
    /// The engine's sequence number before the commit in progress, or [`NO_COMMIT`].
    committing: Arc<AtomicU64>,
}

const NO_COMMIT: u64 = u64::MAX;

const NAMES: [&str; 4] = ["rows", "keys", "undo", "meta"];
/// The engine writes its version file last when it creates a database.
const MARKER: &str = "version";

/// Whether `dir` holds a database.
pub(crate) fn exists(dir: &Path) -> bool {
    dir.join(MARKER).exists()
}

/// Removes a database whose creation was interrupted by a crash: the engine does not repeat it.
///
/// # Errors
/// [`StoreError::Damaged`] where the directory holds tables.
pub(crate) fn remove_unfinished(dir: &Path) -> Result<(), StoreError> {
    let cannot = |e: std::io::Error| io("clearing an unfinished store", e);
    let has_tables = match std::fs::read_dir(dir.join("keyspaces")) {
        Ok(mut entries) => entries.next().is_some(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
        Err(e) => return Err(cannot(e)),
    };
    if has_tables {
        let flaw = format!("its {MARKER:?} file is missing");
        return Err(damaged(dir.display().to_string(), flaw));
    }
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(cannot(e)),
        _ => Ok(()),
    }
}

impl Tables {
    /// Opens the database in `dir`; `fresh` where no commit was ever made in it.
    pub(crate) fn open(dir: &Path, options: &Options, fresh: bool) -> Result<Self, StoreError> {
        let name = || dir.display().to_string();
        let builder = Database::builder(dir)
            .cache_size(options.cache_bytes)
            // `flush` decides when journals can go.
            .max_journaling_size(u64::MAX)
            .worker_threads(options.worker_threads.max(1))
            // Clients often compress values, and the journal is short-lived.
            .journal_compression(CompressionType::None);
        let db = builder.open().map_err(|e| match e {
            fjall::Error::InvalidVersion(_) => {
                damaged(dir.join(MARKER).display().to_string(), "it names no version of the engine")
            }
            e => ReadError::from(e).of(name),
        })?;
        if let Some(gone) = NAMES.into_iter().find(|name| !fresh && !db.keyspace_exists(name)) {
            return Err(damaged(name(), format!("its table {gone:?} is gone")));
        }
        let open = |name: &str, create: KeyspaceCreateOptions| {
            // The largest size there is: `flush` seals full memtables.
            let table = db.keyspace(name, || create.max_memtable_size(u64::MAX));
            table.map(Table).map_err(|e| ReadError::from(e).of(|| format!("table {name:?}")))
        };
        let [rows, undo] = [open("rows", of_rows())?, open("undo", of_rows())?];
        let [keys, meta] = [open("keys", of_entries())?, open("meta", of_entries())?];
        let committing = Arc::new(AtomicU64::new(NO_COMMIT));
        Ok(Self { rows, keys, undo, meta, db, committing })
    }

    /// The tables whose size follows the documents.
    pub(crate) const fn of_documents(&self) -> [&Table; 3] {
        [&self.keys, &self.rows, &self.undo]
    }

    pub(super) fn all(&self) -> [&Table; 4] {
        [&self.rows, &self.keys, &self.undo, &self.meta]
    }

    /// The mark of the last commit, which every table holds.
    ///
    /// Tables are flushed one by one, so a truncated journal may have been enough for one table and
    /// not for another: all must hold the same mark.
    pub(crate) fn last_commit(&self) -> Result<CommitMark, StoreError> {
        let mut marks = Vec::new();
        for table in self.all() {
            let what = || format!("the commit mark of table {:?}", table.name());
            let mark = match table.get(COMMIT_MARK).map_err(|e| e.of(what))? {
                Some(bytes) => CommitMark::decode(&bytes).map_err(|flaw| damaged(what(), flaw))?,
                None => CommitMark::default(),
            };
            marks.push(mark);
        }
        match *marks {
            [mark, ref others @ ..] if others.iter().all(|&other| other == mark) => Ok(mark),
            _ => {
                let numbers: Vec<_> = marks.iter().map(|mark| mark.number).collect();
                Err(damaged("the journal", format!("tables are at commits {numbers:?}")))
            }
        }
    }

    /// Keeps the next commit out of snapshots until [`Tables::end_commit`]; returns the engine's
    /// sequence number before it.
    pub(crate) fn begin_commit(&self) -> u64 {
        let sequence = self.db.supervisor.seqno.get();
        self.committing.store(sequence, Ordering::SeqCst);
        sequence
    }

    /// Lets snapshots see what was committed since [`Tables::begin_commit`].
    pub(crate) fn end_commit(&self) {
        self.committing.store(NO_COMMIT, Ordering::SeqCst);
    }

    /// Commits a batch with `mark`, which goes into every table, between [`Tables::begin_commit`]
    /// and [`Tables::end_commit`]. One at a time.
    pub(crate) fn commit(
        &self,
        WriteBatch(mut batch): WriteBatch,
        mark: CommitMark,
        durability: Durability,
    ) -> Result<(), WriteError> {
        let mode = match durability {
            // The journal's length need not be synced: it is read up to its last intact batch.
            Durability::Synced => PersistMode::SyncData,
            Durability::Buffered => PersistMode::Buffer,
        };
        let mark = Slice::from(mark.encode());
        for Table(table) in self.all() {
            batch.insert(table, COMMIT_MARK, mark.clone());
        }
        Ok(batch.durability(Some(mode)).commit()?)
    }

    /// Waits until every commit is on the disk.
    pub(crate) fn sync(&self) -> Result<(), WriteError> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }

    /// A snapshot, or `None` where it may hold a part of the commit in progress.
    ///
    /// After a flush the engine moves the sequence number that snapshots see forward, also beyond a
    /// batch that another thread is adding row by row.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        let snapshot = self.db.snapshot();
        // In this order: a commit that begins after the snapshot is not in it.
        let is_whole = snapshot.seqno() <= self.committing.load(Ordering::SeqCst);
        is_whole.then_some(Snapshot(snapshot))
    }

    /// An empty batch with room for `rows` changes.
    pub(crate) fn batch(&self, rows: usize) -> WriteBatch {
        // A change is a row and a key, seldom more; records and the mark come on top.
        WriteBatch(OwnedWriteBatch::with_capacity(self.db.clone(), rows * 2 + 8))
    }

    /// Bytes of all files of the database.
    pub(crate) fn disk_bytes(&self) -> u64 {
        let tables = || self.all().iter().map(|table| table.disk_bytes()).sum();
        self.db.disk_space().unwrap_or_else(|error| {
            log::warn!(
                "disk usage is counted without the journals, error={}",
                value(format_args!("{error:?}"))
            );
            tables()
        })
    }

    /// Bytes in memory: memtables and cached blocks.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.db.cache_size() + self.db.write_buffer_size()
    }
}

/// Options of a table that is read in long scans. Who reads one row of it knows that it is there:
/// the filters of the largest level, which most rows are in, would be of no use.
fn of_rows() -> KeyspaceCreateOptions {
    let options = in_parts(KeyspaceCreateOptions::default()).expect_point_read_hits(true);
    options.data_block_size_policy(BlockSizePolicy::all(16 << 10))
}

/// Options of a table of small entries that are read one at a time.
fn of_entries() -> KeyspaceCreateOptions {
    let options = in_parts(KeyspaceCreateOptions::default());
    options.data_block_size_policy(BlockSizePolicy::all(4 << 10))
}

/// Divides filters and indexes into parts of 4 KiB, but those of freshly flushed tables.
///
/// By itself the engine does that only from some gigabytes on. Below, a table of 64 MiB with a
/// million small entries has a filter of a megabyte, and a read needs all of it: with more of them
/// than the cache has room for, every read of a document reads megabytes.
fn in_parts(options: KeyspaceCreateOptions) -> KeyspaceCreateOptions {
    let policy = PartitioningPolicy::new([false, true]);
    options.filter_block_partitioning_policy(policy.clone()).index_block_partitioning_policy(policy)
}
