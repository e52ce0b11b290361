//! The status of replication, serialized as JSON by the admin API.

use mcbp::Side;
use replica::bucket::{Cause, FailureKind, LinkPhase, MovePhase, MovesDone, StreamPhase, Tally};
use replica::link::{NodeAnswer, ReasonCode};
use replica::loops::LoopKind;
use replica::plan::VbSet;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::schema::{
    CauseFields, LinkPhaseWord, LoopWord, MovePhaseWord, MovesDoneFields, ReasonWord, SideWord,
    StreamPhaseWord, VbSetText,
};

/// One bucket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct BucketStatus {
    /// The bucket.
    pub bucket: String,
    /// Connections for each producer.
    pub connections: u8,
    /// Its links, by producer and connection number.
    pub links: Vec<LinkStatus>,
    /// The queued and running moves to this node.
    pub moves: Vec<MoveStatus>,
    /// The moves that have ended since the start of the bucket.
    #[schema(value_type = MovesDoneFields)]
    pub moves_done: MovesDone,
    /// The vBuckets that are active at our node, by its last report; none of them is asked for.
    /// `None` while that is unknown: before the first report, where the node does not say, where
    /// its last report is old, and where nodes are not polled.
    #[schema(value_type = Option<VbSetText>)]
    pub active_here: Option<VbSet>,
    /// The data nodes of this bucket.
    pub nodes: Vec<NodeStatus>,
    /// vBuckets in a retry loop, which are retried at the longest backoff only.
    pub broken: Vec<BrokenStatus>,
    /// Streams that failed or ended since the start, by kind.
    pub stream_failures: Vec<FailureCount>,
    /// Links that were lost or could not be opened since the start, by kind.
    pub link_failures: Vec<FailureCount>,
    /// Copies that lost changes in a rollback within the last hour. The problems tell of them.
    #[serde(skip)]
    pub rolled_back: Vec<RolledBackStatus>,
}

/// A copy that lost changes in a rollback.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RolledBackStatus {
    /// The vBucket.
    pub vbucket: u16,
    /// The producer that lacked the changes.
    pub producer: String,
    /// The seqno of the copy before.
    pub from: u64,
    /// The seqno of the copy after.
    pub to: u64,
    /// Milliseconds since then.
    pub since_ms: u64,
}

/// One link.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct LinkStatus {
    /// The producer.
    pub producer: String,
    /// The number of the connection, from 0.
    #[schema(examples(0))]
    pub connection: u8,
    /// The name of its DCP connections.
    #[schema(examples("replication:alpha->beta:default"))]
    pub name: String,
    /// Its phase.
    #[schema(value_type = LinkPhaseWord)]
    pub phase: LinkPhase,
    /// Incarnations that failed in a row, until one has worked for long enough.
    pub failures: u32,
    /// The retry loop that it is in, if any; it is opened at the longest backoff only.
    pub broken: Option<BrokenLinkStatus>,
    /// Why the last incarnation ended or could not be opened; `None` once a stream is open.
    #[schema(value_type = Option<CauseFields>)]
    pub last_error: Option<Cause>,
    /// Milliseconds until it is opened again; `None` unless it waits for that.
    pub retry_in_ms: Option<u64>,
    /// The last stall, after which the link was restarted; `None` once data moves again.
    pub stall: Option<String>,
    /// The number of wanted streams.
    pub wanted: usize,
    /// The number of open streams.
    pub open: usize,
    /// Bytes from producer to consumer in the present incarnation.
    pub bytes: u64,
    /// Frames from producer to consumer in the present incarnation.
    pub frames: u64,
    /// Bytes since the start of the process, over all incarnations.
    pub bytes_total: u64,
    /// Frames since the start of the process, over all incarnations.
    pub frames_total: u64,
    /// The flow-control window that the consumer asked for; `None` while it has asked for none.
    pub window_bytes: Option<u64>,
    /// What passed and the consumer has not acknowledged: an estimate, because not every frame
    /// counts, and at most the window. `None` without a window.
    pub unacked_bytes: Option<u64>,
    /// Microseconds from a prepare of a durable write to the consumer's acknowledgement, the last
    /// time that was sampled; `None` before that.
    pub prepare_ack_us: Option<u64>,
    /// Milliseconds for which a sampled prepare of an open stream has waited for the consumer's
    /// acknowledgement, the longest; `None` if none waits.
    pub prepare_waiting_ms: Option<u64>,
    /// Milliseconds since the producer last sent anything; `None` while not connected.
    pub producer_silent_ms: Option<u64>,
    /// Milliseconds since the consumer last sent anything; `None` while not connected.
    pub consumer_silent_ms: Option<u64>,
    /// Every wanted vBucket.
    pub streams: Vec<StreamStatus>,
}

