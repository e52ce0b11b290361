//! Which records are written by a commit, and which only go a step further on the disk.
//!
//! A commit that touches many vBuckets writes one entry with the steps of all of them, instead of a
//! record for each. Entries have slots. Once these or a number of bytes are used up, a commit writes
//! the records of all vBuckets that took steps. That makes all entries so far obsolete, and the
//! slots are used anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mcbp::VbId;
use vbucket::StoreError;
use vbucket::store::Durability;

use crate::core::Core;
use crate::engine::WriteBatch;
use crate::format::{Step, VbRecord, encode_steps, record_key, steps_key};
use crate::writer::Writer;

/// How many bytes of steps there are at most before records are written: an open reads them. The
/// records of a thousand vBuckets are some hundred kilobytes.
const BYTES_MAX: usize = 4 << 20;

/// Where the steps are that records on the disk lack.
#[derive(Default)]
pub(crate) struct Steps {
    /// The slot of the next entry.
    next: u16,
    /// Bytes of the entries since records were written.
    bytes: usize,
    /// The vBuckets whose records lack steps.
    behind: BTreeSet<VbId>,
}

/// An entry as it was read.
pub(crate) struct StepEntry {
    pub slot: u16,
    /// Its length.
    pub bytes: usize,
    /// The number of its commit.
    pub number: u64,
    pub taken: Vec<Step>,
}

impl Steps {
    /// Takes records, each read with the number of the commit that wrote it, to where the last
    /// commit left them. Returns where the next one goes on.
    pub(crate) fn catch_up(
        mut entries: Vec<StepEntry>,
        records: &mut HashMap<VbId, (VbRecord, u64)>,
    ) -> Self {
        entries.sort_by_key(|entry| entry.number);
        let mut steps = Self::default();
        for StepEntry { slot, bytes, number, taken } in entries {
            let mut is_obsolete = true;
            for step in taken {
                let behind = records.get_mut(&step.vb).filter(|(_, written)| *written < number);
                if let Some((record, _)) = behind {
                    step.apply(record);
                    steps.behind.insert(step.vb);
                    is_obsolete = false;
                }
            }
            if !is_obsolete {
                steps.next = slot + 1;
                steps.bytes += bytes;
            }
        }
        steps
    }

    /// Whether an entry of so many bytes goes into the next of `slots`.
    const fn have_room(&self, bytes: usize, slots: u16) -> bool {
        self.next < slots && self.bytes + bytes <= BYTES_MAX
    }
}

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
        let (least, slots) = (self.options.steps_vbuckets_min, self.options.steps_max);
        let mut taken = Vec::new();
        let mut ahead = BTreeSet::new();
        if records.len() >= least {
            let before = self.read_records();
            for (vb, after) in records {
                let before = before.get(vb);
                if let Some(step) = before.and_then(|before| Step::between(before, after)) {
                    step.encode(&mut taken);
                    ahead.insert(*vb);
                }
            }
        }
        let have_room = steps.have_room(taken.len(), slots);
        if ahead.len() >= least && have_room {
            let key = steps_key(steps.next);
            out.insert(&self.tables.meta, key, encode_steps(number, &taken, &key));
            steps.next += 1;
            steps.bytes += taken.len();
        } else if !ahead.is_empty() && !have_room {
            let before = self.read_records();
            let of_others = steps.behind.iter().filter(|vb| !records.contains_key(vb));
            let of_others = of_others.filter_map(|vb| before.get(vb));
            of_others.for_each(|record| self.put_record(out, record, number));
            (*steps, ahead) = Default::default();
        } else {
            ahead.clear();
        }
        let whole = records.iter().filter(|(vb, _)| !ahead.contains(vb));
        whole.for_each(|(_, record)| self.put_record(out, record, number));
        steps.behind.extend(ahead);
    }
}
