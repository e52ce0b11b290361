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

use crate::errors::{damaged, io};

const LOCK_FILE: &str = "LOCK";
const STATE_FILE: &str = "STATE";
const MAGIC: &[u8; 8] = b"dcpstore";
/// The version of everything in the directory. Raise it with any change to keys, values or files.
const VERSION: u32 = 3;

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

/// magic 8, version 4, clean 4, synced 8, crc 4.
fn encode(state: State) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_be_bytes());
    bytes.extend(u32::from(state.clean).to_be_bytes());
    bytes.extend(state.synced.to_be_bytes());
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

fn decode(path: &Path, bytes: &[u8]) -> Result<State, StoreError> {
    let flawed = |flaw: &str| damaged(path.display().to_string(), flaw);
    let (body, crc) = bytes.split_last_chunk().ok_or_else(|| flawed("it is cut off"))?;
    if crc32fast::hash(body) != u32::from_be_bytes(*crc) {
        return Err(flawed("its checksum does not match"));
    }
    let fields = body.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk());
    let (version, rest) = fields.ok_or_else(|| flawed("it is of another program"))?;
    let version = u32::from_be_bytes(*version);
    if version != VERSION {
        let text = format!(
            "it was written by format version {version}, this program reads version {VERSION}: use \
             the program that wrote it, or start with an empty directory"
        );
        return Err(io("opening the store", in_file(path, text)));
    }
    match rest.split_first_chunk::<4>() {
        Some((clean, synced)) if synced.len() == 8 => Ok(State {
            clean: *clean == 1u32.to_be_bytes(),
            synced: synced.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)),
        }),
        _ => Err(flawed("it has another length")),
    }
}
