//! The producer's side of one DCP connection, as a pure machine.
//!
//! Frames and [`Event`]s go in; each call returns [`Effect`]s for the shell and appends frames to
//! an output buffer. It opens no socket, reads no clock and no disk. The map:
//!
//! - `settings`, `window`: what DCP_CONTROL settled, and flow control; `silence`: a consumer that
//!   does not acknowledge
//! - `stream`: one stream; `marker`, `backfill`, `takeover`: its parts; `turn`: what it works with
//! - `slots`: which streams read the disk, and how much of it they hold; `reads`: when each of them
//!   reads on
//! - `ends`: how streams end; `encode`: rows to frames
//! - `event`, `effect`: what happens, and what is to be done; `context`: what one call works with
//! - `requests`: frames from the consumer; `refusal`: those that are refused with a reason, or
//!   close the connection; `stats`: statistics

mod backfill;
mod context;
mod effect;
mod encode;
mod ends;
mod event;
mod marker;
mod reads;
mod refusal;
mod requests;
mod settings;
mod silence;
mod slots;
mod stats;
mod stream;
mod takeover;
mod turn;
mod window;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use mcbp::{FrameBuilder, Opaque, Opcode, Status, VbId};

pub use backfill::{Chunk, DiskRead, ReadEnd, SMALL_ROW_BYTES, Selection};
pub use effect::{Effect, Effects};
pub use encode::{EncodeError, RowEncoder};
pub use event::Event;
pub use marker::DiskSnapshot;
pub use settings::{Applied, MarkerVersion, OutOfOrder, Priority, ProducerOptions, Settings};
pub use slots::{BACKFILLS_MAX, LARGE_BYTES_MAX};
pub use stats::ProducerTotals;
pub use stream::{ActiveStream, StreamId, StreamKey};
pub use turn::{LOG_READ_BYTES, LogRead, Source};
pub use window::Window;

use crate::collections::StreamFilter;
use crate::liveness::Liveness;
use context::Context;
use silence::Silence;
use slots::BackfillSlots;
use turn::{AfterTurn, Keys, Turn};

/// See the module.
#[derive(Debug)]
pub struct Producer {
    options: ProducerOptions,
    settings: Settings,
    /// The name that topologies give the consumer's node; empty where it has said none.
    consumer_name: Arc<str>,
    window: Window,
    liveness: Liveness,
    silence: Silence,
    streams: BTreeMap<StreamKey, ActiveStream>,
    /// How many streams this connection has had.
    streams_opened: u64,
    /// Streams that may have something to send, in the order of their turns; each at most once.
    ready: VecDeque<StreamKey>,
    slots: BackfillSlots,
    seen: Keys,
    totals: Totals,
}

/// What the connection has sent, for the statistics.
#[derive(Clone, Copy, Default, Debug)]
struct Totals {
    items_sent: u64,
    bytes_sent: u64,
}

impl Producer {
    /// A connection that was opened at `now`, on a clock of the caller's choice.
    #[must_use]
    pub fn new(options: ProducerOptions, now: Duration) -> Self {
        Self {
            options,
            settings: Settings::default(),
            consumer_name: "".into(),
            window: Window::default(),
            liveness: Liveness::new(now),
            silence: Silence::default(),
            streams: BTreeMap::new(),
            streams_opened: 0,
            ready: VecDeque::new(),
            slots: BackfillSlots::default(),
            seen: Keys::default(),
            totals: Totals::default(),
        }
    }

    /// Returns the encoder for a scan of this connection.
    #[must_use]
    pub const fn encoder(&self) -> RowEncoder {
        RowEncoder::new(self.options, &self.settings)
    }

    /// Returns which rows a read of the disk is to pass to a stream; `None` where it has ended.
    #[must_use]
    pub fn filter(&self, vb: VbId, stream: StreamId) -> Option<&StreamFilter> {
        let key = StreamKey { vb, sid: stream.sid };
        self.streams.get(&key).map(ActiveStream::filter)
    }

    /// Takes one event; returns what is to be done, in order, before [`Producer::fill`] is called.
    #[must_use]
    pub fn on(&mut self, event: Event, source: &dyn Source, out: &mut BytesMut) -> Effects {
        let mut cx = Context::new(source, out);
        match event {
            Event::Committed(vb) => self.committed(vb),
            Event::Changed(vb) => self.changed(vb, &mut cx),
            Event::DiskRead(vb, stream, read) => self.disk_read(vb, stream, read, &mut cx),
            Event::Dead(vb, stream, outcome) => self.set_dead(vb, stream, outcome, &mut cx),
            Event::Tick(now) => self.tick(now, &mut cx),
        }
        cx.effects
    }

