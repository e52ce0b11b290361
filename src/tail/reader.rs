//! The thread that reads the node: it carries out the effects of [`Follow`], and hands over what
//! is to be shown. It does not wait for the output: what a slow reader leaves unread is bounded by
//! the window of flow control, and NOOP is answered meanwhile. Only where other things pile up, as
//! from a node that comes and goes, is the node not read until some of them were taken.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use bytes::Bytes;
use follow::{ABSENT_AFTER, Effect, Follow, Now, Refusal};
use mcbp::{Frame, Opcode, Seqno, VbId, flow};
use relay::{
    ConnectionStep, DcpReader, Fault, LinkError, ReaderOptions, Reconnect, StreamEvent, StreamRange,
};
use replica::backoff::Backoff;
use replica::plan::VbSet;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::plan::Plan;
use super::shared::Shared;
use super::writer::Item;

/// How much the node may send before the lines of it were taken, besides one frame.
const WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// How often the node shows that it is there while it has nothing to send, or may not send.
const NOOP_INTERVAL: Duration = Duration::from_secs(20);

/// How reading ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Every vBucket is where it was to end.
    Done,
    /// Ctrl-C, or no more lines can be written.
    Stopped,
    Failed(Failure),
}

/// See the module.
pub(super) struct Reader<'a> {
    plan: &'a Plan,
    follow: Follow,
    /// JSON for STREAM_REQ.
    filter: Vec<u8>,
    began: Instant,
    shared: Arc<Shared>,
    items: Sender<Vec<Item>>,
    batch: Vec<Item>,
    connection: Option<DcpReader>,
    was_there: bool,
    connects: bool,
    ended: Option<Ended>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(plan: &'a Plan, shared: &Arc<Shared>, items: Sender<Vec<Item>>) -> Self {
        let collection = plan.filter.collection.as_ref();
        let filter = collection.map(|id| format!("{{\"collections\":[\"{id}\"]}}"));
        Self {
            plan,
            follow: Follow::new(&plan.vbs, Backoff::default()),
            filter: filter.unwrap_or_default().into_bytes(),
            began: Instant::now(),
            shared: Arc::clone(shared),
            items,
            batch: Vec::new(),
            connection: None,
            was_there: false,
            connects: false,
            ended: None,
        }
    }

    /// Reads until the end.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> Ended {
        let shared = Arc::clone(&self.shared);
        let mut events = Vec::new();
        loop {
            self.carry_out();
            self.hand_over();
            if let Some(ended) = self.ended.take() {
                return ended;
            }
            let is_full = shared.is_full();
            if !is_full && std::mem::take(&mut self.connects) {
                tokio::select! {
                    () = stop.cancelled() => return Ended::Stopped,
                    () = shared.over.cancelled() => return Ended::Stopped,
                    opened = open(self.plan) => self.opened(opened),
                }
                continue;
            }
            let wake = self.follow.wake().map(|at| self.began + at);
            let connection = self.connection.as_mut().filter(|_| !is_full);
            let read = read(connection, &mut events);
            let done = tokio::select! {
                () = stop.cancelled() => return Ended::Stopped,
                () = shared.over.cancelled() => return Ended::Stopped,
                () = until(wake) => None,
                () = shared.given_back.notified() => None,
                done = read => Some(done),
            };
            self.give_back();
            events.drain(..).for_each(|event| self.event(event));
            if let Some(Err(error)) = done {
                self.connection = None;
                self.follow.lost(error.to_string(), self.now());
            }
            let now = self.now();
            if self.follow.wake().is_some_and(|wake| wake <= now.at) {
                self.follow.tick(now);
            }
        }
    }

    fn now(&self) -> Now {
        Now { at: self.began.elapsed(), random: fastrand::f64() }
    }

    fn opened(&mut self, opened: Result<DcpReader, LinkError>) {
        match opened {
            Ok(connection) => {
                self.connection = Some(connection);
                self.was_there = true;
                self.follow.connected(self.now());
            }
            // A node that starts is waited for; anything else is told before there is any line.
            Err(error) if !self.was_there && error.retry() != Reconnect::Soon => {
                self.ended = Some(Ended::Failed(first_failure(self.plan, &error)));
            }
            Err(error) => self.follow.lost(error.to_string(), self.now()),
        }
    }

    fn give_back(&mut self) {
        let charge = self.shared.charge();
        if let (Some(connection), 1..) = (&mut self.connection, charge) {
            connection.acknowledge(charge);
        }
    }

    fn event(&mut self, event: StreamEvent) {
        let now = self.now();
        match event {
            StreamEvent::Change { vb, seqno, frame } => return self.change(vb, seqno, frame),
            StreamEvent::Marker { vb, marker } => {
                self.follow.marker(vb, marker.start, marker.end);
                return self.batch.push(Item::Marker(vb, marker.start, marker.end));
            }
            StreamEvent::Advanced { vb, seqno } => {
                if self.follow.advance(vb, seqno) {
                    self.batch.push(Item::Advance(vb, seqno));
                }
                return;
            }
            StreamEvent::Opened { vb, failover_log } => self.follow.opened(vb, &failover_log, now),
            StreamEvent::RolledBack { vb, to } => self.follow.rolled_back(vb, to, now),
            StreamEvent::Refused { vb, status } => self.follow.refused(vb, status, now),
            StreamEvent::Ended { vb, status } => self.follow.ended(vb, status, now),
        }
        self.carry_out();
    }

    fn change(&mut self, vb: VbId, seqno: Seqno, frame: Bytes) {
        if self.follow.advance(vb, seqno) {
            let snapshot = self.follow.snapshot(vb);
            self.batch.push(Item::Change(frame, snapshot));
        } else if let (Some(connection), Ok(frame)) = (&mut self.connection, Frame::parse(&frame)) {
            // It was shown before.
            connection.acknowledge(flow::charge(&frame.header));
        }
    }

    /// Carries out what is to be done now, in order.
    fn carry_out(&mut self) {
        while let Some(effect) = self.follow.effect() {
            match effect {
                Effect::Connect => self.connects = true,
                Effect::Request(request) => {
                    let follow::Request { vb, after, to, uuid, snapshot, flags } = request;
                    let range = StreamRange { vb, after, to, uuid, snapshot, flags };
                    if let Some(connection) = &mut self.connection {
                        connection.stream_of(range, &self.filter);
                    }
                }
                Effect::Say(notice) => self.batch.push(Item::Say(notice)),
                Effect::Tracked(vb, track) => self.batch.push(Item::Tracked(vb, track)),
                Effect::Fail(refusal) => {
                    let failure = refused(self.plan, refusal);
                    self.ended.get_or_insert(Ended::Failed(failure));
                }
                Effect::Absent(vbs) => {
                    self.ended.get_or_insert(Ended::Failed(absent(self.plan, vbs)));
                }
                Effect::Done => {
                    self.ended.get_or_insert(Ended::Done);
                }
            }
        }
    }

    fn hand_over(&mut self) {
        if !self.batch.is_empty() {
            self.shared.heavier(self.batch.iter().map(Item::weight).sum());
            let next = Vec::with_capacity(self.batch.len());
            // An error means that the writer has ended, and said so.
            _ = self.items.send(std::mem::replace(&mut self.batch, next));
        }
    }
}

