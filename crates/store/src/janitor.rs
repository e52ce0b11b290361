//! The background thread that frees space: it removes rows of ended generations and of collections
//! that are gone, and undo rows that no rollback needs any more, then compacts tables and deletes
//! value files.
//!
//! It works in bounded steps, each a commit of its own, and holds the writer only for the commit.
//! What it has not finished is found again at the next open; a failure is logged and left for then.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use logline::value;
use mcbp::VbId;
use vbucket::StoreError;
use vbucket::store::PurgeStep;

use crate::collections::Gone;
use crate::commit::FollowUp;
use crate::core::Core;
use crate::errors::io;
use crate::format::Generation;
use crate::work::{Task, WorkQueue};

/// The thread's handle. Dropped, it stops the thread and waits for the step in progress.
pub(crate) struct Janitor {
    work: Arc<WorkQueue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Janitor {
    /// Starts the thread with the generations and collections that earlier runs left.
    pub(crate) fn start(
        core: &Arc<Core>,
        ended: Vec<Generation>,
        gone: Vec<(Generation, Gone)>,
    ) -> Result<Self, StoreError> {
        let work = Arc::new(WorkQueue::default());
        work.remove(ended);
        work.erase(gone);
        let builder = std::thread::Builder::new().name("store-janitor".to_owned());
        let thread = builder.spawn({
            let (core, work) = (Arc::clone(core), Arc::clone(&work));
            move || run(&core, &work)
        });
        let what = "starting the store's background thread, within ulimit -u and -v (systemd: \
                    TasksMax=, LimitAS=)";
        let thread = thread.map_err(|e| io(what, e))?;
        Ok(Self { work, thread: Mutex::new(Some(thread)) })
    }

    /// Removes the rows of a generation, in the background.
    pub(crate) fn remove(&self, ended: Option<Generation>) {
        if ended.is_some() {
            self.work.remove(ended);
        }
    }

    /// Does what a commit has left.
    pub(crate) fn committed(&self, FollowUp { crossed, gone }: FollowUp) {
        if !crossed.is_empty() {
            self.work.trim(crossed);
        }
        if !gone.is_empty() {
            self.work.erase(gone);
        }
    }

    /// Follows up on a step of a purge.
    pub(crate) fn purged(&self, vb: VbId, step: &PurgeStep) {
        self.work.removed(step.dropped);
        if step.next.is_none() {
            self.work.trim([vb]);
        }
    }

    /// Stops the thread and waits for the step in progress.
    pub(crate) fn stop(&self) {
        self.work.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!("the store's background thread panicked");
        }
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(core: &Core, work: &WorkQueue) {
    let retention = &core.options.retention;
    let aging = (retention.seconds > 0).then(|| retention.age_step());
    // The limits may be others than in the last run.
    work.trim(core.with_excess());
    let mut is_vacated = false;
    while let Some(task) = work.next(aging) {
        // Once for all vBuckets that are removed together: other tasks come after theirs.
        let is_empty = matches!(task, Task::Remove(_)) && core.vbucket_count() == 0;
        let was_vacated = std::mem::replace(&mut is_vacated, is_empty);
        let result = match task {
            Task::Remove(generation) => {
                let vacated = if is_vacated && !was_vacated { core.vacate() } else { Ok(()) };
                vacated.and_then(|()| core.remove_rows(generation, work))
            }
            Task::Erase(generation, gone) => core.erase(generation, gone, work),
            Task::Trim(vb) => core.trim_undo(vb, work).and_then(|()| core.trim_versions(vb, work)),
            Task::Age => core.mark_idle().map(|()| work.trim(core.with_excess())),
            Task::Compact => core.compact(work),
            Task::Collect => core.collect(&|| work.is_stopping()),
        };
        match result {
            Ok(()) => {}
            Err(StoreError::Poisoned(_)) => return,
            Err(error) => log::warn!("could not free space in the store, error={}", value(error)),
        }
    }
}
