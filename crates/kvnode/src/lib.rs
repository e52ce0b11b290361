//! An embedded data node: sessions, commands, DCP, warm-up.
//!
//! - `node`: start and stop; `config`: what it is told to be; `cli`: the same from a command line
//! - `bucket`: vBuckets over a store, group commit; what streams and commands build on
//! - `session`: one connection; `tls`: its socket; `command`, `stat`: what it asks for; `dcp`: what
//!   becomes of it after DCP_OPEN
//! - `metrics`: what it counts, for Prometheus

pub mod bucket;
pub mod cli;
mod clock;
mod command;
mod config;
mod counters;
mod dcp;
mod metrics;
mod node;
mod session;
mod stat;
mod sync;
mod tls;

pub use config::{BucketOptions, Limits, NodeConfig, Users};
pub use node::{Node, NodeError, NodeHandle};
pub use tls::Tls;
pub use vbucket::store::Durability;

/// Runs a task that blocks on the disk now and then. All that it does between two waits counts as
/// one block: to leave a worker and come back costs as much as a read that needs no disk.
pub(crate) async fn on_disk<T>(task: impl Future<Output = T>) -> T {
    let mut task = std::pin::pin!(task);
    std::future::poll_fn(|context| disk(|| task.as_mut().poll(context))).await
}

/// Runs what blocks on the disk without holding up the tasks that wait behind it on this worker.
/// Needs the multi-threaded runtime that every node brings.
pub(crate) fn disk<T>(call: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(call)
}
