//! Committing: which rows a batch replaces, and what becomes of them.
//!
//! A replaced row moves from `rows` to `undo`, so that scans never meet it and a rollback finds
//! it. A key that was never written costs one look into `keys` and no read of a row; a row whose
//! caller knows what it replaces, or that it replaces nothing, costs none at all.

use std::collections::HashMap;
use std::collections::btree_map::{BTreeMap, Entry};

use fjall::{OwnedWriteBatch, UserKey, UserValue};
use mcbp::{Seqno, VbId};
use vbucket::store::{Batch, Durability};
use vbucket::{Change, Replaces, StoreError, VbMeta};

use crate::errors::{damaged, io, reading};
use crate::format::{KEY_BYTES_MAX, Latest, encode_row};
use crate::keys::{self, Life};
use crate::record::VbRecord;
use crate::store::Core;
use crate::values::{APART_BYTES, Place};

/// A change on its way: which one of the same batch replaces it.
struct Pending<'a> {
    change: &'a Change,
    life: Life,
    /// Where the document has its entry in `keys`.
    key: UserKey,
    newer: Option<Seqno>,
}

/// What a batch does to the vBuckets, while it is being worked out.
struct Plan<'a> {
    core: &'a Core,
    /// Every row looks twice, and a tree finds a vBucket sooner than a hash does.
    records: BTreeMap<VbId, VbRecord>,
    pending: Vec<Pending<'a>>,
    /// Where in `pending` the newest change of each key stands; made for the first change that may
    /// replace one of them.
    newest: Option<HashMap<(VbId, &'a [u8]), usize>>,
    out: OwnedWriteBatch,
}

impl Core {
    /// Commits, and says which vBuckets may now have undo rows to trim.
    pub(crate) fn commit(
        &self,
        batch: &Batch,
        durability: Durability,
    ) -> Result<Vec<VbId>, StoreError> {
        let mut writer = self.writer();
        writer.check()?;
        if !batch.changes.is_empty() {
            let bytes = batch.changes.iter().map(|change| change.row.memory_bytes() as u64);
            // Once in the journal, once in a table; a large value only once.
            self.space.check(bytes.sum::<u64>() * 2)?;
        }
        self.tables.wait_for_room()?;
        let mut plan = Plan {
            core: self,
            records: self.touched(batch, writer.next_number())?,
            pending: Vec::with_capacity(batch.changes.len()),
            newest: None,
            out: self.tables.batch(batch.changes.len()),
        };
        let mut records = BTreeMap::new();
        writer.commit_with(&batch.changes, durability, |places| {
            plan.add_all(batch)?;
            let (out, of_batch) = plan.finish(places);
            records = of_batch;
            Ok(out)
        })?;
        let crossed = records.values().filter(|record| self.crossed_window(record));
        let crossed = crossed.map(|record| record.meta.vb).collect();
        self.publish(records.into_values());
        Ok(crossed)
    }

    /// The records of all vBuckets of the batch as they are now; new ones begin with `generation`.
    fn touched(
        &self,
        batch: &Batch,
        generation: u64,
    ) -> Result<BTreeMap<VbId, VbRecord>, StoreError> {
        let mut records = BTreeMap::new();
        for meta in &batch.metas {
            let record = self.record(meta.vb).map_or_else(
                || VbRecord {
                    meta: VbMeta { high_seqno: Seqno::ZERO, ..meta.clone() },
                    generation,
                    items: 0,
                    undo_floor: 0,
                    points: Default::default(),
                },
                |record| record.as_ref().clone(),
            );
            records.insert(meta.vb, record);
        }
        for change in batch.changes.chunk_by(|a, b| a.vb == b.vb).filter_map(<[_]>::first) {
            if let Entry::Vacant(place) = records.entry(change.vb) {
                let record = self.record(change.vb).ok_or(StoreError::NoVbucket(change.vb))?;
                place.insert(record.as_ref().clone());
            }
        }
        Ok(records)
    }

    /// Whether a vBucket's high seqno has passed a multiple of the undo window.
    fn crossed_window(&self, record: &VbRecord) -> bool {
        let windows = |seqno: Seqno| seqno.0 / self.options.undo_seqnos.max(1);
        let before = self.record(record.meta.vb).map_or(Seqno::ZERO, |old| old.meta.high_seqno);
        windows(before) != windows(record.meta.high_seqno)
    }
}

