//! Reads the newest part of a vBucket's history, and undoes it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use mcbp::key::DEFAULT_COLLECTION;
use mcbp::{Seqno, VbId};
use vbucket::{DurableSeqnos, Kind, Row, StoreError};

use crate::collections::collection_of;
use crate::core::Core;
use crate::engine::{Slice, WriteBatch};
use crate::errors::damaged;
use crate::format::{
    Generation, KeyEntry, ValuePointer, VbRecord, decode_row, row_seqno, undo_seqnos,
};
use crate::retention::version_bytes;
use crate::tally::Tally;

/// How many rows one step undoes: a batch of some hundred kilobytes, without the values.
const STEP_ROWS: usize = 1_000;
/// How many bytes of replaced rows one step holds in memory; one row more may come on top.
const STEP_BYTES: usize = 16 << 20;

/// The part of a vBucket's history above the seqno `down_to`.
pub(crate) struct History {
    target: Seqno,
    down_to: Seqno,
    rows: Vec<NewestRow>,
    /// The rows that were replaced, by the seqno of what replaced them and their own. A commit has
    /// replaced two: the row of its document, and that of its prepare.
    undo: BTreeMap<(Seqno, Seqno), Replaced>,
}

/// A row that was replaced.
struct Replaced {
    bytes: Slice,
    /// It is an older version of the change history.
    is_version: bool,
}

/// The newest row of its key, without its value.
struct NewestRow {
    seqno: Seqno,
    document: Bytes,
    alive: bool,
    pointer: Option<ValuePointer>,
}

impl Core {
    /// Reads what is to be undone next, newest first, until `target` or the bounds of a step.
    pub(crate) fn read_history(
        &self,
        record: &VbRecord,
        target: Seqno,
    ) -> Result<History, StoreError> {
        let vb = record.meta.vb;
        let generation = record.generation();
        let what = || format!("the newest rows of {vb}");
        let malformed = || damaged(what(), "a key is malformed");
        let mut down_to = target;
        let mut undo = BTreeMap::new();
        let Some(from) = target.successor() else {
            return Ok(History { target, down_to, rows: Vec::new(), undo });
        };
        let mut undo_bytes = 0;
        for entry in self.tables.undo.range(generation.undo_since(from)).rev() {
            let (key, bytes) = entry.map_err(|e| e.of(what))?;
            let (newer, older) = undo_seqnos(&key).ok_or_else(malformed)?;
            if undo.len() >= STEP_ROWS || undo_bytes >= STEP_BYTES {
                down_to = newer;
                break;
            }
            let replaced = self.replaced(generation, newer, older, bytes)?;
            undo_bytes += replaced.bytes.len();
            undo.insert((newer, older), replaced);
        }
        let mut rows = Vec::new();
        let range = generation.row(down_to.next())..=generation.row(Seqno::MAX);
        for entry in self.tables.rows.range(range).rev() {
            let (key, bytes) = entry.map_err(|e| e.of(what))?;
            let seqno = row_seqno(&key).ok_or_else(malformed)?;
            if rows.len() >= STEP_ROWS {
                down_to = seqno;
                break;
            }
            let (row, pointer) = checked_row(vb, seqno, bytes)?;
            let (document, alive) = (Bytes::copy_from_slice(&row.key), row.is_alive());
            rows.push(NewestRow { seqno, document, alive, pointer });
        }
        undo.retain(|&(newer, _), _| newer > down_to);
        Ok(History { target, down_to, rows, undo })
    }

    /// The row of an undo row, which has it itself or is empty.
    fn replaced(
        &self,
        generation: Generation,
        newer: Seqno,
        older: Seqno,
        bytes: Slice,
    ) -> Result<Replaced, StoreError> {
        if !bytes.is_empty() {
            return Ok(Replaced { bytes, is_version: false });
        }
        let what = || format!("{} seqno {older}", generation.vb);
        let version = self.tables.undo.get(generation.version(older, newer));
        let version = version.map_err(|e| e.of(what))?;
        let bytes = version.ok_or_else(|| damaged(what(), "the older version is missing"))?;
        Ok(Replaced { bytes, is_version: true })
    }

