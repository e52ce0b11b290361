//! Counts the instructions of the hot paths under valgrind, which gives the same figures on an idle
//! and on a busy machine. `cargo xtask count` runs it and compares each figure with `limits.toml`.
//!
//! - `frames`: the frames that are scanned and forwarded
//! - `scan`, `pump`, `machine`: a frame in the sidecar
//! - `backfill`: a row in a data node, from its store to the wire
#![allow(missing_docs, unreachable_pub, reason = "what the macros of gungraun write")]
#![allow(clippy::expect_used, reason = "nothing is measured where a set-up fails")]

mod backfill;
mod frames;
mod machine;
mod pump;
mod scan;

use backfill::{rows_to_frames, store_to_frames};
use gungraun::{Callgrind, LibraryBenchmarkConfig, library_benchmark_group};
use machine::machine_frames;
use pump::pump_frames;
use scan::scan_frames;

/// Makes the C library use its code for the oldest processors, so that a copy costs the same
/// on all of them.
const PLAIN_LIBC: &str =
    "glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-AVX2,-AVX512F,-AVX512VL,-ERMS,-FSRM";

library_benchmark_group!(
    name = hot_paths;
    benchmarks = scan_frames, pump_frames, machine_frames, rows_to_frames, store_to_frames
);
gungraun::main!(
    config = LibraryBenchmarkConfig::default()
        .env("GLIBC_TUNABLES", PLAIN_LIBC)
        .tool(Callgrind::with_args(["cache-sim=no"]));
    library_benchmark_groups = hot_paths
);
