//! What is known of etcd or a cluster as the source of the desired maps; nothing where the file is
//! the source.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::utc_ms;

/// What is known of etcd, or of the cluster.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// Whether it is the maps of a cluster, and not etcd.
    pub is_cluster: bool,
    /// Whether changes arrive; `None` before the first answer.
    pub connection: Option<Connection>,
    /// By bucket.
    pub buckets: BTreeMap<String, OriginOfBucket>,
}

/// Whether changes arrive from the source.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = EtcdConnection)]
#[serde(tag = "connection", rename_all = "lowercase")]
pub enum Connection {
    /// They arrive.
    Connected {
        /// The member or node that sends them.
        endpoint: String,
    },
    /// They do not; what is in force stays.
    Away {
        /// Since when, in UTC.
        since: String,
        /// The last error.
        error: String,
    },
}

impl Connection {
    /// Etcd does not answer since then, in milliseconds since 1970.
    #[must_use]
    pub fn away(since_ms: u64, error: String) -> Self {
        Self::Away { since: utc_ms(since_ms), error }
    }
}

/// What the source has of one bucket.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, ToSchema)]
#[schema(as = EtcdBucket)]
pub struct OriginOfBucket {
    /// The revision of the map that is the source now: of etcd, or within its epoch that of the
    /// cluster map; `None` before the first.
    pub revision: Option<i64>,
    /// Whether the source has no map of it; the last good one stays.
    pub missing: bool,
    /// The newest value, if it cannot be used; the last good map stays.
    pub refused: Option<RefusedMap>,
}

/// A map that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct RefusedMap {
    /// The key in etcd, or the node of the cluster.
    pub key: String,
    /// The value, cut; empty for a map of a cluster.
    pub value: String,
    /// What is wrong with it, and what is allowed.
    pub reason: String,
    /// The revision that wrote it; 0 for a map of a cluster.
    pub revision: i64,
}

impl Origin {
    /// What the maps come from, in messages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        if self.is_cluster { "the cluster" } else { "etcd" }
    }

    /// Why a bucket has no map yet, or an old one; `None` where all is well.
    #[must_use]
    pub fn problem(&self, bucket: &str) -> Option<String> {
        let from = self.name();
        let known = self.buckets.get(bucket);
        if let Some(refused) = known.and_then(|known| known.refused.as_ref()) {
            let RefusedMap { key, reason, .. } = refused;
            return Some(format!("the map of bucket {bucket} at {key} is refused: {reason}"));
        }
        if known.is_some_and(|known| known.missing) {
            return Some(format!(
                "{from} has no map of bucket {bucket}: put one, or {{}} for none"
            ));
        }
        let revision = known.and_then(|known| known.revision);
        let error = match (&self.connection, revision) {
            (Some(Connection::Away { error, .. }), None) => error,
            (None, None) => "no answer yet",
            _ => return None,
        };
        Some(format!("the map of bucket {bucket} could not be read from {from}: {error}"))
    }
}
