//! When memtables are sealed for the engine to flush, and how long writers wait for flushes.
//!
//! By itself the engine asks its worker to seal a full memtable once a commit, through a queue that
//! the worker fills too: a thousand small commits during one compaction, and the worker waits for
//! itself for ever. And it seals memtables to release a journal at any moment, but the out-of-line
//! values that their rows name must be on the disk first. So the engine is configured to do
//! neither, and the writer does both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fjall::{AbstractTree as _, PersistMode};
use vbucket::StoreError;

use super::errors::WriteError;
use super::table::Table;
use super::tables::Tables;
use crate::errors::io;
use crate::format::COMMIT_MARK;

/// Sealed memtables of one table that may wait for their flush. Two fewer than where the engine
/// stalls writers by itself, because they are memory beyond any quota.
const SEALED_MAX: usize = 2;
/// How long flushes may take to get below that.
const WAIT_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(2);

/// Decides when memtables are sealed. Owned by the writer.
pub(crate) struct FlushPolicy {
    memtable_bytes: u64,
    /// The number of journals at the last commit.
    journals: usize,
    sealed: Sealed,
}

/// Which memtables are to be sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    /// None.
    Nothing,
    /// Those that have reached their size.
    Full,
    /// All: a journal is full, and is deleted once no memtable needs it.
    All,
}

impl FlushPolicy {
    /// A policy that seals memtables of `memtable_bytes`.
    pub(crate) fn new(tables: &Tables, memtable_bytes: u64) -> Self {
        let (journals, sealed) = (tables.db.journal_count(), Sealed::default());
        Self { memtable_bytes, journals, sealed }
    }

    /// What is due. Called after each commit.
    pub(crate) fn due(&mut self, tables: &Tables) -> Due {
        self.sealed.free();
        let before = self.journals;
        self.journals = tables.db.journal_count();
        if self.journals > before {
            return Due::All;
        }
        let is_full = |table: &&Table| self.is_full(table);
        if tables.all().iter().any(is_full) { Due::Full } else { Due::Nothing }
    }

    fn is_full(&self, Table(table): &Table) -> bool {
        table.tree.active_memtable().size() >= self.memtable_bytes
    }

    /// Seals memtables, for the engine's worker to flush. The out-of-line values of their rows are
    /// on the disk.
    pub(crate) fn seal(&mut self, tables: &Tables, due: Due) -> Result<(), WriteError> {
        for table in tables.all() {
            if due == Due::All || due == Due::Full && self.is_full(table) {
                self.sealed.0.push(table.0.tree.active_memtable());
                table.0.rotate_memtable()?;
            }
        }
        Ok(())
    }
}

/// Sealed memtables that may still be in use.
///
/// Whoever lets go of one last frees its entries one by one, which takes tens of milliseconds. In
/// the engine that is the writer, at the next seal, with the lock that readers need.
#[derive(Default)]
struct Sealed(Vec<Arc<dyn Send + Sync>>);

impl Sealed {
    /// Frees those that the engine is done with, in a thread of its own.
    fn free(&mut self) {
        let is_unused = |memtable: &mut Arc<dyn Send + Sync>| Arc::strong_count(memtable) == 1;
        let unused: Vec<_> = self.0.extract_if(.., is_unused).collect();
        if !unused.is_empty() {
            let builder = std::thread::Builder::new().name("store-memtables".to_owned());
            // Without a thread they are freed here.
            let _freed_elsewhere = builder.spawn(move || drop(unused));
        }
    }
}

impl Tables {
    /// Waits until flushes keep up with the writes.
    ///
    /// The engine's own write stalls do not end when its workers have died.
    pub(crate) fn wait_for_flushes(&self) -> Result<(), StoreError> {
        self.wait_until_below(SEALED_MAX)
    }

    /// Waits until each table has fewer than `sealed` sealed memtables.
    fn wait_until_below(&self, sealed: usize) -> Result<(), StoreError> {
        let full = || self.all().iter().any(|table| table.0.sealed_memtable_count() >= sealed);
        if !full() {
            return Ok(());
        }
        let deadline = Instant::now() + WAIT_MAX;
        while full() {
            // Fails where a worker has died.
            if let Err(error) = self.db.persist(PersistMode::Buffer) {
                return Err(StoreError::Poisoned(error.to_string()));
            }
            if Instant::now() >= deadline {
                let text = format!("earlier writes were not flushed within {WAIT_MAX:?}");
                return Err(io("waiting to commit", text));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Drops every file of the tables of documents that holds nothing but rows, at once. The mark
    /// of the last commit follows all of them, and stays with the files that it is in.
    pub(crate) fn drop_files(&self) -> Result<(), StoreError> {
        for Table(table) in self.of_documents() {
            let dropped = table.tree.drop_range(..COMMIT_MARK);
            dropped.map_err(|e| io("dropping tables", format!("{e:?}")))?;
        }
        Ok(())
    }

    /// Flushes what is sealed and compacts each table of documents as a whole: removed rows leave
    /// the disk, except those that an open scan still sees. Takes as long as rewriting the tables.
    pub(crate) fn compact(&self) -> Result<(), StoreError> {
        self.wait_until_below(1)?;
        for Table(table) in self.of_documents() {
            table.major_compact().map_err(|e| io("compacting tables", format!("{e:?}")))?;
        }
        Ok(())
    }
}
