//! Committing a batch: prepare, write values, commit, publish.

use std::collections::btree_map::{BTreeMap, Entry};

use mcbp::{Seqno, VbId};
use vbucket::store::{Batch, Durability};
use vbucket::{StoreError, VbMeta};

use crate::collections::Gone;
use crate::core::Core;
use crate::engine::WriteBatch;
use crate::format::{Generation, VbRecord};
use crate::plan::{Encoded, Plan};

/// What a commit leaves for the background thread.
pub(crate) struct FollowUp {
    /// vBuckets that may now have undo rows or older versions to trim.
    pub crossed: Vec<VbId>,
    /// Rows of collections to erase.
    pub gone: Vec<(Generation, Gone)>,
}

impl Core {
    /// See `Store::commit`; returns what there is to do for the background thread.
    pub(crate) fn commit(
        &self,
        batch: &Batch,
        durability: Durability,
    ) -> Result<FollowUp, StoreError> {
        let mut writer = self.writer();
        writer.check()?;
        if !batch.changes.is_empty() {
            let bytes = batch.changes.iter().map(|change| change.row.memory_bytes() as u64);
            // Once in the journal, once in a table; a large value only once.
            self.space.check(bytes.sum::<u64>() * 2)?;
        }
        self.tables.wait_for_flushes()?;
        let number = writer.next_number();
        let records = self.touched(batch, number)?;
        let plan = Plan::prepare(self, batch, records)?;
        let values = writer.write_values(&batch.changes)?;
        let encoded = plan.encode(&values.pointers);
        let encoded = encoded.inspect_err(|_| writer.values.discard())?;
        let Encoded { mut out, records, gone } = encoded;
        self.put_records(&mut out, &records, &mut writer.steps, number);
        let now = self.now_of_retention();
        let is_due =
            |record: &&VbRecord| self.crossed_window(record) || self.has_excess(record, now);
        let crossed = records.values().filter(is_due);
        let crossed = crossed.map(|record| record.meta.vb).collect();
        // Before any other commit, and also where it fails: the rows may be there then.
        self.erasures.begin(&gone);
        writer.commit_with(out, &values, durability, || self.publish(records.into_values()))?;
        Ok(FollowUp { crossed, gone })
    }

    /// Writes the record of a named collection, or removes it where there is none any more.
    pub(crate) fn put_collection(&self, out: &mut WriteBatch, record: &VbRecord, id: u32) {
        let key = record.generation().collection(id);
        match record.collections.named.get(&id) {
            Some(collection) => out.insert(&self.tables.meta, key, collection.encode(&key)),
            None => out.remove(&self.tables.meta, key),
        }
    }

    /// The records of all vBuckets of the batch as they are now. A new vBucket begins with
    /// `generation`.
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
                    collections: Default::default(),
                    undo_floor: 0,
                    points: Default::default(),
                    versions: Default::default(),
                },
                |record| record.as_ref().clone(),
            );
            records.insert(meta.vb, record);
        }
        for change in batch.changes.chunk_by(|a, b| a.vb == b.vb).filter_map(<[_]>::first) {
            if let Entry::Vacant(vacant) = records.entry(change.vb) {
                let record = self.record(change.vb).ok_or(StoreError::NoVbucket(change.vb))?;
                vacant.insert(record.as_ref().clone());
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
