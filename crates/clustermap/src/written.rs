//! The JSON of a map as nodes send it. Members that are not used here are left out.
//!
//! Source: recordings 10 and 11 of `tests/data/wire`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A whole map.
#[derive(Deserialize)]
pub(crate) struct Written {
    pub(crate) rev: i64,
    /// Old clusters do not have it.
    #[serde(rename = "revEpoch", default = "first_epoch")]
    pub(crate) epoch: i64,
    /// The bucket; without it the map is the cluster's, which has no vBuckets.
    pub(crate) name: Option<String>,
    #[serde(rename = "nodesExt", default)]
    pub(crate) nodes: Vec<WrittenNode>,
    #[serde(rename = "vBucketServerMap")]
    pub(crate) vbuckets: Option<WrittenVbuckets>,
}

const fn first_epoch() -> i64 {
    1
}

/// A node of `nodesExt`.
#[derive(Deserialize)]
pub(crate) struct WrittenNode {
    /// Missing where a node does not know its own name, and for the host that was asked.
    pub(crate) hostname: Option<String>,
    #[serde(default)]
    pub(crate) services: Services,
    #[serde(rename = "thisNode", default)]
    pub(crate) this_node: bool,
    #[serde(rename = "alternateAddresses", default)]
    pub(crate) alternate: BTreeMap<String, Alternate>,
}

/// The ports of the data service; a node without it has neither.
#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Services {
    pub(crate) kv: Option<u16>,
    #[serde(rename = "kvSSL")]
    pub(crate) kv_tls: Option<u16>,
}

/// How a node is reached from another network.
#[derive(Deserialize)]
pub(crate) struct Alternate {
    pub(crate) hostname: String,
    /// Without it the ports are those of `services`.
    pub(crate) ports: Option<Services>,
}

/// `vBucketServerMap`.
#[derive(Deserialize)]
pub(crate) struct WrittenVbuckets {
    /// `host:port` of the data service without TLS, whatever the clients use.
    #[serde(rename = "serverList")]
    pub(crate) servers: Vec<String>,
    /// For each vBucket the places in `servers` of its active copy and of its replicas; -1 for
    /// none.
    #[serde(rename = "vBucketMap")]
    pub(crate) chains: Vec<Vec<i32>>,
}
