//! The producer's side of one DCP connection, as a pure machine.
//!
//! Frames and events go in, frames go to an output buffer and [`Effect`]s to the shell. It opens no
//! socket, reads no clock and no disk. The map:
//!
//! - `settings`, `window`: what DCP_CONTROL agreed, and flow control; `silence`: when nobody
//!   acknowledges
//! - `stream`: one stream; `marker`, `backfill`, `takeover`: its parts; `turn`: what it works with
//! - `places`: who may read the disk, and how much of it is held; `encode`: rows to frames;
//!   `effect`: what the shell has to do
//! - `requests`: frames from the consumer; `stats`: what STAT tells

mod backfill;
mod effect;
mod encode;
mod marker;
mod places;
mod requests;
mod settings;
mod silence;
mod stats;
mod stream;
mod takeover;
mod turn;
mod window;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::BytesMut;
use mcbp::dcp::StreamEnd;
use mcbp::{FrameBuilder, Opaque, Opcode, Status, StreamEndStatus, VbId};

pub use backfill::{Chunk, DiskRead, Opened, ReadEnd, SMALL_ROW_BYTES};
pub use effect::Effect;
pub use encode::{EncodeError, RowEncoder};
pub use places::{BACKFILLS_MAX, LARGE_BYTES_MAX};
pub use settings::{Applied, MarkerVersion, ProducerOptions, Settings};
pub use stats::ProducerTotals;
pub use stream::ActiveStream;
pub use turn::{LOG_READ_BYTES, LogRead, Source};
pub use window::Window;

use crate::liveness::Liveness;
use places::Places;
use silence::Silence;
use stream::Phase;
use turn::{Keys, Step, Turn};

/// See the module.
#[derive(Debug)]
pub struct Producer {
    options: ProducerOptions,
    settings: Settings,
    window: Window,
    liveness: Liveness,
    silence: Silence,
    streams: BTreeMap<VbId, ActiveStream>,
    /// Streams that may have something to send, in turn; each at most once.
    ready: VecDeque<VbId>,
    places: Places,
    effects: Vec<Effect>,
    seen: Keys,
    totals: Totals,
}

/// What was sent on the connection, for the statistics.
#[derive(Clone, Copy, Default, Debug)]
struct Totals {
    items_sent: u64,
    bytes_sent: u64,
}

impl Producer {
    /// A connection that was opened at `now` (the age of whatever clock the caller uses).
    #[must_use]
    pub fn new(options: ProducerOptions, now: Duration) -> Self {
        Self {
            options,
            settings: Settings::default(),
            window: Window::default(),
            liveness: Liveness::new(now),
            silence: Silence::default(),
            streams: BTreeMap::new(),
            ready: VecDeque::new(),
            places: Places::default(),
            effects: Vec::new(),
            seen: Keys::default(),
            totals: Totals::default(),
        }
    }

    /// What is to be done; to be carried out in order, before [`Producer::fill`] is called.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// How rows are to be encoded for a scan of this connection.
    #[must_use]
    pub const fn encoder(&self) -> RowEncoder {
        RowEncoder::new(self.options, &self.settings)
    }

    /// Rows of the vBucket became durable.
    pub fn on_committed(&mut self, vb: VbId) {
        self.wake(vb);
    }

    /// State, history or existence of the vBucket changed, or its stream has just begun.
    pub fn on_changed(&mut self, vb: VbId, source: &dyn Source, out: &mut BytesMut) {
        let Some(stream) = self.streams.get(&vb) else { return };
        match stream.misfit(source.facts(vb).as_ref()) {
            Some(status) => self.end(vb, status, out),
            None => self.wake(vb),
        }
    }

    /// A read of the disk ended. A report for a stream that is gone is dropped (MB-26979).
    pub fn on_disk_read(&mut self, vb: VbId, stream: Opaque, read: DiskRead) {
        let current = self.streams.get_mut(&vb).filter(|current| current.opaque == stream);
        if let Some(ActiveStream { phase: Phase::Backfill(backfill), .. }) = current {
            backfill.on_read(read);
            self.places.holds(vb, backfill.large_bytes());
            self.wake(vb);
            self.read_large();
        }
    }

    /// Setting the vBucket dead for a takeover ended, well or not.
    pub fn on_dead(
        &mut self,
        vb: VbId,
        stream: Opaque,
        outcome: Result<(), String>,
        out: &mut BytesMut,
    ) {
        let Some(current) = self.streams.get_mut(&vb) else { return };
        let Some(takeover) = current.takeover.as_mut().filter(|_| current.opaque == stream) else {
            return;
        };
        match outcome {
            Ok(()) => {
                takeover.dead();
                self.wake(vb);
            }
            Err(cause) => self.fail(vb, cause, out),
        }
    }

    /// Time goes on: NOOP, and the idle timeout. To be called about ten times a second.
    pub fn on_tick(&mut self, now: Duration, out: &mut BytesMut) {
        if self.liveness.is_idle(now) {
            self.effects.push(Effect::Close("nothing was heard from the consumer for 360 s"));
        } else if self.settings.noop
            && let Some(opaque) = self.liveness.noop_due(now, self.settings.noop_interval)
        {
            FrameBuilder::request(Opcode::DCP_NOOP).opaque(opaque).write(out);
        }
        if self.silence.look(&self.window, now) {
            self.effects.push(Effect::Silent(self.silence.lasts()));
        }
        for (vb, stream) in &mut self.streams {
            if stream.takeover.as_mut().is_some_and(|takeover| takeover.is_too_slow(now)) {
                self.effects.push(Effect::HoldWrites(*vb));
            }
        }
    }