async fn open(plan: &Plan) -> Result<DcpReader, LinkError> {
    let options = ReaderOptions {
        window_bytes: WINDOW_BYTES,
        acks_by_hand: true,
        keys_only: plan.lines.keys_only,
        change_streams: plan.history,
        noop_interval: Some(NOOP_INTERVAL),
        ..ReaderOptions::new(&plan.bucket, &plan.name)
    };
    DcpReader::open(&plan.endpoint, options).await
}

/// The node could not be opened for the first time.
fn first_failure(plan: &Plan, error: &LinkError) -> Failure {
    let control = ConnectionStep::Request(Opcode::DCP_CONTROL);
    match &error.fault {
        Fault::Refused { step, .. } if plan.history && *step == control => {
            let text = "a node without change streams cannot show versions: leave out --history";
            Failure::Wrong(format!("{error}: {text}"))
        }
        _ => Failure::of(error),
    }
}

/// Waits for events; for ever without a connection, or without a stream.
async fn read(
    connection: Option<&mut DcpReader>,
    events: &mut Vec<StreamEvent>,
) -> Result<(), LinkError> {
    if let Some(connection) = connection
        && connection.next_events(events).await?
    {
        return Ok(());
    }
    std::future::pending().await
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn absent(plan: &Plan, vbs: Vec<VbId>) -> Failure {
    let (node, vbs) = (&plan.endpoint.name, VbSet::from_iter(vbs));
    let hint = "the others have reached their end: see where they are, or leave them out with --vb";
    let since = ABSENT_AFTER.as_secs();
    Failure::Failed(format!("{node} has not vbuckets {vbs}, and said so for {since} s; {hint}"))
}

fn refused(plan: &Plan, refusal: Refusal) -> Failure {
    let node = &plan.endpoint.name;
    let (text, hint) = match refusal {
        Refusal::Request(vb, status) => (
            format!("{node} refused the stream of {vb} with {status}"),
            "see the rights of the user",
        ),
        Refusal::End(vb, status) => {
            (format!("{node} ended the stream of {vb} with {status}"), "see the rights of the user")
        }
    };
    match &plan.filter.collection {
        Some(id) => {
            let hint = "whether the node has this collection";
            Failure::Failed(format!("{text}: see {hint}, 0x{id}"))
        }
        None => Failure::Failed(format!("{text}: {hint}")),
    }
}
