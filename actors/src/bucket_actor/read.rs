//! Reads the status of a bucket. A read never waits for a command (MB-67329).

use std::collections::BTreeMap;
use std::time::Duration;

use actix::{Context, Handler, Message, ResponseFuture};
use futures::future::join_all;
use mcbp::Side;
use replica::bucket::{
    BrokenLink, BrokenView, Cause, LinkView, MoveView, RolledBackView, StreamPhase, StreamView,
    millis,
};
use replica::link::{Snapshot, VbPhase};

use super::BucketActor;
use crate::link_actor::{Gauges, ReadLink};
use crate::status::{
    BrokenLinkStatus, BrokenStatus, BucketStatus, FailureCount, LinkStatus, MoveStatus, NodeStatus,
    RolledBackStatus, StreamStatus,
};

/// Reads the status of the bucket.
#[derive(Message)]
#[rtype(result = "BucketStatus")]
pub(crate) struct ReadStatus;

impl Handler<ReadStatus> for BucketActor {
    type Result = ResponseFuture<BucketStatus>;

    fn handle(&mut self, _: ReadStatus, _: &mut Context<Self>) -> Self::Result {
        let now = self.now();
        let mut status = BucketStatus {
            bucket: self.bucket.clone(),
            connections: self.machine.connections().count(),
            links: Vec::new(),
            moves: self.machine.moves(now).map(|moving| self.move_status(&moving)).collect(),
            moves_done: self.machine.moves_done(),
            active_here: self.machine.active_here(now),
            nodes: self.nodes(now),
            broken: self.machine.broken(now).map(broken_status).collect(),
            stream_failures: FailureCount::all(self.machine.stream_failures()),
            link_failures: FailureCount::all(self.machine.link_failures()),
            rolled_back: self.machine.rolled_back(now).map(rolled_back_status).collect(),
        };
        let links = self.machine.links().map(|link| {
            let open = self.link(link.id);
            let status = self.link_status(&link, open.and_then(|link| link.gauges.as_ref()), now);
            let machine = open.map(|link| link.addr.send(ReadLink));
            async move {
                let machine = match machine {
                    Some(machine) => machine.await.ok().flatten(),
                    None => None,
                };
                with_machine(status, machine)
            }
        });
        let links = join_all(links.collect::<Vec<_>>());
        Box::pin(async move {
            status.links = links.await;
            status
        })
    }
}

impl BucketActor {
    fn link_status(
        &self,
        link: &LinkView<'_>,
        gauges: Option<&Gauges>,
        now: Duration,
    ) -> LinkStatus {
        let total = self.traffic.total(link.key, gauges);
        // A prepare of a stream that has ended waits for its next stream, not for the consumer.
        let open = self.machine.streams(link.id, now).filter(|s| s.phase == StreamPhase::Open);
        let waiting =
            gauges.and_then(|gauges| open.filter_map(|s| gauges.unacknowledged_for(s.vb)).max());
        LinkStatus {
            producer: link.key.producer.clone(),
            connection: link.key.connection,
            name: link.name.to_owned(),
            phase: link.phase,
            failures: link.failures,
            broken: self.machine.broken_link(link.id, now).as_ref().map(broken_link_status),
            last_error: link.last_error.cloned().map(Cause::Link),
            retry_in_ms: link.retry_at.map(|at| millis(at.saturating_sub(now))),
            stall: link.stall.map(str::to_owned),
            wanted: link.wanted,
            open: link.open,
            bytes: gauges.map_or(0, |gauges| gauges.downstream.bytes()),
            frames: gauges.map_or(0, |gauges| gauges.downstream.frames()),
            bytes_total: total.bytes,
            frames_total: total.frames,
            window_bytes: gauges.and_then(|gauges| gauges.flow.window_bytes()),
            unacked_bytes: gauges.and_then(Gauges::unacked_bytes),
            prepare_ack_us: gauges.and_then(|gauges| gauges.acks.last_us()),
            prepare_waiting_ms: waiting.map(millis),
            producer_silent_ms: gauges.map(|gauges| millis(gauges.producer_silent())),
            consumer_silent_ms: gauges.map(|gauges| millis(gauges.consumer_silent())),
            streams: self
                .machine
                .streams(link.id, now)
                .map(|stream| stream_status(stream, gauges))
                .collect(),
        }
    }

    fn move_status(&self, moving: &MoveView<'_>) -> MoveStatus {
        MoveStatus {
            bucket: self.bucket.clone(),
            vbucket: moving.vb.0,
            from: moving.from.to_owned(),
            phase: moving.phase,
            estimate: moving.estimate,
            since_ms: millis(moving.since),
        }
    }

