//! What a sidecar is told of its maps in etcd.

use std::collections::{BTreeMap, BTreeSet};

use desired::Entry;
use replica::plan::Connections;

/// What the configuration of a sidecar has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Known {
    /// The buckets, and the number of connections where a map does not say.
    pub buckets: BTreeMap<String, Connections>,
    /// The producers.
    pub producers: BTreeSet<String>,
}

/// News of the maps of one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Update {
    /// The map of a bucket.
    Map {
        /// The bucket.
        bucket: String,
        /// What is wanted.
        entry: Entry,
        /// The revision of etcd that wrote it (`mod_revision`).
        revision: i64,
    },
    /// A value that cannot be used. The last good map stays in force.
    Refused {
        /// The bucket; one that is not in the configuration is possible.
        bucket: String,
        /// The key in etcd.
        key: String,
        /// The value, cut.
        value: String,
        /// What is wrong with it, and what is allowed.
        reason: String,
        /// The revision of etcd that wrote it.
        revision: i64,
    },
    /// Etcd has no map of a bucket. The last good map stays in force.
    Missing {
        /// The bucket. One that is not in the configuration had a map that was refused, or has just
        /// left the configuration.
        bucket: String,
        /// The key that etcd does not have.
        key: String,
    },
    /// Whether the maps are followed.
    Connection(Connection),
}

/// Whether the maps are followed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Connection {
    /// Changes arrive.
    Connected {
        /// The member of etcd that sends them.
        endpoint: String,
    },
    /// Changes do not arrive. What is in force stays.
    Away {
        /// Since when, in milliseconds since 1970.
        since_ms: u64,
        /// The last error.
        error: String,
    },
}
