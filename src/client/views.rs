//! The answers of the admin API, as far as they are printed for people.
//!
//! A word that is only printed stays a text, so that a newer sidecar may have new ones.

mod desired;
mod streams;
mod verified;
use std::collections::BTreeMap;

use serde::Deserialize;

pub(super) use self::desired::{BucketMaps, DesiredMaps, Drift, Entry, Preview, Source};
pub(super) use self::streams::{Link, Move, Replication, Replications, Stream, StreamPhase};
pub(super) use self::verified::{Verification, VerifiedTarget, Verify};

/// `GET /api/v1/status`.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) version: String,
    pub(super) uptime_ms: u64,
    pub(super) phase: String,
    pub(super) ready: bool,
    #[serde(default)]
    pub(super) not_ready: Vec<String>,
    pub(super) node: Node,
    pub(super) producers: Vec<Node>,
    pub(super) buckets: Vec<Bucket>,
    pub(super) embedded: Vec<Embedded>,
    /// An older sidecar has none.
    #[serde(default)]
    pub(super) config: Option<ConfigFile>,
}

/// The configuration file of the sidecar.
#[derive(Debug, Deserialize)]
pub(super) struct ConfigFile {
    #[serde(default)]
    pub(super) file: Option<String>,
    #[serde(default)]
    pub(super) loaded_at: Option<String>,
    #[serde(default)]
    pub(super) last_reload: Option<LastReload>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LastReload {
    #[serde(default)]
    pub(super) at: Option<String>,
    pub(super) ok: bool,
    #[serde(default)]
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) restart_needed: Vec<String>,
}

/// `POST /reload`, and its refusal.
#[derive(Debug, Deserialize)]
pub(super) struct Reloaded {
    #[serde(default)]
    pub(super) changed: Vec<String>,
    #[serde(default)]
    pub(super) restart_needed: Vec<String>,
    #[serde(default)]
    pub(super) warnings: Vec<String>,
    #[serde(default)]
    pub(super) problems: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) silent_ms: Option<u64>,
    #[serde(default)]
    pub(super) unresponsive: bool,
    #[serde(default)]
    pub(super) error: Option<String>,
    pub(super) warning: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Bucket {
    pub(super) bucket: String,
    pub(super) connections: u64,
    pub(super) links: u64,
    pub(super) links_up: u64,
    pub(super) wanted: u64,
    pub(super) open: u64,
    pub(super) failed: u64,
    pub(super) moving: u64,
    pub(super) lag_seqnos_max: Option<u64>,
    pub(super) lag_unknown: u64,
    #[serde(default)]
    pub(super) lag_ms_max: Option<u64>,
    #[serde(default)]
    pub(super) lag_age_ms_max: Option<u64>,
    #[serde(default)]
    pub(super) prepare_ack_us_max: Option<u64>,
    #[serde(default)]
    pub(super) prepare_waiting_ms_max: Option<u64>,
    /// How much differs from the source; an older sidecar does not say.
    #[serde(default)]
    pub(super) drift: Option<u64>,
    #[serde(default)]
    pub(super) verify: Option<Verify>,
    #[serde(default)]
    pub(super) paused: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Embedded {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) durability: String,
}

/// The answer to a change of what is replicated.
#[derive(Debug, Deserialize)]
pub(super) struct Opened {
    pub(super) open: u64,
}

/// The answer to a takeover or a move.
#[derive(Debug, Deserialize)]
pub(super) struct Moved {
    pub(super) bucket: String,
    pub(super) vbucket: u16,
    pub(super) from: String,
    pub(super) elapsed_ms: u64,
}

/// The answer to a takeover or a move of a set.
#[derive(Debug, Deserialize)]
pub(super) struct MovedSet {
    pub(super) moved: Vec<Moved>,
}

/// `GET /log-level`.
#[derive(Debug, Deserialize)]
pub(super) struct Levels {
    pub(super) level: String,
    #[serde(default)]
    pub(super) filters: BTreeMap<String, String>,
    pub(super) configured: Option<String>,
    pub(super) rust_log: Option<String>,
}

/// The answer to a command that failed: one entry for each vBucket.
#[derive(Debug, Deserialize)]
pub(super) struct Failures {
    #[serde(default)]
    pub(super) errors: Vec<Failure>,
    /// Of a set that was to be moved: the vBuckets that were.
    pub(super) moved: Option<Vec<Moved>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Failure {
    pub(super) producer: String,
    pub(super) vbucket: u64,
    pub(super) reason: String,
    pub(super) status: Option<String>,
    pub(super) retry: String,
    pub(super) detail: String,
}