    /// Returns our node, and every producer that a link was ever made for.
    fn nodes(&self, now: Duration) -> Vec<NodeStatus> {
        let mut heard: BTreeMap<&str, Option<Duration>> = BTreeMap::new();
        for name in self.machine.producers().chain([self.node.name.as_str()]) {
            heard.insert(name, self.traffic.last(name));
        }
        for link in self.links.values() {
            let Some(gauges) = &link.gauges else { continue };
            let silent = [
                (link.spec.producer.name.as_str(), gauges.producer_silent()),
                (self.node.name.as_str(), gauges.consumer_silent()),
            ];
            for (name, silent) in silent {
                let at = Some(now.saturating_sub(silent));
                heard.entry(name).and_modify(|known| *known = at.max(*known));
            }
        }
        let asked: BTreeMap<_, _> = self.machine.nodes(now).map(|view| (view.node, view)).collect();
        let status = |(name, at): (&str, Option<Duration>)| {
            let (view, is_ours) = (asked.get(name), name == self.node.name);
            NodeStatus {
                node: name.to_owned(),
                side: if is_ours { Side::Consumer } else { Side::Producer },
                silent_ms: at.map(|at| millis(now.saturating_sub(at))),
                unheard_ms: view.map(|view| millis(view.silent_for)),
                unresponsive: view.is_some_and(|view| view.is_unresponsive),
                control_error: self.machine.node_error(name).map(str::to_owned),
                warning: self.machine.node_warning(name),
            }
        };
        heard.into_iter().map(status).collect()
    }
}

fn stream_status(stream: StreamView, gauges: Option<&Gauges>) -> StreamStatus {
    let passed = gauges.and_then(|gauges| gauges.vbucket(stream.vb));
    let (lag, lag_seqnos, not_open_for) = (stream.lag, stream.lag_seqnos(), stream.not_open_for);
    // The seqnos of an incomplete copy prove nothing. The time goes on.
    let not_even = || lag.behind_for.map(|_| not_open_for.unwrap_or_default());
    let behind_for = stream.behind_for().or_else(not_even);
    StreamStatus {
        vbucket: stream.vb.0,
        phase: stream.phase,
        rollbacks_before: None,
        complete_to: stream.complete_to.map(|seqno| seqno.0),
        opaque: None,
        failures: stream.failures,
        last_error: stream.last_error,
        retry_in_ms: stream.retry_in.map(millis),
        seqno: lag.consumer.map(|seqno| seqno.0),
        producer_seqno: lag.producer.map(|seqno| seqno.0),
        lag_seqnos,
        lag_ms: behind_for.map(millis),
        lag_age_ms: lag.age.map(millis),
        not_open_ms: not_open_for.map(millis),
        progress_ms: lag.still_for.map(millis),
        passed_seqno: passed.map(|passed| passed.seqno.0),
        passed_bytes: passed.map_or(0, |passed| passed.bytes),
        passed_frames: passed.map_or(0, |passed| passed.frames),
    }
}

fn rolled_back_status(view: RolledBackView<'_>) -> RolledBackStatus {
    RolledBackStatus {
        vbucket: view.vb.0,
        producer: view.producer.to_owned(),
        from: view.from.0,
        to: view.to.0,
        since_ms: millis(view.since),
    }
}

fn broken_status(broken: BrokenView) -> BrokenStatus {
    BrokenStatus {
        vbucket: broken.vb.0,
        kind: broken.kind,
        failures: broken.failures,
        since_ms: millis(broken.since),
    }
}

fn broken_link_status(broken: &BrokenLink<'_>) -> BrokenLinkStatus {
    BrokenLinkStatus {
        kind: broken.kind,
        failures: broken.failures,
        since_ms: millis(broken.since),
        detail: broken.why.to_owned(),
    }
}

/// Adds what only the machine of the link knows.
fn with_machine(mut status: LinkStatus, machine: Option<Snapshot>) -> LinkStatus {
    let Some(machine) = machine else { return status };
    let rows: BTreeMap<_, _> = machine.vbuckets.iter().map(|row| (row.vbucket, row)).collect();
    for stream in &mut status.streams {
        let Some(row) = rows.get(&stream.vbucket) else { continue };
        stream.opaque = row.opaque;
        stream.rollbacks_before = row.rollbacks_before;
        if row.phase == VbPhase::RollingBack && stream.phase != StreamPhase::Open {
            stream.phase = StreamPhase::RollingBack;
            // The seqnos of two diverged histories are not comparable. The time goes on.
            stream.lag_seqnos = None;
            stream.lag_ms = stream.lag_ms.map(|_| stream.not_open_ms.unwrap_or(0));
        }
    }
    status
}
