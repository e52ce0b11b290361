//! The answers of the admin API, as far as they are printed for people.
//!
//! A word that is only printed stays a text, so that a newer sidecar may have new ones.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

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
}

#[derive(Debug, Deserialize)]
pub(super) struct Embedded {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) durability: String,
}

/// `GET /api/v1/replications`.
#[derive(Debug, Deserialize)]
pub(super) struct Replications {
    pub(super) buckets: Vec<Replication>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Replication {
    pub(super) bucket: String,
    pub(super) links: Vec<Link>,
    pub(super) moves: Vec<Move>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Link {
    pub(super) producer: String,
    pub(super) connection: u64,
    pub(super) phase: String,
    pub(super) last_error: Option<LastError>,
    pub(super) streams: Vec<Stream>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Stream {
    pub(super) vbucket: u64,
    pub(super) phase: StreamPhase,
    pub(super) opaque: Option<u64>,
    pub(super) seqno: Option<u64>,
    pub(super) lag_seqnos: Option<u64>,
    pub(super) progress_ms: Option<u64>,
    pub(super) last_error: Option<LastError>,
    pub(super) rollbacks_before: Option<u64>,
    pub(super) complete_to: Option<u64>,
    #[serde(default)]
    pub(super) not_open_ms: Option<u64>,
}

/// The phase of a stream.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(super) enum StreamPhase {
    Open,
    /// Any other, by its word.
    NotOpen(String),
}

impl From<String> for StreamPhase {
    fn from(word: String) -> Self {
        if word == "open" { Self::Open } else { Self::NotOpen(word) }
    }
}

impl fmt::Display for StreamPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::NotOpen(word) => word,
        })
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct LastError {
    pub(super) detail: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Move {
    pub(super) vbucket: u64,
    pub(super) from: String,
    pub(super) phase: String,
    pub(super) estimate: Option<u64>,
    pub(super) since_ms: u64,
}

/// The answer to a `PUT` of replications.
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
