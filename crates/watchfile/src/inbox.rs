//! What wakes the thread of a watcher. It holds one entry of each kind, however many come.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::content::Content;

/// What has arrived since the last time.
#[derive(Default)]
pub(crate) struct Arrived {
    /// Something that leads to the files has changed.
    pub(crate) hint: bool,
    /// The files to watch from now on.
    pub(crate) files: Option<Vec<(PathBuf, Content)>>,
    /// The watcher was dropped.
    pub(crate) end: bool,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Inbox {
    arrived: Mutex<Arrived>,
    woken: Condvar,
}

impl Inbox {
    /// Changes the inbox and wakes the thread.
    pub(crate) fn put(&self, change: impl FnOnce(&mut Arrived)) {
        change(&mut self.lock());
        self.woken.notify_one();
    }

    /// Takes what has arrived; waits for it until `deadline`.
    pub(crate) fn take(&self, deadline: Instant) -> Arrived {
        let mut arrived = self.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if arrived.hint || arrived.end || arrived.files.is_some() || left.is_zero() {
                return std::mem::take(&mut *arrived);
            }
            let waited = self.woken.wait_timeout(arrived, left);
            arrived = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
