//! Prepares a batch: which rows it replaces, and what becomes of them.
//!
//! A replaced row moves from `rows` to `undo`, so that scans never meet it and a rollback finds
//! it. A key that was never written costs one lookup in `keys` and no read of a row. Where the
//! caller knows what a row replaces, or that it replaces nothing, no lookup is made.
//!
//! What is wrong with the rows of one vBucket, or with the rows that they replace, is an error of
//! that vBucket's part of the batch. The other parts are prepared nevertheless.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use invariant::broken;
use mcbp::key::DEFAULT_COLLECTION;
use mcbp::{Seqno, VbId};
use vbucket::row::document_key;
use vbucket::store::Batch;
use vbucket::{Change, Kind, Replaces, Row, StoreError, VbMeta};

use crate::collections::{Gone, collection_of};
use crate::core::Core;
use crate::engine::{Slice, WriteBatch};
use crate::errors::damaged;
use crate::failed_parts::FailedParts;
use crate::format::{
    Generation, KEY_BYTES_MAX, KeyEntry, OUT_OF_LINE_BYTES, ValuePointer, VbRecord, encode_row,
};
use crate::retention::{version_bytes, version_pointer};

/// A change to commit.
struct Pending<'a> {
    change: &'a Change,
    generation: Generation,
    /// The key of the document's entry in `keys`.
    key: Slice,
    /// The change of the same batch that replaces this one: its seqno, and whether this one is kept
    /// as an older version.
    newer: Option<(Seqno, bool)>,
}

/// What a batch leaves of a key.
#[derive(Clone, Copy)]
enum Newest {
    /// The change at this index of `pending`.
    At(usize),
    /// Nothing: it was the key of a prepare, which is completed.
    Gone,
}

/// A batch that is ready to be written.
pub(crate) struct Encoded {
    pub out: WriteBatch,
    /// To be published once it is written.
    pub records: BTreeMap<VbId, VbRecord>,
    /// To be erased then.
    pub gone: Vec<(Generation, Gone)>,
}

/// What a batch does to the tables and the records.
pub(crate) struct Plan<'a> {
    core: &'a Core,
    /// Each row needs one, and a tree finds it faster than a hash map.
    records: BTreeMap<VbId, VbRecord>,
    pending: Vec<Pending<'a>>,
    /// The newest change of each key. Built for the first change that may replace another one of
    /// the batch.
    newest: Option<HashMap<(VbId, &'a [u8]), Newest>>,
    /// The named collections whose records are to be written.
    touched: BTreeSet<(VbId, u32)>,
    /// What is to be erased.
    gone: Vec<(Generation, Gone)>,
    out: WriteBatch,
}

impl<'a> Plan<'a> {
    /// Checks a batch and looks up what it replaces. Nothing is written. `records` are those of all
    /// vBuckets of the batch, as they are now.
    pub(crate) fn prepare(
        core: &'a Core,
        batch: &'a Batch,
        records: BTreeMap<VbId, VbRecord>,
    ) -> Result<Self, StoreError> {
        let mut plan = Self {
            core,
            records,
            pending: Vec::with_capacity(batch.changes.len()),
            newest: None,
            touched: BTreeSet::new(),
            gone: Vec::new(),
            out: core.tables.batch(batch.changes.len()),
        };
        for meta in &batch.metas {
            if let Some(record) = plan.records.get_mut(&meta.vb) {
                record.meta.history_start = record.versions.start(meta.history_start);
            }
        }
        let mut failed = FailedParts::default();
        for change in &batch.changes {
            failed.note(change.vb, || plan.add(change));
        }
        for meta in &batch.metas {
            failed.note(meta.vb, || plan.set_meta(meta));
        }
        failed.or(plan)
    }

