//! The small files beside the engine's: one that is locked while the store is open, and one that
//! says which version wrote the store, how it was left and how much of it must be there.
//!
//! The second is a witness against the journal: the engine cuts a journal off at the first record
//! that it cannot read, silently. The number of synced commits is noted here after each of them,
//! without a sync: a killed process loses no write, and after a power cut an older number only
//! makes the witness know less.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use vbucket::StoreError;

use crate::errors::{REMEDY, damaged, io};

const LOCK_FILE: &str = "LOCK";
const STATE_FILE: &str = "STATE";
const MAGIC: &[u8; 8] = b"dcpstore";
/// The version of everything in the directory; see `format` for what it covers.
const VERSION: u32 = 1;
/// magic 8, version 4, clean 4, synced 8, crc 4.
const STATE_BYTES: usize = 28;

/// Holds the directory for one process; let go when dropped.
#[derive(Debug)]
pub(crate) struct DirectoryLock(#[allow(dead_code, reason = "held, never used")] File);

impl DirectoryLock {
    pub(crate) fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(LOCK_FILE);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|e| io("opening the lock file", in_file(&path, e)))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::Error(e)) => Err(io("locking the store", in_file(&path, e))),
            Err(TryLockError::WouldBlock) => {
                let text = "another process has the store open; stop it or use another directory";
                Err(io("locking the store", in_file(&path, text)))
            }
        }
    }
}

/// How the store was left, as the state file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct State {
    /// The last run ended with a close.
    pub clean: bool,
    /// Every commit up to this number was synced.
    pub synced: u64,
}

/// The state file, open for writing.
#[derive(Debug)]
pub(crate) struct StateFile {
    file: File,
    path: PathBuf,
}

impl StateFile {
    /// Opens the file, and creates it where `dir` holds no store yet.
    pub(crate) fn open(dir: &Path, has_store: bool) -> Result<(Self, State), StoreError> {
        let path = dir.join(STATE_FILE);
        let found = match std::fs::read(&path) {
            Ok(bytes) => Some(decode(&path, &bytes)?),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !has_store => None,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(damaged(path.display().to_string(), "it is missing beside its store"));
            }
            Err(e) => return Err(io("reading the state file", in_file(&path, e))),
        };
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|e| io("opening the state file", in_file(&path, e)))?;
        let mut this = Self { file, path };
        if found.is_none() {
            this.write_synced(State::default())?;
            let synced = File::open(dir).and_then(|dir| dir.sync_all());
            synced.map_err(|e| io("syncing the store's directory", in_file(dir, e)))?;
        }
        Ok((this, found.unwrap_or_default()))
    }

    /// Writes the state; it reaches the operating system, not the disk.
    pub(crate) fn write(&mut self, state: State) -> Result<(), StoreError> {
        let written =
            self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.write_all(&encode(state)));
        written.map_err(|e| io("writing the state file", in_file(&self.path, e)))
    }

    /// Writes the state and waits for the disk.
    pub(crate) fn write_synced(&mut self, state: State) -> Result<(), StoreError> {
        self.write(state)?;
        let synced = self.file.sync_all();
        synced.map_err(|e| io("syncing the state file", in_file(&self.path, e)))
    }
}

fn in_file(path: &Path, error: impl std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

fn encode(state: State) -> [u8; STATE_BYTES] {
    let mut bytes = [0; STATE_BYTES];
    let clean = u32::from(state.clean);
    let fields = MAGIC.iter().copied().chain(VERSION.to_be_bytes()).chain(clean.to_be_bytes());
    let body: Vec<u8> = fields.chain(state.synced.to_be_bytes()).collect();
    let crc = crc32fast::hash(&body).to_be_bytes();
    bytes.iter_mut().zip(body.into_iter().chain(crc)).for_each(|(to, from)| *to = from);
    bytes
}

fn decode(path: &Path, bytes: &[u8]) -> Result<State, StoreError> {
    let flawed = |flaw: &str| damaged(path.display().to_string(), flaw);
    if !bytes.starts_with(MAGIC) {
        return Err(flawed("it is no state file of this store"));
    }
    let version = bytes.get(8..12).and_then(|b| b.first_chunk()).map(|b| u32::from_be_bytes(*b));
    let checked = bytes.split_last_chunk::<4>();
    let intact = checked.is_some_and(|(body, crc)| crc32fast::hash(body).to_be_bytes() == *crc);
    // The version is looked at first: another one may well have another length.
    match version {
        Some(VERSION) if !intact || bytes.len() != STATE_BYTES => {
            Err(flawed("its checksum does not match"))
        }
        Some(VERSION) => {
            let clean = bytes.get(12..16) == Some(&1u32.to_be_bytes());
            let synced = bytes.get(16..24).and_then(|b| b.first_chunk()).copied();
            Ok(State { clean, synced: u64::from_be_bytes(synced.unwrap_or_default()) })
        }
        Some(version) if intact => Err(io(
            "opening the store",
            in_file(
                path,
                format!(
                    "it was written by format version {version}, this program reads version \
                     {VERSION}: use the program that wrote it, or start with an empty directory"
                ),
            ),
        )),
        _ => Err(StoreError::Damaged {
            what: path.display().to_string(),
            detail: format!("its version cannot be read; {REMEDY}"),
        }),
    }
}
