//! The thread that writes the checkpoint: at most once in a second, atomic and synced, and only
//! what was taken.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use folderlock::{FolderLock, LockError};
use follow::{Checkpoint, Filter, Track};
use mcbp::VbId;

use super::failure::Failure;
use super::shared::Shared;
use crate::client::replace_file;

/// How often at most.
const INTERVAL: Duration = Duration::from_secs(1);

/// Locks a checkpoint for as long as what is returned lives. Two processes would each write how far
/// they are, so that the lines of the other one would never come again.
pub(super) fn lock(path: &Path) -> Result<FolderLock, Failure> {
    let failed = |why: String| Failure::Failed(format!("checkpoint {}: {why}", path.display()));
    let target = replace_file::target(path).map_err(|error| failed(error.to_string()))?;
    let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else {
        return Err(failed(io::Error::from(io::ErrorKind::IsADirectory).to_string()));
    };
    // Beside it: the file itself is replaced each time.
    let name = format!("{}.lock", name.to_string_lossy());
    FolderLock::take(folder, &name).map_err(|error| match error {
        LockError::Held(_) => failed(format!("{error}: end that one, or give another file")),
        LockError::Io(error) => failed(format!("{name} beside it: {error}")),
    })
}

/// The file, and what it says besides the tracks.
pub(super) struct Save {
    pub(super) path: PathBuf,
    pub(super) bucket: String,
    pub(super) filter: Filter,
    /// vBuckets of the file that are not followed; they stay in it.
    pub(super) others: BTreeMap<VbId, Track>,
    pub(super) shared: Arc<Shared>,
}

impl Save {
    /// Saves until the other end is dropped.
    pub(super) fn run(&self, ended: &Receiver<()>) {
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(INTERVAL) {
            if let Err(failure) = self.save() {
                self.shared.fail(failure);
                return;
            }
        }
    }

    /// Writes the file, if it would change.
    pub(super) fn save(&self) -> Result<(), Failure> {
        let Some(mut tracks) = self.shared.taken().changed() else { return Ok(()) };
        tracks.extend(self.others.iter().map(|(vb, track)| (*vb, track.clone())));
        let (bucket, filter) = (self.bucket.clone(), self.filter.clone());
        let text = Checkpoint { bucket, filter, tracks }.to_json();
        replace_file::put(&self.path, &text).map_err(|error| {
            self.shared.taken().touch();
            Failure::Failed(format!("checkpoint {}: {error}", self.path.display()))
        })
    }
}
