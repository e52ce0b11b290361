//! What a data node does by itself, as the system sees it: bytes that it writes, files that it has.

use std::fs::{File, ReadDir};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};

use crate::server::Server;

/// The pause between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// A node that has written nothing for this long has nothing left to do.
const QUIET: Duration = Duration::from_secs(3);
/// A server that has used no processor for so many looks has settled.
const IDLE_LOOKS: u32 = 3;
/// How long a server may work on what it has left for later.
const SETTLE_MAX: Duration = Duration::from_secs(20);
/// The system's unit of `st_blocks`.
const BLOCK_BYTES: u64 = 512;

/// What happened until the node was quiet.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Quiet {
    /// Until its last write.
    pub(crate) after: Duration,
    pub(crate) written_bytes: u64,
    pub(crate) cpu_seconds: f64,
    /// The most that the folder took.
    pub(crate) disk_bytes_most: u64,
    /// Until the folder became smaller for the last time; `None` where it did not.
    pub(crate) freed_after: Option<Duration>,
}

/// Waits until the node writes nothing more, and `folder` of it stays as it is; for `patience` at
/// most.
pub(crate) fn until_quiet(server: &Server, folder: &Path, patience: Duration) -> io::Result<Quiet> {
    let began = Instant::now();
    let (before, cpu_before) = (server.written_bytes()?, server.own_cpu_seconds()?);
    let mut quiet = Quiet { disk_bytes_most: disk_bytes(folder)?, ..Quiet::default() };
    let mut disk = quiet.disk_bytes_most;
    while began.elapsed() < (quiet.after + QUIET).min(patience) {
        std::thread::sleep(LOOK_PAUSE);
        let (at, written) = (began.elapsed(), server.written_bytes()? - before);
        let disk_before = std::mem::replace(&mut disk, disk_bytes(folder)?);
        quiet.disk_bytes_most = quiet.disk_bytes_most.max(disk);
        if disk < disk_before {
            quiet.freed_after = Some(at);
        }
        if written > quiet.written_bytes || disk != disk_before {
            quiet = Quiet { after: at, written_bytes: written, ..quiet };
        }
    }
    quiet.cpu_seconds = server.own_cpu_seconds()? - cpu_before;
    Ok(quiet)
}

/// Waits until the server has done what it left for later, so that it takes no processor from
/// whoever is measured next. Where that takes too long, says so and goes on; does nothing where it
/// is not on this machine.
pub(crate) fn settle(server: &Server) -> io::Result<()> {
    let began = Instant::now();
    let Some(mut before) = server.cpu_seconds()? else { return Ok(()) };
    let mut idle = 0;
    while idle < IDLE_LOOKS && began.elapsed() < SETTLE_MAX {
        std::thread::sleep(LOOK_PAUSE);
        let now = server.cpu_seconds()?.unwrap_or(before);
        // One tick of the clock, or none.
        idle = if now - before < 0.015 { idle + 1 } else { 0 };
        before = now;
    }
    if idle < IDLE_LOOKS {
        let seconds = SETTLE_MAX.as_secs();
        eprintln!("the server is busy {seconds} s after its turn: the next one has less processor");
    }
    Ok(())
}

/// What a folder takes of the disk.
pub(crate) fn disk_bytes(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    each_file(folder, &mut |path| {
        bytes += std::fs::metadata(path)?.blocks() * BLOCK_BYTES;
        Ok(())
    })?;
    Ok(bytes)
}

/// Drops what the system has of a folder's files in memory.
pub(crate) fn forget(folder: &Path) -> io::Result<()> {
    each_file(folder, &mut |path| {
        let file = File::open(path)?;
        file.sync_all()?;
        Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
    })
}

/// Calls `each` with every file in a folder and in those in it. Files may be deleted meanwhile.
fn each_file(folder: &Path, each: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let Some(entries) = there(std::fs::read_dir(folder))? else { return Ok(()) };
    let entries: ReadDir = entries;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            each_file(&entry.path(), each)?;
        } else {
            there(each(&entry.path()))?;
        }
    }
    Ok(())
}

/// `None` where there is no such file.
fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}
