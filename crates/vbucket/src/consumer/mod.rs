//! The consumer's side of one DCP connection, as a pure machine.
//!
//! Frames and [`Event`]s go in; each call returns [`Effect`]s for the shell and appends frames to
//! an output buffer. Every ADD_STREAM is answered exactly once, whatever happens: the stream owns
//! the unanswered request, and taking it out is the only way to answer. The map:
//!
//! - `negotiation`, `counter`: what is settled before the first stream; the opaques
//! - `stream`: one stream; `part`: what it received; `decode`: frames to rows
//! - `frames`: incoming frames; `taken`: what a live stream does with its own; `refusal`: frames
//!   that cannot be stored
//! - `setup`: from ADD_STREAM to its answer; `held`: ADD_STREAMs that wait; `outcomes`: outcomes of
//!   effects, ends of streams
//! - `event`, `effect`: what happens, and what is to be done; `context`: what one call works with;
//!   `answer`: frames that answer requests
//! - `acks`: flow control; `stats`: statistics
//!
//! The first frame of a stream that cannot be stored ends that stream, and nothing after it is
//! written: equal seqnos mean equal documents. The other streams go on.

mod acks;
mod answer;
mod context;
mod counter;
mod decode;
mod effect;
mod event;
mod frames;
mod held;
mod negotiation;
mod outcomes;
mod part;
mod refusal;
mod setup;
mod stats;
mod stream;
mod taken;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use mcbp::dcp::BufferAck;
use mcbp::{Opaque, Status, VbId};

pub use effect::{Effect, Effects, Failure, Refused};
pub use event::Event;
pub use part::{Part, SnapshotEnd, Versions};

use crate::Row;
use crate::hlc::DriftLimits;
use crate::liveness::Liveness;
use crate::stream_req::VbFacts;
use acks::Acks;
use answer::answer_add;
use context::Context;
use counter::Counter;
use held::Held;
use negotiation::Negotiation;
use stream::PassiveStream;

/// Where a consumer finds vBuckets. Calls take locks but never block on a disk.
pub trait Replicas {
    /// Returns what the vBucket is now, or `None` where there is none.
    fn facts(&self, vb: VbId) -> Option<VbFacts>;

    /// Returns the prepares of the vBucket that are not completed.
    fn prepared(&self, vb: VbId) -> Vec<Arc<Row>>;

    /// Claims the vBucket for this connection, unless a stream of another connection has it.
    fn claim(&self, vb: VbId) -> Claim;

    /// The stream of the vBucket has ended, and what it received is still being written. From now
    /// on other connections may wait for the vBucket.
    fn drains(&self, vb: VbId);

    /// Releases the vBucket.
    fn release(&self, vb: VbId);
}

/// The result of [`Replicas::claim`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// This connection has the vBucket.
    Taken,
    /// A stream of another connection has it.
    Streamed,
    /// A stream of another connection has ended and is still being written. Once that is done,
    /// [`Event::Freed`] is given.
    Draining,
}

/// What the connection was opened with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ConsumerOptions {
    /// HELLO granted collections: keys carry the collection prefix.
    pub collections: bool,
    /// HELLO granted JSON: the texts of refusals have the datatype JSON.
    pub json: bool,
    /// The flow-control window, in bytes.
    pub window_bytes: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Consumer {
    options: ConsumerOptions,
    counter: Counter,
    negotiation: Negotiation,
    acks: Acks,
    liveness: Liveness,
    streams: BTreeMap<VbId, PassiveStream>,
    /// Streams to request once the negotiation is done, in the order in which they were added.
    to_request: VecDeque<VbId>,
    held: VecDeque<Held>,
    /// Streams that received something since the last [`Consumer::settle`].
    touched: Vec<VbId>,
    /// The charges of what OSO snapshots have set aside.
    oso_bytes: usize,
    closing: bool,
    unix_s: u32,
    drift: Option<DriftLimits>,
    /// The highest CAS that is taken.
    cas_max: u64,
}

impl Consumer {
    /// A connection that was opened at `now`, on a clock of the caller's choice. It takes any CAS,
    /// as a real consumer does, unless it is told the time: see [`Consumer::with_clock`].
    #[must_use]
    pub fn new(options: ConsumerOptions, now: Duration) -> Self {
        Self {
            negotiation: Negotiation::new(options.window_bytes, None),
            counter: Counter::default(),
            acks: Acks::new(options.window_bytes, now),
            liveness: Liveness::new(now),
            streams: BTreeMap::new(),
            to_request: VecDeque::new(),
            held: VecDeque::new(),
            touched: Vec::new(),
            oso_bytes: 0,
            closing: false,
            unix_s: 0,
            drift: None,
            cas_max: u64::MAX,
            options,
        }
    }

