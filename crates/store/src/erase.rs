//! Erasing rows of collections that are gone. No reader sees them any more and no rollback brings
//! them back, so they go in bounded steps, as many at a time as a step of a purge.

use mcbp::{Seqno, VbId};
use vbucket::StoreError;
use vbucket::store::Durability;

use crate::collections::{Gone, collection_of};
use crate::core::Core;
use crate::engine::Slice;
use crate::errors::damaged;
use crate::format::{Generation, KeyEntry, decode_row, version_seqnos};
use crate::retention::version_bytes;
use crate::tally::Tally;
use crate::trim::some_entries;
use crate::work::WorkQueue;

/// How many keys one step looks at: each needs its row, which may be anywhere in its table.
const STEP_KEYS: usize = 500;

impl Core {
    /// Erases the rows of a collection up to a seqno, then the note that they are to be erased.
    pub(crate) fn erase(
        &self,
        generation: Generation,
        gone: Gone,
        work: &WorkQueue,
    ) -> Result<(), StoreError> {
        if self.erase_all(generation, gone, work)? {
            self.forget_gone(generation, gone)?;
        } else if self.has(generation) {
            return Ok(());
        }
        self.erasures.end(generation, gone);
        Ok(())
    }

    /// Returns false where it was stopped, or the rows go with their vBucket.
    fn erase_all(
        &self,
        generation: Generation,
        gone: Gone,
        work: &WorkQueue,
    ) -> Result<bool, StoreError> {
        for range in [generation.collection_range(gone.id), generation.prepared_range(gone.id)] {
            if !self.erase_range(generation, gone.up_to, range, work)? {
                return Ok(false);
            }
        }
        self.erase_versions(generation, gone, work)
    }

    /// The same of older versions. Returns false where it was stopped, or the rows go with their
    /// vBucket.
    fn erase_versions(
        &self,
        generation: Generation,
        gone: Gone,
        work: &WorkQueue,
    ) -> Result<bool, StoreError> {
        let mut from = generation.version(Seqno::ZERO, Seqno::ZERO).to_vec();
        let to = generation.version(gone.up_to, Seqno::ZERO);
        while !work.is_stopping() && self.has(generation) {
            let found = some_entries(&self.tables.undo, &from, &to)?;
            let Some((last, _)) = found.last() else { return Ok(true) };
            from = [last.as_ref(), &[0]].concat();
            work.removed(self.erase_some_versions(generation, gone, found)?);
        }
        Ok(false)
    }

    fn erase_some_versions(
        &self,
        generation: Generation,
        gone: Gone,
        found: Vec<(Slice, Slice)>,
    ) -> Result<u64, StoreError> {
        let tables = &self.tables;
        tables.wait_for_flushes()?;
        let mut writer = self.writer();
        let record = self.record(generation.vb).filter(|it| it.generation() == generation);
        let Some(record) = record else { return Ok(0) };
        let mut record = record.as_ref().clone();
        let mut out = tables.batch(found.len());
        let (mut garbage, mut erased) = (Tally::default(), 0);
        for (key, bytes) in found {
            let of = |flaw| damaged(what(generation.vb), flaw);
            let (older, newer) = version_seqnos(&key).ok_or_else(|| of("its key is malformed"))?;
            let (row, pointer) = decode_row(generation.vb, older, bytes.clone()).map_err(of)?;
            let now = tables.undo.get(&key).map_err(|e| e.of(|| what(generation.vb)))?;
            // A rollback may have taken it meanwhile.
            let is_there = now.as_ref() == Some(&bytes);
            if is_there && collection_of(&row.key) == Some(gone.id) {
                garbage.add(pointer);
                record.versions.uncount(version_bytes(&bytes, pointer));
                // No rollback brings it back.
                out.remove(&tables.undo, generation.undo(newer, older));
                out.remove(&tables.undo, key);
                erased += 1;
            }
        }
        if erased > 0 {
            self.note_garbage(&mut out, &garbage);
            self.commit_record(&mut writer, out, record, Durability::Buffered)?;
        }
        Ok(erased)
    }

    /// Returns false where it was stopped, or the rows go with their vBucket.
    fn erase_range(
        &self,
        generation: Generation,
        up_to: Seqno,
        (mut from, to): (Vec<u8>, Vec<u8>),
        work: &WorkQueue,
    ) -> Result<bool, StoreError> {
        while !work.is_stopping() && self.has(generation) {
            let found = self.tables.keys.range(from.clone()..to.clone()).take(STEP_KEYS);
            let found = found.map(|entry| entry.map_err(|e| e.of(|| what(generation.vb))));
            let found: Vec<(Slice, Slice)> = found.collect::<Result<_, _>>()?;
            let Some((last, _)) = found.last() else { return Ok(true) };
            from = [last.as_ref(), &[0]].concat();
            work.removed(self.erase_step(generation, up_to, found)?);
        }
        Ok(false)
    }

    /// Whether the vBucket still is in this generation: rows of another one go as a whole.
    fn has(&self, generation: Generation) -> bool {
        self.record(generation.vb).is_some_and(|record| record.generation() == generation)
    }

    fn erase_step(
        &self,
        generation: Generation,
        up_to: Seqno,
        found: Vec<(Slice, Slice)>,
    ) -> Result<u64, StoreError> {
        let tables = &self.tables;
        tables.wait_for_flushes()?;
        let mut writer = self.writer();
        let mut out = tables.batch(found.len());
        let (mut garbage, mut erased) = (Tally::default(), 0);
        for (key, entry) in found {
            let of = |flaw| damaged(what(generation.vb), flaw);
            let KeyEntry { seqno, .. } = KeyEntry::decode(&key, &entry).map_err(of)?;
            // A flushed collection goes on: the key may have been written again.
            let now = tables.keys.get(&key).map_err(|e| e.of(|| what(generation.vb)))?;
            if seqno >= up_to || now.as_ref() != Some(&entry) {
                continue;
            }
            let row_key = generation.row(seqno);
            let row = tables.rows.get(row_key).map_err(|e| e.of(|| what(generation.vb)))?;
            if let Some(row) = row {
                garbage.add_row(&row_key, row);
            }
            out.remove(&tables.keys, key);
            out.remove(&tables.rows, row_key);
            erased += 1;
        }
        self.note_garbage(&mut out, &garbage);
        writer.commit(out, Durability::Buffered, || ())?;
        failpoint::reach("erase-step");
        Ok(erased)
    }

    fn forget_gone(&self, generation: Generation, gone: Gone) -> Result<(), StoreError> {
        let key = generation.gone(gone.id);
        let mut writer = self.writer();
        // The collection may be gone once more since.
        let now = self.tables.meta.get(key).map_err(|e| e.of(|| what(generation.vb)))?;
        if now.is_some_and(|now| Gone::decode(&key, gone.id, &now) == Ok(gone)) {
            let mut out = self.tables.batch(0);
            out.remove(&self.tables.meta, key);
            writer.commit(out, Durability::Buffered, || ())?;
        }
        Ok(())
    }
}

fn what(vb: VbId) -> String {
    format!("the rows of a dropped collection of {vb}")
}
