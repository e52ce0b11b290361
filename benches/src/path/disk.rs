//! The yardstick: how fast the disk takes one file.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// What one write passes to the kernel.
const CHUNK_BYTES: usize = 1 << 20;

/// Writes about `bytes` in `folder`, syncs them, and says how long both took together.
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
