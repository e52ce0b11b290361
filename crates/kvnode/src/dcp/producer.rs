//! The session of a producer connection: a thin shell around [`Producer`].
//!
//! One task: it reads, writes, and carries out what the machine asks for. The machine's lock is
//! never held across a wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use log::{error, warn};
use mcbp::{Opaque, VbId, VbState};
use vbucket::engine::Scan;
use vbucket::producer::{Effect, Effects, Event, Producer};

use super::access::Access;
use super::backfill;
use super::wakeups::Wakeups;
use super::wire::{Ended, Wire};
use crate::bucket::{Subscription, WriteHold};
use crate::sync::lock;

/// How much waits to be written before the streams pause: enough for the socket to be busy while
/// the next rows are encoded, little enough that a slow reader costs no memory.
const OUT_BYTES_MAX: usize = 256 * 1024;

/// The step of the machine's clock, kv_engine's `connection_manager_interval`.
const TICK: Duration = Duration::from_millis(100);

/// What takes time and reports back.
enum Report {
    Disk(backfill::Outcome),
    Dead(VbId, Opaque, Result<(), String>),
}

/// What a stream needs beside the machine; dropped with it.
#[derive(Default)]
struct Resources {
    _subscription: Option<Subscription>,
    scan: Option<(Opaque, Box<dyn Scan>)>,
    _hold: Option<WriteHold>,
}

pub(super) struct Session {
    wire: Wire,
    access: Access,
    machine: Arc<Mutex<Producer>>,
    /// What the machine asked for and was not carried out yet.
    effects: Effects,
    wakeups: Arc<Wakeups>,
    streams: HashMap<VbId, Resources>,
    reports: FuturesUnordered<BoxFuture<'static, Report>>,
}

impl Session {
    pub(super) fn new(wire: Wire, access: Access, machine: Arc<Mutex<Producer>>) -> Self {
        Self {
            wire,
            access,
            machine,
            effects: Effects::new(),
            wakeups: Arc::default(),
            streams: HashMap::new(),
            reports: FuturesUnordered::new(),
        }
    }

    /// Serves the connection to its end.
    pub(super) async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let ended = loop {
            if let Err(ended) = self.take_frames() {
                break ended;
            }
            if let Some(ended) = self.advance() {
                break ended;
            }
            tokio::select! {
                moved = self.wire.moved() => if let Err(ended) = moved { break ended },
                () = self.wakeups.wait() => self.take_wakeups(),
                Some(report) = self.reports.next() => self.take_report(report),
                _ = tick.tick() => {
                    let now = self.wire.age();
                    self.take_event(Event::Tick(now));
                }
            }
        };
        self.wire.close(ended).await;
        // A vBucket that is being set dead is so before anyone is told that the connection is gone.
        while self.reports.next().await.is_some() {}
    }

    fn take_frames(&mut self) -> Result<(), Ended> {
        let now = self.wire.age();
        let mut machine = lock(&self.machine);
        let Self { access, effects, .. } = self;
        self.wire.frames(|frame, _, out| {
            effects.append(&mut machine.on_frame(frame, now, access, out));
        })
    }

    fn take_event(&mut self, event: Event) {
        let out = &mut self.wire.out;
        self.effects.append(&mut lock(&self.machine).on(event, &self.access, out));
    }

    /// Carries out what the machine wants, then lets its streams write.
    fn advance(&mut self) -> Option<Ended> {
        loop {
            if self.effects.is_empty() {
                let out = &mut self.wire.out;
                self.effects = lock(&self.machine).fill(&self.access, out, OUT_BYTES_MAX);
            }
            if self.effects.is_empty() {
                return None;
            }
            let effects = std::mem::take(&mut self.effects);
            if let Some(ended) = self.carry_out(effects) {
                return Some(ended);
            }
        }
    }

    fn carry_out(&mut self, effects: Effects) -> Option<Ended> {
        for effect in effects {
            match effect {
                Effect::Watch(vb) => self.watch(vb),
                Effect::Unwatch(vb) => drop(self.streams.remove(&vb)),
                Effect::ReadDisk { vb, stream, start, end, row_bytes_max } => {
                    let scan = self.streams.entry(vb).or_default().scan.take();
                    let scan = scan.filter(|(of, _)| *of == stream).map(|(_, scan)| scan);
                    let encoder = lock(&self.machine).encoder();
                    let request =
                        backfill::Request { vb, stream, start, end, encoder, row_bytes_max, scan };
                    let store = Arc::clone(self.access.bucket().store());
                    let places = Arc::clone(&self.access.0.connections.disk_reads);
                    let read = backfill::read(store, places, request);
                    self.reports.push(Box::pin(async { Report::Disk(read.await) }));
                }
                Effect::SetDead { vb, stream } => {
                    let bucket = Arc::clone(self.access.bucket());
                    self.reports.push(Box::pin(async move {
                        let done = bucket.set_state(vb, VbState::Dead, None).await;
                        Report::Dead(vb, stream, done.map_err(|error| error.to_string()))
                    }));
                }
                Effect::HoldWrites(vb) => {
                    warn!("takeover is slow, holding up clients {} vb={}", self.wire, vb.0);
                    let hold = self.access.bucket().vb(vb).map(|vb| vb.hold_writes());
                    self.streams.entry(vb).or_default()._hold = hold;
                }
                Effect::Failed { vb, seqno, cause, read_failed } => {
                    if !read_failed || self.access.bucket().counters().read_failures.add() {
                        let (wire, vb) = (&self.wire, vb.0);
                        error!("stream failed {wire} vb={vb} seqno={seqno} cause={cause}");
                    }
                }
                Effect::Silent(lasts) => {
                    let (wire, s) = (&self.wire, lasts.as_secs());
                    warn!("a consumer acknowledges nothing, its streams stand still {wire} s={s}");
                }
                Effect::Close(reason) => return Some(Ended::Closing(reason.to_owned())),
            }
        }
        None
    }

    /// Subscribes first and looks afterwards, so that no change falls between.
    fn watch(&mut self, vb: VbId) {
        let listener: Arc<Wakeups> = Arc::clone(&self.wakeups);
        let _subscription = self.access.bucket().vb(vb).map(|vb| vb.subscribe(listener));
        self.streams.insert(vb, Resources { _subscription, ..Resources::default() });
        self.take_event(Event::Changed(vb));
    }

    fn take_wakeups(&mut self) {
        let mut machine = lock(&self.machine);
        let (access, out) = (&self.access, &mut self.wire.out);
        self.wakeups.drain(|vb, news| {
            let event = if news.changed { Event::Changed(vb) } else { Event::Committed(vb) };
            self.effects.append(&mut machine.on(event, access, out));
        });
    }

    fn take_report(&mut self, report: Report) {
        match report {
            Report::Disk(backfill::Outcome { vb, stream, scan, read }) => {
                if let Some(resources) = self.streams.get_mut(&vb)
                    && lock(&self.machine)
                        .stream(vb)
                        .is_some_and(|current| current.opaque() == stream)
                {
                    resources.scan = scan.map(|scan| (stream, scan));
                }
                self.take_event(Event::DiskRead(vb, stream, read));
            }
            Report::Dead(vb, stream, done) => self.take_event(Event::Dead(vb, stream, done)),
        }
    }
}
