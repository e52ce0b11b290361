//! The rows of the overview: buckets, links, moves, embedded nodes.

use dcp_actors::schema::{LinkPhaseWord, MovePhaseWord};
use dcp_actors::{BucketStatus, LinkPhase, LinkStatus, MovePhase, MoveStatus};
use desired::BucketMaps;
use replica::plan::VBUCKETS_MAX;
use serde::Serialize;
use utoipa::ToSchema;

use super::look::Watched;
use super::memory::{self, Memory};
use super::state::{EmbeddedFacts, State};
use super::views::{self, BucketView};
use crate::clock::utc;
use crate::sources::Maps;
use crate::vb_state;

/// A bucket.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewBucket)]
pub(super) struct BucketRow {
    /// As in `GET /api/v1/status`.
    #[serde(flatten)]
    status: BucketView,
    /// The length of `states`.
    vbuckets: u16,
    /// The state of each vBucket, one character each; see `legend`.
    states: String,
    /// Bytes from producers in a second, over the last seconds; null where that is not known yet.
    bytes_per_s: Option<u64>,
    /// Frames from producers in a second: changes, and a few that keep connections alive.
    frames_per_s: Option<u64>,
}

/// A link.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewLink)]
pub(super) struct LinkRow {
    /// The bucket.
    bucket: String,
    /// The producer.
    producer: String,
    /// The number of the connection, from 0.
    connection: u8,
    /// The name of its DCP connections.
    name: String,
    /// Its phase.
    #[schema(value_type = LinkPhaseWord)]
    phase: LinkPhase,
    /// Streams that should be open.
    wanted: usize,
    /// Streams that are.
    open: usize,
    /// Incarnations that failed in a row.
    failures: u32,
    /// Bytes from producer to consumer since the start of the process.
    bytes_total: u64,
    /// Frames from producer to consumer since the start of the process.
    frames_total: u64,
    /// Bytes in a second, over the last seconds; null where that is not known yet.
    bytes_per_s: Option<u64>,
    /// Frames in a second.
    frames_per_s: Option<u64>,
    /// The largest lag of a stream in milliseconds; null where nothing is wanted.
    lag_ms: Option<u64>,
    /// The largest known lag of a stream; null where none is known.
    lag_seqnos: Option<u64>,
    /// Streams whose lag is unknown.
    lag_unknown: usize,
    /// The window of flow control; null without one.
    window_bytes: Option<u64>,
    /// What the consumer has not acknowledged; null without a window.
    unacked_bytes: Option<u64>,
    /// Microseconds from a prepare of a durable write to the consumer's acknowledgement, the last
    /// time that was sampled; null before that.
    prepare_ack_us: Option<u64>,
    /// Milliseconds for which a sampled prepare has waited for it, the longest; null if none waits.
    prepare_waiting_ms: Option<u64>,
    /// Why it was last lost or could not be opened; null once a stream is open.
    last_error: Option<String>,
    /// Milliseconds until it is opened again; null unless it waits for that.
    retry_in_ms: Option<u64>,
    /// Milliseconds since the producer last sent anything; null while not connected.
    producer_silent_ms: Option<u64>,
    /// Milliseconds since the consumer last sent anything; null while not connected.
    consumer_silent_ms: Option<u64>,
    /// Since when it has its phase, to a few seconds; null where it had it when it was first seen.
    phase_since: Option<String>,
}

/// A move.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewMove)]
pub(super) struct MoveRow {
    /// The bucket.
    bucket: String,
    /// The vBucket.
    vbucket: u16,
    /// The producer that has it.
    from: String,
    /// Its phase.
    #[schema(value_type = MovePhaseWord)]
    phase: MovePhase,
    /// Changes that the producer still has to send, by its own estimate.
    estimate: Option<u64>,
    /// The largest estimate so far, from which progress is measured.
    estimate_first: Option<u64>,
    /// Milliseconds since the command was queued.
    since_ms: u64,
}

/// A data node inside this process. A figure is null where it is not known.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewEmbedded)]
pub(super) struct EmbeddedRow {
    /// As in `GET /api/v1/status`.
    #[serde(flatten)]
    facts: EmbeddedFacts,
    /// Its documents, to a few seconds.
    documents: Option<u64>,
    /// The bytes of its files, to a few seconds.
    disk_bytes: Option<u64>,
    /// Memory in use, counted towards the quota.
    memory_bytes: Option<u64>,
    /// The memory quota.
    quota_bytes: Option<u64>,
    /// Open connections.
    connections: Option<u64>,
    /// Documents written by clients since the start.
    sets_total: Option<u64>,
    /// Documents requested by clients since the start.
    gets_total: Option<u64>,
    /// Batches written to disk since the start.
    commits_total: Option<u64>,
}

