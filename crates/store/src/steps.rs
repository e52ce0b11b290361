//! Which records on the disk lack the steps of later commits, and how an open catches them up.
//!
//! A commit that touches many vBuckets writes one entry with the steps of all of them, instead of
//! a record for each. Entries have slots. Once these or a number of bytes are used up, a commit
//! writes the records of all vBuckets that took steps. That makes all entries so far obsolete, and
//! the slots are used anew.

use std::collections::{BTreeSet, HashMap};

use mcbp::VbId;

use crate::format::{Step, VbRecord};

/// How many bytes of steps there are at most before records are written: an open reads them. The
/// records of a thousand vBuckets are some hundred kilobytes.
const BYTES_MAX: usize = 4 << 20;

/// Where the steps are that records on the disk lack.
#[derive(Default)]
pub(crate) struct Steps {
    /// The slot of the next entry.
    pub next: u16,
    /// Bytes of the entries since records were written.
    pub bytes: usize,
    /// The vBuckets whose records lack steps.
    pub behind: BTreeSet<VbId>,
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
    pub(crate) const fn have_room(&self, bytes: usize, slots: u16) -> bool {
        self.next < slots && self.bytes + bytes <= BYTES_MAX
    }
}
