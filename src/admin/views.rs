//! The bodies of `GET /api/v1/status` and `GET /api/v1/replications`.

use std::collections::BTreeMap;

use ::desired::BucketMaps;
use dcp_actors::schema::VbSetText;
use dcp_actors::{BucketStatus, LinkPhase, LinkStatus, NodeStatus, StreamPhase};
use mcbp::VbId;
use replica::plan::VbSet;
use serde::Serialize;
use utoipa::ToSchema;

use super::desired::{self, SourceView};
use super::reload::ConfigView;
use super::state::{EmbeddedFacts, State};
use super::verify_views::Summary;

/// The phase of the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// Replication has not started yet.
    Starting,
    /// Replication runs.
    Running,
    /// The process is being stopped.
    Stopping,
}

impl Phase {
    pub(super) fn of(state: &State) -> Self {
        match state.running() {
            _ if state.stop.is_cancelled() => Self::Stopping,
            Some(_) => Self::Running,
            None => Self::Starting,
        }
    }
}

/// A summary of the process.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Status)]
pub(super) struct StatusView {
    pub(super) version: &'static str,
    pub(super) uptime_ms: u64,
    pub(super) phase: Phase,
    /// As in `GET /ready`.
    pub(super) ready: bool,
    /// Why it is not ready; empty when it is.
    pub(super) not_ready: Vec<String>,
    /// The data node this sidecar serves.
    pub(super) node: NodeView,
    pub(super) producers: Vec<NodeView>,
    pub(super) buckets: Vec<BucketView>,
    pub(super) embedded: Vec<EmbeddedFacts>,
    /// The configuration, and how its last reload went.
    pub(super) config: ConfigView,
    /// Where the desired maps come from.
    pub(super) source: SourceView,
}

/// A data node.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Node)]
pub(super) struct NodeView {
    name: String,
    /// Milliseconds since it last sent anything, on any connection; `None` for never.
    silent_ms: Option<u64>,
    /// Whether it is heard on no connection for longer than `stall_ms` although it is asked.
    unresponsive: bool,
    /// The error of its last poll, if that failed; the first of those of all buckets.
    error: Option<String>,
    /// A problem of a node that answers, which needs an operator; the first of those of all
    /// buckets.
    warning: Option<String>,
}

/// A bucket in numbers.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = BucketSummary)]
pub(super) struct BucketView {
    pub(super) bucket: String,
    /// Counts changes of what is wanted.
    revision: u64,
    /// vBuckets and settings that differ from what their source says.
    pub(super) drift: usize,
    /// vBuckets that are wanted and paused.
    paused: usize,
    connections: u8,
    links: usize,
    links_up: usize,
    /// Streams that should be open.
    wanted: usize,
    open: usize,
    /// Of the open ones, those with an unresponsive node.
    unresponsive: usize,
    /// Streams that are not open because of an error.
    failed: usize,
    /// Copies here that may miss rows below their high seqno, and are rolled back before they open.
    incomplete: usize,
    /// vBuckets that are being moved here or wait for that.
    moving: usize,
    /// The largest known lag of a stream; `None` where none is known.
    lag_seqnos_max: Option<u64>,
    /// Streams whose lag is unknown; `lag_seqnos_max` does not cover them.
    lag_unknown: usize,
    /// The largest lag of a stream in milliseconds; an unknown one grows by the clock. `None`
    /// where nothing is wanted.
    lag_ms_max: Option<u64>,
    /// Milliseconds since the oldest report that the lag rests on; `None` where there is none.
    lag_age_ms_max: Option<u64>,
    /// Microseconds from a prepare of a durable write to our node's acknowledgement, the last
    /// time that was sampled, on the slowest link; `None` before that.
    prepare_ack_us_max: Option<u64>,
    /// Milliseconds for which a sampled prepare has waited for that, the longest; `None` if none
    /// waits.
    prepare_waiting_ms_max: Option<u64>,
    /// What comparisons of its copies with their producers have found.
    verify: Summary,
}

