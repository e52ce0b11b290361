//! The reference: how fast the disk writes one file, and syncs small parts of one.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// The size of one write.
const CHUNK_BYTES: usize = 1 << 20;
/// The file whose parts are synced: as long as a journal.
const JOURNAL_BYTES: u64 = 64 << 20;

/// Writes about `bytes` to a file in `folder` and syncs it; returns how long both took.
pub(crate) fn write(folder: &Path, bytes: u64) -> io::Result<Duration> {
    let mut chunk = vec![0; CHUNK_BYTES];
    fastrand::fill(&mut chunk);
    let path = folder.join("yardstick");
    let began = Instant::now();
    let mut file = File::create(&path)?;
    for _ in 0..bytes.div_ceil(CHUNK_BYTES as u64) {
        file.write_all(&chunk)?;
    }
    file.sync_data()?;
    let took = began.elapsed();
    std::fs::remove_file(path)?;
    Ok(took)
}

/// Writes parts of `bytes` to a file in `folder`, one after the other, and syncs each, for `time`.
/// Returns how long one takes on average, in seconds.
pub(crate) fn sync_seconds(folder: &Path, bytes: usize, time: Duration) -> io::Result<f64> {
    let mut part = vec![0; bytes];
    fastrand::fill(&mut part);
    let path = folder.join("journal");
    let file = File::create(&path)?;
    file.set_len(JOURNAL_BYTES)?;
    let began = Instant::now();
    let mut synced = 0;
    while began.elapsed() < time {
        file.write_all_at(&part, (synced * bytes as u64) % JOURNAL_BYTES)?;
        file.sync_data()?;
        synced += 1;
    }
    let took = began.elapsed();
    std::fs::remove_file(path)?;
    Ok(took.as_secs_f64() / synced.max(1) as f64)
}