    /// The batch that undoes a part of the history: each key gets back its newest row at or below
    /// its end.
    pub(crate) fn undo(
        &self,
        record: &mut VbRecord,
        history: &History,
    ) -> Result<WriteBatch, StoreError> {
        let tables = &self.tables;
        let vb = record.meta.vb;
        let generation = record.generation();
        let mut out = tables.batch(history.rows.len() + history.undo.len());
        let (mut garbage, mut touched) = (Tally::default(), BTreeSet::new());
        let (mut restored, mut newest) = (Vec::new(), BTreeMap::new());
        let mut keys: BTreeSet<Bytes> = BTreeSet::new();
        for (&(newer, older), Replaced { bytes, is_version }) in &history.undo {
            out.remove(&tables.undo, generation.undo(newer, older));
            let (row, pointer) = checked_row(vb, older, bytes.clone())?;
            if *is_version {
                out.remove(&tables.undo, generation.version(older, newer));
                record.versions.uncount(version_bytes(bytes, pointer));
            }
            if older > history.down_to {
                garbage.add(pointer);
                continue;
            }
            // It was the newest row of its key at that seqno.
            if !keys.insert(Bytes::copy_from_slice(&row.key)) {
                let flaw = format!("seqno {newer} replaced it, and its key has another newest row");
                return Err(damaged(format!("{vb} seqno {older}"), flaw));
            }
            let key = generation.document(&row.key);
            out.insert(&tables.rows, generation.row(older), bytes.clone());
            let entry = KeyEntry::of(&row).encode(&key);
            out.insert(&tables.keys, key, entry);
            if let Some(id) = collection_of(&row.key) {
                let newest: &mut Seqno = newest.entry(id).or_default();
                *newest = older.max(*newest);
            }
            restored.push(Row { value: Bytes::new(), ..row });
        }
        for NewestRow { seqno, document, alive, pointer } in &history.rows {
            out.remove(&tables.rows, generation.row(*seqno));
            garbage.add(*pointer);
            touched.extend(record.collections.uncount(document, *alive, false));
            if !keys.contains(document) {
                out.remove(&tables.keys, generation.document(document));
            }
        }
        for row in &restored {
            let is_alive = row.is_alive() && record.collections.shows(&row.key, row.seqno);
            touched.extend(record.collections.uncount(&row.key, false, is_alive));
        }
        self.note_garbage(&mut out, &garbage);
        self.lower_durable(record, history.down_to, &restored)?;
        let lowered = self.lower_highs(record, history, &newest)?;
        touched.extend(lowered.into_iter().filter(|id| *id != DEFAULT_COLLECTION));
        touched.iter().for_each(|id| self.put_collection(&mut out, record, *id));
        Ok(out)
    }
}

impl Core {
    /// Sets the highest seqnos of collections whose newest rows are undone: to bounds while more is
    /// to be undone, and else to what is left. `newest` has the newest restored row of each.
    /// Returns these collections.
    fn lower_highs(
        &self,
        record: &mut VbRecord,
        history: &History,
        newest: &BTreeMap<u32, Seqno>,
    ) -> Result<Vec<u32>, StoreError> {
        let down_to = history.down_to;
        let above = record.collections.iter().filter(|(_, collection)| collection.high > down_to);
        let above: Vec<_> = above.map(|(id, collection)| (id, collection.start)).collect();
        let is_over = down_to == history.target;
        let restored = |id: u32| newest.get(&id).copied().unwrap_or(Seqno::ZERO);
        let known = |start: Seqno, id| if is_over { start.max(restored(id)) } else { down_to };
        let mut highs: BTreeMap<_, _> =
            above.into_iter().map(|(id, start)| (id, known(start, id))).collect();
        let generation = record.generation();
        let range = generation.row(Seqno(1))..=generation.row(down_to);
        let what = || format!("the rows of {}", generation.vb);
        for entry in self.tables.rows.range(range).rev() {
            let (key, bytes) = entry.map_err(|e| e.of(what))?;
            let seqno = row_seqno(&key).ok_or_else(|| damaged(what(), "a key is malformed"))?;
            if highs.values().all(|high| *high >= seqno) {
                break;
            }
            let (row, _) = checked_row(generation.vb, seqno, bytes)?;
            if let Some(high) = collection_of(&row.key).and_then(|id| highs.get_mut(&id)) {
                *high = seqno.max(*high);
            }
        }
        highs.iter().for_each(|(id, high)| record.collections.set_high(*id, *high));
        Ok(highs.into_keys().collect())
    }
}

impl Core {
    /// Lowers the seqnos of durable writes to those at `down_to`. Nothing that is prepared again
    /// counts as completed.
    fn lower_durable(
        &self,
        record: &mut VbRecord,
        down_to: Seqno,
        restored: &[Row],
    ) -> Result<(), StoreError> {
        let durable = record.meta.durable;
        let prepares = restored.iter().filter(|row| matches!(row.kind, Kind::Prepared { .. }));
        let before_first = prepares.map(|row| row.seqno.0 - 1).min().map_or(down_to, Seqno);
        let max_visible = if durable.max_visible <= down_to {
            durable.max_visible
        } else {
            let restored = restored.iter().filter(|row| row.is_visible()).map(|row| row.seqno);
            self.newest_visible(record, down_to)?.max(restored.max().unwrap_or(Seqno::ZERO))
        };
        record.meta.durable = DurableSeqnos {
            high_prepared: durable.high_prepared.min(down_to),
            high_completed: durable.high_completed.min(down_to).min(before_first),
            max_visible,
        };
        Ok(())
    }

    /// The newest stored row up to a seqno that readers see.
    fn newest_visible(&self, record: &VbRecord, up_to: Seqno) -> Result<Seqno, StoreError> {
        let generation = record.generation();
        let range = generation.row(Seqno(1))..=generation.row(up_to);
        let what = || format!("the rows of {}", generation.vb);
        for entry in self.tables.rows.range(range).rev() {
            let (key, bytes) = entry.map_err(|e| e.of(what))?;
            let seqno = row_seqno(&key).ok_or_else(|| damaged(what(), "a key is malformed"))?;
            if checked_row(generation.vb, seqno, bytes)?.0.is_visible() {
                return Ok(seqno);
            }
        }
        Ok(Seqno::ZERO)
    }
}

impl History {
    /// Where the vBucket is once this is undone.
    pub(crate) const fn down_to(&self) -> Seqno {
        self.down_to
    }
}

fn checked_row(
    vb: VbId,
    seqno: Seqno,
    bytes: Slice,
) -> Result<(Row, Option<ValuePointer>), StoreError> {
    decode_row(vb, seqno, bytes).map_err(|flaw| damaged(format!("{vb} seqno {seqno}"), flaw))
}
