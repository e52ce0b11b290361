//! Removes rows that nobody needs: those of generations that have ended, and undo rows older than
//! the undo window. Where many were removed the tables are compacted: the engine's own compactions
//! only reach parts that are written to.

use mcbp::{Seqno, VbId};
use vbucket::store::Durability;
use vbucket::{StoreError, VbMeta};

use crate::core::Core;
use crate::engine::{Due, Slice, Table};
use crate::errors::damaged;
use crate::format::{Generation, undo_seqnos};
use crate::tally::Tally;
use crate::work::WorkQueue;

/// Rows that one step removes: a commit that holds the writer for about a millisecond.
pub(crate) const STEP_ROWS: usize = 1_000;

/// Tables are compacted when the removed rows are at least this fraction of the documents: for
/// fewer a rewrite does not pay.
const COMPACT_PARTS: u64 = 8;

/// Larger tables are left to the engine: during a compaction of a whole table it does not compact
/// what is written meanwhile, and after some 300 MiB of that writers would wait.
const COMPACT_BYTES_MAX: u64 = 1 << 30;

impl Core {
    /// Removes every row of a generation, then the note that it has ended.
    pub(crate) fn remove_rows(
        &self,
        generation: Generation,
        work: &WorkQueue,
    ) -> Result<(), StoreError> {
        let tables = &self.tables;
        // Keys first: a reader still using this generation finds an entry with its row, or none.
        for (table, has_values) in
            [(&tables.keys, false), (&tables.rows, true), (&tables.undo, true)]
        {
            let mut from = generation.prefix().to_vec();
            loop {
                if work.is_stopping() {
                    return Ok(());
                }
                let found = some_entries(table, &from, &generation.next_prefix())?;
                let Some((last, _)) = found.last() else { break };
                // After the last one, so that the engine does not walk over removed rows again.
                from = [last.as_ref(), &[0]].concat();
                let removed = found.len() as u64;
                let mut out = tables.batch(found.len());
                let mut garbage = Tally::default();
                for (key, bytes) in found {
                    if has_values {
                        garbage.add_row(&key, bytes);
                    }
                    out.remove(table, key);
                }
                tables.wait_for_flushes()?;
                let mut writer = self.writer();
                self.note_garbage(&mut out, &garbage);
                writer.commit(out, Durability::Buffered, || ())?;
                drop(writer);
                failpoint::reach("janitor-step");
                work.removed(removed);
            }
        }
        let mut out = tables.batch(0);
        for range in [generation.collections(), generation.all_gone()] {
            for entry in tables.meta.range(range) {
                let (key, _) =
                    entry.map_err(|e| e.of(|| "collections that are gone".to_owned()))?;
                out.remove(&tables.meta, key);
            }
        }
        out.remove(&tables.meta, generation.ended());
        self.writer().commit(out, Durability::Buffered, || ())
    }

    /// Removes the undo rows that are older than the undo window, and raises the vBucket's floor.
    pub(crate) fn trim_undo(&self, vb: VbId, work: &WorkQueue) -> Result<(), StoreError> {
        let tables = &self.tables;
        while !work.is_stopping() {
            let Some(seen) = self.record(vb) else { return Ok(()) };
            let generation = seen.generation();
            // A commit of a durable write has two: one of them may have been the last of a step.
            let from = generation.undo(Seqno(seen.undo_floor), Seqno::ZERO);
            let to = generation.undo(self.horizon(&seen.meta).next(), Seqno::ZERO);
            if from >= to {
                return Ok(());
            }
            let found = some_entries(&tables.undo, &from, &to)?;

            let mut writer = self.writer();
            let Some(record) = self.record(vb) else { return Ok(()) };
            let mut record = record.as_ref().clone();
            // A rollback in the meantime may need some of them.
            let horizon = self.horizon(&record.meta);
            let mut out = tables.batch(found.len());
            let mut garbage = Tally::default();
            for (key, bytes) in found {
                let malformed = || damaged(format!("an undo row of {vb}"), "its key is malformed");
                let (newer, _) = undo_seqnos(&key).ok_or_else(malformed)?;
                if newer <= horizon {
                    garbage.add_row(&key, bytes);
                    record.undo_floor = record.undo_floor.max(newer.0);
                    out.remove(&tables.undo, key);
                }
            }
            if record.generation != seen.generation || record.undo_floor == seen.undo_floor {
                return Ok(());
            }
            record.points.cut_below(record.undo_floor);
            self.note_garbage(&mut out, &garbage);
            self.commit_record(&mut writer, out, record, Durability::Buffered)?;
        }
        Ok(())
    }

    /// Up to which seqno undo rows may be removed: no rollback goes below the purge seqno.
    fn horizon(&self, meta: &VbMeta) -> Seqno {
        Seqno(meta.high_seqno.0.saturating_sub(self.options.undo_seqnos)).max(meta.purge_seqno)
    }

    /// Compacts the tables where that frees enough space.
    pub(crate) fn compact(&self, work: &WorkQueue) -> Result<(), StoreError> {
        let removed = work.not_compacted();
        let is_worth_it = removed.saturating_mul(COMPACT_PARTS) >= self.item_count();
        let tables = self.tables.of_documents();
        if is_worth_it && tables.iter().all(|table| table.disk_bytes() <= COMPACT_BYTES_MAX) {
            self.writer().seal_memtables(Due::All)?;
            self.tables.compact()?;
            self.writer().let_go();
            work.compacted(removed);
        }
        Ok(())
    }
}

/// Some of the entries with `from <= key < to`, in order.
pub(crate) fn some_entries(
    table: &Table,
    from: &[u8],
    to: &[u8],
) -> Result<Vec<(Slice, Slice)>, StoreError> {
    let entries = table.range(from..to).take(STEP_ROWS);
    entries.map(|entry| entry.map_err(|e| e.of(|| "old rows".to_owned()))).collect()
}
