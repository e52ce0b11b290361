//! What replication looks like from outside, ready to be written as JSON.

use replica::bucket::{Cause, FailureKind, LinkPhase, MovePhase, StreamPhase, Tally};
use replica::link::{NodeAnswer, ReasonCode};
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
    pub last_error: Option<Cause>,
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
    /// How far it is.
    pub phase: StreamPhase,
    /// While it rolls back: how many vBuckets of its link the consumer rolls back first.
    pub rollbacks_before: Option<usize>,
    /// Where the consumer's copy may miss rows: the seqno up to which it is complete.
    pub complete_to: Option<u64>,
    /// The opaque of the stream, where one was seen.
    pub opaque: Option<u32>,
    /// Failures since it was last open.
    pub failures: u32,
    /// Why it is not open.
    pub last_error: Option<Cause>,
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
    /// What happened.
    pub reason: ReasonCode,
    /// What a data node answered; `other` for those beyond the first kinds, of which there are few.
    pub status: Option<NodeAnswer>,
    /// How often.
    pub count: u64,
}

impl FailureCount {
    /// Every kind of a tally.
    pub(crate) fn all(tally: &Tally) -> Vec<Self> {
        let count = |(kind, count): (&FailureKind, u64)| Self {
            producer: kind.producer.clone(),
            reason: kind.reason,
            status: kind.answer.clone(),
            count,
        };
        tally.iter().map(count).collect()
    }
}
