//! Going back in a vBucket's history, and dropping it altogether.
//!
//! A rollback undoes the newest rows first, in steps of one batch each. Between two steps the
//! vBucket is a valid one: inside a snapshot that began at the target, so that a stream would go
//! on within it, and the rollback can be asked for again.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering;

use bytes::Bytes;
use fjall::{OwnedWriteBatch, UserValue};
use mcbp::{Seqno, VbId, VbUuid};
use vbucket::failover::uuid_from_random;
use vbucket::store::Durability;
use vbucket::{Row, StoreError, VbMeta};

use crate::errors::{damaged, reading};
use crate::format::{Latest, decode_row};
use crate::keys::{self, Life, row_seqno, undo_seqnos};
use crate::points::Points;
use crate::record::VbRecord;
use crate::store::Core;
use crate::values::{Place, Tally};
use crate::writer::Writer;

/// How many rows one step undoes: a batch of some hundred kilobytes beside the values.
const STEP_ROWS: usize = 1_000;
/// How many bytes of replaced rows one step holds in memory; one row more may come on top.
const STEP_BYTES: usize = 16 << 20;

/// The part of a vBucket's history above `down_to`.
struct Step {
    down_to: Seqno,
    rows: Vec<Undone>,
    /// By newer seqno: the row that was replaced, its seqno and bytes.
    undo: BTreeMap<Seqno, (Seqno, UserValue)>,
}

/// The newest row of its key, without its value.
struct Undone {
    seqno: Seqno,
    document: Bytes,
    alive: bool,
    apart: Option<Place>,
}

impl Core {
    /// See `Store::rollback`; also says which life has ended, if one has.
    pub(crate) fn rollback(
        &self,
        vb: VbId,
        to: Seqno,
    ) -> Result<(VbMeta, Option<Life>), StoreError> {
        loop {
            // The writer is let go between two steps: other vBuckets go on.
            if let Some(done) = self.rollback_step(&mut self.writer(), vb, to)? {
                return Ok(done);
            }
        }
    }

    /// One batch of a rollback; `None` where more are needed.
    fn rollback_step(
        &self,
        writer: &mut Writer,
        vb: VbId,
        to: Seqno,
    ) -> Result<Option<(VbMeta, Option<Life>)>, StoreError> {
        let record = self.record(vb).ok_or(StoreError::NoVbucket(vb))?;
        let mut record = record.as_ref().clone();
        let Some(target) = target(&record, to) else {
            return self.restart(writer, record).map(Some);
        };
        let step = self.read_step(&record, target)?;
        let mut out = self.undo(&mut record, &step)?;
        self.restores.fetch_add(1, Ordering::SeqCst);
        let done = step.down_to == target;
        record.points.cut_above(target.0);
        let meta = &mut record.meta;
        meta.failover.prune(step.down_to, fresh_uuid());
        meta.snapshot_end = if done { target } else { meta.snapshot_end.max(meta.high_seqno) };
        meta.snapshot_start = target;
        meta.high_seqno = step.down_to;
        let meta = meta.clone();
        out.insert(&self.tables.meta, keys::record(vb), record.encode());
        failpoint::reach("rollback-read");
        writer.commit(out, if done { Durability::Synced } else { Durability::Buffered })?;
        failpoint::reach(if done { "rollback-done" } else { "rollback-step" });
        self.publish([record]);
        Ok(done.then_some((meta, None)))
    }

    /// See `Store::remove`; says which life has ended, if one has.
    pub(crate) fn remove(&self, vb: VbId) -> Result<Option<Life>, StoreError> {
        let mut writer = self.writer();
        let Some(record) = self.record(vb) else { return Ok(None) };
        let life = Life { vb, generation: record.generation };
        let mut out = self.tables.batch(0);
        out.remove(&self.tables.meta, keys::record(vb));
        out.insert(&self.tables.meta, life.dead(), "");
        writer.commit(out, Durability::Synced)?;
        failpoint::reach("remove-committed");
        self.withdraw(vb);
        Ok(Some(life))
    }

    /// Begins a new life at seqno 0.
    fn restart(
        &self,
        writer: &mut Writer,
        mut record: VbRecord,
    ) -> Result<(VbMeta, Option<Life>), StoreError> {
        let vb = record.meta.vb;
        let life = Life { vb, generation: record.generation };
        record.generation = writer.next_number();
        record.items = 0;
        record.undo_floor = 0;
        record.points = Points::default();
        let meta = &mut record.meta;
        meta.failover.prune(Seqno::ZERO, fresh_uuid());
        meta.high_seqno = Seqno::ZERO;
        (meta.snapshot_start, meta.snapshot_end) = (Seqno::ZERO, Seqno::ZERO);
        meta.purge_seqno = Seqno::ZERO;
        let mut out = self.tables.batch(0);
        out.insert(&self.tables.meta, keys::record(vb), record.encode());
        out.insert(&self.tables.meta, life.dead(), "");
        writer.commit(out, Durability::Synced)?;
        failpoint::reach("rollback-to-zero");
        let meta = record.meta.clone();
        self.publish([record]);
        Ok((meta, Some(life)))
    }

