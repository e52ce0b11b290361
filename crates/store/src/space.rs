//! Disk space that commits must leave free.
//!
//! The engine accepts no write after a failed one, so a full disk would cost a restart. Documents
//! are refused a little earlier, and accepted again as soon as there is space. What frees space
//! (rollbacks, removals) is never refused.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use vbucket::StoreError;

use crate::errors::io;

/// How long an answer of the system holds: others write to the disk, too.
const ANSWER_HOLDS: Duration = Duration::from_millis(10);
/// And for how many bytes of commits.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// What may be written before the system is asked again: that would be half of what a small commit
/// costs in calls of the system.
#[derive(Debug)]
struct Allowance {
    until: Instant,
    bytes: u64,
}

impl Allowance {
    /// What an answer at `now` allows that leaves `spare` bytes.
    fn of(spare: u64, now: Instant) -> Self {
        Self { until: now + ANSWER_HOLDS, bytes: spare.min(ANSWER_BYTES_MAX) }
    }

    /// Whether it is enough for a commit of `bytes` at `now`; counts them if so.
    fn takes(&mut self, bytes: u64, now: Instant) -> bool {
        let left = self.bytes.checked_sub(bytes).filter(|_| now < self.until);
        self.bytes = left.unwrap_or(self.bytes);
        left.is_some()
    }
}

/// The free space of one file system.
#[derive(Debug)]
pub(crate) struct Space {
    dir: PathBuf,
    reserve: u64,
    allowance: Mutex<Option<Allowance>>,
}

impl Space {
    /// Keeps `reserve` bytes free on the file system of `dir`, but at most a twentieth of it.
    pub(crate) fn new(dir: &Path, reserve: u64) -> Self {
        Self { dir: dir.to_owned(), reserve, allowance: Mutex::default() }
    }

    /// Returns the bytes that are free for this user; `None` if the system does not say.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        self.ask().ok().map(|(free, _)| free)
    }

    /// Returns the bytes that are free beyond the reserve; 0 if the system does not say.
    pub(crate) fn spare_bytes(&self) -> u64 {
        self.ask().map_or(0, |(free, reserve)| free.saturating_sub(reserve))
    }

    /// Asks for the bytes that are free for this user. Returns how many of them are kept, too.
    fn ask(&self) -> rustix::io::Result<(u64, u64)> {
        let disk = rustix::fs::statvfs(&self.dir)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let all = disk.f_blocks.saturating_mul(disk.f_frsize);
        Ok((free, self.reserve.min(all / 20)))
    }

    /// Checks that a commit of `bytes` leaves the reserve free.
    ///
    /// # Errors
    /// [`StoreError::Io`] where it does not.
    pub(crate) fn check(&self, bytes: u64) -> Result<(), StoreError> {
        if self.reserve == 0 {
            return Ok(());
        }
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if allowance.as_mut().is_some_and(|allowance| allowance.takes(bytes, now)) {
            return Ok(());
        }
        *allowance = None;
        let (free, reserve) = self.ask().map_err(|e| io("asking for free space", e))?;
        if let Some(spare) = free.checked_sub(reserve.saturating_add(bytes)) {
            *allowance = Some(Allowance::of(spare, now));
            return Ok(());
        }
        let detail = format!(
            "no space left: {free} bytes are free for {}, {reserve} of them are kept; make room",
            self.dir.display()
        );
        Err(io("committing", detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_for_few_bytes_and_a_short_time() {
        let now = Instant::now();
        let late = now + ANSWER_HOLDS;
        for (spare, takes) in [
            (0, vec![(1, now, false), (0, now, true)]),
            (100, vec![(60, now, true), (41, now, false), (40, now, true), (1, now, false)]),
            (100, vec![(60, late, false), (60, now, true)]),
            (u64::MAX, vec![(ANSWER_BYTES_MAX, now, true), (1, now, false)]),
        ] {
            let mut allowance = Allowance::of(spare, now);
            for (bytes, at, expected) in takes {
                assert_eq!(allowance.takes(bytes, at), expected, "{bytes} of {spare}");
            }
        }
    }

    #[test]
    fn a_commit_larger_than_the_disk_is_refused_also_after_small_ones() {
        let dir = tempfile::tempdir().unwrap();
        let space = Space::new(dir.path(), 1);
        assert!(space.check(10).is_ok());
        assert!(space.check(u64::MAX / 2).is_err());
        assert!(space.check(10).is_ok());
    }
}
