//! When memtables are sealed for the engine to flush, and how long writers wait for flushes.
//!
//! By itself the engine asks its worker to seal a full memtable once a commit, through a queue that
//! the worker fills too: a thousand small commits during one compaction, and the worker waits for
//! itself for ever. And it seals memtables to release a journal at any moment, but the out-of-line
//! values that their rows name must be on the disk first. So the engine is configured to do
//! neither, and the writer does both.

use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fjall::{AbstractTree as _, PersistMode};
use vbucket::StoreError;

use super::errors::WriteError;
use super::helper::{Held, Helper};
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
    /// The tables whose memtables have rows of a full journal, which is deleted once they are
    /// flushed. Where no commit follows, it stays.
    owed: [bool; 4],
    /// Sealed memtables that may still be in use.
    sealed: Vec<Held>,
    /// Of each table the lists of its files that may still be in use, each with its number.
    files: [Vec<(u64, Held)>; 4],
    helper: Helper,
}

/// Which memtables are to be sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    /// None.
    Nothing,
    /// Those that have reached their size, and those that a full journal waits for.
    Ready,
    /// All.
    All,
}

impl FlushPolicy {
    /// A policy that seals memtables of `memtable_bytes`, of tables in `dir`.
    pub(crate) fn new(tables: &Tables, dir: &Path, memtable_bytes: u64) -> Self {
        let journals = tables.db.journal_count();
        let (sealed, files, helper) = (Vec::new(), Default::default(), Helper::start(dir));
        Self { memtable_bytes, journals, owed: [false; 4], sealed, files, helper }
    }

    /// What is due. Called after each commit.
    pub(crate) fn due(&mut self, tables: &Tables, is_synced: bool) -> Due {
        self.helper.committed(tables.db.write_buffer_size(), is_synced);
        self.hold_files(tables);
        self.free_sealed();
        let before = mem::replace(&mut self.journals, tables.db.journal_count());
        if self.journals > before {
            self.owed = [true; 4];
        }
        let mut all = tables.all().into_iter().zip(self.owed);
        if all.any(|(table, is_owed)| self.is_due(table, is_owed)) {
            Due::Ready
        } else {
            Due::Nothing
        }
    }

    fn is_due(&self, Table(table): &Table, is_owed: bool) -> bool {
        let is_full = table.tree.active_memtable().size() >= self.memtable_bytes;
        is_due(is_full, is_owed, || table.sealed_memtable_count())
    }

    /// Seals memtables, for the engine's worker to flush. The out-of-line values of their rows are
    /// on the disk.
    pub(crate) fn seal(&mut self, tables: &Tables, due: Due) -> Result<(), WriteError> {
        let mut owed = self.owed;
        for (table, is_owed) in tables.all().into_iter().zip(&mut owed) {
            if due == Due::All || due == Due::Ready && self.is_due(table, *is_owed) {
                let memtable = table.0.tree.active_memtable();
                // An empty one stays where it is.
                if table.0.rotate_memtable()? {
                    self.sealed.push(memtable);
                }
                *is_owed = false;
            }
        }
        self.owed = owed;
        self.let_go(tables);
        Ok(())
    }

    /// Holds on to each list of files, so that the engine is not the last to let go of one that it
    /// replaces: it would delete files with the lock that all need.
    fn hold_files(&mut self, tables: &Tables) {
        for (Table(table), held) in tables.all().into_iter().zip(&mut self.files) {
            let files = table.tree.current_version();
            if held.last().is_none_or(|(newest, _)| *newest != files.id()) {
                held.push((files.id(), Arc::new(files)));
            }
        }
    }

    /// Lets go of the lists of files that were replaced, where the engine has. It does that at each
    /// seal, for all that no scan needs, and where it has merged a whole table.
    pub(crate) fn let_go(&mut self, tables: &Tables) {
        self.hold_files(tables);
        for (Table(table), held) in tables.all().into_iter().zip(&mut self.files) {
            if table.tree.version_free_list_len() == 0 {
                let replaced = held.drain(..held.len().saturating_sub(1));
                self.helper.free(replaced.map(|(_, files)| files).collect());
            }
        }
    }

    /// Frees sealed memtables that the engine is done with.
    fn free_sealed(&mut self) {
        let is_unused = |memtable: &mut Held| Arc::strong_count(memtable) == 1;
        self.helper.free(self.sealed.extract_if(.., is_unused).collect());
    }
}

/// Whether a memtable is to be sealed. One that a full journal waits for is not while another one
/// of its table is being flushed: commits would wait for that one. A journal becomes full at a
/// flush, so there mostly is such a table.
fn is_due(is_full: bool, is_owed: bool, sealed: impl FnOnce() -> usize) -> bool {
    is_full || is_owed && sealed() == 0
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_being_flushed_is_not_sealed_again_for_a_full_journal() {
        assert!(!is_due(false, true, || 1));
        assert!(is_due(false, true, || 0));
        assert!(is_due(true, true, || 1));
        assert!(is_due(true, false, || 1));
        assert!(!is_due(false, false, || 0));
    }
}
