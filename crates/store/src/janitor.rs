//! The background thread that frees space, and what it has to do: rows of lives that have ended,
//! and undo rows that no rollback needs any more (`trim`), then the space that those leave behind.
//!
//! It works in bounded steps, each a commit of its own, and holds the writer only for the commit.
//! What it has not finished is found again at the next open; a failure is logged and left for then.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use mcbp::VbId;
use vbucket::StoreError;
use vbucket::store::PurgeStep;

use crate::errors::{io, reading};
use crate::keys::Life;
use crate::store::Core;

/// What is to be done. Bounded by the number of vBuckets and of lives on disk.
#[derive(Default)]
struct Work {
    ended: BTreeSet<Life>,
    trim: BTreeSet<VbId>,
    /// Rows that were removed since the tables were merged last.
    removed: u64,
    /// Some of them since that was last thought of.
    merge: bool,
    /// Values may have become garbage.
    collect: bool,
    stop: bool,
}

impl Work {
    const fn removed(&mut self, rows: u64) {
        self.removed += rows;
        self.merge |= rows > 0;
    }
}

/// Where others put work for the thread.
#[derive(Default)]
pub(crate) struct Desk {
    work: Mutex<Work>,
    changed: Condvar,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.lock().stop
    }

    /// Rows were removed.
    pub(crate) fn removed(&self, rows: u64) {
        self.lock().removed(rows);
    }

    /// How many rows were removed since the tables were merged last.
    pub(crate) fn unmerged(&self) -> u64 {
        self.lock().removed
    }

    /// The tables were merged when so many rows had been removed.
    pub(crate) fn merged(&self, rows: u64) {
        self.lock().removed -= rows;
    }
}

/// The thread's handle; dropped, it stops the thread and waits for the step it is in.
pub(crate) struct Janitor {
    desk: Arc<Desk>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Janitor {
    /// Starts with the lives that earlier runs left.
    pub(crate) fn start(core: &Arc<Core>) -> Result<Self, StoreError> {
        let mut ended = BTreeSet::new();
        for guard in core.tables.meta.iter() {
            let key = guard.key().map_err(|e| reading(|| "the list of ended lives".into(), &e))?;
            ended.extend(Life::from_dead(&key));
        }
        let work = Work { ended, ..Work::default() };
        let desk = Arc::new(Desk { work: Mutex::new(work), changed: Condvar::new() });
        let builder = std::thread::Builder::new().name("store-janitor".to_owned());
        let thread = builder.spawn({
            let (core, desk) = (Arc::clone(core), Arc::clone(&desk));
            move || run(&core, &desk)
        });
        let thread = thread.map_err(|e| io("starting the store's background thread", e))?;
        Ok(Self { desk, thread: Mutex::new(Some(thread)) })
    }

    pub(crate) fn remove(&self, life: Option<Life>) {
        if life.is_some() {
            self.desk.lock().ended.extend(life);
            self.desk.changed.notify_one();
        }
    }

    pub(crate) fn trim(&self, vbs: Vec<VbId>) {
        if !vbs.is_empty() {
            self.desk.lock().trim.extend(vbs);
            self.desk.changed.notify_one();
        }
    }

    /// A step of a purge was made.
    pub(crate) fn purged(&self, vb: VbId, step: &PurgeStep) {
        self.desk.removed(step.dropped);
        if step.next.is_none() {
            self.trim(vec![vb]);
        }
    }

    pub(crate) fn stop(&self) {
        self.desk.lock().stop = true;
        self.desk.changed.notify_one();
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

enum Task {
    Remove(Life),
    Trim(VbId),
    Merge,
    Collect,
}

fn run(core: &Core, desk: &Desk) {
    while let Some(task) = next(desk) {
        let result = match task {
            Task::Remove(life) => core.remove_rows(life, desk),
            Task::Trim(vb) => core.trim_undo(vb, desk),
            Task::Merge => core.merge(desk),
            Task::Collect => core.collect(&|| desk.is_stopping()),
        };
        match result {
            Ok(()) => {}
            Err(StoreError::Poisoned(_)) => return,
            Err(error) => log::warn!("could not free space in the store, error={error}"),
        }
    }
}

/// Waits for work; `None` to stop.
fn next(desk: &Desk) -> Option<Task> {
    let idle = |work: &mut Work| {
        let Work { ended, trim, merge, collect, stop, .. } = &*work;
        !stop && ended.is_empty() && trim.is_empty() && !merge && !collect
    };
    let waited = desk.changed.wait_while(desk.lock(), idle);
    let mut work = waited.unwrap_or_else(PoisonError::into_inner);
    if work.stop {
        return None;
    }
    let life = work.ended.pop_first().map(Task::Remove);
    let task = life.or_else(|| work.trim.pop_first().map(Task::Trim));
    if task.is_some() {
        work.collect = true;
        return task;
    }
    // Last, so that many vBuckets that go together are merged away once.
    if std::mem::take(&mut work.merge) {
        return Some(Task::Merge);
    }
    work.collect = false;
    Some(Task::Collect)
}
