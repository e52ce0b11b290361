//! Folders for data that is thrown away.

use std::path::Path;

use tempfile::TempDir;

/// What all tests that run at once may need, several times over.
const ROOM_BYTES: u64 = 1 << 30;

/// A folder in memory if there is a file system for that with room; else one on a disk.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let space = rustix::fs::statvfs(memory);
    let has_room = space.is_ok_and(|space| space.f_bavail * space.f_frsize >= ROOM_BYTES);
    let made = if has_room { TempDir::new_in(memory) } else { TempDir::new() };
    made.unwrap()
}
