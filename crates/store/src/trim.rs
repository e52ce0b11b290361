//! Removing rows that nobody needs: those of lives that have ended, and undo rows behind the
//! window. Where much has gone the tables are merged; the engine's own merging only gets to parts
//! that are written to.

use fjall::{Keyspace, UserKey, UserValue};
use mcbp::{Seqno, VbId};
use vbucket::store::Durability;
use vbucket::{StoreError, VbMeta};

use crate::backlog::Due;
use crate::errors::reading;
use crate::janitor::Desk;
use crate::keys::{self, Life, undo_seqnos};
use crate::store::Core;
use crate::values::Tally;

/// Rows that one step removes: a commit that holds the writer for about a millisecond.
const STEP_ROWS: usize = 1_000;

/// Tables are merged when the rows that were removed are this part of the documents that are there:
/// fewer are not worth a rewrite.
const MERGE_PARTS: u64 = 8;

/// Larger tables are left to the engine: while it merges one of them as a whole it does not merge
/// what is written meanwhile, and after some 300 MiB of that writers would wait.
const MERGE_BYTES_MAX: u64 = 1 << 30;

impl Core {
    /// Removes every row of a life, then the note that it has ended.
    pub(crate) fn remove_rows(&self, life: Life, desk: &Desk) -> Result<(), StoreError> {
        let tables = &self.tables;
        // Keys first: a reader that still goes by this life finds an entry with its row, or none.
        for table in [&tables.keys, &tables.rows, &tables.undo] {
            let mut from = life.prefix().to_vec();
            loop {
                if desk.is_stopping() {
                    return Ok(());
                }
                let found = some_entries(table, &from, &life.next_prefix())?;
                let Some((last, _)) = found.last() else { break };
                // Behind the last one: what was removed is not to be walked over again.
                from = [last.as_ref(), &[0]].concat();
                let removed = found.len() as u64;
                let mut out = tables.batch(found.len());
                let mut garbage = Tally::default();
                for (key, bytes) in found {
                    garbage.add_row(&key, bytes);
                    out.remove(table, key);
                }
                tables.wait_for_room()?;
                let mut writer = self.writer();
                self.note_garbage(&mut out, &garbage);
                writer.commit(out, Durability::Buffered)?;
                drop(writer);
                failpoint::reach("janitor-step");
                desk.removed(removed);
            }
        }
        let mut out = tables.batch(0);
        out.remove(&tables.meta, life.dead());
        self.writer().commit(out, Durability::Buffered)
    }

    /// Removes the undo rows that lie behind the window, and raises the vBucket's floor to them.
    pub(crate) fn trim_undo(&self, vb: VbId, desk: &Desk) -> Result<(), StoreError> {
        let tables = &self.tables;
        while !desk.is_stopping() {
            let Some(seen) = self.record(vb) else { return Ok(()) };
            let life = Life { vb, generation: seen.generation };
            let from = life.undo(Seqno(seen.undo_floor).next(), Seqno::ZERO);
            let to = life.undo(self.horizon(&seen.meta).next(), Seqno::ZERO);
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
                if let Some((newer, _)) = undo_seqnos(&key)
                    && newer <= horizon
                {
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
            out.insert(&tables.meta, keys::record(vb), record.encode());
            writer.commit(out, Durability::Buffered)?;
            self.publish([record]);
        }
        Ok(())
    }

    /// Up to which seqno undo rows may go: no rollback goes below the purge seqno.
    fn horizon(&self, meta: &VbMeta) -> Seqno {
        Seqno(meta.high_seqno.0.saturating_sub(self.options.undo_seqnos)).max(meta.purge_seqno)
    }

    /// Has the tables merged where that gives enough space back.
    pub(crate) fn merge(&self, desk: &Desk) -> Result<(), StoreError> {
        let removed = desk.unmerged();
        let is_worth_it = removed.saturating_mul(MERGE_PARTS) >= self.item_count();
        let tables = self.tables.of_documents();
        if is_worth_it && tables.iter().all(|table| table.disk_space() <= MERGE_BYTES_MAX) {
            self.writer().close_tables(Due::All)?;
            self.tables.merge()?;
            desk.merged(removed);
        }
        Ok(())
    }
}

/// Some of the entries with `from <= key < to`, in order.
fn some_entries(
    table: &Keyspace,
    from: &[u8],
    to: &[u8],
) -> Result<Vec<(UserKey, UserValue)>, StoreError> {
    let guards = table.range(from..to).take(STEP_ROWS);
    let what = || "old rows".to_owned();
    guards.map(|guard| guard.into_inner().map_err(|e| reading(what, &e))).collect()
}
