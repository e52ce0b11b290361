//! The producer's side of a session: a thin shell around [`Producer`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use log::{error, warn};
use logline::value;
use mcbp::{Frame, VbId, VbState};
use vbucket::producer::{Effect, Effects, Event, Producer, StreamId, StreamKey};

use super::access::Access;
use super::backfill::{self, ChunkRead, OpenScan, ReadChunk};
use super::session::{Execution, Side};
use super::wakeups::{News, Wakeups};
use super::wire::Wire;
use crate::bucket::{Subscription, WriteHold};
use crate::sync::lock;

/// How much waits to be written before the streams pause: enough for the socket to be busy while
/// the next rows are encoded, little enough that a slow reader costs no memory.
const OUT_BYTES_MAX: usize = 256 * 1024;

/// The outcome of an effect that takes time.
pub(super) enum Report {
    Disk(Box<ChunkRead>),
    Dead(VbId, StreamId, Result<(), String>),
}

/// What a stream needs beside the machine; dropped with it.
#[derive(Default)]
struct Resources {
    _subscription: Option<Subscription>,
    scan: Option<(StreamId, Box<OpenScan>)>,
    _hold: Option<WriteHold>,
}

/// See the module.
pub(super) struct ProducerSide {
    access: Access,
    wakeups: Arc<Wakeups>,
    streams: HashMap<StreamKey, Resources>,
}

impl ProducerSide {
    pub(super) fn new(access: Access) -> Self {
        Self { access, wakeups: Arc::default(), streams: HashMap::new() }
    }

    /// Subscribes before the machine looks, so that no change is missed.
    fn watch(&mut self, key: StreamKey) {
        let listener: Arc<Wakeups> = Arc::clone(&self.wakeups);
        let _subscription = self.access.bucket().vb(key.vb).map(|vb| vb.subscribe(listener));
        self.streams.insert(key, Resources { _subscription, ..Resources::default() });
    }

    fn set_dead(&self, vb: VbId, stream: StreamId) -> Execution<Self> {
        let bucket = Arc::clone(self.access.bucket());
        Execution::Later(Box::pin(async move {
            let outcome = bucket.set_state(vb, VbState::Dead, None).await;
            Report::Dead(vb, stream, outcome.map_err(|error| error.to_string()))
        }))
    }

    /// Reads a chunk with the scan that is open for the stream, or with a new one.
    fn read_disk(&mut self, mut read: ReadChunk) -> Execution<Self> {
        let key = StreamKey { vb: read.vb, sid: read.stream.sid };
        let scan = self.streams.entry(key).or_default().scan.take();
        read.scan = scan.filter(|(of, _)| *of == read.stream).map(|(_, scan)| scan);
        let store = Arc::clone(self.access.bucket().store());
        let permits = Arc::clone(&self.access.served().connections.read_permits);
        let read = backfill::read(store, permits, read);
        Execution::Later(Box::pin(async { Report::Disk(Box::new(read.await)) }))
    }
}

impl Side for ProducerSide {
    type Machine = Producer;
    type Event = Event;
    type Effect = Effect;
    type Report = Report;

    fn wakeups(&self) -> &Arc<Wakeups> {
        &self.wakeups
    }

    fn events(vb: VbId, news: News) -> impl IntoIterator<Item = Event> {
        [if news.changed { Event::Changed(vb) } else { Event::Committed(vb) }]
    }

    fn tick(now: Duration) -> Event {
        Event::Tick(now)
    }

    fn changed(&mut self) -> impl Future<Output = Event> + Send {
        std::future::pending()
    }

    fn on_frame(
        &self,
        machine: &mut Producer,
        frame: &Frame<'_>,
        _memory: Option<&Bytes>,
        now: Duration,
        out: &mut BytesMut,
    ) -> Effects {
        machine.on_frame(frame, now, &self.access, out)
    }

    fn heard(machine: &mut Producer, now: Duration) {
        machine.heard(now);
    }

    fn on(&self, machine: &mut Producer, event: Event, out: &mut BytesMut) -> Effects {
        machine.on(event, &self.access, out)
    }

    /// The streams write once everything that the machine asked for is executed.
    fn settle(
        &self,
        machine: &mut Producer,
        _now: Duration,
        effects: &mut Effects,
        out: &mut BytesMut,
    ) {
        if effects.is_empty() {
            *effects = machine.fill(&self.access, out, OUT_BYTES_MAX);
        }
    }

    fn may_read(&self, _machine: &Producer) -> bool {
        true
    }

    fn execute(
        &mut self,
        machine: &Mutex<Producer>,
        effect: Effect,
        wire: &Wire,
    ) -> Execution<Self> {
        match effect {
            Effect::Watch(key) => {
                self.watch(key);
                return Execution::Event(Event::Changed(key.vb));
            }
            Effect::Unwatch(key) => drop(self.streams.remove(&key)),
            Effect::ReadDisk { vb, stream, start, row_bytes_max } => {
                let machine = lock(machine);
                let (encoder, scan) = (machine.encoder().of_stream(stream.sid), None);
                let Some(filter) = machine.filter(vb, stream).cloned() else {
                    return Execution::Done;
                };
                drop(machine);
                let read = ReadChunk { vb, stream, start, encoder, filter, row_bytes_max, scan };
                return self.read_disk(read);
            }
            Effect::SetDead { vb, stream } => return self.set_dead(vb, stream),
            Effect::HoldWrites(key) => {
                warn!("slow takeover, client writes fail until it ends {wire} vb={}", key.vb.0);
                let hold = self.access.bucket().vb(key.vb).map(|vb| vb.hold_writes());
                self.streams.entry(key).or_default()._hold = hold;
            }
            Effect::Failed { vb, seqno, cause, read_failed } => {
                if !read_failed || self.access.bucket().counters().read_failures.add() {
                    let cause = value(format_args!("{cause:?}"));
                    error!("stream failed {wire} vb={} seqno={seqno} error={cause}", vb.0);
                }
            }
            Effect::Joined { vb, node } => {
                if let Some(vb) = self.access.bucket().vb(vb) {
                    vb.forget_acknowledged(&node);
                }
            }
            Effect::Acknowledged { vb, node, prepared } => {
                if let Some(vb) = self.access.bucket().vb(vb) {
                    vb.acknowledge(&node, prepared);
                }
            }
            Effect::Silent(lasts) => {
                let seconds = lasts.as_secs();
                warn!("no acknowledgement, the streams stand still {wire} seconds={seconds}");
            }
            Effect::Close(reason) => return Execution::Close(reason.to_owned()),
        }
        Execution::Done
    }

    fn reported(&mut self, machine: &Producer, report: Report) -> Event {
        match report {
            Report::Disk(read) => {
                let ChunkRead { vb, stream, scan, read } = *read;
                if let Some(resources) = self.streams.get_mut(&StreamKey { vb, sid: stream.sid })
                    && machine.has_stream(vb, stream)
                {
                    resources.scan = scan.map(|scan| (stream, scan));
                }
                Event::DiskRead(vb, stream, read)
            }
            Report::Dead(vb, stream, outcome) => Event::Dead(vb, stream, outcome),
        }
    }

    fn ended(&mut self, _machine: &Producer) {}

    fn gone(&mut self, _machine: &Producer) {}
}
