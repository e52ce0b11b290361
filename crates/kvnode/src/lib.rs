//! An embedded data node: sessions, commands, DCP, warm-up.
//!
//! - `node`: start and stop; `config`: what it is told to be; `cli`: the same from a command line
//! - `bucket`: vBuckets over a store, group commit; what streams and commands build on
//! - `session`: one connection; `tls`: its socket; `command`, `stat`: what it asks for; `dcp`: what
//!   becomes of it after DCP_OPEN

pub mod bucket;
pub mod cli;
mod clock;
mod command;
mod config;
mod counters;
mod dcp;
mod node;
mod session;
mod stat;
mod sync;
mod tls;

pub use config::{BucketOptions, Limits, NodeConfig, Users};
pub use node::{Node, NodeError, NodeHandle};
pub use tls::Tls;
pub use vbucket::engine::Durability;

/// Runs what blocks on the disk without holding up the tasks that wait behind it on this worker.
/// Needs the multi-threaded runtime that every node brings.
pub(crate) fn disk<T>(call: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(call)
}
