//! The background thread that frees space: rows of lives that have ended, and undo rows that no
//! rollback needs any more. Where much has gone it has the tables merged, which gives the space
//! back; the engine's own merging only gets to parts that are written to.
//!
//! It works in bounded steps, each a commit of its own, and holds the writer only for the commit.
//! What it has not finished is found again at the next open; a failure is logged and left for then.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use fjall::{Keyspace, UserKey, UserValue};
use mcbp::{Seqno, VbId};
use vbucket::engine::{Durability, PurgeStep};
use vbucket::{StoreError, VbMeta};

use crate::backlog::Due;
use crate::errors::{io, reading};
use crate::keys::{self, Life, undo_seqnos};
use crate::store::Core;
use crate::values::Tally;

/// Rows that one step removes: a commit that holds the writer for about a millisecond.
const STEP_ROWS: usize = 1_000;

/// Tables are merged when the rows that were removed are this part of the documents that are there:
/// fewer are not worth a rewrite.
const MERGE_PARTS: u64 = 8;

/// Larger tables are left to the engine: while it merges one of them as a whole it does not merge
/// what is written meanwhile, and after some 300 MiB of that writers would wait.
const MERGE_BYTES_MAX: u64 = 1 << 30;

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

#[derive(Default)]
struct Desk {
    work: Mutex<Work>,
    changed: Condvar,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.lock().stop
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
        self.desk.lock().removed(step.dropped);
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

impl Core {
    /// Removes every row of a life, then the note that it has ended.
    fn remove_rows(&self, life: Life, desk: &Desk) -> Result<(), StoreError> {
        let tables = &self.tables;
        // Keys first: a reader that still goes by this life finds an entry with its row, or none.
        for table in [&tables.keys, &tables.rows, &tables.undo] {
            let mut from = life.prefix().to_vec();
            loop {
                if desk.is_stopping() {
                    return Ok(());
                }
                let found = some_entries(table, &from, &life.next_prefix())?;
                let Some((last, _)) = found.last() else { break };
                // Behind the last one: what was removed is not to be walked over again.
                from = [last.as_ref(), &[0]].concat();
                let removed = found.len() as u64;
                let mut out = tables.batch(found.len());
                let mut garbage = Tally::default();
                for (key, bytes) in found {
                    garbage.add_row(&key, bytes);
                    out.remove(table, key);
                }
                tables.wait_for_room()?;
                let mut writer = self.writer();
                self.note_garbage(&mut out, &garbage);
                writer.commit(out, Durability::Buffered)?;
                drop(writer);
                failpoint::reach("janitor-step");
                desk.lock().removed(removed);
            }
        }
        let mut out = tables.batch(0);
        out.remove(&tables.meta, life.dead());
        self.writer().commit(out, Durability::Buffered)
    }

    /// Removes the undo rows that lie behind the window, and raises the vBucket's floor to them.
    fn trim_undo(&self, vb: VbId, desk: &Desk) -> Result<(), StoreError> {
        let tables = &self.tables;
        while !desk.is_stopping() {
            let Some(seen) = self.record(vb) else { return Ok(()) };
            let life = Life { vb, generation: seen.generation };
            let from = life.undo(Seqno(seen.undo_floor).next(), Seqno::ZERO);
            let to = life.undo(self.horizon(&seen.meta).next(), Seqno::ZERO);
            if from >= to {
                return Ok(());
            }
            let found = some_entries(&tables.undo, &from, &to)?;

            let mut writer = self.writer();
            let Some(record) = self.record(vb) else { return Ok(()) };
            let mut record = record.as_ref().clone();
            // A rollback in the meantime may need some of them.
            let horizon = self.horizon(&record.meta);
            let mut out = tables.batch(found.len());
            let mut garbage = Tally::default();
            for (key, bytes) in found {
                if let Some((newer, _)) = undo_seqnos(&key)
                    && newer <= horizon
                {
                    garbage.add_row(&key, bytes);
                    record.undo_floor = record.undo_floor.max(newer.0);
                    out.remove(&tables.undo, key);
                }
            }
            if record.generation != seen.generation || record.undo_floor == seen.undo_floor {
                return Ok(());
            }
            record.points.cut_below(record.undo_floor);
            self.note_garbage(&mut out, &garbage);
            out.insert(&tables.meta, keys::record(vb), record.encode());
            writer.commit(out, Durability::Buffered)?;
            self.publish([record]);
        }
        Ok(())
    }

    /// Up to which seqno undo rows may go: no rollback goes below the purge seqno.
    fn horizon(&self, meta: &VbMeta) -> Seqno {
        Seqno(meta.high_seqno.0.saturating_sub(self.options.undo_seqnos)).max(meta.purge_seqno)
    }

    /// Has the tables merged where that gives enough space back.
    fn merge(&self, desk: &Desk) -> Result<(), StoreError> {
        let removed = desk.lock().removed;
        let is_worth_it = removed.saturating_mul(MERGE_PARTS) >= self.item_count();
        let tables = self.tables.of_documents();
        if is_worth_it && tables.iter().all(|table| table.disk_space() <= MERGE_BYTES_MAX) {
            self.writer().close_tables(Due::All)?;
            self.tables.merge()?;
            desk.lock().removed -= removed;
        }
        Ok(())
    }
}

/// Some of the entries with `from <= key < to`, in order.
fn some_entries(
    table: &Keyspace,
    from: &[u8],
    to: &[u8],
) -> Result<Vec<(UserKey, UserValue)>, StoreError> {
    let guards = table.range(from..to).take(STEP_ROWS);
    let what = || "old rows".to_owned();
    guards.map(|guard| guard.into_inner().map_err(|e| reading(what, &e))).collect()
}
