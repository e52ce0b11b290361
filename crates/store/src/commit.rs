//! Committing a batch: prepare, write values, commit, publish.

use std::collections::btree_map::{BTreeMap, Entry};

use mcbp::{Seqno, VbId};
use vbucket::store::{Batch, Durability};
use vbucket::{StoreError, VbMeta};

use crate::core::Core;
use crate::format::VbRecord;
use crate::plan::Plan;

impl Core {
    /// See `Store::commit`; returns the vBuckets that may now have undo rows to trim.
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
        self.tables.wait_for_flushes()?;
        let records = self.touched(batch, writer.next_number())?;
        let plan = Plan::prepare(self, batch, records)?;
        let values = writer.write_values(&batch.changes)?;
        let encoded = plan.encode(&values.pointers);
        let (rows, records) = encoded.inspect_err(|_| writer.values.discard())?;
        writer.commit_with(rows, &values, durability)?;
        let crossed = records.values().filter(|record| self.crossed_window(record));
        let crossed = crossed.map(|record| record.meta.vb).collect();
        self.publish(records.into_values());
        Ok(crossed)
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
                    items: 0,
                    undo_floor: 0,
                    points: Default::default(),
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
