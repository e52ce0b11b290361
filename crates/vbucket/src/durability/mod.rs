//! Durable writes of one vBucket: a write is prepared on the active copy and on replicas, and
//! committed once as many of them have it as its level asks for. Until then no reader sees it, and
//! no other write of its key is taken.
//!
//! Pure: the time and what is on disk come in, decisions go out. The map:
//!
//! - `topology`: which copies there are, and how many of them make a majority
//! - `monitor`: the writes that are prepared and not completed, and when they are completed
//!
//! Writes are completed in the order of their seqnos, as kv_engine's replicas require. Source:
//! `docs/Durability.md` of couchbase/kv_engine.

mod monitor;
mod topology;

pub use monitor::{Answer, Blocked, Monitor, Step};
pub use topology::{Topology, TopologyError};