    /// Takes durable writes, as the node that topologies give this name.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        self.negotiation = Negotiation::new(self.options.window_bytes, Some(name));
        self
    }

    /// Refuses rows whose CAS is further ahead of the clock than `limits` allow. The clock is
    /// `unix_s` (Unix time in seconds) until the first [`Event::Tick`].
    #[must_use]
    pub fn with_clock(mut self, unix_s: u32, limits: DriftLimits) -> Self {
        self.drift = Some(limits);
        self.set_clock(unix_s);
        self
    }

    fn set_clock(&mut self, unix_s: u32) {
        self.unix_s = unix_s;
        if let Some(limits) = &self.drift {
            // The second that has begun counts as over: rows may be as new as its end.
            self.cas_max = limits.cas_max((u64::from(unix_s) + 1) * 1_000_000_000);
        }
    }

    /// Takes one event; returns what is to be done, in order.
    #[must_use]
    pub fn on(&mut self, event: Event, replicas: &dyn Replicas, out: &mut BytesMut) -> Effects {
        let mut cx = Context::new(replicas, out);
        match event {
            Event::Changed(vb) => self.changed(vb, &mut cx),
            Event::Freed(vb) => self.freed(vb, &mut cx),
            Event::RolledBack(vb, stream, outcome) => {
                self.rolled_back(vb, stream, outcome, &mut cx);
            }
            Event::HistoryTaken(vb, stream, outcome) => {
                self.history_taken(vb, stream, outcome, &mut cx);
            }
            Event::Applied(vb, stream, outcome) => self.applied(vb, stream, outcome, &mut cx),
            Event::StateSet(vb, stream, outcome) => self.state_set(vb, stream, outcome, &mut cx),
            Event::Window(bytes) => self.set_window(bytes, cx.out),
            Event::Tick { now, unix_s } => self.tick(now, unix_s, &mut cx),
            Event::Close(reason) => self.close(reason, &mut cx),
        }
        cx.effects
    }

    /// Bytes that were received and are not on disk. The caller stops reading while they far exceed
    /// the window, which happens only with a producer without flow control.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.acks.held_bytes()
    }

    /// To be called once all frames and events that are there were given: requests streams, has
    /// rows written, acknowledges. Returns what is to be done, in order.
    #[must_use]
    pub fn settle(
        &mut self,
        now: Duration,
        replicas: &dyn Replicas,
        out: &mut BytesMut,
    ) -> Effects {
        let mut cx = Context::new(replicas, out);
        if !self.to_request.is_empty() {
            self.negotiation.start(&mut self.counter, cx.out);
        }
        if self.negotiation.is_done() {
            while let Some(vb) = self.to_request.pop_front() {
                self.request(vb, &mut cx);
            }
        }
        for vb in std::mem::take(&mut self.touched) {
            self.go_on(vb, &mut cx);
        }
        self.acknowledge(now, cx.out);
        cx.effects
    }

    fn set_window(&mut self, bytes: u32, out: &mut BytesMut) {
        if bytes != self.acks.window_bytes() {
            self.acks.resize(bytes);
            self.negotiation.resize(bytes, &mut self.counter, out);
        }
    }

    fn tick(&mut self, now: Duration, unix_s: u32, cx: &mut Context<'_>) {
        self.set_clock(unix_s);
        if self.liveness.is_idle(now) {
            self.close("nothing was received from the producer for 360 s".to_owned(), cx);
        }
        self.acknowledge(now, cx.out);
    }

    fn close(&mut self, reason: String, cx: &mut Context<'_>) {
        if std::mem::replace(&mut self.closing, true) {
            return;
        }
        let unanswered = self.streams.values_mut().filter_map(|s| Some((s.add.take()?, s.opaque)));
        for (add, stream) in unanswered {
            answer_add(add, Status::ETMPFAIL, Some(stream), cx.out);
        }
        for held in self.held.drain(..) {
            answer_add(held.add, Status::ETMPFAIL, None, cx.out);
        }
        cx.effects.push(Effect::Close(reason));
    }

    fn current(&mut self, vb: VbId, stream: Opaque) -> Option<&mut PassiveStream> {
        self.streams.get_mut(&vb).filter(|current| current.opaque == stream)
    }

    fn acknowledge(&mut self, now: Duration, out: &mut BytesMut) {
        if let Some(bytes) = self.acks.due(now) {
            BufferAck { bytes }.write(VbId(0), self.counter.next_opaque(), out);
        }
    }
}
