//! The session of a DCP connection: one task that reads, writes, and executes what the machine of
//! its side asks for. The trait [`Side`] has what differs between the sides.
//!
//! The machine's lock is never held across a wait.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use mcbp::{Frame, FrameBuilder, Status, VbId};
use tokio::time::{Interval, MissedTickBehavior};

use super::ordinary::{Executed, Ordinary, REQUEST_BYTES_MAX};
use super::wakeups::{News, Wakeups};
use super::wire::{Ended, Wire};
use crate::put_off::yield_now;
use crate::sync::lock;

/// The step of the machine's clock, kv_engine's `connection_manager_interval`.
const TICK: Duration = Duration::from_millis(100);

/// The outcome of executing an effect.
pub(super) enum Execution<S: Side> {
    /// It is done.
    Done,
    /// It is done, and the machine gets this event.
    Event(S::Event),
    /// It takes time and reports back.
    Later(BoxFuture<'static, S::Report>),
    /// The connection is closed, for this reason.
    Close(String),
}

/// One side of DCP: a machine of `vbucket`, and how its effects are executed.
pub(super) trait Side: Sized {
    type Machine;
    type Event;
    type Effect;
    /// The outcome of an effect that takes time.
    type Report;

    /// What happened to vBuckets that the machine watches.
    fn wakeups(&self) -> &Arc<Wakeups>;

    /// The events that tell the machine of `news`.
    fn events(vb: VbId, news: News) -> impl IntoIterator<Item = Self::Event>;

    /// The event that tells the machine the time.
    fn tick(now: Duration) -> Self::Event;

    /// Waits until something that the whole bucket shares has changed. Safe to drop.
    fn changed(&mut self) -> impl Future<Output = Self::Event> + Send;

    /// Gives the machine a frame and the memory that it lies in, if that may be kept.
    fn on_frame(
        &self,
        machine: &mut Self::Machine,
        frame: &Frame<'_>,
        memory: Option<&Bytes>,
        now: Duration,
        out: &mut BytesMut,
    ) -> Vec<Self::Effect>;

    /// Tells the machine that the peer has sent something that is not for it.
    fn heard(machine: &mut Self::Machine, now: Duration);

    /// Gives the machine an event.
    fn on(
        &self,
        machine: &mut Self::Machine,
        event: Self::Event,
        out: &mut BytesMut,
    ) -> Vec<Self::Effect>;

    /// All frames and events of the moment were given: lets the machine go on. Adds to `effects`,
    /// which holds what it asked for before.
    fn settle(
        &self,
        machine: &mut Self::Machine,
        now: Duration,
        effects: &mut Vec<Self::Effect>,
        out: &mut BytesMut,
    );

    /// Whether more may be read from the socket.
    fn may_read(&self, machine: &Self::Machine) -> bool;

    /// Executes an effect; `wire` names the connection in the log.
    fn execute(
        &mut self,
        machine: &Mutex<Self::Machine>,
        effect: Self::Effect,
        wire: &Wire,
    ) -> Execution<Self>;

    /// Turns a report into the event that tells the machine of it.
    fn reported(&mut self, machine: &Self::Machine, report: Self::Report) -> Self::Event;

    /// The connection has ended; effects that take time are still under way.
    fn ended(&mut self, machine: &Self::Machine);

    /// No effect is under way any more.
    fn gone(&mut self, machine: &Self::Machine);
}

/// See the module.
pub(super) struct Session<S: Side> {
    wire: Wire,
    side: S,
    wakeups: Arc<Wakeups>,
    machine: Arc<Mutex<S::Machine>>,
    ordinary: Ordinary,
    /// What the machine asked for and what is not executed yet.
    effects: Vec<S::Effect>,
    reports: FuturesUnordered<BoxFuture<'static, S::Report>>,
}

impl<S: Side> Session<S> {
    pub(super) fn new(
        wire: Wire,
        side: S,
        machine: Arc<Mutex<S::Machine>>,
        ordinary: Ordinary,
    ) -> Self {
        let wakeups = Arc::clone(side.wakeups());
        let (effects, reports) = (Vec::new(), FuturesUnordered::new());
        Self { wire, side, wakeups, machine, ordinary, effects, reports }
    }

