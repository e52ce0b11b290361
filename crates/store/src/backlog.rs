//! What the engine has not written out yet: when its tables in memory are closed, and the waits
//! that keep them few.
//!
//! Left to itself the engine asks its worker to close a full table once a commit, through a queue
//! that the worker fills too: a thousand small commits beside one merge, and it waits for itself
//! for ever. And it closes tables for the journal's sake whenever it likes, but the values that
//! their rows name must be on the disk first. It is told to do neither; the writer does both.

use std::time::{Duration, Instant};

use fjall::{AbstractTree as _, PersistMode};
use vbucket::StoreError;

use crate::errors::io;
use crate::tables::Tables;

/// Parts of a table that may wait to be written out: two below where the engine starts to wait by
/// itself, because they are memory beyond any quota.
const UNFLUSHED_MAX: usize = 2;
/// How long the disk may take to get below that.
const WAIT_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(2);

/// Decides when tables in memory are closed. The writer has it.
pub(crate) struct Backlog {
    memtable_bytes: u64,
    /// Journals there were when it last looked.
    journals: usize,
}

/// What is to be closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    Nothing,
    /// Tables that hold enough.
    Full,
    /// All tables: a journal is full, and goes when they no longer need it.
    All,
}

impl Backlog {
    pub(crate) fn new(tables: &Tables, memtable_bytes: u64) -> Self {
        Self { memtable_bytes, journals: tables.db.journal_count() }
    }

    /// To be asked after each commit.
    pub(crate) fn due(&mut self, tables: &Tables) -> Due {
        let before = self.journals;
        self.journals = tables.db.journal_count();
        if self.journals > before {
            return Due::All;
        }
        let is_full = |table: &&fjall::Keyspace| self.is_full(table);
        if tables.all().iter().any(is_full) { Due::Full } else { Due::Nothing }
    }

    fn is_full(&self, table: &fjall::Keyspace) -> bool {
        table.tree.active_memtable().size() >= self.memtable_bytes
    }

    /// Closes tables, for the engine's worker to write out. What their rows name is on the disk.
    pub(crate) fn close(&self, tables: &Tables, due: Due) -> fjall::Result<()> {
        for table in tables.all() {
            if due == Due::All || due == Due::Full && self.is_full(table) {
                table.rotate_memtable()?;
            }
        }
        Ok(())
    }
}

impl Tables {
    /// Waits until the background work of flushing and compacting keeps up with the writes.
    ///
    /// The engine has its own waits for this, but they do not end when its workers have died.
    pub(crate) fn wait_for_room(&self) -> Result<(), StoreError> {
        self.wait_until_below(UNFLUSHED_MAX)
    }

    /// Waits until each table has fewer than `unflushed` parts that are still to be written out.
    fn wait_until_below(&self, unflushed: usize) -> Result<(), StoreError> {
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

    /// Waits until everything that was closed is written out, and merges each table as a whole:
    /// removed rows are gone from the disk afterwards, but for those that a scan still sees. Takes
    /// as long as rewriting them.
    pub(crate) fn merge(&self) -> Result<(), StoreError> {
        self.wait_until_below(1)?;
        for table in self.of_documents() {
            let merged = table.major_compact();
            merged.map_err(|e| io("merging tables", format!("{e:?}")))?;
        }
        Ok(())
    }
}
