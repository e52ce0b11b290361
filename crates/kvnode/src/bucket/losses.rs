//! What becomes of a commit that fails: it is tried again, given up, or made without the vBuckets
//! that cannot be stored. What clients had been told of is counted where it is lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use log::error;
use logline::value;
use vbucket::StoreError;
use vbucket::store::PartError;

use super::advance::note;
use super::batch::{Entry, QueuedBatch, Room, Work};
use super::cell::{Inner, VbCell};
use super::committer::Committer;
use super::error::CommitError;
use super::history::begin_branch;
use crate::sync::lock;

impl Committer<'_> {
    /// Takes the vBuckets that `error` is confined to out of the batch, and out of everything that
    /// was queued after it. Returns false where the error is of the whole store.
    pub(super) fn leave_out(&self, queued: &mut QueuedBatch, error: &StoreError) -> bool {
        let mut left_out = BTreeSet::new();
        for PartError { vb, error, .. } in error.parts() {
            let found = queued.entries.iter().find(|entry| entry.vb.id() == vb);
            // Its first error counts: after that the batch may have the record of its next branch.
            let Some(entry) = found.filter(|_| left_out.insert(vb)) else { continue };
            let cell = Arc::clone(&entry.vb);
            let failure = CommitError::Unstorable(error);
            let cause = failure.to_string();
            // Nothing is queued for the vBucket while it is locked: what was queued on top of the
            // failed rows goes with them, and the next row follows what is on disk.
            let mut inner = lock(&cell.inner);
            let mut lost = self.shared.queue.leave_out(vb, &failure);
            inner.drop_queued(&failure);
            lost += queued.leave_out(vb, failure.clone());
            if lost > 0 {
                queued.entries.push(new_branch(&cell, &mut inner));
                inner.last = Some(queued.commit.of(vb));
            }
            note(self.shared, vb, &mut inner);
            drop(inner);
            self.shared.counters.commit_failures.add(1);
            if self.shared.counters.read_failures.add() {
                let (bucket, error) = (&self.shared.options.name, value(&failure));
                error!("rows not stored bucket={bucket} vb={} error={error}", vb.0);
            }
            self.count_lost(lost, &cause);
        }
        !left_out.is_empty()
    }

    /// Whether a batch that failed is tried again: what was acknowledged is given up only where the
    /// store takes nothing any more, or the node stops.
    pub(super) fn keeps_trying(&self, error: &StoreError) -> bool {
        let shared = self.shared;
        let can_succeed = !matches!(error, StoreError::Poisoned(_)) && !shared.queue.is_closed();
        shared.options.memory_first && can_succeed
    }

    pub(super) fn pause(&self, rows: usize, error: &StoreError) {
        self.shared.counters.commit_failures.add(1);
        *lock(&self.shared.committing) = None;
        if self.shared.queue.pause(error.clone()) {
            self.log_failure(rows, error);
        }
    }

    fn log_failure(&self, rows: usize, error: &StoreError) {
        let bucket = &self.shared.options.name;
        error!("commit failed, refusing writes bucket={bucket} rows={rows} error={}", value(error));
    }

    /// So many changes are gone that clients had been told of.
    fn count_lost(&self, changes: usize, cause: &str) {
        if changes > 0 {
            self.shared.counters.changes_lost.add(changes as u64);
            let (bucket, cause) = (&self.shared.options.name, value(cause));
            error!("acknowledged changes lost bucket={bucket} changes={changes} error={cause}");
        }
    }

    pub(super) fn fail(&self, failed: &QueuedBatch, rows: usize, error: &StoreError) {
        self.shared.counters.commit_failures.add(1);
        let (later, first) = self.shared.queue.refuse(error.clone());
        if first {
            self.log_failure(rows, error);
        }
        let lost = later.iter().map(QueuedBatch::acknowledged).sum::<usize>();
        self.count_lost(lost + failed.acknowledged(), &error.to_string());
        let later_entries = later.iter().flat_map(|batch| &batch.entries);
        for entry in failed.entries.iter().chain(later_entries) {
            let mut inner = lock(&entry.vb.inner);
            inner.drop_queued(&CommitError::Store(error.clone()));
            note(self.shared, entry.vb.id(), &mut inner);
        }
        self.shared.queue.settle();
        failed.commit.complete(Err(CommitError::Store(error.clone())));
        for batch in later {
            batch.commit.complete(Err(CommitError::Refusing(error.clone())));
        }
    }
}

/// The record of a vBucket that has lost rows which clients had been told of. They know seqnos that
/// the next rows get again, so those are of another branch of history; no client writes before it
/// is on disk.
fn new_branch(vb: &Arc<VbCell>, inner: &mut Inner) -> Entry {
    let mut meta = inner.meta.clone();
    begin_branch(&mut meta);
    inner.branching = true;
    Entry { vb: Arc::clone(vb), work: Work::Meta(Box::new(meta)), room: Room::NONE }
}
