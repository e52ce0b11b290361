//! A data node: its runtime, its listeners, its buckets.
//!
//! - `start`, `handle`: start and stop; `accept`: the listener; `error`: why either failed

mod accept;
mod error;
mod handle;
mod start;

pub use error::NodeError;
pub use handle::NodeHandle;
pub use start::Node;