    fn committed(&mut self, vb: VbId) {
        for (key, stream) in self.streams.range_mut(StreamKey::all_of(vb)) {
            if !std::mem::replace(&mut stream.queued, true) {
                self.ready.push_back(*key);
            }
        }
    }

    fn changed(&mut self, vb: VbId, cx: &mut Context<'_>) {
        let facts = cx.source.facts(vb);
        let streams = self.streams.range(StreamKey::all_of(vb));
        let now: Vec<_> = streams.map(|(key, s)| (*key, s.misfit(facts.as_ref()))).collect();
        for (key, misfit) in now {
            match misfit {
                Some(status) => self.end(key, status, cx),
                None => self.wake(key),
            }
        }
    }

    fn set_dead(
        &mut self,
        vb: VbId,
        stream: StreamId,
        outcome: Result<(), String>,
        cx: &mut Context<'_>,
    ) {
        let key = StreamKey { vb, sid: stream.sid };
        let Some(current) = self.streams.get_mut(&key) else { return };
        let Some(takeover) = current.takeover.as_mut().filter(|_| current.id == stream) else {
            return;
        };
        match outcome {
            Ok(()) => {
                takeover.dead();
                self.wake(key);
            }
            Err(cause) => self.fail(key, cause, cx),
        }
    }

    fn tick(&mut self, now: Duration, cx: &mut Context<'_>) {
        if self.liveness.is_idle(now) {
            cx.effects.push(Effect::Close("nothing was received from the consumer for 360 s"));
        } else if self.settings.noop
            && let Some(opaque) = self.liveness.noop_due(now, self.settings.noop_interval)
        {
            FrameBuilder::request(Opcode::DCP_NOOP).opaque(opaque).write(cx.out);
        }
        if self.silence.check(&self.window, now) {
            cx.effects.push(Effect::Silent(self.silence.lasts()));
        }
        for (key, stream) in &mut self.streams {
            if stream.takeover.as_mut().is_some_and(|takeover| takeover.is_too_slow(now)) {
                cx.effects.push(Effect::HoldWrites(*key));
            }
        }
    }

    /// Lets the ready streams write in turn while the window is open and `out` is shorter than
    /// `out_bytes_max`, which the last turn may exceed by a row. Returns what is to be done, in
    /// order.
    #[must_use]
    pub fn fill(
        &mut self,
        source: &dyn Source,
        out: &mut BytesMut,
        out_bytes_max: usize,
    ) -> Effects {
        let mut cx = Context::new(source, out);
        let before = cx.out.len();
        while cx.out.len() < out_bytes_max
            && self.window.is_open()
            && let Some(key) = self.ready.pop_front()
        {
            let encoder = self.encoder().of_stream(key.sid);
            let Some(stream) = self.streams.get_mut(&key) else { continue };
            stream.queued = false;
            let sent_before = stream.items_sent;
            let step = stream.step(&mut Turn {
                source: cx.source,
                encoder,
                sid: key.sid,
                settings: &self.settings,
                collections: self.options.collections,
                window: &mut self.window,
                out: cx.out,
                seen: &mut self.seen,
            });
            self.totals.items_sent += stream.items_sent - sent_before;
            self.carry_out(key, step, &mut cx);
        }
        self.totals.bytes_sent += (cx.out.len() - before) as u64;
        cx.effects
    }

    /// Whether [`Producer::fill`] might write something now.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.window.is_open() && !self.ready.is_empty()
    }

    fn carry_out(&mut self, key: StreamKey, step: AfterTurn, cx: &mut Context<'_>) {
        self.release_slot(key, cx);
        match step {
            AfterTurn::More => self.wake(key),
            AfterTurn::Idle => {}
            AfterTurn::ReadDisk => {
                self.read_disk(key, cx);
                self.wake(key);
            }
            AfterTurn::SetDead => {
                if let Some(stream) = self.streams.get(&key) {
                    cx.effects.push(Effect::SetDead { vb: key.vb, stream: stream.id });
                }
            }
            AfterTurn::End(status) => self.end(key, status, cx),
            AfterTurn::Fail(cause) => self.fail(key, cause, cx),
        }
    }

    fn wake(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get_mut(&key)
            && !std::mem::replace(&mut stream.queued, true)
        {
            self.ready.push_back(key);
        }
    }
}

fn answer(opcode: Opcode, status: Status, opaque: Opaque, out: &mut BytesMut) {
    FrameBuilder::response(opcode, status).opaque(opaque).write(out);
}
