//! Writing records: whole, or as steps where these are enough.

use std::collections::{BTreeMap, BTreeSet};

use mcbp::VbId;
use vbucket::StoreError;
use vbucket::store::Durability;

use crate::core::Core;
use crate::engine::WriteBatch;
use crate::format::{Step, VbRecord, encode_steps, record_key, steps_key};
use crate::steps::Steps;
use crate::writer::Writer;

impl Core {
    /// Writes a record whole, in commit `number`.
    pub(crate) fn put_record(&self, out: &mut WriteBatch, record: &VbRecord, number: u64) {
        out.insert(&self.tables.meta, record_key(record.meta.vb), record.encode(number));
    }

    /// Commits `out` and the record that it changes, whole.
    pub(crate) fn commit_record(
        &self,
        writer: &mut Writer,
        mut out: WriteBatch,
        record: VbRecord,
        durability: Durability,
    ) -> Result<(), StoreError> {
        self.put_record(&mut out, &record, writer.next_number());
        writer.commit(out, durability, || self.publish([record]))
    }

    /// Writes what commit `number` leaves of the `records`, as steps where these are enough.
    /// Called while the writer is held, whose `steps` these are.
    pub(crate) fn put_records(
        &self,
        out: &mut WriteBatch,
        records: &BTreeMap<VbId, VbRecord>,
        steps: &mut Steps,
        number: u64,
    ) {
        let (taken, mut ahead) = self.steps_to(records);
        if ahead.len() < self.options.steps_vbuckets_min.max(1) {
            ahead.clear();
        } else if steps.have_room(taken.len(), self.options.steps_max) {
            let key = steps_key(steps.next);
            out.insert(&self.tables.meta, key, encode_steps(number, &taken, &key));
            steps.next += 1;
            steps.bytes += taken.len();
        } else {
            // The records of all that took steps are written, those of the batch below.
            let before = self.read_records();
            let of_others = steps.behind.iter().filter(|vb| !records.contains_key(vb));
            let of_others = of_others.filter_map(|vb| before.get(vb));
            of_others.for_each(|record| self.put_record(out, record, number));
            (*steps, ahead) = Default::default();
        }
        let whole = records.iter().filter(|(vb, _)| !ahead.contains(vb));
        whole.for_each(|(_, record)| self.put_record(out, record, number));
        steps.behind.extend(ahead);
    }

    /// The encoded steps from the records in memory to `records`, and of which vBuckets there are
    /// any. A batch of too few vBuckets has none.
    fn steps_to(&self, records: &BTreeMap<VbId, VbRecord>) -> (Vec<u8>, BTreeSet<VbId>) {
        let (mut taken, mut ahead) = (Vec::new(), BTreeSet::new());
        if records.len() < self.options.steps_vbuckets_min {
            return (taken, ahead);
        }
        let before = self.read_records();
        for (vb, after) in records {
            let before = before.get(vb);
            if let Some(step) = before.and_then(|before| Step::between(before, after)) {
                step.encode(&mut taken);
                ahead.insert(*vb);
            }
        }
        (taken, ahead)
    }
}
