//! The files next to the engine's: `LOCK`, which is locked while the store is open, and `STATE`,
//! which has the version of the format, how the store was left and how much of it must be there.
//!
//! `STATE` is evidence against a truncated journal: the engine truncates a journal at the first
//! record that it cannot read, without an error. The number of synced commits is written to
//! `STATE` after each of them, without a sync. A killed process loses no write; after a power cut
//! an older number only makes the evidence weaker.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use folderlock::{FolderLock, LockError};
use vbucket::StoreError;

use crate::errors::{damaged, io};
use crate::format::{State, StateFlaw};

const LOCK_FILE: &str = "LOCK";
const STATE_FILE: &str = "STATE";

/// Reserves the directory for one process, until it is dropped.
#[derive(Debug)]
pub(crate) struct DirectoryLock(#[allow(dead_code, reason = "held, never used")] FolderLock);

impl DirectoryLock {
    /// Locks `dir`.
    ///
    /// # Errors
    /// [`StoreError::Io`] where another process has it, or the disk refuses.
    pub(crate) fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(LOCK_FILE);
        let taken = FolderLock::take(dir, LOCK_FILE).map_err(|error| match error {
            LockError::Io(error) => error.to_string(),
            held @ LockError::Held(_) => format!("{held}; stop it or use another directory"),
        });
        taken.map(Self).map_err(|text| io("locking the store", in_file(&path, text)))
    }
}

/// The state file, open for writing.
#[derive(Debug)]
pub(crate) struct StateFile {
    file: File,
    path: PathBuf,
}

impl StateFile {
    /// Opens the file, and creates it where `dir` holds no store yet.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where it is missing beside a store or has other bytes than were
    /// written; [`StoreError::Io`] where another version wrote the store, or the disk refuses.
    pub(crate) fn open(dir: &Path, has_store: bool) -> Result<(Self, State), StoreError> {
        let path = dir.join(STATE_FILE);
        let found = match std::fs::read(&path) {
            Ok(bytes) => Some(State::decode(&bytes).map_err(|flaw| refused(&path, flaw))?),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !has_store => None,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(damaged(path.display().to_string(), "it is missing beside its store"));
            }
            Err(e) => return Err(io("reading the state file", in_file(&path, e))),
        };
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|e| io("opening the state file", in_file(&path, e)))?;
        let this = Self { file, path };
        if let Some(state) = found {
            return Ok((this, state));
        }
        this.write_synced(State::NEW)?;
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(|e| io("syncing the store's directory", in_file(dir, e)))?;
        Ok((this, State::NEW))
    }

    /// Writes the state; it reaches the operating system, not the disk.
    pub(crate) fn write(&self, state: State) -> Result<(), StoreError> {
        let written = self.file.write_all_at(&state.encode(), 0);
        written.map_err(|e| io("writing the state file", in_file(&self.path, e)))
    }

    /// Writes the state and waits for the disk.
    pub(crate) fn write_synced(&self, state: State) -> Result<(), StoreError> {
        self.write(state)?;
        let synced = self.file.sync_all();
        synced.map_err(|e| io("syncing the state file", in_file(&self.path, e)))
    }
}

fn refused(path: &Path, flaw: StateFlaw) -> StoreError {
    match flaw {
        StateFlaw::Damaged(flaw) => damaged(path.display().to_string(), flaw),
        StateFlaw::Version(text) => io("opening the store", in_file(path, text)),
    }
}

fn in_file(path: &Path, error: impl std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}
