//! The rules of desired maps, without files, sockets or clock.
//!
//! What is replicated of a bucket has one *source*, the configuration file or etcd, and an
//! *overlay* of what was changed at run time. The overlay holds only what differs from the source
//! (*drift*), and outlives restarts. Where the source's own entry of a bucket changes, the source
//! wins. [`BucketMaps`] has the rules.

mod change;
mod entry;
mod maps;
mod overlay;
mod plan;

pub use change::{Change, Refusal, Selection};
pub use entry::Entry;
pub use maps::BucketMaps;
pub use overlay::{Assigned, CountSet, Dropped, Mark, Overlay, Paused, TakenOver, Why};
pub use plan::Diff;
