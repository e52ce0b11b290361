//! An embedded data node: sessions, commands, DCP, warm-up.
//!
//! From the bottom up; a module uses only modules above it in this list.
//!
//! - `sync`, `clock`, `counter`, `put_off`, `blocking`, `acceptor`, `tls`, `reloads`: small tools
//! - `admission`: what strangers may take; `account`: the memory of connections
//! - `bucket`: vBuckets over a store, group commit
//! - `privilege`: what users may do; `users`: who they are
//! - `config`: the configuration of a node
//! - `protocol`: requests, answers and framing, without any command
//! - `cluster`: which node serves what, as clients are told
//! - `range_scan`: range scans that have begun
//! - `dcp`: a connection after DCP_OPEN
//! - `context`: what all connections share; `client`: one of them
//! - `stat`, `command`: the commands; `session`: the loop that reads and executes them
//! - `metrics`: the page for Prometheus
//! - `node`: start and stop, the listeners; `cli`: the same from a command line

mod acceptor;
mod account;
mod admission;
mod blocking;
pub mod bucket;
pub mod cli;
mod client;
mod clock;
mod cluster;
mod command;
mod config;
mod context;
mod counter;
mod dcp;
mod metrics;
mod node;
mod privilege;
mod protocol;
mod put_off;
mod range_scan;
mod reloads;
mod session;
mod stat;
mod sync;
mod timings;
mod tls;
mod users;

pub use admission::{TooFewDescriptors, raise_limit};
pub use command::VALUE_BYTES_MAX;
pub use config::{
    BucketOptions, Bucketless, Credentials, Grant, Limits, NodeConfig, Role, User, Users, UsersFile,
};
pub use node::{Health, Live, Node, NodeError, NodeFigures, NodeGauges, NodeHandle};
pub use protocol::KEY_BYTES_MAX;
pub use tls::Tls;
pub use vbucket::store::Durability;
