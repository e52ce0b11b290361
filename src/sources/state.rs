//! The file of desired maps in `[state] directory`: what was changed at run time, and the entries
//! of the source that it was changed against.
//!
//! A file is replaced as a whole: written beside, synced, renamed, and its folder synced. A
//! process that is killed at any moment leaves the old one or the new one. A file that cannot be
//! used is an error that names the remedy: starting without it would silently undo what somebody
//! was told is done.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use folderlock::{FolderLock, Holder, LockError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::maps::Maps;
use crate::session::LOCK;

/// The form of the file.
const VERSION: u64 = 1;
/// The file.
const FILE: &str = "desired.json";
/// What is written before it takes the place of the file.
const NEW: &str = "desired.json.new";
/// Far more than 64 buckets of 1,024 vBuckets each changed by itself take.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Why the state cannot be used, or was not written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The operating system refused to read or write.
    #[error("the state could not be {what} at {path}: {source}: {}", remedy(source))]
    Io {
        /// `read`, `written` or `locked`.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The OS error.
        source: io::Error,
    },
    /// The file is not what was written.
    #[error(
        "{path} is damaged: {reason}: bring back a copy of it, or delete it to start from the \
         configuration alone (changes made at run time are lost then)"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A newer program has written it.
    #[error(
        "{path} was written by a newer version (form {version}, this program knows {VERSION}): \
         use that version, or delete the file to start from the configuration alone (changes made \
         at run time are lost then)"
    )]
    Future {
        /// The file.
        path: PathBuf,
        /// The form.
        version: u64,
    },
    /// Another node's sidecar has written it.
    #[error(
        "{path} is the state of node {theirs:?}, and [node] name is {ours:?}: give each sidecar a \
         [state] directory of its own, or delete the file if the node was renamed"
    )]
    OtherNode {
        /// The file.
        path: PathBuf,
        /// The node of the file.
        theirs: String,
        /// The node of the configuration.
        ours: String,
    },
    /// The thread that wrote it panicked: a bug.
    #[error("the thread that writes the state panicked: {0}")]
    Panicked(#[source] tokio::task::JoinError),
    /// Another process uses the folder.
    #[error(
        "{path} is in use by {holder}: stop it, or give each sidecar a [state] directory of its own"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who uses it.
        holder: Holder,
    },
}

/// The file as written. `crc32` is of the text of `state`, as it stands there.
#[derive(Deserialize)]
struct Written<'a> {
    version: u64,
    crc32: Option<String>,
    #[serde(borrow)]
    state: Option<&'a RawValue>,
}

/// What `state` holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content<M> {
    node: String,
    maps: M,
}

/// The folder, used by this process alone.
#[derive(Debug)]
pub(super) struct StateFolder {
    directory: PathBuf,
    node: String,
    lock: Option<FolderLock>,
}

impl StateFolder {
    /// Opens the folder of a node's sidecar, and reads what is there. A folder that cannot be
    /// written is a warning, and an error of each change.
    pub(super) fn open(directory: &Path, node: &str) -> Result<(Self, Option<Maps>), StateError> {
        let (directory, node) = (directory.to_owned(), node.to_owned());
        let mut folder = Self { directory, node, lock: None };
        if let Err(error) = folder.take() {
            if matches!(error, StateError::InUse { .. }) {
                return Err(error);
            }
            let error = logline::value(&error);
            log::warn!("changes at run time cannot be kept and will be refused error={error}");
        }
        let maps = folder.read()?;
        Ok((folder, maps))
    }

    /// Creates the folder where it is missing, and locks it.
    fn take(&mut self) -> Result<(), StateError> {
        if self.lock.is_some() {
            return Ok(());
        }
        let directory = &self.directory;
        let failed = |source| io_error("locked", directory, source);
        fs::create_dir_all(directory).map_err(failed)?;
        let taken = FolderLock::take(directory, LOCK);
        self.lock = Some(taken.map_err(|error| match error {
            LockError::Held(holder) => StateError::InUse { path: directory.clone(), holder },
            LockError::Io(source) => failed(source),
        })?);
        Ok(())
    }

    fn read(&self) -> Result<Option<Maps>, StateError> {
        let path = self.directory.join(FILE);
        let failed = |source| io_error("read", &path, source);
        let damaged = |reason: String| StateError::Damaged { path: path.clone(), reason };
        let length = match fs::metadata(&path) {
            Ok(file) => file.len(),
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if length > FILE_BYTES_MAX {
            return Err(damaged(format!("it has {length} bytes")));
        }
        let bytes = fs::read(&path).map_err(failed)?;
        let wrong = |error: serde_json::Error| damaged(error.to_string());
        let written: Written<'_> = serde_json::from_slice(&bytes).map_err(wrong)?;
        if written.version > VERSION {
            return Err(StateError::Future { path, version: written.version });
        }
        if written.version < VERSION {
            return Err(damaged(format!("there is no form {}", written.version)));
        }
        let (Some(state), Some(crc32)) = (written.state, written.crc32) else {
            return Err(damaged("it has no state or no checksum".to_owned()));
        };
        if crc32 != checksum(state.get()) {
            return Err(damaged("its checksum does not fit".to_owned()));
        }
        let content: Content<Maps> = serde_json::from_str(state.get()).map_err(wrong)?;
        if content.node != self.node {
            let (theirs, ours) = (content.node, self.node.clone());
            return Err(StateError::OtherNode { path, theirs, ours });
        }
        Ok(Some(content.maps))
    }

    /// Replaces the file; it is on disk when this returns.
    pub(super) fn save(&mut self, maps: &Maps) -> Result<(), StateError> {
        self.take()?;
        let content = Content { node: self.node.clone(), maps };
        let path = self.directory.join(NEW);
        let failed = |source| io_error("written", &path, source);
        let state = serde_json::to_string(&content).map_err(|error| failed(error.into()))?;
        // What could not be read back would stop the next start.
        serde_json::from_str::<Content<Maps>>(&state).map_err(|error| failed(error.into()))?;
        let crc32 = checksum(&state);
        let text = format!("{{\"version\":{VERSION},\"crc32\":\"{crc32}\",\"state\":{state}}}\n");
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true).mode(0o600);
        let mut file = options.open(&path).map_err(failed)?;
        failpoint::reach("state-opened");
        file.write_all(text.as_bytes()).map_err(failed)?;
        failpoint::reach("state-written");
        file.sync_all().map_err(failed)?;
        failpoint::reach("state-synced");
        fs::rename(&path, self.directory.join(FILE)).map_err(failed)?;
        failpoint::reach("state-renamed");
        let folder = File::open(&self.directory).and_then(|folder| folder.sync_all());
        folder.map_err(|source| io_error("written", &self.directory, source))
    }
}

/// What helps against an error of the operating system.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free space on its disk",
        io::ErrorKind::IsADirectory
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::AlreadyExists => "remove what is in the place of the file or folder",
        _ => "give a [state] directory that this user may write to",
    }
}

/// Whether there is no such file, or a file in the place of its folder.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn io_error(what: &'static str, path: &Path, source: io::Error) -> StateError {
    StateError::Io { what, path: path.to_owned(), source }
}

fn checksum(state: &str) -> String {
    format!("{:08x}", crc32fast::hash(state.as_bytes()))
}
