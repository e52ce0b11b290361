//! Reading a bucket's replications. Never behind a command: nothing here blocks (MB-67329).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actix::{Context, Handler, Message, ResponseFuture};
use futures::future::join_all;
use mcbp::VbId;
use relay::VbSample;
use replica::link::{Snapshot, VbPhase};
use replica::wanted::{StreamPhase, WantedStream};

use super::ReplicationManager;
use super::link::Link;
use crate::replicator::ReadLink;
use crate::status::{
    BrokenStatus, BucketStatus, LastError, LinkStatus, NodeStatus, ROLLING_BACK, StreamStatus,
    millis,
};

/// Reads the bucket.
#[derive(Message)]
#[rtype(result = "BucketStatus")]
pub(crate) struct ReadStatus;

impl Handler<ReadStatus> for ReplicationManager {
    type Result = ResponseFuture<BucketStatus>;

    fn handle(&mut self, _: ReadStatus, _: &mut Context<Self>) -> Self::Result {
        let mut status = BucketStatus {
            bucket: self.bucket.clone(),
            connections: number(self.connections.count()),
            links: Vec::new(),
            moves: self.moves(),
            nodes: self.nodes(),
            broken: self.all_broken(),
            stream_failures: self.stream_failures.status(),
            link_failures: self.link_failures.status(),
        };
        // A link that is left from more connections, and done with, is no news.
        let is_shown =
            |link: &&Link| !link.is_stopped() || link.key.connection < self.connections.count();
        let links = self.links.iter().filter(is_shown).map(|link| {
            let known = self.link_status(link);
            let machine = link.state.open_address().map(|addr| addr.send(ReadLink));
            async move {
                let machine = match machine {
                    Some(machine) => machine.await.ok().flatten(),
                    None => None,
                };
                with_machine(known, machine)
            }
        });
        let links = join_all(links.collect::<Vec<_>>());
        Box::pin(async move {
            status.links = links.await;
            status
        })
    }
}

impl ReplicationManager {
    fn link_status(&self, link: &Link) -> LinkStatus {
        let streams = link.wanted.streams();
        let gauges = link.watch.as_ref().map(|watch| &watch.gauges);
        LinkStatus {
            producer: link.key.producer.clone(),
            connection: number(link.key.connection),
            name: link.spec.name.to_string(),
            phase: link.state.phase(),
            failures: link.failures,
            last_error: link.last_error.as_ref().map(LastError::from),
            stall: link.stall.clone(),
            wanted: streams.len(),
            open: link.wanted.open_count(),
            bytes: gauges.map_or(0, |gauges| gauges.downstream.bytes()),
            frames: gauges.map_or(0, |gauges| gauges.downstream.frames()),
            producer_silent_ms: gauges.map(|gauges| millis(gauges.producer_silent())),
            consumer_silent_ms: gauges.map(|gauges| millis(gauges.consumer_silent())),
            streams: streams
                .iter()
                .map(|(&vb, stream)| {
                    let passed = gauges.and_then(|gauges| gauges.vbucket(vb));
                    self.stream_status(vb, stream, passed)
                })
                .collect(),
        }
    }

    fn stream_status(
        &self,
        vb: VbId,
        stream: &WantedStream,
        passed: Option<VbSample>,
    ) -> StreamStatus {
        let lag = self.lag.as_ref().map(|lag| lag.recent_lag(vb, self.now())).unwrap_or_default();
        let complete_to = self.incomplete.get(&vb).map(|copy| copy.complete_to.0);
        // Equal seqnos prove nothing of a copy that misses rows.
        let is_known = complete_to.is_none();
        let error = stream.last_error.as_ref().map(|error| match self.broken(vb) {
            Some(broken) => LastError::looping(error, &broken),
            None => LastError::from(error),
        });
        StreamStatus {
            vbucket: vb.0,
            phase: match stream.phase {
                StreamPhase::Due => "due",
                StreamPhase::Asked => "asked",
                StreamPhase::Open => "open",
                StreamPhase::Waiting { .. } => "waiting",
            },
            rollbacks_before: None,
            complete_to,
            opaque: None,
            failures: stream.failures,
            last_error: error,
            seqno: lag.consumer.map(|seqno| seqno.0),
            producer_seqno: lag.producer.map(|seqno| seqno.0),
            lag_seqnos: lag.seqnos().filter(|_| is_known),
            lag_ms: lag.behind_for.filter(|_| is_known).map(millis),
            progress_ms: lag.still_for.map(millis),
            passed_seqno: passed.map(|passed| passed.seqno.0),
            passed_bytes: passed.map_or(0, |passed| passed.bytes),
            passed_frames: passed.map_or(0, |passed| passed.frames),
        }
    }

    /// Our node, and every producer that there is a link to.
    fn nodes(&self) -> Vec<NodeStatus> {
        let now = self.now();
        let mut heard: BTreeMap<&str, Option<Duration>> = BTreeMap::new();
        let names: BTreeSet<&str> = self.links.iter().map(|l| l.key.producer.as_str()).collect();
        for name in names.into_iter().chain([self.node.name.as_str()]) {
            heard.insert(name, self.traffic.last(name));
        }
        for link in &self.links {
            let Some(watch) = &link.watch else { continue };
            let silent = [
                (link.key.producer.as_str(), watch.gauges.producer_silent()),
                (self.node.name.as_str(), watch.gauges.consumer_silent()),
            ];
            for (name, silent) in silent {
                let at = Some(now.saturating_sub(silent));
                heard.entry(name).and_modify(|known| *known = at.max(*known));
            }
        }
        let status = |(name, at): (&str, Option<Duration>)| NodeStatus {
            node: name.to_owned(),
            silent_ms: at.map(|at| millis(now.saturating_sub(at))),
            control_error: self.lag.as_ref().and_then(|lag| lag.error(name)).cloned(),
            warning: self.lag.as_ref().and_then(|lag| lag.warning(name)).cloned(),
        };
        heard.into_iter().map(status).collect()
    }

    fn all_broken(&self) -> Vec<BrokenStatus> {
        let now = self.now();
        let broken = self.loops.all_broken(now).map(|(vb, broken, failures)| BrokenStatus {
            vbucket: vb.0,
            kind: broken.kind.name(),
            failures,
            since_ms: millis(now.saturating_sub(broken.since)),
        });
        broken.collect()
    }
}

/// A number of connections, at most 64.
fn number(count: u16) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}

fn with_machine(mut status: LinkStatus, machine: Option<Snapshot>) -> LinkStatus {
    let Some(machine) = machine else { return status };
    let rows: BTreeMap<_, _> = machine.vbuckets.iter().map(|row| (row.vbucket, row)).collect();
    for stream in &mut status.streams {
        let Some(row) = rows.get(&stream.vbucket) else { continue };
        stream.opaque = row.opaque;
        stream.rollbacks_before = row.line;
        if row.phase == VbPhase::RollingBack && stream.phase != "open" {
            stream.phase = ROLLING_BACK;
            // Seqnos of two histories that have parted say nothing of each other.
            (stream.lag_seqnos, stream.lag_ms) = (None, None);
        }
    }
    status
}
