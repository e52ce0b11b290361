//! Reading a bucket's replications. Never behind a command: nothing here blocks (MB-67329).

use std::collections::BTreeMap;

use actix::{Context, Handler, Message, ResponseFuture};
use futures::future::join_all;
use replica::wanted::{StreamPhase, WantedStream};

use super::ReplicationManager;
use super::link::Link;
use crate::replicator::{LinkView, ReadLink};
use crate::status::{BucketStatus, LastError, LinkStatus, StreamStatus};

/// Reads the bucket.
#[derive(Message)]
#[rtype(result = "BucketStatus")]
pub(crate) struct ReadStatus;

impl Handler<ReadStatus> for ReplicationManager {
    type Result = ResponseFuture<BucketStatus>;

    fn handle(&mut self, _: ReadStatus, _: &mut Context<Self>) -> Self::Result {
        let mut status = BucketStatus {
            bucket: self.bucket.clone(),
            connections: u8::try_from(self.connections.count()).unwrap_or(u8::MAX),
            links: Vec::new(),
            moves: self.moves(),
            nodes: Vec::new(),
            broken: Vec::new(),
        };
        let links = self.links.iter().map(|link| {
            let known = link_status(link);
            let view = link.state.open_address().map(|addr| addr.send(ReadLink));
            async move {
                let view = match view {
                    Some(view) => view.await.ok().flatten(),
                    None => None,
                };
                with_view(known, view)
            }
        });
        let links = join_all(links.collect::<Vec<_>>());
        Box::pin(async move {
            status.links = links.await;
            status
        })
    }
}

fn link_status(link: &Link) -> LinkStatus {
    let stream = |(vb, stream): (&mcbp::VbId, &WantedStream)| StreamStatus {
        vbucket: vb.0,
        phase: match stream.phase {
            StreamPhase::Due => "due",
            StreamPhase::Asked => "asked",
            StreamPhase::Open => "open",
            StreamPhase::Waiting { .. } => "waiting",
        },
        opaque: None,
        failures: stream.failures,
        last_error: stream.last_error.as_ref().map(LastError::from),
        seqno: None,
        producer_seqno: None,
        lag_seqnos: None,
        lag_ms: None,
        progress_ms: None,
    };
    LinkStatus {
        producer: link.spec.producer.name.clone(),
        connection: u8::try_from(link.key.connection).unwrap_or(u8::MAX),
        name: link.spec.name.to_string(),
        phase: link.state.phase(),
        failures: link.failures,
        last_error: link.last_error.as_ref().map(LastError::from),
        stall: None,
        wanted: link.wanted.streams().len(),
        open: link.wanted.open_count(),
        bytes: 0,
        frames: 0,
        producer_silent_ms: None,
        consumer_silent_ms: None,
        streams: link.wanted.streams().iter().map(stream).collect(),
    }
}

fn with_view(mut status: LinkStatus, view: Option<LinkView>) -> LinkStatus {
    let Some(view) = view else { return status };
    (status.bytes, status.frames) = (view.bytes, view.frames);
    status.producer_silent_ms = Some(view.producer_silent_ms);
    status.consumer_silent_ms = Some(view.consumer_silent_ms);
    let opaques: BTreeMap<_, _> =
        view.machine.vbuckets.iter().map(|vb| (vb.vbucket, vb.opaque)).collect();
    for stream in &mut status.streams {
        stream.opaque = opaques.get(&stream.vbucket).copied().flatten();
    }
    status
}
