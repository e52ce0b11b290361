//! The engine: four tables of one fjall database, and the one way to write to them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fjall::config::BlockSizePolicy;
use fjall::{
    AbstractTree as _, CompressionType, Database, Keyspace, KeyspaceCreateOptions,
    KvSeparationOptions, OwnedWriteBatch, PersistMode, Snapshot,
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
    /// The size at which what a table holds in memory is to be written out.
    memtable_bytes: u64,
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
            .max_journaling_size(options.journal_bytes_max.max(Options::JOURNAL_BYTES_MIN))
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
            // Left to itself the engine asks its worker to close a full table once a commit, through
            // the queue that the worker fills too: a thousand small commits beside one merge, and it
            // waits for itself for ever. `close_full` is what closes them.
            let table = db.keyspace(name, || create.max_memtable_size(u64::MAX));
            table.map_err(|e| reading(|| format!("table {name:?}"), &e))
        };
        let [rows, undo] = [open("rows", of_rows())?, open("undo", of_rows())?];
        let [keys, meta] = [open("keys", of_entries())?, open("meta", of_entries())?];
        let committing = Arc::new(AtomicU64::new(NO_COMMIT));
        let memtable_bytes = options.memtable_bytes;
        Ok(Self { rows, keys, undo, meta, db, committing, memtable_bytes })
    }

    /// Those whose size follows the documents.
    pub(crate) const fn of_documents(&self) -> [&Keyspace; 3] {
        [&self.keys, &self.rows, &self.undo]
    }

    /// Writes the tables out and merges each as a whole: removed rows are gone from the disk
    /// afterwards, but for those that a scan still sees. Takes as long as rewriting them.
    pub(crate) fn merge(&self) -> Result<(), StoreError> {
        let failed = |e: fjall::Error| io("merging tables", format!("{e:?}"));
        for table in self.all() {
            table.rotate_memtable().map_err(failed)?;
        }
        self.wait_until_below(1)?;
        for table in self.of_documents() {
            table.major_compact().map_err(failed)?;
            // That told which of the values that are kept apart are garbage; this leaves them out.
            if table.fragmented_blob_bytes() > 0 {
                table.major_compact().map_err(failed)?;
            }
        }
        Ok(())
    }

    fn all(&self) -> [&Keyspace; 4] {
        [&self.rows, &self.keys, &self.undo, &self.meta]
    }

    /// The number of the last commit, which every table has noted.
    ///
    /// Tables are written out one by one, so a journal that lost its end may have been enough for
    /// one and not for another: each must know of the same commit.
    pub(crate) fn last_commit(&self) -> Result<u64, StoreError> {
        let mut numbers = Vec::new();
        for table in self.all() {
            let what = || format!("the commit mark of table {:?}", &**table.name());
            let mark = match table.get(COMMITS).map_err(|e| reading(what, &e))? {
                Some(bytes) => CommitMark::decode(&bytes).map_err(|flaw| damaged(what(), flaw))?,
                None => CommitMark::default(),
            };
            numbers.push(mark.number);
        }
        match *numbers {
            [number, ref others @ ..] if others.iter().all(|&other| other == number) => Ok(number),
            _ => Err(damaged("the journal", format!("tables are at commits {numbers:?}"))),
        }
    }

    /// Commits a batch as number `number`, noted in every table. One at a time.
    pub(crate) fn commit(
        &self,
        mut batch: OwnedWriteBatch,
        number: u64,
        synced: u64,
        mode: PersistMode,
    ) -> fjall::Result<()> {
        let sequence = self.db.supervisor.seqno.get();
        let mark = fjall::Slice::from(CommitMark { number, synced, sequence }.encode());
        for table in self.all() {
            batch.insert(table, COMMITS, mark.clone());
        }
        self.committing.store(sequence, Ordering::SeqCst);
        let committed = batch.durability(Some(mode)).commit();
        self.committing.store(NO_COMMIT, Ordering::SeqCst);
        committed.and_then(|()| self.close_full())
    }

    /// Closes what tables hold in memory where that is enough, for the engine's worker to write out.
    fn close_full(&self) -> fjall::Result<()> {
        for table in self.all() {
            if table.tree.active_memtable().size() >= self.memtable_bytes {
                table.rotate_memtable()?;
            }
        }
        Ok(())
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

    /// Waits until the background work of flushing and compacting keeps up with the writes.
    ///
    /// The engine has its own waits for this, but they do not end when its workers have died.
    pub(crate) fn wait_for_room(&self) -> Result<(), StoreError> {
        // Two below where the engine starts to wait by itself: they are memory beyond any quota.
        const UNFLUSHED_MAX: usize = 2;
        self.wait_until_below(UNFLUSHED_MAX)
    }

    /// Waits until each table has fewer than `unflushed` parts that are still to be written out.
    fn wait_until_below(&self, unflushed: usize) -> Result<(), StoreError> {
        use std::time::{Duration, Instant};
        const WAIT_MAX: Duration = Duration::from_secs(60);
        const POLL: Duration = Duration::from_millis(2);
        let full = || self.all().iter().any(|t| t.sealed_memtable_count() >= unflushed);
        if !full() {
            return Ok(());
        }
        let deadline = Instant::now() + WAIT_MAX;
        while full() {
            // Answers that writing has stopped where a worker has died.
            if let Err(error) = self.db.persist(PersistMode::Buffer) {
                return Err(StoreError::Poisoned(error.to_string()));
            }
            if Instant::now() >= deadline {
                let text = format!("the disk did not take earlier writes for {WAIT_MAX:?}");
                return Err(io("waiting to commit", text));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

/// Options of a table that is read in long scans and holds values of any size.
fn of_rows() -> KeyspaceCreateOptions {
    // Every commit touches all parts of the key space, so tables are merged again and again; large
    // values stay out of that. Overwriting was four times as fast as with the values in the tables.
    // From 2 KiB on instead, scans of what is between were three times as fast, but replicas of
    // nodes that overwrite it lagged twice as long at worst.
    const APART_BYTES: u32 = 1 << 10;
    // A file of values is written anew when half of it is garbage, and every such file is: the
    // engine's default leaves three quarters of them, and all where there are fewer than four.
    let apart = KvSeparationOptions::default()
        .separation_threshold(APART_BYTES)
        .staleness_threshold(0.5)
        .age_cutoff(1.0)
        .compression(CompressionType::None);
    KeyspaceCreateOptions::default()
        .data_block_size_policy(BlockSizePolicy::all(16 << 10))
        .with_kv_separation(Some(apart))
}

/// Options of a table of small entries that are read one at a time.
fn of_entries() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().data_block_size_policy(BlockSizePolicy::all(4 << 10))
}