impl<'a> Plan<'a> {
    fn add_all(&mut self, batch: &'a Batch) -> Result<(), StoreError> {
        batch.changes.iter().try_for_each(|change| self.add(change))?;
        batch.metas.iter().try_for_each(|meta| self.set_meta(meta))
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
            let text = format!("{vb} seqno {seqno}: a key is at most {KEY_BYTES_MAX} bytes");
            return Err(io("committing", text));
        }
        let life = Life { vb, generation: record.generation };
        let key = UserKey::from(life.document(&change.row.key));
        let older = self.note_newest(change);
        self.pending.push(Pending { change, life, key: key.clone(), newer: None });
        let was_alive = match older {
            Some(older) => self.pending.get_mut(older).is_some_and(|older| {
                older.newer = Some(seqno);
                older.change.row.is_alive()
            }),
            None => match &change.replaces {
                Replaces::Nothing => false,
                Replaces::Row(older) if older.value.len() < APART_BYTES => {
                    let mut bytes = Vec::new();
                    encode_row(vb, older, None, &mut bytes);
                    self.replace(life, change, older.seqno, bytes);
                    older.is_alive()
                }
                // A large value stays where it is: only the row with the place of it moves.
                Replaces::Row(_) | Replaces::Unknown => self.replace_stored(life, change, &key)?,
            },
        };
        if let Some(record) = self.records.get_mut(&vb) {
            record.meta.high_seqno = seqno;
            record.items = record.items.saturating_sub(u64::from(was_alive));
            record.items += u64::from(change.row.is_alive());
        }
        Ok(())
    }

    /// Notes that `change`, the next of `pending`, is the newest one of its key, and says which one
    /// was before. That is left out while every caller knows what its change replaces.
    fn note_newest(&mut self, change: &'a Change) -> Option<usize> {
        let is_known = !matches!(change.replaces, Replaces::Unknown);
        if self.newest.is_none() && is_known {
            return None;
        }
        let key = |change: &'a Change| (change.vb, change.row.key.as_ref());
        let pending = &self.pending;
        let newest = self.newest.get_or_insert_with(|| {
            pending.iter().enumerate().map(|(at, pending)| (key(pending.change), at)).collect()
        });
        newest.insert(key(change), pending.len())
    }

    /// Moves the row that is stored for the key of `change` to `undo`, and says whether it was of
    /// a living document.
    fn replace_stored(
        &mut self,
        life: Life,
        change: &Change,
        key: &[u8],
    ) -> Result<bool, StoreError> {
        let tables = &self.core.tables;
        let what = || format!("the key entry of a document in {}", life.vb);
        let Some(entry) = tables.keys.get(key).map_err(|e| reading(what, &e))? else {
            return Ok(false);
        };
        let older = Latest::decode(key, &entry).map_err(|flaw| damaged(what(), flaw))?;
        let what = || format!("{} seqno {}", life.vb, older.seqno);
        let row = tables.rows.get(life.row(older.seqno)).map_err(|e| reading(what, &e))?;
        let row = row.ok_or_else(|| damaged(what(), "the row is missing"))?;
        self.replace(life, change, older.seqno, row);
        Ok(older.alive)
    }

    fn replace(&mut self, life: Life, change: &Change, older: Seqno, row: impl Into<UserValue>) {
        let tables = &self.core.tables;
        self.out.insert(&tables.undo, life.undo(change.row.seqno, older), row);
        self.out.remove(&tables.rows, life.row(older));
    }

    /// Takes the record over that the caller gave for after the changes.
    fn set_meta(&mut self, meta: &VbMeta) -> Result<(), StoreError> {
        let vb = meta.vb;
        let record = self.records.get_mut(&vb).ok_or(StoreError::NoVbucket(vb))?;
        let high = record.meta.high_seqno;
        if meta.high_seqno < high {
            return Err(StoreError::OutOfOrder { vb, high, seqno: meta.high_seqno });
        }
        // A purge may have come between the caller's look at the record and now.
        let purge_seqno = meta.purge_seqno.max(record.meta.purge_seqno);
        record.meta = VbMeta { purge_seqno, ..meta.clone() };
        Ok(())
    }

    /// The rows, key entries and records of the batch. `places` tells of each change where its
    /// value is, if that lies apart.
    fn finish(mut self, places: &[Option<Place>]) -> (OwnedWriteBatch, BTreeMap<VbId, VbRecord>) {
        let tables = &self.core.tables;
        let mut bytes = Vec::new();
        for (Pending { change, life, newer, .. }, &apart) in self.pending.iter().zip(places) {
            let row = &change.row;
            encode_row(life.vb, row, apart, &mut bytes);
            match newer {
                Some(newer) => {
                    self.out.insert(&tables.undo, life.undo(*newer, row.seqno), bytes.as_slice());
                }
                None => self.out.insert(&tables.rows, life.row(row.seqno), bytes.as_slice()),
            }
        }
        // Table by table: where one entry goes, the next one often goes beside it, and the engine
        // finds the place sooner while the way there is in the processor's cache.
        for Pending { change, key, .. } in self.pending.into_iter().filter(|p| p.newer.is_none()) {
            let entry = Latest::of(&change.row).encode(&key);
            self.out.insert(&tables.keys, key, entry);
        }
        for record in self.records.values_mut() {
            let meta = &mut record.meta;
            if meta.high_seqno > meta.snapshot_end {
                // Rows without a record: each is a snapshot of its own.
                (meta.snapshot_start, meta.snapshot_end) = (meta.high_seqno, meta.high_seqno);
            }
            if meta.high_seqno == meta.snapshot_end {
                record.points.push(meta.high_seqno.0);
            }
            self.out.insert(&tables.meta, keys::record(record.meta.vb), record.encode());
        }
        (self.out, self.records)
    }
}
