//! What replication looks like from outside, ready to be written as JSON.

use std::time::Duration;

use serde::Serialize;

/// One bucket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BucketStatus {
    /// The bucket.
    pub bucket: String,
    /// Connections for each producer.
    pub connections: u8,
    /// Its links, by producer and connection number.
    pub links: Vec<LinkStatus>,
    /// vBuckets that are being moved here, or wait for their turn.
    pub moves: Vec<MoveStatus>,
    /// When the data nodes were last heard.
    pub nodes: Vec<NodeStatus>,
    /// vBuckets that fail again and again and are tried at the slowest pace only.
    pub broken: Vec<BrokenStatus>,
    /// Streams that failed or ended since the start, by what was the matter.
    pub stream_failures: Vec<FailureCount>,
    /// Links that were lost, or could not be opened, since the start.
    pub link_failures: Vec<FailureCount>,
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
    /// Why the last link ended or could not be opened; `None` once a stream is open.
    pub last_error: Option<LastError>,
    /// Why it was last found stalled and restarted; `None` once data moves again.
    pub stall: Option<String>,
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
    /// `due`, `asked`, `rolling-back`, `open` or `waiting`.
    pub phase: &'static str,
    /// While it rolls back: how many vBuckets of its link the consumer rolls back first.
    pub rollbacks_before: Option<usize>,
    /// Where the consumer's copy may miss rows: the seqno up to which it is complete.
    pub complete_to: Option<u64>,
    /// The opaque of the stream, where one was seen.
    pub opaque: Option<u32>,
    /// Failures since it was last open.
    pub failures: u32,
    /// Why it is not open.
    pub last_error: Option<LastError>,
    /// The high seqno of the consumer, where it is known.
    pub seqno: Option<u64>,
    /// The high seqno of the producer, where it is known.
    pub producer_seqno: Option<u64>,
    /// By how many seqnos the consumer is behind, where both are known.
    pub lag_seqnos: Option<u64>,
    /// For how many milliseconds the consumer has been behind what the producer had then.
    pub lag_ms: Option<u64>,
    /// Milliseconds since the consumer's seqno was last seen to change.
    pub progress_ms: Option<u64>,
    /// The last seqno seen on its way, over this link's present life. A sample, as are the next two
    /// ([`relay::VbSample`]).
    pub passed_seqno: Option<u64>,
    /// About how many bytes passed, over this link's present life.
    pub passed_bytes: u64,
    /// About how many frames passed, over this link's present life.
    pub passed_frames: u64,
}

impl StreamStatus {
    /// Whether the consumer rolls its copy back before the stream can open.
    #[must_use]
    pub fn is_rolling_back(&self) -> bool {
        self.phase == ROLLING_BACK
    }
}

/// The phase of a stream whose consumer rolls its copy back.
pub(crate) const ROLLING_BACK: &str = "rolling-back";

/// Why something is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LastError {
    /// One word for programs, such as `stream-end`, `link-lost`, `stalled` or `loop`.
    pub reason: String,
    /// What a data node answered, by name and number; `None` where none did.
    pub status: Option<String>,
    /// The whole story in one line, for a person.
    pub detail: String,
    /// When it is tried again, such as `after-backoff`.
    pub retry: String,
}

impl std::fmt::Display for LastError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

/// A vBucket on its way from another node to ours.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct MoveStatus {
    /// The bucket.
    pub bucket: String,
    /// The vBucket.
    pub vbucket: u16,
    /// The producer that has it.
    pub from: String,
    /// How far it is.
    pub phase: MovePhase,
    /// Changes that the producer still has to send, by its own estimate.
    pub estimate: Option<u64>,
    /// Milliseconds since it was asked for.
    pub since_ms: u64,
}

/// How far a move is; the phases come in this order, and a takeover begins with `closing`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MovePhase {
    /// Other commands of this bucket come first.
    Queued,
    /// The vBucket is being replicated here.
    Opening,
    /// The producer still has much to send.
    Copying,
    /// A stream from a third node is being closed, or the link opened.
    Closing,
    /// The vBucket changes its owner.
    TakingOver,
    /// That failed, and both nodes are asked what they have.
    Examining,
}

/// A vBucket that has become ours.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Moved {
    /// The bucket.
    pub bucket: String,
    /// The vBucket.
    pub vbucket: u16,
    /// The producer that had it.
    pub from: String,
    /// How long it took, from the question to the answer.
    pub elapsed_ms: u64,
}

/// A data node as seen from one bucket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NodeStatus {
    /// The node.
    pub node: String,
    /// Milliseconds since it last sent anything, on whatever connection; `None` for never.
    pub silent_ms: Option<u64>,
    /// Why its seqnos are not known, where it was asked and did not say.
    pub control_error: Option<String>,
    /// What somebody has to look into though it answers.
    pub warning: Option<String>,
}

/// A vBucket that fails again and again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BrokenStatus {
    /// The vBucket.
    pub vbucket: u16,
    /// The kind of loop: `rollback`, `invalid-request` or `flapping`.
    pub kind: &'static str,
    /// How often it failed since the loop began.
    pub failures: u64,
    /// Milliseconds since it was found to be broken.
    pub since_ms: u64,
}

/// How often one and the same failed, ever.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FailureCount {
    /// The producer.
    pub producer: String,
    /// As [`LastError::reason`].
    pub reason: String,
    /// As [`LastError::status`]; `other` for those beyond the first kinds, of which there are few.
    pub status: Option<String>,
    /// How often.
    pub count: u64,
}

/// Whole milliseconds, as status pages count them.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
