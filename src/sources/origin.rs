//! What is known of etcd as the source of the desired maps; nothing where the file is the source.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::utc_ms;

/// What is known of etcd.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// Whether changes arrive; `None` before the first answer.
    pub connection: Option<Connection>,
    /// By bucket.
    pub buckets: BTreeMap<String, OriginOfBucket>,
}

/// Whether changes arrive from etcd.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = EtcdConnection)]
#[serde(tag = "connection", rename_all = "lowercase")]
pub enum Connection {
    /// They arrive.
    Connected {
        /// The member that sends them.
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

/// What etcd has of one bucket.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, ToSchema)]
#[schema(as = EtcdBucket)]
pub struct OriginOfBucket {
    /// The revision of etcd that wrote the map that is the source now; `None` before the first.
    pub revision: Option<i64>,
    /// Whether etcd has no map of it; the last good one stays.
    pub missing: bool,
    /// The newest value, if it cannot be used; the last good map stays.
    pub refused: Option<RefusedMap>,
}

/// A value in etcd that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct RefusedMap {
    /// The key.
    pub key: String,
    /// The value, cut.
    pub value: String,
    /// What is wrong with it, and what is allowed.
    pub reason: String,
    /// The revision that wrote it.
    pub revision: i64,
}

impl Origin {
    /// Why a bucket has no map yet, or an old one; `None` where all is well.
    #[must_use]
    pub fn problem(&self, bucket: &str) -> Option<String> {
        let known = self.buckets.get(bucket);
        if let Some(refused) = known.and_then(|known| known.refused.as_ref()) {
            let RefusedMap { key, reason, .. } = refused;
            return Some(format!("the map of bucket {bucket} at {key} is refused: {reason}"));
        }
        if known.is_some_and(|known| known.missing) {
            return Some(format!("etcd has no map of bucket {bucket}: put one, or {{}} for none"));
        }
        let revision = known.and_then(|known| known.revision);
        let error = match (&self.connection, revision) {
            (Some(Connection::Away { error, .. }), None) => error,
            (None, None) => "no answer yet",
            _ => return None,
        };
        Some(format!("the map of bucket {bucket} could not be read from etcd: {error}"))
    }
}
