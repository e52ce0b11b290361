//! The control plane: the actors of buckets, links and connections. They execute; the rules are in
//! `replica`.
//!
//! The only package that uses actix, and no public item exposes it: the rest of the program holds a
//! [`ReplicationHandle`]. From the top:
//!
//! - `handle`, `sets`: start the threads, accept commands; `config`, `status`: their types;
//!   `schema`: how they look in JSON
//! - `buckets`: the buckets and producers, which change at run time; `moved`: tells what has moved
//! - `recorders`: what passes each link, for captures
//! - `bucket_actor`: one per bucket, the shell around `replica::bucket::BucketMachine`
//! - `link_actor`: one per link, the shell around `replica::link::ConsumerMachine`
//! - `tasks`: requests to data nodes outside of the links
//! - `threads`: the threads that the links share; `timings`: how long their steps take

mod bucket_actor;
mod buckets;
mod config;
mod handle;
mod link_actor;
mod moved;
mod recorders;
pub mod schema;
mod sets;
mod status;
mod tasks;
mod threads;
mod timings;

pub use config::{BucketPlan, ControlLimits, ReplicationConfig};
pub use handle::{Replication, ReplicationHandle};
pub use recorders::RECORDED_BYTES_MAX;
pub use replica::bucket::{
    Cause, CommandError, LinkPhase, MovePhase, MovesDone, Restart, StreamPhase, VbFailure,
};
pub use sets::MovedSet;
pub use status::{
    BrokenLinkStatus, BrokenStatus, BucketStatus, FailureCount, LinkStatus, MoveStatus, Moved,
    NodeStatus, RolledBackStatus, StreamStatus,
};
pub use timings::Timings;