    fn add(&mut self, change: &'a Change) -> Result<(), StoreError> {
        let vb = change.vb;
        let record = self.records.get(&vb).ok_or(StoreError::NoVbucket(vb))?;
        let high = record.meta.high_seqno;
        let seqno = change.row.seqno;
        if seqno <= high {
            return Err(StoreError::OutOfOrder { vb, high, seqno });
        }
        if change.row.key.len() > KEY_BYTES_MAX {
            let detail = format!("a key is at most {KEY_BYTES_MAX} bytes");
            return Err(StoreError::Unstorable { vb, seqno, detail });
        }
        let generation = record.generation();
        let key = Slice::from(generation.document(&change.row.key));
        if let Some(prepare) = &change.completes {
            self.complete(generation, change, prepare)?;
        }
        let is_known = self.is_known(generation, change);
        let older = self.note_newest(change, is_known);
        self.pending.push(Pending { change, generation, key: key.clone(), newer: None });
        let older = match older {
            Some(Newest::At(older)) => self.replace_pending(older, seqno, change.keeps_before)?,
            Some(Newest::Gone) => None,
            None => match &change.replaces {
                Replaces::Nothing if is_known => None,
                Replaces::Row(older) if is_known && older.value.len() < OUT_OF_LINE_BYTES => {
                    let mut bytes = Vec::new();
                    encode_row(vb, older, None, &mut bytes)?;
                    self.replace(generation, change, older.seqno, bytes, change.keeps_before)?;
                    Some(KeyEntry::of(older))
                }
                // A large value stays where it is: only the row with its pointer moves.
                Replaces::Nothing | Replaces::Row(_) | Replaces::Unknown => {
                    self.replace_stored(generation, change, &key)?
                }
            },
        };
        self.count(change, generation, older)
    }

    /// Counts a change that replaces the row of the key entry `older`.
    fn count(
        &mut self,
        change: &Change,
        generation: Generation,
        older: Option<KeyEntry>,
    ) -> Result<(), StoreError> {
        let (vb, row) = (change.vb, &change.row);
        let record = self.records.get_mut(&vb).ok_or(StoreError::NoVbucket(vb))?;
        record.meta.high_seqno = row.seqno;
        let collections = &mut record.collections;
        let touched = if let Kind::Event { is_end } = row.kind {
            let (touched, gone) = collections.follow(row, is_end);
            // Rows of collections that are gone are erased, which no rollback brings back.
            record.points.cut_below(row.seqno.0);
            self.gone.extend(gone.map(|gone| (generation, gone)));
            touched.filter(|id| *id != DEFAULT_COLLECTION)
        } else {
            let is_seen = |older: &KeyEntry| collections.shows(&row.key, older.seqno);
            let was_alive = older.filter(is_seen).is_some_and(|older| older.alive);
            collections.count(row, was_alive)
        };
        self.touched.extend(touched.map(|id| (vb, id)));
        Ok(())
    }

    /// Whether the caller says what `change` replaces, and that is in the tables.
    fn is_known(&self, generation: Generation, change: &Change) -> bool {
        match &change.replaces {
            Replaces::Nothing => !self.may_be_gone(generation, &change.row.key),
            Replaces::Row(older) => {
                let records = self.core.read_records();
                let record = records.get(&change.vb);
                record.is_some_and(|record| older.seqno <= record.meta.high_seqno)
            }
            Replaces::Unknown => false,
        }
    }

    /// Whether there may be a row of `key` that nobody sees, because its collection was dropped or
    /// flushed.
    fn may_be_gone(&self, generation: Generation, key: &[u8]) -> bool {
        let Some(id) = collection_of(document_key(key)) else { return false };
        self.core.erasures.concern(generation, id)
            || self.gone.iter().any(|(of, gone)| (*of, gone.id) == (generation, id))
    }

    /// Notes that `change`, the next of `pending`, is the newest one of its key. Returns what was
    /// before. Skipped while it is known of every change what it replaces in the tables.
    fn note_newest(&mut self, change: &'a Change, is_known: bool) -> Option<Newest> {
        if self.newest.is_none() && is_known {
            return None;
        }
        let at = Newest::At(self.pending.len());
        self.newest().insert((change.vb, change.row.key.as_ref()), at)
    }

