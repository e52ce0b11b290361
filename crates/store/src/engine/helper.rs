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
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use logline::value;

use super::journal::journals;

/// So many bytes of rows are committed between one sync and the next.
const SYNC_BYTES: u64 = 2 << 20;
/// Tasks that may wait for the thread.
const TASKS_MAX: usize = 8;
/// How long a deleted journal may take up space while nothing is committed.
const DELETED_MAX: Duration = Duration::from_secs(1);

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
}

impl Helper {
    /// Starts the thread, for the journals in `dir`. Without one, its work is done where it was
    /// done before.
    pub(super) fn start(dir: &Path) -> Self {
        let (tasks, asked) = sync_channel(TASKS_MAX);
        let builder = std::thread::Builder::new().name("store-helper".to_owned());
        let journals = Journals { dir: dir.to_path_buf(), open: Vec::new() };
        let thread = builder.spawn(move || run(journals, &asked)).ok();
        Self { tasks: Some(tasks), thread, seen: 0, grown: 0 }
    }

    /// Notes a commit, after which the engine's memtables have so many bytes.
    pub(super) fn committed(&mut self, memtable_bytes: u64, is_synced: bool) {
        self.grown += memtable_bytes.saturating_sub(self.seen);
        self.seen = memtable_bytes;
        if self.grown >= SYNC_BYTES {
            self.grown = 0;
            self.ask(Task::Journal { is_synced });
        }
    }

    /// Lets go of `held`.
    pub(super) fn free(&self, held: Vec<Held>) {
        if !held.is_empty() {
            self.ask(Task::Free(held));
        }
    }

    /// Gives a task to the thread. Where it is behind or gone, what is to be freed is freed here.
    fn ask(&self, task: Task) {
        let _behind = self.tasks.as_ref().map(|tasks| tasks.try_send(task));
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

fn run(mut journals: Journals, asked: &Receiver<Task>) {
    loop {
        let task = match journals.open.len() {
            0 | 1 => asked.recv().map_err(RecvTimeoutError::from),
            _ => asked.recv_timeout(DELETED_MAX),
        };
        let done = match task {
            Ok(Task::Journal { is_synced }) => journals.grown(is_synced),
            Ok(Task::Free(_)) => Ok(()),
            Err(RecvTimeoutError::Timeout) => journals.look().map(drop),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if let Err(error) = done {
            // The engine's own handle is told of a failed sync too, at its next one, and stops.
            log::debug!("a journal could not be synced early, error={}", value(error));
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
    /// Holds the newest journal open, and syncs it unless commits have done that.
    fn grown(&mut self, is_synced: bool) -> io::Result<()> {
        let Some(newest) = self.look()? else { return Ok(()) };
        if self.open.iter().all(|(path, _)| *path != newest) {
            self.open.push((newest.clone(), File::open(newest)?));
        }
        match self.open.last() {
            Some((_, journal)) if !is_synced => journal.sync_data(),
            _ => Ok(()),
        }
    }

    /// Closes deleted journals; returns the newest of the others.
    fn look(&mut self) -> io::Result<Option<PathBuf>> {
        let mut there = journals(&self.dir).map_err(io::Error::other)?;
        self.open.retain(|(path, _)| there.contains(path));
        Ok(there.pop())
    }
}

#[cfg(test)]
mod tests;
