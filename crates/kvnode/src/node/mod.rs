//! A data node: its runtime, its listeners, its buckets.
//!
//! - `start`, `handle`: start and stop; `live`: what may be replaced in between
//! - `health`: whether it works
//! - `accept`: the listener; `error`: why either failed; `gauges`: what it counts and holds

mod accept;
mod error;
mod gauges;
mod handle;
mod health;
mod live;
mod start;

pub use error::NodeError;
pub use gauges::{NodeFigures, NodeGauges};
pub use handle::NodeHandle;
pub use health::Health;
pub use live::Live;
pub use start::Node;
