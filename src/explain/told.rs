//! What the sidecar says of the vBucket: `GET /api/v1/buckets/{bucket}/vbuckets/{vb}`. What an
//! older sidecar does not say is unknown.

use serde::Deserialize;
use serde_json::Value;

/// What the sidecar says of the vBucket.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) view: View,
    /// The same as it was sent.
    pub(super) body: Value,
}

/// `GET /api/v1/buckets/{bucket}/vbuckets/{vb}`. What an older sidecar does not say is unknown.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct View {
    pub(super) state: String,
    pub(super) meaning: String,
    pub(super) producer: Option<String>,
    pub(super) link: Option<String>,
    pub(super) link_status: Option<Link>,
    pub(super) stream: Option<Stream>,
    pub(super) paused: bool,
    #[serde(rename = "move")]
    pub(super) moving: Option<Move>,
    pub(super) active_here: Option<bool>,
    pub(super) events: Vec<Event>,
}

impl View {
    /// The producer that it is to come from. What is active at our node, without a stream that is
    /// held back, was taken over: an older sidecar names its former producer.
    pub(super) fn wanted_from(&self) -> Option<&str> {
        let is_ours = self.active_here == Some(true) && self.stream.is_none() && !self.paused;
        self.producer.as_deref().filter(|_| !is_ours)
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Link {
    pub(super) phase: String,
    pub(super) phase_since: Option<String>,
    pub(super) bytes_per_s: Option<u64>,
    pub(super) frames_per_s: Option<u64>,
    pub(super) last_error: Option<String>,
    pub(super) retry_in_ms: Option<u64>,
    pub(super) producer_silent_ms: Option<u64>,
    pub(super) consumer_silent_ms: Option<u64>,
    pub(super) window_bytes: Option<u64>,
    pub(super) unacked_bytes: Option<u64>,
    pub(super) prepare_ack_us: Option<u64>,
    pub(super) prepare_waiting_ms: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stream {
    pub(super) phase: String,
    pub(super) rollbacks_before: Option<u64>,
    pub(super) complete_to: Option<u64>,
    pub(super) failures: u64,
    pub(super) last_error: Option<LastError>,
    pub(super) retry_in_ms: Option<u64>,
    pub(super) lag_seqnos: Option<u64>,
    pub(super) lag_ms: Option<u64>,
    pub(super) lag_age_ms: Option<u64>,
    pub(super) not_open_ms: Option<u64>,
    pub(super) progress_ms: Option<u64>,
    pub(super) passed_seqno: Option<u64>,
    pub(super) passed_bytes: u64,
    pub(super) passed_frames: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LastError {
    pub(super) detail: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Move {
    pub(super) from: String,
    pub(super) phase: String,
    pub(super) estimate: Option<u64>,
    pub(super) since_ms: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Event {
    pub(super) time: String,
    pub(super) level: String,
    pub(super) kind: String,
    pub(super) text: String,
}
