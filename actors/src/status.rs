//! What replication looks like from outside, ready to be written as JSON.

use serde::Serialize;

/// One bucket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BucketStatus {
    /// The bucket.
    pub bucket: String,
    /// Its links, by producer and connection number.
    pub links: Vec<LinkStatus>,
}

/// How far a link is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkPhase {
    /// Connections are being opened.
    Connecting,
    /// Both connections are open.
    Up,
    /// Down after a failure; will be opened again.
    Waiting,
    /// Streams are being closed; it ends after that.
    Closing,
    /// Ended on purpose.
    Stopped,
}

/// One link.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LinkStatus {
    /// The producer.
    pub producer: String,
    /// The number of the connection, from 0.
    pub connection: u8,
    /// The name of its DCP connections.
    pub name: String,
    /// How far it is.
    pub phase: LinkPhase,
    /// Links that failed in a row before this one.
    pub failures: u32,
    /// Why the last link ended or could not be opened; `None` once it is up.
    pub last_error: Option<String>,
    /// How many streams are wanted.
    pub wanted: usize,
    /// How many of them are open.
    pub open: usize,
    /// Bytes from producer to consumer, over this link's present life.
    pub bytes: u64,
    /// Frames from producer to consumer, over this link's present life.
    pub frames: u64,
    /// Milliseconds since the producer was last heard; `None` while not connected.
    pub producer_silent_ms: Option<u64>,
    /// Milliseconds since the consumer was last heard; `None` while not connected.
    pub consumer_silent_ms: Option<u64>,
    /// Every wanted vBucket.
    pub streams: Vec<StreamStatus>,
}

/// One stream.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StreamStatus {
    /// The vBucket.
    pub vbucket: u16,
    /// `due`, `asked`, `open` or `waiting`.
    pub phase: &'static str,
    /// The opaque of the stream, where one was seen.
    pub opaque: Option<u32>,
    /// Failures since it was last open.
    pub failures: u32,
    /// Why it is not open.
    pub last_error: Option<String>,
}
