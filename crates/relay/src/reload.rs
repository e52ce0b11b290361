//! Values that are kept in files, and read again once the files have changed: passwords, tokens,
//! certificates. They are renewed while the program runs, by cert-manager or a mounted Kubernetes
//! secret. Where a new file is invalid, the last good value stays in use.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use logline::value;

/// A file that was changed more recently than this is read again: a second change may leave its
/// time stamp as it is.
const SETTLED: Duration = Duration::from_secs(2);
/// How long a connection waits for the files. A network file system may hang; the last value is
/// used then.
const READ_WAIT: Duration = Duration::from_secs(2);

/// Reads the value from its files; the error says what is wrong, with the name of the file.
type Load<T> = Box<dyn Fn() -> Result<Arc<T>, String> + Send + Sync>;

/// A value that is read again; cheap to clone, and the clones share it.
pub struct Reloading<T: ?Sized>(Arc<Inner<T>>);

struct Inner<T: ?Sized> {
    value: RwLock<Arc<T>>,
    /// `None` for a value that is kept in no file. Locked while files are read.
    source: Mutex<Option<Source<T>>>,
}

struct Source<T: ?Sized> {
    /// What is read, for the log.
    what: &'static str,
    files: Vec<PathBuf>,
    load: Load<T>,
    /// The files as they were read last; `None` to read them at the next use.
    seen: Option<Vec<Stamp>>,
}

/// What changes when a file is written or replaced.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Stamp {
    File {
        id: (u64, u64),
        bytes: u64,
        modified: (i64, i64),
        changed: (i64, i64),
    },
    /// A pipe can be read once; its value stays.
    Unreadable,
    Missing,
}

impl<T: ?Sized + Send + Sync + 'static> Reloading<T> {
    /// A value that never changes by itself.
    pub fn fixed(value: Arc<T>) -> Self {
        Self(Arc::new(Inner { value: RwLock::new(value), source: Mutex::new(None) }))
    }

    /// Reads the value with `load`, which reads `files` and nothing else; `what` names it in the
    /// log.
    ///
    /// # Errors
    /// Those of `load`.
    pub fn read<E>(
        what: &'static str,
        files: Vec<PathBuf>,
        load: impl Fn() -> Result<Arc<T>, E> + Send + Sync + 'static,
        text: impl Fn(E) -> String + Send + Sync + 'static,
    ) -> Result<Self, E> {
        let seen = settled(&files);
        let value = load()?;
        let load = Box::new(move || load().map_err(&text));
        let source = Mutex::new(Some(Source { what, files, load, seen }));
        Ok(Self(Arc::new(Inner { value: RwLock::new(value), source })))
    }

    /// The value as it is on disk now, or the last good one. Looks at the files each time and reads
    /// those that have changed.
    #[must_use]
    pub fn current(&self) -> Arc<T> {
        if let Some(source) = self.source().as_mut()
            && let Some(value) = source.changed()
        {
            self.set(value);
        }
        self.last()
    }

    /// As [`Reloading::current`], from a task: the files are read on a thread that may block, for
    /// at most 2 seconds.
    pub async fn refreshed(&self) -> Arc<T> {
        let is_fixed = self.0.source.try_lock().is_ok_and(|source| source.is_none());
        if !is_fixed {
            let reading = self.clone();
            let read = tokio::task::spawn_blocking(move || reading.current());
            if let Ok(Ok(value)) = tokio::time::timeout(READ_WAIT, read).await {
                return value;
            }
        }
        self.last()
    }

    /// The value that was read last.
    #[must_use]
    pub fn last(&self) -> Arc<T> {
        Arc::clone(&self.0.value.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the value and the files of `other`, for all clones of `self`.
    pub fn adopt(&self, other: &Self) {
        if Arc::ptr_eq(&self.0, &other.0) {
            return;
        }
        let source = other.source().take();
        *self.source() = source;
        self.set(other.last());
    }

    fn set(&self, value: Arc<T>) {
        *self.0.value.write().unwrap_or_else(PoisonError::into_inner) = value;
    }

    fn source(&self) -> MutexGuard<'_, Option<Source<T>>> {
        self.0.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Source<T> {
    /// Reads the value if its files have changed; a failure is logged.
    fn changed(&mut self) -> Option<Arc<T>> {
        let seen = settled(&self.files);
        if seen.is_some() && seen == self.seen {
            return None;
        }
        let is_first = self.seen.take().is_some();
        self.seen = seen;
        let files = self.files.iter().map(|file| file.display().to_string());
        let (what, files) = (self.what, files.collect::<Vec<_>>().join(","));
        match (self.load)() {
            Ok(value) => {
                if is_first {
                    log::info!(
                        "read again after a change what={what} files={}",
                        logline::value(files)
                    );
                }
                Some(value)
            }
            Err(error) => {
                log::warn!(
                    "invalid after a change, the last good one stays in use what={what} error={}",
                    value(error)
                );
                None
            }
        }
    }
}

/// The stamps of `files`, or `None` where one was changed just now.
fn settled(files: &[PathBuf]) -> Option<Vec<Stamp>> {
    let now = SystemTime::now();
    let stamp = |file: &PathBuf| match std::fs::metadata(file) {
        Ok(data) if !data.is_file() => Some(Stamp::Unreadable),
        Ok(data) => is_settled(&data, now).then(|| Stamp::of(&data)),
        Err(_) => Some(Stamp::Missing),
    };
    files.iter().map(stamp).collect()
}

fn is_settled(data: &Metadata, now: SystemTime) -> bool {
    let changed = Duration::new(data.ctime().try_into().unwrap_or(0), 0);
    // A time in the future, after a step of the clock, never settles otherwise.
    now.duration_since(SystemTime::UNIX_EPOCH + changed).is_ok_and(|age| age >= SETTLED)
}

impl Stamp {
    fn of(data: &Metadata) -> Self {
        Self::File {
            id: (data.dev(), data.ino()),
            bytes: data.size(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        }
    }
}

impl<T: ?Sized> Clone for Reloading<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> fmt::Debug for Reloading<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reloading(..)")
    }
}

#[cfg(test)]
#[path = "reload/tests.rs"]
mod tests;
