//! Disk space that commits must leave free.
//!
//! The engine accepts no write after a failed one, so a full disk would cost a restart. Documents
//! are refused a little earlier, and accepted again as soon as there is space. What frees space
//! (rollbacks, removals) is never refused.

use std::path::{Path, PathBuf};

use vbucket::StoreError;

use crate::errors::io;

/// The free space of one file system.
#[derive(Debug)]
pub(crate) struct Space {
    dir: PathBuf,
    reserve: u64,
}

impl Space {
    /// Keeps `reserve` bytes free on the file system of `dir`, but at most a twentieth of it.
    pub(crate) fn new(dir: &Path, reserve: u64) -> Self {
        Self { dir: dir.to_owned(), reserve }
    }

    /// Returns the bytes that are free for this user; `None` if the system does not say.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.dir).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Returns the bytes that are free beyond the reserve; 0 if the system does not say.
    pub(crate) fn spare_bytes(&self) -> u64 {
        self.free_bytes().unwrap_or(0).saturating_sub(self.reserve)
    }

    /// Checks that a commit of `bytes` leaves the reserve free.
    ///
    /// # Errors
    /// [`StoreError::Io`] where it does not.
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
