//! The control plane: the actors of buckets, links and connections. Executors, no rules: those are
//! in `replica`.
//!
//! The only package that knows actix, and nothing of it is public: the rest of the program holds a
//! [`ReplicationHandle`]. The map, from the top:
//!
//! - `handle`, `sets`: starts the threads, takes commands; `config`, `status`: its words
//! - `bucket_actor`: one per bucket, the shell around `replica::bucket::BucketMachine`
//! - `link_actor`: one per link, the shell around `replica::link::ConsumerMachine`
//! - `tasks`: what is asked of data nodes beside the links
//! - `threads`: over which the links are spread

mod bucket_actor;
mod config;
mod handle;
mod link_actor;
mod sets;
mod status;
mod tasks;
mod threads;

pub use config::{BucketPlan, Limits, ReplicationConfig};
pub use handle::{Replication, ReplicationHandle};
pub use replica::bucket::{Cause, CommandError, LinkPhase, MovePhase, StreamPhase, VbFailure};
pub use sets::MovedSet;
pub use status::{
    BrokenStatus, BucketStatus, FailureCount, LinkStatus, MoveStatus, Moved, NodeStatus,
    StreamStatus,
};
