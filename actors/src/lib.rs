//! The control plane: replication managers, replicators and connections as actors.
//!
//! The only package that knows actix, and nothing of it is public: the rest of the program holds a
//! [`ReplicationHandle`]. The map, from the top:
//!
//! - `handle`: starts the threads, takes commands; `config`, `status`, `error`: its words
//! - `manager`: one per bucket; keeps links to what is wanted, heals them with backoff
//! - `replicator`: one per link; opens the pair of connections, owns pumps and connection actors
//! - `consumer_conn`: the shell around `replica::ConsumerMachine`; `producer_conn`: tells it what
//!   the producer says; `deadlines`: its waits behind one timer
//! - `copying`: asks a producer how much of a vBucket it still has to send
//! - `examine`: what both nodes have of a vBucket whose takeover failed, and its repair
//! - `frames`: which frames are control frames, and what they say; `tap`: hands them to the actors
//! - `gauges`, `flow`: what can be read of an open link; `lag_monitor`, `traffic`: how far behind
//!   each vBucket is, and when each node was last heard; `node_poll`: asks the nodes for that

mod config;
mod consumer_conn;
mod copying;
mod deadlines;
mod error;
mod examine;
mod flow;
mod frames;
mod gauges;
mod handle;
mod lag_monitor;
mod link;
mod manager;
mod node_poll;
mod producer_conn;
mod replicator;
mod sets;
mod status;
mod tap;
mod threads;
mod traffic;

pub use config::{BucketPlan, Limits, ReplicationConfig};
pub use error::{CommandError, VbFailure};
pub use handle::{Replication, ReplicationHandle};
pub use sets::MovedSet;
pub use status::{
    BrokenStatus, BucketStatus, FailureCount, LastError, LinkPhase, LinkStatus, MovePhase,
    MoveStatus, Moved, NodeStatus, StreamStatus,
};