impl StatusView {
    pub(super) fn of(state: &State, buckets: &[BucketStatus]) -> Self {
        let node = |name: &String| NodeView {
            name: name.clone(),
            silent_ms: heard(buckets, name).filter_map(|node| node.silent_ms).min(),
            unresponsive: heard(buckets, name).any(|node| node.unresponsive),
            error: heard(buckets, name).find_map(|node| node.control_error.clone()),
            warning: heard(buckets, name).find_map(|node| node.warning.clone()),
        };
        let not_ready = state.missing(buckets);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            uptime_ms: u64::try_from(state.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            phase: Phase::of(state),
            ready: not_ready.is_empty(),
            not_ready,
            node: node(&state.node),
            producers: state.producers().iter().map(node).collect(),
            buckets: buckets.iter().map(|bucket| BucketView::of(bucket, state)).collect(),
            embedded: state.running().map(|r| r.embedded.clone()).unwrap_or_default(),
            config: ConfigView::of(&state.sources),
            source: desired::source(&state.sources).0,
        }
    }

    /// As in `GET /ready`.
    pub(super) const fn is_ready(&self) -> bool {
        self.ready
    }
}

/// The status of a node in each bucket.
fn heard<'a>(
    buckets: &'a [BucketStatus],
    name: &'a str,
) -> impl Iterator<Item = &'a NodeStatus> + 'a {
    buckets.iter().flat_map(|bucket| &bucket.nodes).filter(move |node| node.node == name)
}

impl BucketView {
    fn of(status: &BucketStatus, state: &State) -> Self {
        let verify = state
            .running()
            .map(|running| running.verification.read(|board| Summary::of(board, &status.bucket)));
        let maps = state.sources.maps();
        let maps = maps.bucket(&status.bucket);
        let links = || status.links.iter();
        let streams = || links().flat_map(|link| &link.streams);
        Self {
            bucket: status.bucket.clone(),
            revision: maps.map_or(0, BucketMaps::revision),
            drift: maps.map_or(0, BucketMaps::drift),
            paused: maps.map_or(0, BucketMaps::paused_and_wanted),
            connections: status.connections,
            links: status.links.len(),
            links_up: links().filter(|link| link.phase == LinkPhase::Up).count(),
            wanted: links().map(|link| link.wanted).sum(),
            open: links().map(|link| link.open).sum(),
            unresponsive: links().map(unresponsive).sum(),
            failed: links().map(failed).sum(),
            incomplete: streams().filter(|stream| stream.complete_to.is_some()).count(),
            moving: status.moves.len(),
            lag_seqnos_max: streams().filter_map(|stream| stream.lag_seqnos).max(),
            lag_unknown: links().map(lag_unknown).sum(),
            lag_ms_max: streams().filter_map(|stream| stream.lag_ms).max(),
            lag_age_ms_max: streams().filter_map(|stream| stream.lag_age_ms).max(),
            prepare_ack_us_max: links().filter_map(|link| link.prepare_ack_us).max(),
            prepare_waiting_ms_max: links().filter_map(|link| link.prepare_waiting_ms).max(),
            verify: verify.unwrap_or_default(),
        }
    }
}

/// Streams of a link that are not open because of an error.
pub(super) fn failed(link: &LinkStatus) -> usize {
    let not_open = link.streams.iter().filter(|stream| stream.phase != StreamPhase::Open);
    not_open.filter(|stream| stream.last_error.is_some() || link.last_error.is_some()).count()
}

/// Open streams of a link that has an unresponsive node.
pub(super) fn unresponsive(link: &LinkStatus) -> usize {
    if link.phase == LinkPhase::Unresponsive { link.open } else { 0 }
}

/// Streams of a link whose lag is unknown.
pub(super) fn lag_unknown(link: &LinkStatus) -> usize {
    link.streams.iter().filter(|stream| stream.lag_seqnos.is_none()).count()
}

/// Every link and every vBucket.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Replications)]
pub(super) struct ReplicationsView {
    buckets: Vec<ReplicationView>,
}

/// One bucket.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Replication)]
struct ReplicationView {
    /// In the form that `PUT` takes.
    #[schema(value_type = BTreeMap<String, VbSetText>)]
    desired: BTreeMap<String, VbSet>,
    #[serde(flatten)]
    status: BucketStatus,
}

impl ReplicationsView {
    pub(super) fn of(buckets: Vec<BucketStatus>) -> Self {
        let view = |status: BucketStatus| ReplicationView { desired: desired(&status), status };
        Self { buckets: buckets.into_iter().map(view).collect() }
    }
}

fn desired(status: &BucketStatus) -> BTreeMap<String, VbSet> {
    let mut desired: BTreeMap<String, VbSet> = BTreeMap::new();
    for link in &status.links {
        for stream in &link.streams {
            desired.entry(link.producer.clone()).or_default().insert(VbId(stream.vbucket));
        }
    }
    desired
}
