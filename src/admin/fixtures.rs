//! Statuses for the tests of what is made from them.

use dcp_actors::{
    BucketStatus, Cause, LinkPhase, LinkStatus, NodeStatus, StreamPhase, StreamStatus,
};
use mcbp::{Side, Status, VbId};
use replica::bucket::{LinkDown, Reopen};
use replica::link::{LinkStep, Reason, ReasonCode, VbError};

/// A wanted stream, not open for as many seconds as its number says.
pub(crate) fn stream(vbucket: u16, phase: StreamPhase, last_error: Option<Cause>) -> StreamStatus {
    StreamStatus {
        vbucket,
        phase,
        rollbacks_before: None,
        complete_to: None,
        opaque: None,
        failures: 0,
        last_error,
        retry_in_ms: None,
        seqno: None,
        producer_seqno: None,
        lag_seqnos: None,
        lag_ms: None,
        lag_age_ms: None,
        not_open_ms: (phase != StreamPhase::Open).then_some(u64::from(vbucket) * 1000),
        progress_ms: None,
        passed_seqno: None,
        passed_bytes: 0,
        passed_frames: 0,
    }
}

/// A link between `alpha` and `beta`.
pub(crate) fn link(
    phase: LinkPhase,
    last_error: Option<Cause>,
    streams: Vec<StreamStatus>,
) -> LinkStatus {
    LinkStatus {
        producer: "alpha".to_owned(),
        connection: 0,
        name: String::new(),
        phase,
        failures: 0,
        broken: None,
        last_error,
        retry_in_ms: None,
        stall: None,
        wanted: streams.len(),
        open: 0,
        bytes: 0,
        frames: 0,
        bytes_total: 0,
        frames_total: 0,
        window_bytes: None,
        unacked_bytes: None,
        prepare_ack_us: None,
        prepare_waiting_ms: None,
        producer_silent_ms: None,
        consumer_silent_ms: None,
        streams,
    }
}

/// A node that was last heard 61 s ago.
pub(crate) fn node(name: &str, unresponsive: bool, control_error: Option<&str>) -> NodeStatus {
    NodeStatus {
        node: name.to_owned(),
        side: if name == "beta" { Side::Consumer } else { Side::Producer },
        silent_ms: Some(61_000),
        unheard_ms: Some(61_000),
        unresponsive,
        control_error: control_error.map(str::to_owned),
        warning: None,
    }
}

/// A bucket of these links, whose nodes are heard.
pub(crate) fn bucket(links: Vec<LinkStatus>) -> BucketStatus {
    BucketStatus {
        bucket: "default".to_owned(),
        connections: 1,
        links,
        moves: Vec::new(),
        moves_done: dcp_actors::MovesDone::default(),
        active_here: None,
        nodes: vec![node("alpha", false, None), node("beta", false, None)],
        broken: Vec::new(),
        stream_failures: Vec::new(),
        link_failures: Vec::new(),
        rolled_back: Vec::new(),
    }
}

/// A link that is down.
pub(crate) fn down(detail: &str, side: Side) -> Cause {
    let code = ReasonCode::LinkLost;
    let (side, detail) = (Some(side), detail.to_owned());
    let reopen = Reopen::AfterBackoff;
    Cause::Link(LinkDown { side, code, answer: None, detail, reopen, hung_up: false })
}

/// A stream that the producer refused.
pub(crate) fn refused(vb: u16) -> Cause {
    let reason = Reason::Refused { step: LinkStep::AddStream, status: Status::NOT_MY_VBUCKET };
    Cause::Stream(VbError { vb: VbId(vb), side: Side::Producer, reason })
}

/// So many streams in this phase.
pub(crate) fn all(count: u16, phase: StreamPhase) -> Vec<StreamStatus> {
    (0..count).map(|vb| stream(vb, phase, None)).collect()
}
