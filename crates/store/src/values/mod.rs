//! Values stored out of line, in append-only files.
//!
//! The engine writes every value to its journal, to a table, and again with each compaction. A
//! large value is written once, here, and its row in the tables has a pointer to it. The rules
//! that make this safe:
//!
//! - A value is written to its file before anybody sees the commit that names it, or is told that
//!   the commit is done.
//! - It is on the disk before that commit counts as synced, and before the memtable with its row is
//!   flushed to a table.
//! - A commit that a crash left without its values is undone at the next open.
//!
//! `append` writes the newest file, `read` reads all of them.

mod append;
mod read;

pub(crate) use append::Appender;
pub(crate) use read::Reader;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use vbucket::StoreError;

use crate::errors::{damaged, io};

const EXTENSION: &str = "values";

/// One file.
#[derive(Debug)]
pub(crate) struct ValueFile {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    file: Arc<File>,
    bytes: AtomicU64,
    /// Bytes of values that rows named once and none names any more.
    garbage: AtomicU64,
}

impl ValueFile {
    fn new(path: PathBuf, number: u64, file: File, bytes: u64) -> Self {
        let file = Arc::new(file);
        Self { number, path, file, bytes: bytes.into(), garbage: AtomicU64::new(0) }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn garbage(&self) -> u64 {
        self.garbage.load(Ordering::Relaxed)
    }

    /// Adds to the garbage and returns the sum.
    pub(crate) fn add_garbage(&self, bytes: u64) -> u64 {
        self.garbage.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    /// Bytes that are not counted as garbage.
    pub(crate) fn live_bytes(&self) -> u64 {
        // The count may be too high: garbage of a commit that failed is counted again.
        self.bytes().saturating_sub(self.garbage())
    }

    /// Whether at least half of it is garbage.
    pub(crate) fn is_mostly_garbage(&self) -> bool {
        self.garbage() * 2 >= self.bytes()
    }
}

/// The files as they were at one moment, by number. Its holder can read all of them, also those
/// that have been deleted since.
pub(crate) type Files = Arc<BTreeMap<u64, Arc<ValueFile>>>;

/// The folder of all value files.
#[derive(Debug)]
pub(crate) struct Values {
    dir: PathBuf,
    files: RwLock<Files>,
}

impl Values {
    /// Opens the files in `dir`, and creates the folder where it is missing.
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        let opening =
            |e: std::io::Error| io("opening the values", format!("{}: {e}", dir.display()));
        std::fs::create_dir_all(dir).map_err(opening)?;
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(dir).map_err(opening)? {
            let path = entry.map_err(opening)?.path();
            let Some(number) = number_of(&path) else { continue };
            let file = File::open(&path).map_err(opening)?;
            let bytes = file.metadata().map_err(opening)?.len();
            files.insert(number, Arc::new(ValueFile::new(path, number, file, bytes)));
        }
        Ok(Self { dir: dir.to_owned(), files: RwLock::new(Arc::new(files)) })
    }

    /// Sets the garbage of the files that commits have `used`, and deletes all other files: a crash
    /// left them.
    pub(crate) fn keep_only(&self, used: &HashMap<u64, u64>) -> Result<(), StoreError> {
        let files = self.files();
        for (&number, &garbage) in used {
            let Some(file) = files.get(&number) else {
                return Err(damaged(self.path(number).display().to_string(), "it is missing"));
            };
            file.add_garbage(garbage);
        }
        for file in files.values().filter(|file| !used.contains_key(&file.number)) {
            self.remove(file)?;
        }
        Ok(())
    }

    /// Deletes a file that no row names. Holders of [`Files`] can go on reading it.
    pub(crate) fn remove(&self, file: &ValueFile) -> Result<(), StoreError> {
        let removed = std::fs::remove_file(&file.path);
        removed.map_err(|e| io("removing values", format!("{}: {e}", file.path.display())))?;
        self.change(|files| {
            files.remove(&file.number);
        });
        Ok(())
    }

    /// Calls `what` with the files, while none is added or removed.
    pub(crate) fn with<T>(&self, what: impl FnOnce(&Files) -> T) -> T {
        what(&self.files.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn files(&self) -> Files {
        self.with(Arc::clone)
    }

    pub(crate) fn disk_bytes(&self) -> u64 {
        self.with(|files| files.values().map(|file| file.bytes()).sum())
    }

    fn change(&self, what: impl FnOnce(&mut BTreeMap<u64, Arc<ValueFile>>)) {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = BTreeMap::clone(&files);
        what(&mut changed);
        *files = Arc::new(changed);
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:08}.{EXTENSION}"))
    }
}

/// The number of a value file; `None` for a file of another kind.
fn number_of(path: &Path) -> Option<u64> {
    let is_ours = path.extension().is_some_and(|extension| extension == EXTENSION);
    path.file_stem().filter(|_| is_ours)?.to_str()?.parse().ok()
}
