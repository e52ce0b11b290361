//! What is known of one target of bucket and producer. Bounded: one finding for each vBucket, and a
//! few differences in words.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, SystemTime};

use mcbp::VbId;
use replica::plan::VbSet;

use super::words::Held;
use crate::verify::Class;

/// The numbers of differences by class.
pub(crate) type ByClass = BTreeMap<Class, u64>;

/// What is known of one target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// What was found in each vBucket that was compared; empty for one that is identical.
    pub(super) found: BTreeMap<VbId, ByClass>,
    /// Some of the differences.
    pub(super) samples: VecDeque<(VbId, String)>,
    /// The run that is under way, or put off.
    pub(crate) current: Option<Current>,
    /// The last run that came to its end.
    pub(crate) last: Option<Run>,
    /// The last run that failed, unless one has come to its end since.
    pub(crate) failure: Option<Failure>,
    /// When the next one is due.
    pub(crate) next: Option<SystemTime>,
    pub(crate) counts: Counts,
}

/// What was counted since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    /// Runs without a difference, with one, and failed ones.
    pub(crate) runs: [u64; 3],
    pub(crate) vbuckets: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// A run that has begun.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Current {
    pub(crate) began: SystemTime,
    /// How many vBuckets are left to compare.
    pub(crate) left: usize,
    /// Why it is put off, if it is.
    pub(crate) held: Option<Held>,
    /// What it has compared.
    pub(super) compared: BTreeSet<VbId>,
    /// What was known to differ before it.
    pub(super) before: BTreeSet<VbId>,
    pub(super) rows: u64,
}

/// A run that came to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    pub(crate) ended: SystemTime,
    pub(crate) took: Duration,
    pub(crate) vbuckets: usize,
    pub(crate) rows: u64,
    /// vBuckets that were not compared, because their streams were not open.
    pub(crate) skipped: VbSet,
    /// Those that differ.
    pub(crate) differing: VbSet,
    /// Those that could not be compared.
    pub(crate) unclear: VbSet,
    /// Those that differed before, and are identical.
    pub(crate) agree: VbSet,
    /// What was found in them.
    pub(crate) by_class: ByClass,
}

/// A run that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    pub(crate) at: SystemTime,
    pub(crate) why: String,
}

impl Record {
    /// The vBuckets that are known to differ.
    pub(crate) fn differing(&self) -> impl Iterator<Item = VbId> {
        let differs = |found: &ByClass| found.keys().any(|class| !class.is_unknown());
        self.found.iter().filter(move |(_, found)| differs(found)).map(|(&vb, _)| vb)
    }

    /// The vBuckets that could not be compared when they were looked at.
    pub(crate) fn unclear(&self) -> impl Iterator<Item = VbId> {
        let is_unclear =
            |found: &ByClass| !found.is_empty() && found.keys().all(|class| class.is_unknown());
        self.found.iter().filter(move |(_, found)| is_unclear(found)).map(|(&vb, _)| vb)
    }

    /// The vBuckets that were compared, and are still replicated.
    pub(crate) fn compared(&self) -> usize {
        self.found.len()
    }

    /// What is known to be different now, by class.
    pub(crate) fn by_class(&self) -> ByClass {
        let mut by_class = ByClass::new();
        for (class, count) in self.found.values().flatten() {
            *by_class.entry(*class).or_default() += count;
        }
        by_class
    }

    /// Some of the differences, in words.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (VbId, &str)> {
        self.samples.iter().map(|(vb, what)| (*vb, what.as_str()))
    }

    pub(super) fn forget(&mut self, which: impl Fn(VbId) -> bool) {
        self.found.retain(|&vb, _| !which(vb));
        self.samples.retain(|(vb, _)| !which(*vb));
    }
}

/// The classes in words: `3 missing, 1 value`; the largest number first.
pub(crate) fn in_words(by_class: &ByClass) -> String {
    let mut all: Vec<_> = by_class.iter().filter(|(_, count)| **count > 0).collect();
    all.sort_by_key(|(class, count)| (std::cmp::Reverse(**count), **class));
    let words: Vec<_> = all.iter().map(|(class, count)| format!("{count} {class}")).collect();
    words.join(", ")
}