    /// Serves the connection to its end.
    pub(super) async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ended = loop {
            if let Err(ended) = self.turn(&mut tick).await {
                break ended;
            }
        };
        self.side.ended(&lock(&self.machine));
        self.wire.close(ended).await;
        // What was begun is over before anyone is told that the connection is gone.
        while self.reports.next().await.is_some() {}
        self.side.gone(&lock(&self.machine));
    }

    /// Executes what is due, then waits for one thing to happen.
    async fn turn(&mut self, tick: &mut Interval) -> Result<(), Ended> {
        // While the socket takes all that a stream writes, this task never waits: then nothing else
        // would look whether the peer has sent something, such as a request that closes the stream.
        if self.wire.is_long_since_yield() {
            yield_now().await;
        }
        self.take_frames()?;
        self.advance()?;
        self.ordinary.go_on(self.wire.written_bytes());
        self.wire.reading = self.ordinary.has_room() && self.side.may_read(&lock(&self.machine));
        tokio::select! {
            moved = self.wire.moved() => moved?,
            () = self.wakeups.wait() => self.take_wakeups(),
            Some(report) = self.reports.next() => self.take_report(report),
            executed = self.ordinary.executed() => self.take_answers(executed)?,
            event = self.side.changed() => self.take_event(event),
            _ = tick.tick() => {
                self.take_event(S::tick(self.wire.age()));
                let stalled = self.ordinary.stalled(self.wire.written_bytes());
                return stalled.map_or(Ok(()), |reason| Err(Ended::Closing(reason)));
            }
        }
        Ok(())
    }

    fn take_frames(&mut self) -> Result<(), Ended> {
        let now = self.wire.age();
        let mut machine = lock(&self.machine);
        let Self { side, effects, ordinary, .. } = self;
        self.wire.frames(|frame, memory, out| {
            if Ordinary::takes(frame) {
                S::heard(&mut machine, now);
                return take_ordinary(frame, ordinary, out);
            }
            effects.append(&mut side.on_frame(&mut machine, frame, memory, now, out));
        })
    }

    fn take_event(&mut self, event: S::Event) {
        let out = &mut self.wire.out;
        self.effects.append(&mut self.side.on(&mut lock(&self.machine), event, out));
    }

    /// Lets the machine go on, and executes what it asks for, until it asks for nothing.
    fn advance(&mut self) -> Result<(), Ended> {
        let now = self.wire.age();
        loop {
            let out = &mut self.wire.out;
            self.side.settle(&mut lock(&self.machine), now, &mut self.effects, out);
            if self.effects.is_empty() {
                return Ok(());
            }
            for effect in std::mem::take(&mut self.effects) {
                match self.side.execute(&self.machine, effect, &self.wire) {
                    Execution::Done => {}
                    Execution::Event(event) => self.take_event(event),
                    Execution::Later(report) => self.reports.push(report),
                    Execution::Close(reason) => return Err(Ended::Closing(reason)),
                }
            }
        }
    }

    fn take_wakeups(&mut self) {
        let mut machine = lock(&self.machine);
        let (side, effects, out) = (&self.side, &mut self.effects, &mut self.wire.out);
        self.wakeups.drain(|vb, news| {
            for event in S::events(vb, news) {
                effects.append(&mut side.on(&mut machine, event, out));
            }
        });
    }

    fn take_answers(&mut self, executed: Executed) -> Result<(), Ended> {
        let written_bytes = self.wire.written_bytes();
        match self.ordinary.answer(executed, written_bytes, &mut self.wire.out) {
            None => Ok(()),
            Some(Ok(())) => Err(Ended::ByPeer),
            Some(Err(reason)) => Err(Ended::Closing(reason)),
        }
    }

    fn take_report(&mut self, report: S::Report) {
        let event = self.side.reported(&lock(&self.machine), report);
        self.take_event(event);
    }
}

/// Queues a request that is not DCP's, or refuses one that is too large.
fn take_ordinary(frame: &Frame<'_>, ordinary: &mut Ordinary, out: &mut BytesMut) {
    if frame.header.frame_bytes() <= REQUEST_BYTES_MAX {
        return ordinary.push(frame);
    }
    let refusal = FrameBuilder::response(frame.opcode(), Status::E2BIG);
    refusal.opaque(frame.header.opaque).write(out);
}
