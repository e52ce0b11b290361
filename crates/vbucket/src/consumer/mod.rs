//! The consumer's side of one DCP connection, as a pure machine.
//!
//! Frames and events go in, frames go to an output buffer and [`Effect`]s to the shell. Every
//! ADD_STREAM is answered exactly once, whatever happens: the stream owns the unanswered request
//! and taking it out is the only way to answer. The map:
//!
//! - `negotiation`, `counter`: what is settled before the first stream, and the opaques
//! - `stream`: one stream; `decode`: frames to rows
//! - `frames`: what comes in; `setup`: from ADD_STREAM to its answer; `outcomes`: what comes of
//!   effects, and how streams end
//! - `acks`: flow control; `effect`: what the shell has to do; `stats`: what STAT tells
//!
//! Durable writes are not kept by this node: a PREPARE, COMMIT or ABORT ends the connection.

mod acks;
mod counter;
mod decode;
mod effect;
mod frames;
mod negotiation;
mod outcomes;
mod setup;
mod stats;
mod stream;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::BytesMut;
use mcbp::dcp::BufferAck;
use mcbp::{Opaque, Status, VbId};

pub use effect::{Effect, Failure};
pub use stream::Part;

use crate::liveness::Liveness;
use crate::stream_req::VbFacts;
use acks::Acks;
use counter::Counter;
use negotiation::Negotiation;
use stream::PassiveStream;

/// How many ADD_STREAMs wait for a stream of the same vBucket to drain: one for each vBucket.
const HELD_MAX: usize = 1024;

/// Where a consumer finds vBuckets. Calls take locks but never block on a disk.
pub trait Replicas {
    /// What the vBucket is now, or `None` where there is none.
    fn facts(&self, vb: VbId) -> Option<VbFacts>;

    /// Takes the vBucket for this connection; false where a stream of another one has it.
    fn claim(&self, vb: VbId) -> bool;

    /// Gives the vBucket back.
    fn release(&self, vb: VbId);
}

/// What the connection was opened with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConsumerOptions {
    /// `consumer_name` of DCP_OPEN.
    pub consumer_name: Option<String>,
    /// HELLO granted collections: keys carry the collection prefix.
    pub collections: bool,
    /// The flow-control window, in bytes.
    pub window_bytes: u32,
}

/// An ADD_STREAM that waits until the stream before it is drained.
#[derive(Debug)]
struct Held {
    vb: VbId,
    add: Opaque,
    flags: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Consumer {
    options: ConsumerOptions,
    counter: Counter,
    negotiation: Negotiation,
    acks: Acks,
    liveness: Liveness,
    streams: HashMap<VbId, PassiveStream>,
    /// Streams to be asked for once the negotiation is done, in the order they were added.
    to_request: VecDeque<VbId>,
    held: VecDeque<Held>,
    /// Streams that got something since the last [`Consumer::settle`].
    touched: Vec<VbId>,
    effects: Vec<Effect>,
    closing: bool,
    unix_s: u32,
}

impl Consumer {
    /// A connection that was opened at `now` (the age of whatever clock the caller uses).
    #[must_use]
    pub fn new(options: ConsumerOptions, now: Duration) -> Self {
        let name = options.consumer_name.as_deref();
        Self {
            negotiation: Negotiation::new(name, options.window_bytes),
            counter: Counter::default(),
            acks: Acks::new(options.window_bytes, now),
            liveness: Liveness::new(now),
            streams: HashMap::new(),
            to_request: VecDeque::new(),
            held: VecDeque::new(),
            touched: Vec::new(),
            effects: Vec::new(),
            closing: false,
            unix_s: 0,
            options,
        }
    }

    /// What is to be done, in order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Bytes that were received and are not on disk: the caller reads no more while they exceed the
    /// window by far, which only a producer without flow control makes happen.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.acks.held_bytes()
    }

    /// Gives the connection another flow-control window.
    pub fn set_window(&mut self, bytes: u32, out: &mut BytesMut) {
        if bytes != self.acks.window_bytes() {
            self.acks.resize(bytes);
            self.negotiation.resize(bytes, &mut self.counter, out);
        }
    }

    /// Frames and events of the moment were all given: starts what can be started, has rows
    /// written, acknowledges.
    pub fn settle(&mut self, now: Duration, replicas: &dyn Replicas, out: &mut BytesMut) {
        if !self.to_request.is_empty() {
            self.negotiation.start(&mut self.counter, out);
        }
        if self.negotiation.is_done() {
            while let Some(vb) = self.to_request.pop_front() {
                self.request(vb, replicas, out);
            }
        }
        for vb in std::mem::take(&mut self.touched) {
            self.go_on(vb, replicas, out);
        }
        self.acknowledge(now, out);
    }

    /// Time goes on: late acknowledgements, and the idle timeout. `unix_s` is Unix time.
    pub fn on_tick(&mut self, now: Duration, unix_s: u32, out: &mut BytesMut) {
        self.unix_s = unix_s;
        if self.liveness.is_idle(now) {
            self.close("nothing was heard from the producer for 360 s".to_owned(), out);
        }
        self.acknowledge(now, out);
    }

    /// Ends the connection: whoever waits for the answer to an ADD_STREAM gets it now.
    pub fn close(&mut self, reason: String, out: &mut BytesMut) {
        if std::mem::replace(&mut self.closing, true) {
            return;
        }
        let unanswered = self.streams.values_mut().filter_map(|s| Some((s.add.take()?, s.opaque)));
        for (add, stream) in unanswered {
            setup::answer_add(add, Status::ETMPFAIL, Some(stream), out);
        }
        for held in self.held.drain(..) {
            setup::answer_add(held.add, Status::ETMPFAIL, None, out);
        }
        self.effects.push(Effect::Close(reason));
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
