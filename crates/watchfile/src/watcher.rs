//! The thread that watches, and the handle that ends it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::content::Content;
use crate::folders::Folders;
use crate::inbox::Inbox;
use crate::settle::{Settle, Waits, keep_content};

/// How the files are watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    waits: Waits,
    /// How often the files are read where no notification comes.
    poll: Duration,
    /// How often they are read where notifications come. A network file system has none for the
    /// changes of other machines.
    recheck: Duration,
    notifications: bool,
}

const MANNER: Manner = Manner {
    waits: Waits { quiet: Duration::from_millis(200), longest: Duration::from_secs(2) },
    poll: Duration::from_secs(3),
    recheck: Duration::from_secs(10),
    notifications: true,
};

/// Watches files; ends when it is dropped.
///
/// Dropping it waits for a call of `on_change` that runs, except in such a call itself.
#[derive(Debug)]
pub struct Watcher {
    inbox: Arc<Inbox>,
    /// `None` once it has ended.
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Calls `on_change`, on a thread of its own, with those of `files` whose content has changed
    /// after this returns: written, replaced, gone or there again. A file need not be there yet.
    ///
    /// Changes are told 0.2 seconds after the last one and at most 2 seconds after the first. A
    /// file that was written again with the same bytes has not changed. A change that comes back
    /// within that time is not told.
    ///
    /// # Errors
    /// Those of the system when there is no thread to be had, or no working folder for the files
    /// whose path is relative.
    pub fn start(
        files: Vec<PathBuf>,
        on_change: impl Fn(&[PathBuf]) + Send + 'static,
    ) -> io::Result<Self> {
        Self::start_in(MANNER, files, on_change)
    }

    pub(crate) fn start_in(
        manner: Manner,
        files: Vec<PathBuf>,
        on_change: impl Fn(&[PathBuf]) + Send + 'static,
    ) -> io::Result<Self> {
        // Where it is gone, only absolute paths lead anywhere.
        let working_folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let inbox = Arc::new(Inbox::default());
        let mut watcher = Self { inbox: Arc::clone(&inbox), thread: None };
        watcher.set_files(files);
        let run = move || run(manner, &inbox, &working_folder, &on_change);
        let thread = std::thread::Builder::new().name("watchfile".to_owned()).spawn(run)?;
        watcher.thread = Some(thread);
        Ok(watcher)
    }

    /// Watches these files instead. Of files that are new, changes after this returns are told; of
    /// those that stay, no change is lost.
    pub fn set_files(&self, mut files: Vec<PathBuf>) {
        files.sort_unstable();
        files.dedup();
        let with_content = |path: PathBuf| {
            let content = Content::of(&path);
            (path, content)
        };
        let files: Vec<_> = files.into_iter().map(with_content).collect();
        self.inbox.put(|arrived| {
            // A list that the thread has not seen yet was read earlier.
            arrived.files = Some(keep_content(files, &arrived.files.take().unwrap_or_default()));
        });
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.inbox.put(|arrived| arrived.end = true);
        let Some(thread) = self.thread.take() else { return };
        if thread.thread().id() != std::thread::current().id() {
            // The hook for panics has told of one.
            _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

fn run(
    manner: Manner,
    inbox: &Arc<Inbox>,
    working_folder: &std::path::Path,
    on_change: &dyn Fn(&[PathBuf]),
) {
    let mut settle = Settle::new(manner.waits);
    let mut folders = Folders::new(inbox, manner.notifications);
    loop {
        let every = if folders.are_complete() { manner.recheck } else { manner.poll };
        let deadline = settle.due().unwrap_or_else(|| Instant::now() + every);
        let arrived = inbox.take(deadline);
        if arrived.end {
            return;
        }
        if let Some(files) = arrived.files {
            settle.set_files(files);
            folders.watch(&absolute(settle.files(), working_folder));
            // A change between the first read and the watch has made no notification.
            settle.hint(Instant::now());
        }
        if arrived.hint {
            settle.hint(Instant::now());
        }
        if settle.due().is_some_and(|due| Instant::now() < due) {
            continue;
        }
        let files = settle.files();
        if settle.due().is_some() || !folders.are_complete() {
            // Before the files are read, so that no change is missed in between.
            folders.watch(&absolute(files.clone(), working_folder));
        }
        let contents: Vec<_> = files.iter().map(|file| Content::of(file)).collect();
        let changed = settle.looked(Instant::now(), &contents);
        if !changed.is_empty() {
            on_change(&changed);
        }
    }
}

fn absolute(files: Vec<PathBuf>, working_folder: &std::path::Path) -> Vec<PathBuf> {
    files.into_iter().map(|file| working_folder.join(file)).collect()
}

#[cfg(test)]
mod tests;
