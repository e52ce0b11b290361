//! A thread beside the one that commits, for what the engine would do with the locks that commits
//! and reads need: it syncs the journal a part at a time, and frees what the engine is done with.
//!
//! - The engine syncs the journal before each flush (its issue 329). Of buffered commits that is up
//!   to a whole journal, tens of milliseconds; with most of it on the disk little is left.
//! - Whoever lets go of a memtable last frees its entries one by one, and whoever lets go of a
//!   table file last deletes it. In the engine that is the writer at the next seal, for tens of
//!   milliseconds.
//! - A journal of 64 MiB takes as long to delete. While somebody has it open only its name goes.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use logline::value;

use super::journal::journals;

/// So many bytes of rows are committed between one sync and the next.
const SYNC_BYTES: u64 = 2 << 20;
/// Tasks that may wait for the thread.
const TASKS_MAX: usize = 8;
/// How long journals are held open while nothing is committed: a deleted one takes up space.
const IDLE_MAX: Duration = Duration::from_secs(1);

/// Something of the engine that is freed when the last one lets go of it.
pub(super) type Held = Arc<dyn Send + Sync>;

enum Task {
    /// The journal has grown, by commits that synced it or did not.
    Journal {
        is_synced: bool,
    },
    Free(#[expect(dead_code, reason = "it is dropped")] Vec<Held>),
}

/// The thread. Dropped, it does what it was asked for, and is waited for.
pub(super) struct Helper {
    tasks: Option<SyncSender<Task>>,
    thread: Option<JoinHandle<()>>,
    /// Bytes in the engine's memtables at the last commit.
    seen: u64,
    /// Bytes committed since the thread was told of them.
    grown: u64,
    /// The thread has yet to look at the journal. One task is enough, and leaves room for others.
    is_told: Arc<AtomicBool>,
}

impl Helper {
    /// Starts the thread, for the journals in `dir`. Without one, its work is done where it was
    /// done before.
    pub(super) fn start(dir: &Path) -> Self {
        let (tasks, asked) = sync_channel(TASKS_MAX);
        let builder = std::thread::Builder::new().name("store-helper".to_owned());
        let journals = Journals { dir: dir.to_path_buf(), open: Vec::new() };
        let is_told = Arc::new(AtomicBool::new(false));
        let thread = builder.spawn({
            let is_told = Arc::clone(&is_told);
            move || run(journals, &asked, &is_told)
        });
        let failed = |error| {
            log::warn!("commits may wait for the disk: no thread to help, error={}", value(error));
        };
        let thread = thread.map_err(failed).ok();
        Self { tasks: Some(tasks), thread, seen: 0, grown: 0, is_told }
    }

    /// Notes a commit, after which the engine's memtables have so many bytes.
    pub(super) fn committed(&mut self, memtable_bytes: u64, is_synced: bool) {
        self.grown += memtable_bytes.saturating_sub(self.seen);
        self.seen = memtable_bytes;
        if self.grown >= SYNC_BYTES {
            self.grown = 0;
            if !self.is_told.swap(true, Ordering::Relaxed) && !self.ask(Task::Journal { is_synced })
            {
                self.is_told.store(false, Ordering::Relaxed);
            }
        }
    }

    /// Lets go of `held`.
    pub(super) fn free(&self, held: Vec<Held>) {
        if !held.is_empty() {
            self.ask(Task::Free(held));
        }
    }

    /// Gives a task to the thread. Where it is behind or gone, what is to be freed is freed here.
    fn ask(&self, task: Task) -> bool {
        self.tasks.as_ref().is_some_and(|tasks| tasks.try_send(task).is_ok())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.tasks = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the store's helper thread panicked");
        }
    }
}

fn run(mut journals: Journals, asked: &Receiver<Task>, is_told: &AtomicBool) {
    loop {
        let task = match journals.open.len() {
            0 => asked.recv().map_err(RecvTimeoutError::from),
            _ => asked.recv_timeout(IDLE_MAX),
        };
        match task {
            Ok(Task::Journal { is_synced }) => {
                is_told.store(false, Ordering::Relaxed);
                if let Err(error) = journals.grown(is_synced) {
                    // Since Linux 4.13 the engine's own handle is told of a failed sync too, at its
                    // next one, and stops.
                    let error = value(error);
                    log::warn!("a journal could not be synced beside commits, error={error}");
                }
            }
            Ok(Task::Free(_)) => {}
            Err(RecvTimeoutError::Timeout) => journals.open.clear(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// The journals.
struct Journals {
    dir: PathBuf,
    /// Those that are held open.
    open: Vec<(PathBuf, File)>,
}

impl Journals {
    /// Closes deleted journals, holds the newest of the others open, and syncs it unless commits
    /// have done that.
    fn grown(&mut self, is_synced: bool) -> io::Result<()> {
        let mut there = journals(&self.dir).map_err(io::Error::other)?;
        self.open.retain(|(path, _)| there.contains(path));
        let Some(newest) = there.pop() else { return Ok(()) };
        if self.open.iter().all(|(path, _)| *path != newest) {
            self.open.push((newest.clone(), File::open(newest)?));
        }
        match self.open.last() {
            Some((_, journal)) if !is_synced => journal.sync_data(),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
