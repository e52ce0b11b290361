//! What one comparison of a few vBuckets has found.

use std::collections::{BTreeMap, BTreeSet};

use mcbp::VbId;

use super::record::ByClass;
use crate::verify::{Difference, Event, VbVerified};

/// How many differences are kept in words: enough to see what is wrong.
pub(super) const SAMPLES_MAX: usize = 20;

/// The result of a batch.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    pub(super) vbs: BTreeSet<VbId>,
    /// Those of them whose comparison has come to its end.
    pub(super) done: BTreeSet<VbId>,
    /// Whether its vBuckets were found to differ before.
    pub(super) confirms: bool,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) found: BTreeMap<VbId, ByClass>,
    pub(super) samples: Vec<(VbId, String)>,
}

impl Batch {
    pub(super) fn new(vbs: BTreeSet<VbId>, confirms: bool) -> Self {
        Self { vbs, confirms, ..Self::default() }
    }

    pub(super) fn on(&mut self, event: Event) {
        match event {
            Event::Found(difference) => self.note(&difference),
            Event::Done(VbVerified { vb, rows, .. }) => self.note_done(vb, rows),
        }
    }

    /// Keeps those vBuckets only whose comparison has come to its end.
    pub(super) fn note_done(&mut self, vb: VbId, rows: u64) {
        self.rows += rows;
        self.done.insert(vb);
    }

    pub(super) fn note(&mut self, difference: &Difference) {
        let by_class = self.found.entry(difference.vb).or_default();
        *by_class.entry(difference.class).or_default() += 1;
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push((difference.vb, difference.what.clone()));
        }
    }

    /// The vBuckets in which something was found.
    pub(super) fn differing(&self) -> BTreeSet<VbId> {
        self.done.iter().filter(|vb| self.found.contains_key(vb)).copied().collect()
    }
}
