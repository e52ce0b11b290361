//! The reference: how fast the disk writes one file.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// The size of one write.
const CHUNK_BYTES: usize = 1 << 20;

/// Writes about `bytes` to a file in `folder` and syncs it; returns how long both took.
pub(super) fn write(folder: &Path, bytes: u64) -> io::Result<Duration> {
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