    fn newest(&mut self) -> &mut HashMap<(VbId, &'a [u8]), Newest> {
        let pending = &self.pending;
        let key = |change: &'a Change| (change.vb, change.row.key.as_ref());
        self.newest.get_or_insert_with(|| {
            let all = pending.iter().enumerate();
            all.map(|(at, pending)| (key(pending.change), Newest::At(at))).collect()
        })
    }

    /// Moves the row of the prepare that `change` completes to `undo`.
    fn complete(
        &mut self,
        generation: Generation,
        change: &Change,
        prepare: &'a Row,
    ) -> Result<(), StoreError> {
        let (vb, seqno) = (change.vb, change.row.seqno);
        match self.newest().insert((vb, prepare.key.as_ref()), Newest::Gone) {
            Some(Newest::At(at)) => self.replace_pending(at, seqno, Seqno::ZERO).map(drop),
            Some(Newest::Gone) => Ok(()),
            None => {
                let what = || format!("{vb} seqno {}", prepare.seqno);
                let row = self.core.tables.rows.get(generation.row(prepare.seqno));
                let Some(row) = row.map_err(|e| e.of(what))? else {
                    // With its collection it may have been erased.
                    let record = self.records.get(&vb);
                    let is_seen =
                        |record: &VbRecord| record.collections.shows(&prepare.key, prepare.seqno);
                    let is_missing = record.is_some_and(is_seen);
                    let missing = Err(damaged(what(), "the prepare is missing"));
                    return if is_missing { missing } else { Ok(()) };
                };
                self.replace(generation, change, prepare.seqno, row, Seqno::ZERO)
            }
        }
    }

    /// Notes that the change `older` of `pending` is replaced at `seqno`. Returns what its entry
    /// would be.
    fn replace_pending(
        &mut self,
        older: usize,
        seqno: Seqno,
        keeps_before: Seqno,
    ) -> Result<Option<KeyEntry>, StoreError> {
        let all = self.pending.len();
        let older = self.pending.get_mut(older);
        let older = older.ok_or_else(|| broken!("change {seqno} replaces none of {all}"))?;
        older.newer = Some((seqno, older.change.row.seqno < keeps_before));
        Ok(Some(KeyEntry::of(&older.change.row)))
    }

    /// Moves the row that is stored for the key of `change` to `undo`. Returns its entry.
    fn replace_stored(
        &mut self,
        generation: Generation,
        change: &Change,
        key: &[u8],
    ) -> Result<Option<KeyEntry>, StoreError> {
        let tables = &self.core.tables;
        let what = || format!("the key entry of a document in {}", generation.vb);
        let Some(entry) = tables.keys.get(key).map_err(|e| e.of(what))? else {
            return Ok(None);
        };
        let older = KeyEntry::decode(key, &entry).map_err(|flaw| damaged(what(), flaw))?;
        let what = || format!("{} seqno {}", generation.vb, older.seqno);
        let row = tables.rows.get(generation.row(older.seqno)).map_err(|e| e.of(what))?;
        let row = row.ok_or_else(|| damaged(what(), "the row is missing"))?;
        self.replace(generation, change, older.seqno, row, change.keeps_before)?;
        Ok(Some(older))
    }

    fn replace(
        &mut self,
        generation: Generation,
        change: &Change,
        older: Seqno,
        row: impl Into<Slice>,
        keeps_before: Seqno,
    ) -> Result<(), StoreError> {
        let keep = older < keeps_before;
        self.put_replaced(generation, change.row.seqno, older, row.into(), keep)?;
        self.out.remove(&self.core.tables.rows, generation.row(older));
        Ok(())
    }