    /// Lets the ready streams write in turn while the window is open and `out` is shorter than
    /// `out_bytes_max` (which the last turn may exceed by a row).
    pub fn fill(&mut self, source: &dyn Source, out: &mut BytesMut, out_bytes_max: usize) {
        let before = out.len();
        while out.len() < out_bytes_max
            && self.window.is_open()
            && let Some(vb) = self.ready.pop_front()
        {
            let encoder = self.encoder();
            let Some(stream) = self.streams.get_mut(&vb) else { continue };
            stream.queued = false;
            let sent_before = stream.items_sent;
            let step = stream.step(&mut Turn {
                source,
                encoder,
                settings: &self.settings,
                collections: self.options.collections,
                window: &mut self.window,
                out,
                seen: &mut self.seen,
            });
            self.totals.items_sent += stream.items_sent - sent_before;
            self.carry_out(vb, step, out);
        }
        self.totals.bytes_sent += (out.len() - before) as u64;
    }

    /// Whether [`Producer::fill`] might write something now.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.window.is_open() && !self.ready.is_empty()
    }

    fn carry_out(&mut self, vb: VbId, step: Step, out: &mut BytesMut) {
        self.release_place(vb);
        match step {
            Step::More => self.wake(vb),
            Step::Idle => {}
            Step::ReadDisk => {
                self.read_disk(vb);
                self.wake(vb);
            }
            Step::SetDead => {
                if let Some(stream) = self.streams.get(&vb) {
                    self.effects.push(Effect::SetDead { vb, stream: stream.opaque });
                }
            }
            Step::End(status) => self.end(vb, status, out),
            Step::Fail(cause) => self.fail(vb, cause, out),
        }
    }

    fn wake(&mut self, vb: VbId) {
        if let Some(stream) = self.streams.get_mut(&vb)
            && !std::mem::replace(&mut stream.queued, true)
        {
            self.ready.push_back(vb);
        }
    }

    /// Has the next chunk read, once the stream has a place.
    fn read_disk(&mut self, vb: VbId) {
        let Some(ActiveStream { phase: Phase::Backfill(backfill), .. }) = self.streams.get(&vb)
        else {
            return;
        };
        let large = backfill.large_row();
        if self.places.take(vb)
            && let Some(row_bytes_max) = self.places.row_bytes_max(vb, large)
        {
            self.ask_disk(vb, row_bytes_max);
        }
        self.read_large();
    }

    /// Has those rows larger than a chunk read that there is room for by now.
    fn read_large(&mut self) {
        while let Some((vb, bytes)) = self.places.next_large() {
            self.ask_disk(vb, bytes);
        }
    }

    fn ask_disk(&mut self, vb: VbId, row_bytes_max: usize) {
        if let Some(stream) = self.streams.get(&vb) {
            let (stream, start, end) = (stream.opaque, stream.cursor.next(), stream.granted.end);
            self.effects.push(Effect::ReadDisk { vb, stream, start, end, row_bytes_max });
        }
    }

    /// Gives what a stream does not need any more for reading the disk to the next one.
    fn release_place(&mut self, vb: VbId) {
        match self.streams.get(&vb).map(|stream| &stream.phase) {
            Some(Phase::Backfill(backfill)) if backfill.is_reading() => {}
            Some(Phase::Backfill(backfill)) => self.places.holds(vb, backfill.large_bytes()),
            Some(Phase::Memory(_)) | None => {
                if let Some(next) = self.places.leave(vb) {
                    self.read_disk(next);
                }
            }
        }
        self.read_large();
    }

    /// Ends a stream with a frame that says why. It is sent even where the window is closed: an end
    /// always gets through (MB-31481).
    fn end(&mut self, vb: VbId, status: StreamEndStatus, out: &mut BytesMut) {
        let Some(stream) = self.streams.get(&vb) else { return };
        StreamEnd { status }.write(vb, stream.opaque, out);
        self.window.charge(STREAM_END_BYTES);
        self.remove(vb);
    }

    fn remove(&mut self, vb: VbId) {
        self.streams.remove(&vb);
        self.ready.retain(|ready| *ready != vb);
        self.effects.push(Effect::Unwatch(vb));
        self.release_place(vb);
    }

    fn fail(&mut self, vb: VbId, cause: String, out: &mut BytesMut) {
        let Some(stream) = self.streams.get(&vb) else { return };
        let read_failed = matches!(stream.phase, Phase::Backfill(_));
        let status = if stream.takeover.is_some() && !read_failed {
            StreamEndStatus::STATE_CHANGED
        } else {
            StreamEndStatus::BACKFILL_FAIL
        };
        self.effects.push(Effect::Failed { vb, seqno: stream.cursor, cause, read_failed });
        self.end(vb, status, out);
    }
}

/// What a STREAM_END takes of the window, see [`mcbp::flow::charge`].
const STREAM_END_BYTES: usize = mcbp::HEADER_BYTES + 4;

fn answer(opcode: Opcode, status: Status, opaque: Opaque, out: &mut BytesMut) {
    FrameBuilder::response(opcode, status).opaque(opaque).write(out);
}