/// One stream.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct StreamStatus {
    /// The vBucket.
    pub vbucket: u16,
    /// Its phase.
    #[schema(value_type = StreamPhaseWord)]
    pub phase: StreamPhase,
    /// While it rolls back: the number of vBuckets of its link that the consumer rolls back before
    /// it.
    pub rollbacks_before: Option<usize>,
    /// For an incomplete copy, the seqno up to which it is complete.
    pub complete_to: Option<u64>,
    /// The opaque of the stream, once its STREAM_REQ was seen.
    pub opaque: Option<u32>,
    /// Failures in a row, until it has been open for long enough.
    pub failures: u32,
    /// Why it is not open.
    #[schema(value_type = Option<CauseFields>)]
    pub last_error: Option<Cause>,
    /// Milliseconds until it is asked for again; `None` unless it waits for that.
    pub retry_in_ms: Option<u64>,
    /// The high seqno of the consumer, if known.
    pub seqno: Option<u64>,
    /// The high seqno of the producer, if known.
    pub producer_seqno: Option<u64>,
    /// The lag in seqnos, if known.
    pub lag_seqnos: Option<u64>,
    /// The lag in milliseconds: the age of the oldest producer seqno that the consumer lacks. Where
    /// that is unknown, it grows by the clock: since it was last known that nothing was missing, or
    /// since the stream is not open. `None` only where the nodes are not polled.
    pub lag_ms: Option<u64>,
    /// Milliseconds since both nodes reported the seqnos that the lag rests on; `None` for never.
    pub lag_age_ms: Option<u64>,
    /// Milliseconds for which the stream has not been open, to the interval of samples; `None`
    /// while it is open.
    pub not_open_ms: Option<u64>,
    /// Milliseconds since the consumer's seqno last changed.
    pub progress_ms: Option<u64>,
    /// The last seqno that passed in the present incarnation. A sample, as are the next two: exact
    /// at low rates, approximate in a backfill.
    pub passed_seqno: Option<u64>,
    /// Estimated bytes that passed in the present incarnation.
    pub passed_bytes: u64,
    /// Estimated frames that passed in the present incarnation.
    pub passed_frames: u64,
}

/// A queued or running move of a vBucket to this node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct MoveStatus {
    /// The bucket.
    pub bucket: String,
    /// The vBucket.
    pub vbucket: u16,
    /// The producer that has it.
    pub from: String,
    /// Its phase.
    #[schema(value_type = MovePhaseWord)]
    pub phase: MovePhase,
    /// Changes that the producer still has to send, by its own estimate.
    pub estimate: Option<u64>,
    /// Milliseconds since the command was queued.
    pub since_ms: u64,
}

/// A vBucket that became active here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct Moved {
    /// The bucket.
    pub bucket: String,
    /// The vBucket.
    pub vbucket: u16,
    /// The producer that had it.
    pub from: String,
    /// Milliseconds from the command to its answer.
    pub elapsed_ms: u64,
}

/// A data node of one bucket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct NodeStatus {
    /// The node.
    pub node: String,
    /// Its role: `consumer` or `producer`.
    #[serde(serialize_with = "word")]
    #[schema(value_type = SideWord)]
    pub side: Side,
    /// Milliseconds since it last sent anything, on any connection of the bucket; `None` for never.
    pub silent_ms: Option<u64>,
    /// Milliseconds since it last sent anything, or since it is asked; `None` for a node that is
    /// not asked.
    pub unheard_ms: Option<u64>,
    /// Whether it is heard on no connection for longer than `stall_ms` although it is asked.
    pub unresponsive: bool,
    /// The error of its last poll, if that failed.
    pub control_error: Option<String>,
    /// A warning for the operator about a node that answers.
    pub warning: Option<String>,
}

fn word<S: Serializer>(side: &Side, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(side)
}

/// A vBucket in a retry loop.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct BrokenStatus {
    /// The vBucket.
    pub vbucket: u16,
    /// The kind of loop.
    #[schema(value_type = LoopWord)]
    pub kind: LoopKind,
    /// The number of failures since the loop began.
    pub failures: u64,
    /// Milliseconds since the loop was detected.
    pub since_ms: u64,
}

/// The retry loop of a link.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct BrokenLinkStatus {
    /// The kind of loop: `flapping` for a link that comes up and falls at once, `rival` for another
    /// sidecar that uses its connection name.
    #[schema(value_type = LoopWord)]
    pub kind: LoopKind,
    /// Incarnations that failed in a row.
    pub failures: u32,
    /// Milliseconds since the loop was detected.
    pub since_ms: u64,
    /// Why the last incarnation ended.
    pub detail: String,
}

/// The number of failures of one kind since the start.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct FailureCount {
    /// The producer.
    pub producer: String,
    /// The side at fault, if one is.
    #[serde(serialize_with = "side_name")]
    #[schema(value_type = Option<SideWord>)]
    pub side: Option<Side>,
    /// What happened.
    #[schema(value_type = ReasonWord)]
    pub reason: ReasonCode,
    /// What a data node answered; `other` after the bound on separately counted answers.
    #[schema(value_type = Option<String>)]
    pub status: Option<NodeAnswer>,
    /// The number of failures.
    pub count: u64,
}

impl FailureCount {
    /// Returns every kind of a tally.
    pub(crate) fn all(tally: &Tally) -> Vec<Self> {
        let count = |(kind, count): (&FailureKind, u64)| Self {
            producer: kind.producer.clone(),
            side: kind.side,
            reason: kind.reason,
            status: kind.answer.clone(),
            count,
        };
        tally.iter().map(count).collect()
    }
}

fn side_name<S: Serializer>(side: &Option<Side>, serializer: S) -> Result<S::Ok, S::Error> {
    side.map(|side| side.to_string()).serialize(serializer)
}
