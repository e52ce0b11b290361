//! The work queue of the background thread.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mcbp::VbId;

use crate::collections::Gone;
use crate::format::Generation;

/// One piece of work.
pub(crate) enum Task {
    /// Remove the rows of a generation that has ended.
    Remove(Generation),
    /// Erase rows of a collection that is gone.
    Erase(Generation, Gone),
    /// Remove the undo rows of a vBucket that are older than the undo window, and the older
    /// versions that are beyond the retention.
    Trim(VbId),
    /// Find the vBuckets that have older versions beyond the retention.
    Age,
    /// Compact the tables.
    Compact,
    /// Delete value files that are mostly garbage.
    Collect,
}

/// What is to be done. Bounded by the number of vBuckets, and of generations and collections on
/// disk.
#[derive(Default)]
struct Work {
    ended: BTreeSet<Generation>,
    gone: BTreeSet<(Generation, Gone)>,
    trim: BTreeSet<VbId>,
    /// Rows that were removed since the last compaction.
    removed: u64,
    /// Whether some of them were removed since a compaction was last considered.
    compact: bool,
    /// Whether values may have become garbage.
    collect: bool,
    /// When the age of older versions is looked at next, also while there is much else to do.
    age_at: Option<Instant>,
    stop: bool,
}

impl Work {
    fn is_empty(&self) -> bool {
        let is_empty = self.ended.is_empty() && self.gone.is_empty() && self.trim.is_empty();
        is_empty && !self.compact && !self.collect
    }
}

/// Work for the thread, and the way to wait for it.
#[derive(Default)]
pub(crate) struct WorkQueue {
    work: Mutex<Work>,
    changed: Condvar,
}

impl WorkQueue {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds generations whose rows are to be removed.
    pub(crate) fn remove(&self, ended: impl IntoIterator<Item = Generation>) {
        self.lock().ended.extend(ended);
        self.changed.notify_one();
    }

    /// Adds collections of which rows are to be erased.
    pub(crate) fn erase(&self, gone: impl IntoIterator<Item = (Generation, Gone)>) {
        self.lock().gone.extend(gone);
        self.changed.notify_one();
    }

    /// Adds vBuckets whose undo rows are to be trimmed.
    pub(crate) fn trim(&self, vbs: impl IntoIterator<Item = VbId>) {
        self.lock().trim.extend(vbs);
        self.changed.notify_one();
    }

    /// Counts removed rows. The queue wakes nobody for them: more work follows, or is in progress.
    pub(crate) fn removed(&self, rows: u64) {
        let mut work = self.lock();
        work.removed += rows;
        work.compact |= rows > 0;
    }

    /// How many rows were removed since the last compaction.
    pub(crate) fn not_compacted(&self) -> u64 {
        self.lock().removed
    }

    /// Notes a compaction that began when `rows` had been removed.
    pub(crate) fn compacted(&self, rows: u64) {
        self.lock().removed -= rows;
    }

    /// Tells the thread to stop after the step in progress.
    pub(crate) fn stop(&self) {
        self.lock().stop = true;
        self.changed.notify_one();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.lock().stop
    }

    /// Waits for the next task; every `aging` that is [`Task::Age`]. `None` to stop.
    pub(crate) fn next(&self, aging: Option<Duration>) -> Option<Task> {
        let is_idle = |work: &mut Work| !work.stop && work.is_empty();
        let mut work = self.lock();
        work = match aging {
            None => self.changed.wait_while(work, is_idle).unwrap_or_else(PoisonError::into_inner),
            Some(step) => {
                let age_at = *work.age_at.get_or_insert_with(Instant::now);
                let left = age_at.saturating_duration_since(Instant::now());
                let waited = self.changed.wait_timeout_while(work, left, is_idle);
                let mut work = waited.unwrap_or_else(PoisonError::into_inner).0;
                if !work.stop && Instant::now() >= age_at {
                    work.age_at = Some(Instant::now() + step);
                    return Some(Task::Age);
                }
                work
            }
        };
        if work.stop {
            return None;
        }
        if work.is_empty() {
            // Woken by the time, a moment early.
            drop(work);
            return self.next(aging);
        }
        let removal = work.ended.pop_first().map(Task::Remove);
        let erasure = |work: &mut Work| work.gone.pop_first().map(|(of, it)| Task::Erase(of, it));
        let task = removal.or_else(|| erasure(&mut work));
        let task = task.or_else(|| work.trim.pop_first().map(Task::Trim));
        if task.is_some() {
            work.collect = true;
            return task;
        }
        // Last, so that vBuckets that are removed together need one compaction.
        if std::mem::take(&mut work.compact) {
            return Some(Task::Compact);
        }
        work.collect = false;
        Some(Task::Collect)
    }
}