/// A bucket that differs from its source.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OverviewDrift)]
pub(super) struct DriftRow {
    /// The bucket.
    bucket: String,
    /// vBuckets and settings that differ.
    count: usize,
}

impl BucketRow {
    /// A bucket with the states of its vBuckets.
    pub(super) fn of(
        view: BucketView,
        bucket: &BucketStatus,
        maps: &Maps,
        memory: &Memory,
    ) -> Self {
        let paused = maps.bucket(&bucket.bucket).map(BucketMaps::paused_wanted).unwrap_or_default();
        let states = vb_state::of_bucket(bucket, &paused);
        let rates: Option<Vec<_>> = bucket
            .links
            .iter()
            .map(|link| memory.rate(&memory::link_key(&bucket.bucket, link)))
            .collect();
        let sum = |of: fn(&memory::Rate) -> f64| {
            rates.as_ref().map(|rates| memory::whole(rates.iter().map(of).sum()))
        };
        Self {
            status: view,
            vbuckets: VBUCKETS_MAX,
            states: states.iter().map(|state| state.char()).collect(),
            bytes_per_s: sum(|rate| rate.bytes),
            frames_per_s: sum(|rate| rate.frames),
        }
    }
}

impl LinkRow {
    /// A link, with what is remembered of it.
    pub(super) fn of(bucket: &BucketStatus, link: &LinkStatus, memory: &Memory) -> Self {
        let key = memory::link_key(&bucket.bucket, link);
        let rate = memory.rate(&key);
        let streams = || link.streams.iter();
        Self {
            bucket: bucket.bucket.clone(),
            producer: link.producer.clone(),
            connection: link.connection,
            name: link.name.clone(),
            phase: link.phase,
            wanted: link.wanted,
            open: link.open,
            failures: link.failures,
            bytes_total: link.bytes_total,
            frames_total: link.frames_total,
            bytes_per_s: rate.map(|rate| memory::whole(rate.bytes)),
            frames_per_s: rate.map(|rate| memory::whole(rate.frames)),
            lag_ms: streams().filter_map(|stream| stream.lag_ms).max(),
            lag_seqnos: streams().filter_map(|stream| stream.lag_seqnos).max(),
            lag_unknown: views::lag_unknown(link),
            window_bytes: link.window_bytes,
            unacked_bytes: link.unacked_bytes,
            prepare_ack_us: link.prepare_ack_us,
            prepare_waiting_ms: link.prepare_waiting_ms,
            last_error: link.last_error.as_ref().map(|cause| cause.detail(None)),
            retry_in_ms: link.retry_in_ms,
            producer_silent_ms: link.producer_silent_ms,
            consumer_silent_ms: link.consumer_silent_ms,
            phase_since: memory.phase_since(&key).map(utc),
        }
    }
}

impl MoveRow {
    /// A move, with what is remembered of it.
    pub(super) fn of(moving: &MoveStatus, memory: &Memory) -> Self {
        Self {
            bucket: moving.bucket.clone(),
            vbucket: moving.vbucket,
            from: moving.from.clone(),
            phase: moving.phase,
            estimate: moving.estimate,
            estimate_first: memory.estimate_first(moving),
            since_ms: moving.since_ms,
        }
    }
}

/// The data nodes inside this process.
pub(super) fn embedded(state: &State, watched: &Watched) -> Vec<EmbeddedRow> {
    let Some(running) = state.running() else { return Vec::new() };
    let slow = watched.slow();
    let row = |(at, facts): (usize, &EmbeddedFacts)| {
        let figures = running.gauges.get(at).and_then(kvnode::NodeGauges::figures);
        let weighed = slow.weighed.get(at).copied().flatten();
        EmbeddedRow {
            facts: facts.clone(),
            documents: weighed.map(|(documents, _)| documents),
            disk_bytes: weighed.map(|(_, bytes)| bytes),
            memory_bytes: figures.map(|it| it.memory_bytes),
            quota_bytes: figures.map(|it| it.quota_bytes),
            connections: figures.map(|it| it.connections),
            sets_total: figures.map(|it| it.sets),
            gets_total: figures.map(|it| it.gets),
            commits_total: figures.map(|it| it.commits),
        }
    };
    running.embedded.iter().enumerate().map(row).collect()
}

/// The buckets that differ from their source.
pub(super) fn drift(buckets: &[BucketRow]) -> Vec<DriftRow> {
    let drifted = buckets.iter().filter(|row| row.status.drift > 0);
    let row =
        |row: &BucketRow| DriftRow { bucket: row.status.bucket.clone(), count: row.status.drift };
    drifted.map(row).collect()
}