    /// Reads what is to be undone next, newest first, until `target` or the bounds of a step.
    fn read_step(&self, record: &VbRecord, target: Seqno) -> Result<Step, StoreError> {
        let vb = record.meta.vb;
        let life = Life { vb, generation: record.generation };
        let what = || format!("the newest rows of {vb}");
        let malformed = || damaged(what(), "a key is malformed");
        let from = target.next();
        let mut down_to = target;
        let mut undo = BTreeMap::new();
        let mut undo_bytes = 0;
        let range = life.undo(from, Seqno::ZERO)..=life.undo(Seqno::MAX, Seqno::MAX);
        for guard in self.tables.undo.range(range).rev() {
            let (key, bytes) = guard.into_inner().map_err(|e| reading(what, &e))?;
            let (newer, older) = undo_seqnos(&key).ok_or_else(malformed)?;
            if undo.len() >= STEP_ROWS || undo_bytes >= STEP_BYTES {
                down_to = newer;
                break;
            }
            undo_bytes += bytes.len();
            undo.insert(newer, (older, bytes));
        }
        let mut rows = Vec::new();
        let range = life.row(down_to.next())..=life.row(Seqno::MAX);
        for guard in self.tables.rows.range(range).rev() {
            let (key, bytes) = guard.into_inner().map_err(|e| reading(what, &e))?;
            let seqno = row_seqno(&key).ok_or_else(malformed)?;
            if rows.len() >= STEP_ROWS {
                down_to = seqno;
                break;
            }
            let (row, apart) = checked_row(vb, seqno, bytes)?;
            let (document, alive) = (Bytes::copy_from_slice(&row.key), row.is_alive());
            rows.push(Undone { seqno, document, alive, apart });
        }
        undo.retain(|&newer, _| newer > down_to);
        Ok(Step { down_to, rows, undo })
    }

    /// The batch that undoes a step: each key gets back its newest row at or below the step's end.
    fn undo(&self, record: &mut VbRecord, step: &Step) -> Result<OwnedWriteBatch, StoreError> {
        let tables = &self.tables;
        let vb = record.meta.vb;
        let life = Life { vb, generation: record.generation };
        let mut out = tables.batch(step.rows.len() + step.undo.len());
        let mut garbage = Tally::default();
        let mut restored = BTreeSet::new();
        for Undone { seqno, document, alive, apart } in &step.rows {
            out.remove(&tables.rows, life.row(*seqno));
            garbage.add(*apart);
            let key = life.document(document);
            record.items = record.items.saturating_sub(u64::from(*alive));
            let Some((older, bytes)) = step.restored(*seqno) else {
                out.remove(&tables.keys, key);
                continue;
            };
            let (row, _) = checked_row(vb, older, bytes.clone())?;
            restored.insert(older);
            if row.key != document {
                let flaw = format!("it is not of the key that seqno {seqno} replaced");
                return Err(damaged(format!("{vb} seqno {older}"), flaw));
            }
            record.items += u64::from(row.is_alive());
            out.insert(&tables.rows, life.row(older), bytes.clone());
            let entry = Latest::of(&row).encode(&key);
            out.insert(&tables.keys, key, entry);
        }
        for (newer, (older, bytes)) in &step.undo {
            out.remove(&tables.undo, life.undo(*newer, *older));
            if !restored.contains(older) {
                garbage.add(checked_row(vb, *older, bytes.clone())?.1);
            }
        }
        self.note_garbage(&mut out, &garbage);
        Ok(out)
    }
}

impl Step {
    /// What the key of the row at `seqno` had at the end of the step; `None` for nothing.
    fn restored(&self, seqno: Seqno) -> Option<(Seqno, &UserValue)> {
        let mut newer = seqno;
        loop {
            let (older, bytes) = self.undo.get(&newer)?;
            if *older <= self.down_to {
                return Some((*older, bytes));
            }
            newer = *older;
        }
    }
}

/// Where a rollback to `to` ends, `None` for 0.
fn target(record: &VbRecord, to: Seqno) -> Option<Seqno> {
    let point = record.points.at_or_below(to.0.min(record.meta.high_seqno.0))?;
    // Below the floor replaced rows are gone, below the purge seqno deletions.
    let floor = record.undo_floor.max(record.meta.purge_seqno.0).max(1);
    (point >= floor).then_some(Seqno(point))
}

fn checked_row(
    vb: VbId,
    seqno: Seqno,
    bytes: UserValue,
) -> Result<(Row, Option<Place>), StoreError> {
    decode_row(vb, seqno, bytes).map_err(|flaw| damaged(format!("{vb} seqno {seqno}"), flaw))
}

/// For a table that has forgotten every branch it could go back to.
fn fresh_uuid() -> VbUuid {
    // The standard library seeds each of these from the system's random source.
    uuid_from_random(RandomState::new().hash_one("branch"))
}

#[cfg(test)]
mod tests;
