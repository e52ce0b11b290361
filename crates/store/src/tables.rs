//! The engine: four tables of one fjall database, and the one way to write to them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fjall::config::BlockSizePolicy;
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode,
    Snapshot,
};
use vbucket::StoreError;

use crate::errors::{damaged, io, reading};
use crate::format::CommitMark;
use crate::keys::COMMITS;
use crate::options::Options;

/// The tables. Few and shared by all vBuckets: each costs files, memory and journal bookkeeping.
#[derive(Clone)]
pub(crate) struct Tables {
    pub db: Database,
    /// life, seqno -> the row that is the newest of its key.
    pub rows: Keyspace,
    /// life, key -> seqno of the newest row.
    pub keys: Keyspace,
    /// life, newer seqno, older seqno -> the row that was replaced.
    pub undo: Keyspace,
    /// The vBuckets' records, lives to clean up, the commit mark.
    pub meta: Keyspace,
    /// The engine's sequence before the commit that is being made, or [`NO_COMMIT`].
    committing: Arc<AtomicU64>,
}

const NO_COMMIT: u64 = u64::MAX;

const NAMES: [&str; 4] = ["rows", "keys", "undo", "meta"];
/// The engine writes its version file last when it creates a database.
const MARKER: &str = "version";

/// Whether the engine has been created in `dir`.
pub(crate) fn exist(dir: &Path) -> bool {
    dir.join(MARKER).exists()
}

/// Removes what a crash in the middle of creating the engine left: it would not start over there.
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
            // `backlog` sees to it that journals can go.
            .max_journaling_size(u64::MAX)
            .worker_threads(options.worker_threads.max(1))
            // Values are often compressed by the client, and the journal is short-lived.
            .journal_compression(CompressionType::None);
        let db = builder.open().map_err(|e| match e {
            fjall::Error::InvalidVersion(_) => {
                damaged(dir.join(MARKER).display().to_string(), "it names no version of the engine")
            }
            e => reading(name, &e),
        })?;
        if let Some(gone) = NAMES.into_iter().find(|name| !fresh && !db.keyspace_exists(name)) {
            return Err(damaged(name(), format!("its table {gone:?} is gone")));
        }
        let open = |name: &str, create: KeyspaceCreateOptions| {
            // As large as it gets: `backlog` closes what is full.
            let table = db.keyspace(name, || create.max_memtable_size(u64::MAX));
            table.map_err(|e| reading(|| format!("table {name:?}"), &e))
        };
        let [rows, undo] = [open("rows", of_rows())?, open("undo", of_rows())?];
        let [keys, meta] = [open("keys", of_entries())?, open("meta", of_entries())?];
        let committing = Arc::new(AtomicU64::new(NO_COMMIT));
        Ok(Self { rows, keys, undo, meta, db, committing })
    }

    /// Those whose size follows the documents.
    pub(crate) const fn of_documents(&self) -> [&Keyspace; 3] {
        [&self.keys, &self.rows, &self.undo]
    }

    pub(crate) fn all(&self) -> [&Keyspace; 4] {
        [&self.rows, &self.keys, &self.undo, &self.meta]
    }

    /// The mark of the last commit, which every table has noted.
    ///
    /// Tables are written out one by one, so a journal that lost its end may have been enough for
    /// one and not for another: each must know of the same commit.
    pub(crate) fn last_commit(&self) -> Result<CommitMark, StoreError> {
        let mut marks = Vec::new();
        for table in self.all() {
            let what = || format!("the commit mark of table {:?}", &**table.name());
            let mark = match table.get(COMMITS).map_err(|e| reading(what, &e))? {
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

    /// Hides from snapshots what is committed from now on, until [`Tables::show`]; gives the
    /// engine's sequence before it.
    pub(crate) fn hide(&self) -> u64 {
        let sequence = self.db.supervisor.seqno.get();
        self.committing.store(sequence, Ordering::SeqCst);
        sequence
    }

    /// See [`Tables::hide`].
    pub(crate) fn show(&self) {
        self.committing.store(NO_COMMIT, Ordering::SeqCst);
    }

    /// Commits a batch with `mark`, noted in every table, between [`Tables::hide`] and
    /// [`Tables::show`]. One at a time.
    pub(crate) fn commit(
        &self,
        mut batch: OwnedWriteBatch,
        mark: CommitMark,
        mode: PersistMode,
    ) -> fjall::Result<()> {
        let mark = fjall::Slice::from(mark.encode());
        for table in self.all() {
            batch.insert(table, COMMITS, mark.clone());
        }
        batch.durability(Some(mode)).commit()
    }

    /// A snapshot, or `None` where it may hold a part of the commit that is being made.
    ///
    /// When the engine has written out a table it moves the sequence that snapshots see forward,
    /// also beyond a batch that another thread is just adding row by row.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        let snapshot = self.db.snapshot();
        // In this order: a commit that begins after the snapshot is not in it.
        (snapshot.seqno() <= self.committing.load(Ordering::SeqCst)).then_some(snapshot)
    }

    pub(crate) fn batch(&self, rows: usize) -> OwnedWriteBatch {
        // A change is a row and a key, seldom more; records and the mark come on top.
        OwnedWriteBatch::with_capacity(self.db.clone(), rows * 2 + 8)
    }
}

/// Options of a table that is read in long scans.
fn of_rows() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().data_block_size_policy(BlockSizePolicy::all(16 << 10))
}

/// Options of a table of small entries that are read one at a time.
fn of_entries() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().data_block_size_policy(BlockSizePolicy::all(4 << 10))
}
