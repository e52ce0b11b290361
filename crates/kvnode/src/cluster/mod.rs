//! Cluster maps: which node serves which vBucket, for clients that find their nodes by themselves.
//!
//! - `map`: one map; `generated`: the map of a node that stands alone (pure)
//! - `maps`: the maps of a node and who is told when one changes
//!
//! A map that was pushed with `SET_CLUSTER_CONFIG` is served as it is, until the node ends; without
//! one a node serves a map that names itself alone.

mod generated;
mod map;
mod maps;

pub(crate) use map::{Map, NAME_OF_NO_BUCKET};
pub(crate) use maps::Maps;
