//! What is known of every target: the last run, what differs, and what was counted. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use mcbp::VbId;
use replica::plan::VbSet;

use super::batch::{Batch, SAMPLES_MAX};
use super::record::{ByClass, Counts, Current, Failure, Record, Run};
use super::words::Target;

#[cfg(test)]
mod tests;

/// All targets, and what is configured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board {
    /// How often everything is compared; `None` for on request only.
    pub(crate) interval: Option<Duration>,
    /// The most bytes a second.
    pub(crate) rate: u64,
    pub(crate) targets: BTreeMap<Target, Record>,
}

impl Board {
    /// Forgets what is not replicated any more. `expected` has what the configuration names, which
    /// has a record from the start.
    pub(super) fn follow(
        &mut self,
        wanted: &BTreeMap<Target, BTreeSet<VbId>>,
        expected: &[Target],
    ) {
        self.targets.retain(|target, _| wanted.contains_key(target) || expected.contains(target));
        for target in wanted.keys().chain(expected) {
            self.targets.entry(target.clone()).or_default();
        }
        let none = BTreeSet::new();
        for (target, record) in &mut self.targets {
            let wanted = wanted.get(target).unwrap_or(&none);
            record.forget(|vb| !wanted.contains(&vb));
        }
    }

    pub(super) fn begun(&mut self, target: &Target, now: SystemTime) {
        let record = self.targets.entry(target.clone()).or_default();
        let (compared, before, held) = (BTreeSet::new(), record.differing().collect(), None);
        record.current = Some(Current { began: now, left: 0, held, compared, before, rows: 0 });
    }

    /// Keeps what a batch has found. What differs for the first time is compared again first.
    pub(super) fn compared(&mut self, target: &Target, batch: Batch) {
        let Some(record) = self.targets.get_mut(target) else { return };
        let Counts { vbuckets, rows, bytes, .. } = &mut record.counts;
        *rows += batch.rows;
        *bytes += batch.bytes;
        let is_final = |vb: &&VbId| batch.confirms || !batch.found.contains_key(*vb);
        let finals: BTreeSet<VbId> = batch.done.iter().filter(is_final).copied().collect();
        *vbuckets += finals.len() as u64;
        record.forget(|vb| finals.contains(&vb));
        if let Some(current) = &mut record.current {
            current.rows += batch.rows;
            current.compared.extend(&finals);
        }
        for &vb in &finals {
            record.found.insert(vb, batch.found.get(&vb).cloned().unwrap_or_default());
        }
        let samples = batch.samples.into_iter().filter(|(vb, _)| finals.contains(vb));
        record.samples.extend(samples);
        record.samples.truncate(SAMPLES_MAX);
    }

    /// Ends a run. Returns its result.
    pub(super) fn over(&mut self, target: &Target, skipped: VbSet, now: SystemTime) -> Option<Run> {
        let record = self.targets.get_mut(target)?;
        let current = record.current.take()?;
        let of_run = |vb: &VbId| current.compared.contains(vb);
        let agrees = |vb: &VbId| of_run(vb) && record.found.get(vb).is_some_and(ByClass::is_empty);
        let mut by_class = ByClass::new();
        for found in record.found.iter().filter(|(vb, _)| of_run(vb)).map(|(_, found)| found) {
            found.iter().for_each(|(class, count)| *by_class.entry(*class).or_default() += count);
        }
        let run = Run {
            ended: now,
            took: now.duration_since(current.began).unwrap_or_default(),
            vbuckets: current.compared.len(),
            rows: current.rows,
            skipped,
            differing: record.differing().filter(of_run).collect(),
            unclear: record.unclear().filter(of_run).collect(),
            agree: current.before.iter().filter(|vb| agrees(vb)).copied().collect(),
            by_class,
        };
        let [identical, different, _] = &mut record.counts.runs;
        *(if run.by_class.is_empty() { identical } else { different }) += 1;
        record.failure = None;
        record.last = Some(run.clone());
        Some(run)
    }

    pub(super) fn failed(&mut self, target: &Target, why: String, now: SystemTime) {
        let Some(record) = self.targets.get_mut(target) else { return };
        let [.., failed] = &mut record.counts.runs;
        *failed += 1;
        record.current = None;
        record.failure = Some(Failure { at: now, why });
    }

    /// Returns the vBuckets of a bucket, by target, in which something is known to be wrong.
    pub(super) fn wrong(&self, bucket: &str, vbs: &VbSet) -> Vec<(Target, BTreeSet<VbId>)> {
        let of_bucket = self.targets.iter().filter(|(target, _)| target.bucket == bucket);
        let wrong = of_bucket.map(|(target, record)| {
            let all = record.differing().chain(record.unclear());
            (target.clone(), all.filter(|vb| vbs.as_set().contains(vb)).collect())
        });
        wrong.filter(|(_, vbs): &(_, BTreeSet<VbId>)| !vbs.is_empty()).collect()
    }
}
