//! Room on the disk that commits leave alone.
//!
//! The engine takes no write after a failed one, so a disk that runs full would cost a restart.
//! Documents are refused a little earlier, and taken again as soon as there is room. What frees
//! space (rollbacks, removals) is not held up.

use std::path::{Path, PathBuf};

use vbucket::StoreError;

use crate::errors::io;

/// The room on one disk.
#[derive(Debug)]
pub(crate) struct Space {
    dir: PathBuf,
    reserve: u64,
}

impl Space {
    /// Keeps `reserve` bytes free on the disk of `dir`, but no more than a twentieth of it.
    pub(crate) fn new(dir: &Path, reserve: u64) -> Self {
        Self { dir: dir.to_owned(), reserve }
    }

    /// # Errors
    /// [`StoreError::Io`] where a commit of `bytes` would use the reserve.
    pub(crate) fn check(&self, bytes: u64) -> Result<(), StoreError> {
        if self.reserve == 0 {
            return Ok(());
        }
        let disk = rustix::fs::statvfs(&self.dir);
        let disk = disk.map_err(|e| io("asking for free space", e))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let all = disk.f_blocks.saturating_mul(disk.f_frsize);
        let reserve = self.reserve.min(all / 20);
        if free >= reserve.saturating_add(bytes) {
            return Ok(());
        }
        let detail = format!(
            "no space left: {free} bytes are free for {}, {reserve} of them are kept; make room",
            self.dir.display()
        );
        Err(io("committing", detail))
    }
}
