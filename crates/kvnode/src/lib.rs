//! An embedded data node: sessions, commands, DCP, warm-up.
//!
//! - `bucket`: vBuckets over a store, group commit; what streams and commands build on
//! - `session`: one connection; `dcp`: what becomes of it after DCP_OPEN

pub mod bucket;
mod clock;
mod counters;
mod dcp;
mod session;
mod sync;

/// Runs what blocks on the disk without holding up the tasks that wait behind it on this worker.
/// Needs the multi-threaded runtime that every node brings.
pub(crate) fn disk<T>(call: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(call)
}
