//! A data node: its runtime, its listeners, its buckets.
//!
//! - `start`, `handle`: start and stop; `live`: what may be replaced in between
//! - `accept`: the listener; `error`: why either failed

mod accept;
mod error;
mod handle;
mod live;
mod start;

pub use error::NodeError;
pub use handle::NodeHandle;
pub use live::Live;
pub use start::Node;
