//! Values that lie apart from the engine's tables, in files that are only ever appended to.
//!
//! The engine writes what it gets into its journal, into a table and again with merges. A large
//! value is written once, here, and its row in the tables names the [`Place`]. What makes that
//! safe: a value is in its file before anybody sees the commit that names it or is told of it, and
//! on the disk before that commit counts as synced or gets from the engine's memory into a table. A
//! commit that a crash leaves without its values is undone at the next open.
//!
//! - `append`: the one file that is being written
//! - `read`: single values and long scans
//! - `collect`: giving back the space of values that no row names any more

mod append;
mod collect;
mod read;

pub(crate) use append::Appender;
pub(crate) use collect::Tally;
pub(crate) use read::Reader;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use vbucket::StoreError;

use crate::errors::{damaged, io};
use crate::keys::concat;

/// Values of so many bytes lie apart. A smaller one costs less in a table than its place does.
pub(crate) const APART_BYTES: usize = 1 << 10;

const EXTENSION: &str = "values";
/// What a file begins with. The last byte is the version of the layout.
const MAGIC: &[u8; 8] = b"dcpvals\x01";
/// Length and checksum before each value, so that the end of a file can be checked by itself.
const HEAD_BYTES: usize = 8;

/// Where a value is, and what its bytes must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub file: u64,
    /// Of the value's first byte in the file.
    pub at: u64,
    pub len: u32,
    /// Of length and value.
    pub crc: u32,
}

impl Place {
    pub(crate) const BYTES: usize = 24;

    pub(crate) fn encode(self) -> [u8; Self::BYTES] {
        let Self { file, at, len, crc } = self;
        let [file, at] = [file, at].map(u64::to_be_bytes);
        concat(&[&file, &at, &len.to_be_bytes(), &crc.to_be_bytes()])
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let [file, at, sum] = *bytes.as_chunks::<8>().0 else { return None };
        let [file, at, sum] = [file, at, sum].map(u64::from_be_bytes);
        let whole = bytes.len() == Self::BYTES;
        whole.then_some(Self { file, at, len: (sum >> 32) as u32, crc: sum as u32 })
    }

    /// What it takes on the disk.
    pub(crate) const fn disk_bytes(self) -> u64 {
        self.len as u64 + HEAD_BYTES as u64
    }
}

/// How far the values of all commits up to one reach: a file, and a length of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct End {
    pub file: u64,
    pub bytes: u64,
}

fn value_crc(len: u32, value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&len.to_be_bytes());
    hasher.update(value);
    hasher.finalize()
}

/// One file.
#[derive(Debug)]
pub(crate) struct ValueFile {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    file: Arc<File>,
    bytes: AtomicU64,
    /// Bytes of values that rows named once and none does any more.
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

    /// Adds to the garbage, and says how much there is.
    pub(crate) fn add_garbage(&self, bytes: u64) -> u64 {
        self.garbage.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    /// What rows still name, as far as it is counted.
    fn needed_bytes(&self) -> u64 {
        self.bytes().saturating_sub(self.garbage())
    }

    /// At least half of it is garbage.
    fn is_mostly_garbage(&self) -> bool {
        self.garbage() * 2 >= self.bytes()
    }
}

/// The files as they were at one moment, by number. Whoever holds it can read all of them, also
/// those that have been removed since.
pub(crate) type Files = Arc<BTreeMap<u64, Arc<ValueFile>>>;

/// The folder of all files.
#[derive(Debug)]
pub(crate) struct Values {
    dir: PathBuf,
    files: RwLock<Files>,
}

impl Values {
    /// Opens the files in `dir`, and creates it where it is missing.
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

    /// Goes by the files that commits have `used`, with what is garbage in each: removes others.
    pub(crate) fn take_over(&self, used: &HashMap<u64, u64>) -> Result<(), StoreError> {
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

    /// Removes a file that no row names. Who holds it already can go on reading it.
    fn remove(&self, file: &ValueFile) -> Result<(), StoreError> {
        let removed = std::fs::remove_file(&file.path);
        removed.map_err(|e| io("removing values", format!("{}: {e}", file.path.display())))?;
        self.change(|files| {
            files.remove(&file.number);
        });
        Ok(())
    }

    /// Does `what` with the files as they are, while none is added or removed.
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

fn number_of(path: &Path) -> Option<u64> {
    let is_ours = path.extension().is_some_and(|extension| extension == EXTENSION);
    path.file_stem().filter(|_| is_ours)?.to_str()?.parse().ok()
}
