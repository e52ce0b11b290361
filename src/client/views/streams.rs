//! `GET /api/v1/replications`, as far as it is printed for people.

use std::collections::BTreeMap;
use std::fmt;

use replica::plan::VbSet;
use serde::Deserialize;

/// `GET /api/v1/replications`.
#[derive(Debug, Deserialize)]
pub(in crate::client) struct Replications {
    pub(in crate::client) buckets: Vec<Replication>,
}

#[derive(Debug, Deserialize)]
pub(in crate::client) struct Replication {
    pub(in crate::client) bucket: String,
    #[serde(default)]
    pub(in crate::client) desired: BTreeMap<String, VbSet>,
    pub(in crate::client) links: Vec<Link>,
    pub(in crate::client) moves: Vec<Move>,
}

#[derive(Debug, Deserialize)]
pub(in crate::client) struct Link {
    /// The name of its connections.
    #[serde(default)]
    pub(in crate::client) name: String,
    pub(in crate::client) producer: String,
    pub(in crate::client) connection: u64,
    pub(in crate::client) phase: String,
    pub(in crate::client) last_error: Option<LastError>,
    pub(in crate::client) streams: Vec<Stream>,
}

#[derive(Debug, Deserialize)]
pub(in crate::client) struct Stream {
    pub(in crate::client) vbucket: u64,
    pub(in crate::client) phase: StreamPhase,
    pub(in crate::client) opaque: Option<u64>,
    pub(in crate::client) seqno: Option<u64>,
    pub(in crate::client) lag_seqnos: Option<u64>,
    pub(in crate::client) progress_ms: Option<u64>,
    pub(in crate::client) last_error: Option<LastError>,
    pub(in crate::client) rollbacks_before: Option<u64>,
    pub(in crate::client) complete_to: Option<u64>,
    #[serde(default)]
    pub(in crate::client) not_open_ms: Option<u64>,
}

/// The phase of a stream.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub(in crate::client) enum StreamPhase {
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
pub(in crate::client) struct LastError {
    pub(in crate::client) detail: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::client) struct Move {
    pub(in crate::client) vbucket: u64,
    pub(in crate::client) from: String,
    pub(in crate::client) phase: String,
    pub(in crate::client) estimate: Option<u64>,
    pub(in crate::client) since_ms: u64,
}