    /// Puts a row that is replaced at `newer` where a rollback finds it; with `keep` also where
    /// scans of all versions find it, if the history reaches that far.
    fn put_replaced(
        &mut self,
        generation: Generation,
        newer: Seqno,
        older: Seqno,
        row: Slice,
        keep: bool,
    ) -> Result<(), StoreError> {
        let undo = &self.core.tables.undo;
        let key = generation.undo(newer, older);
        let reaches =
            |record: &&mut VbRecord| (Seqno(1)..=older).contains(&record.meta.history_start);
        let record = keep.then(|| self.records.get_mut(&generation.vb)).flatten();
        match record.filter(reaches) {
            Some(record) => {
                let pointer = version_pointer(generation.vb, older, row.clone())?;
                record.versions.bytes += version_bytes(&row, pointer);
                self.out.insert(undo, key, "");
                self.out.insert(undo, generation.version(older, newer), row);
            }
            None => self.out.insert(undo, key, row),
        }
        Ok(())
    }

    /// Takes over the record that the caller gave for the state after the changes.
    fn set_meta(&mut self, meta: &VbMeta) -> Result<(), StoreError> {
        let vb = meta.vb;
        let record = self.records.get_mut(&vb).ok_or(StoreError::NoVbucket(vb))?;
        let high = record.meta.high_seqno;
        if meta.high_seqno < high {
            return Err(StoreError::OutOfOrder { vb, high, seqno: meta.high_seqno });
        }
        // A purge may have run since the caller read the record.
        let purge_seqno = meta.purge_seqno.max(record.meta.purge_seqno);
        let history_start = record.versions.start(meta.history_start);
        record.meta = VbMeta { purge_seqno, history_start, ..meta.clone() };
        Ok(())
    }

    /// The batch with all rows and key entries. `pointers` has one item for each change.
    pub(crate) fn encode(
        mut self,
        pointers: &[Option<ValuePointer>],
    ) -> Result<Encoded, StoreError> {
        let tables = &self.core.tables;
        let mut bytes = Vec::new();
        let all = std::mem::take(&mut self.pending);
        for (&Pending { change, generation, newer, .. }, &pointer) in all.iter().zip(pointers) {
            let row = &change.row;
            encode_row(generation.vb, row, pointer, &mut bytes)?;
            match newer {
                Some((newer, keep)) => {
                    self.put_replaced(generation, newer, row.seqno, bytes.as_slice().into(), keep)?;
                }
                None => self.out.insert(&tables.rows, generation.row(row.seqno), bytes.as_slice()),
            }
        }
        // Table by table: neighbouring entries often go to neighbouring places, which the engine
        // finds faster while the path there is in the processor's cache.
        for Pending { change, key, .. } in all.into_iter().filter(|p| p.newer.is_none()) {
            let entry = KeyEntry::of(&change.row).encode(&key);
            self.out.insert(&tables.keys, key, entry);
        }
        for ((vb, key), newest) in self.newest.into_iter().flatten() {
            if let (Newest::Gone, Some(record)) = (newest, self.records.get(&vb)) {
                self.out.remove(&tables.keys, record.generation().document(key));
            }
        }
        let (retention, now) = (&self.core.options.retention, self.core.now_of_retention());
        for record in self.records.values_mut() {
            let meta = &mut record.meta;
            if meta.high_seqno > meta.snapshot_end {
                // Rows came without a record: each is a snapshot of its own.
                (meta.snapshot_start, meta.snapshot_end) = (meta.high_seqno, meta.high_seqno);
            }
            record.note_point();
            let meta = &record.meta;
            if retention.seconds > 0 && meta.history_start > Seqno::ZERO {
                record.versions.mark(now, meta.high_seqno, retention);
            }
        }
        for (vb, id) in self.touched {
            if let Some(record) = self.records.get(&vb) {
                self.core.put_collection(&mut self.out, record, id);
            }
        }
        for (generation, gone) in &self.gone {
            let key = generation.gone(gone.id);
            self.out.insert(&tables.meta, key, gone.encode(&key));
        }
        Ok(Encoded { out: self.out, records: self.records, gone: self.gone })
    }
}
