//! What a machine looks like from outside: for status pages, logs and tests.

use serde::Serialize;

/// A machine at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Snapshot {
    /// `idle`, `setting-up`, `taking-over` or `shut`.
    pub phase: &'static str,
    /// Every vBucket that is open or being worked on, in ascending order.
    pub vbuckets: Vec<VbSnapshot>,
}

/// One vBucket at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct VbSnapshot {
    /// The vBucket id.
    pub vbucket: u16,
    /// What is being done about it.
    pub phase: VbPhase,
    /// The stream's opaque, once its STREAM_REQ was seen.
    pub opaque: Option<u32>,
}

/// What is being done about one vBucket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VbPhase {
    /// ADD_STREAM was sent, and the consumer has not asked for the stream yet.
    Adding,
    /// STREAM_REQ passed, and the producer has not answered yet.
    Requested,
    /// The producer accepted, and the consumer has not answered ADD_STREAM yet.
    Accepted,
    /// The producer refused, and the consumer has not answered ADD_STREAM yet.
    Refused,
    /// The stream is open.
    Open,
    /// The stream of a takeover is open, and the vBucket is not active yet.
    Moving,
    /// CLOSE_STREAM was sent.
    Closing,
}
