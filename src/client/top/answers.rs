//! The answers that `top` reads, as far as it shows them. A field that is missing is unknown, and
//! one that is not known here is ignored, so that sidecars of other versions can be shown too.

use serde::Deserialize;

/// `GET /api/v1/overview`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Overview {
    pub(super) at: Option<String>,
    pub(super) version: String,
    pub(super) uptime_ms: Option<u64>,
    pub(super) phase: String,
    pub(super) ready: Option<bool>,
    /// The worst first.
    pub(super) problems: Option<Vec<Problem>>,
    pub(super) headline: Option<String>,
    pub(super) node: Node,
    pub(super) producers: Vec<Node>,
    pub(super) buckets: Vec<Bucket>,
    pub(super) links: Vec<Link>,
    pub(super) moves: Vec<Move>,
    pub(super) embedded: Vec<Embedded>,
    pub(super) events_newest: Option<String>,
    pub(super) legend: Vec<Legend>,
}

/// What is wrong, in words.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Problem {
    pub(super) severity: String,
    pub(super) what: String,
    pub(super) since: Option<String>,
    pub(super) remedy: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) silent_ms: Option<u64>,
    pub(super) unresponsive: Option<bool>,
    pub(super) error: Option<String>,
    pub(super) warning: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Bucket {
    pub(super) bucket: String,
    pub(super) wanted: Option<u64>,
    pub(super) open: Option<u64>,
    pub(super) failed: Option<u64>,
    pub(super) moving: Option<u64>,
    pub(super) paused: Option<u64>,
    pub(super) drift: Option<u64>,
    pub(super) lag_ms_max: Option<u64>,
    pub(super) lag_seqnos_max: Option<u64>,
    pub(super) lag_unknown: Option<u64>,
    /// The state of each vBucket, one character each.
    pub(super) states: Option<String>,
    pub(super) bytes_per_s: Option<f64>,
    pub(super) frames_per_s: Option<f64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Link {
    pub(super) bucket: String,
    pub(super) producer: String,
    pub(super) connection: u64,
    pub(super) phase: String,
    pub(super) wanted: Option<u64>,
    pub(super) open: Option<u64>,
    pub(super) failures: Option<u64>,
    pub(super) bytes_per_s: Option<f64>,
    pub(super) frames_per_s: Option<f64>,
    pub(super) lag_ms: Option<u64>,
    pub(super) lag_seqnos: Option<u64>,
    pub(super) lag_unknown: Option<u64>,
    pub(super) last_error: Option<ErrorText>,
}

/// An error, as text or as an object with the text.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum ErrorText {
    Text(String),
    Detail { detail: String },
}

impl ErrorText {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Detail { detail: text } => text,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Move {
    pub(super) bucket: String,
    pub(super) vbucket: u64,
    pub(super) from: String,
    pub(super) phase: String,
    pub(super) estimate: Option<u64>,
    pub(super) estimate_first: Option<u64>,
    pub(super) since_ms: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Embedded {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) durability: String,
    pub(super) documents: Option<u64>,
    pub(super) disk_bytes: Option<u64>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) quota_bytes: Option<u64>,
    pub(super) connections: Option<u64>,
    pub(super) sets_total: Option<u64>,
    pub(super) gets_total: Option<u64>,
    pub(super) commits_total: Option<u64>,
}

/// The meaning of a character in the states of a bucket.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Legend {
    pub(super) char: char,
    pub(super) word: String,
    pub(super) severity: String,
}

/// `GET /api/v1/history`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct History {
    pub(super) interval_ms: Option<u64>,
    pub(super) links: Vec<Past>,
}

/// The past of a link, oldest first.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Past {
    pub(super) bucket: String,
    pub(super) producer: String,
    pub(super) connection: u64,
    pub(super) samples: Samples,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Samples {
    pub(super) bytes_per_s: Vec<Option<f64>>,
    pub(super) lag_ms: Vec<Option<f64>>,
}

/// `GET /api/v1/events` as a list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Events {
    pub(super) gap: Option<Gap>,
    pub(super) events: Vec<Happened>,
    pub(super) next: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Gap {
    pub(super) text: String,
}

/// An event.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Happened {
    pub(super) time: String,
    pub(super) level: String,
    pub(super) kind: String,
    pub(super) bucket: Option<String>,
    pub(super) link: Option<String>,
    pub(super) node: Option<String>,
    pub(super) vbuckets: Option<String>,
    pub(super) more: u64,
    pub(super) text: String,
}

/// `GET /api/v1/buckets/BUCKET/vbuckets/VB`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Detail {
    pub(super) bucket: String,
    pub(super) vbucket: u64,
    pub(super) state: String,
    pub(super) meaning: Option<String>,
    pub(super) producer: Option<String>,
    pub(super) connection: Option<u64>,
    pub(super) stream: Option<Stream>,
    pub(super) paused: Option<bool>,
    #[serde(rename = "move")]
    pub(super) moving: Option<Move>,
    pub(super) active_here: Option<bool>,
    pub(super) events: Vec<Happened>,
}

/// The stream of a vBucket.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stream {
    pub(super) phase: String,
    pub(super) failures: Option<u64>,
    pub(super) last_error: Option<ErrorText>,
    pub(super) seqno: Option<u64>,
    pub(super) producer_seqno: Option<u64>,
    pub(super) lag_seqnos: Option<u64>,
    pub(super) lag_ms: Option<u64>,
    pub(super) not_open_ms: Option<u64>,
    pub(super) progress_ms: Option<u64>,
}
