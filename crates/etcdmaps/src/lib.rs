//! Desired maps that come from etcd, and what sidecars report there.
//!
//! The rules are pure: no sockets, no clock, no chance. `client` (feature) carries them out.
//!
//! - `keys`: the layout of the keys; `json`, `value`: the map of one bucket, strictly parsed
//! - `follower`: how a sidecar follows the maps of its node, through compaction, lost connections
//!   and nonsense; `update`: what it tells
//! - `report`, `reporter`: what a sidecar writes back, and when
//! - `cluster`, `changes`: the maps of all nodes, as `dcp-proxy map put` writes them

mod changes;
#[cfg(feature = "client")]
mod client;
mod cluster;
mod follower;
mod json;
mod keys;
mod report;
mod reporter;
mod update;
mod value;

pub use changes::{Batch, Change, Present, Stored, batches, changes};
#[cfg(feature = "client")]
pub use client::{EtcdConfig, EtcdError, EtcdMaps, EtcdTls, News, Store, Watch, Written};
pub use cluster::{CLUSTER_BYTES_MAX, Cluster, Maps};
pub use follower::{Effect, Event, Follower, Item, KEYS_MAX};
pub use keys::{Key, Keys};
pub use report::{Failing, Refused, Report};
pub use reporter::{Pace, Reporter, Step};
pub use update::{Connection, Known, Update};
pub use value::{ALLOWED, VALUE_BYTES_MAX, parse, text};
