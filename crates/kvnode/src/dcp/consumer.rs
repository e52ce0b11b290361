//! The session of a consumer connection: a thin shell around [`Consumer`].
//!
//! One task. When the connection ends, what is on its way to disk is waited for before its vBuckets
//! are given back: the next stream has to name what is on disk then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use log::{info, warn};
use mcbp::{Seqno, VbId, VbState};
use tokio::sync::watch;
use vbucket::consumer::{Consumer, Effect, Effects, Event, Failure, Part, Replicas as _};

use super::access::{Access, ReplicaAccess};
use super::registry::window_bytes;
use super::wakeups::Wakeups;
use super::wire::{Ended, Wire};
use crate::bucket::{Bucket, Subscription, VbError};
use crate::clock;
use crate::sync::lock;

/// The step of the machine's clock.
const TICK: Duration = Duration::from_millis(100);

/// No more is read while so many windows are received and not on disk. A producer that heeds the
/// window never comes near; one without flow control is held by its socket.
const HELD_WINDOWS: usize = 2;

pub(super) struct Session {
    wire: Wire,
    access: ReplicaAccess,
    machine: Arc<Mutex<Consumer>>,
    watched: HashMap<VbId, Subscription>,
    /// What the machine asked for and was not carried out yet.
    effects: Effects,
    /// What takes time and reports back.
    reports: FuturesUnordered<BoxFuture<'static, Event>>,
    consumers: watch::Receiver<u32>,
}

impl Session {
    pub(super) fn new(wire: Wire, access: Access, machine: Arc<Mutex<Consumer>>) -> Self {
        let consumers = access.0.connections.consumers();
        Self {
            wire,
            access: ReplicaAccess::new(access),
            machine,
            watched: HashMap::new(),
            effects: Effects::new(),
            reports: FuturesUnordered::new(),
            consumers,
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
            let held_bytes_max = HELD_WINDOWS * self.window_bytes() as usize;
            self.wire.reading = lock(&self.machine).queued_bytes() < held_bytes_max;
            tokio::select! {
                moved = self.wire.moved() => if let Err(ended) = moved { break ended },
                () = self.access.wakeups.wait() => self.take_wakeups(),
                Some(report) = self.reports.next() => self.take_event(report),
                Ok(()) = self.consumers.changed() => self.resize(),
                _ = tick.tick() => {
                    let now = self.wire.age();
                    self.take_event(Event::Tick { now, unix_s: clock::unix_now() });
                }
            }
        };
        let vbuckets: Vec<_> = lock(&self.machine).vbuckets().collect();
        self.access.ended(&vbuckets);
        self.wire.close(ended).await;
        while self.reports.next().await.is_some() {}
        vbuckets.iter().for_each(|vb| self.access.release(*vb));
    }

    fn take_frames(&mut self) -> Result<(), Ended> {
        let now = self.wire.age();
        let mut machine = lock(&self.machine);
        let Self { access, effects, .. } = self;
        self.wire.frames(|frame, memory, out| {
            effects.append(&mut machine.on_frame(frame, memory, now, access, out));
        })
    }

    fn take_event(&mut self, event: Event) {
        let out = &mut self.wire.out;
        self.effects.append(&mut lock(&self.machine).on(event, &self.access, out));
    }

    fn advance(&mut self) -> Option<Ended> {
        let now = self.wire.age();
        loop {
            let out = &mut self.wire.out;
            self.effects.append(&mut lock(&self.machine).settle(now, &self.access, out));
            if self.effects.is_empty() {
                return None;
            }
            for effect in std::mem::take(&mut self.effects) {
                if let Some(ended) = self.carry_out(effect) {
                    return Some(ended);
                }
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Ended> {
        let bucket = Arc::clone(self.access.bucket());
        match effect {
            Effect::Watch(vb) => self.watch(vb),
            Effect::Unwatch(vb) => drop(self.watched.remove(&vb)),
            Effect::Rollback(vb, stream, to) => {
                info!("rolling back {} vb={} to={to}", self.wire, vb.0);
                self.report(async move {
                    let done = match bucket.vb(vb) {
                        Some(vb) => vb.rollback(to).await.map(drop),
                        None => Err(VbError::NoVbucket(vb)),
                    };
                    Event::RolledBack(vb, stream, done.map_err(failure))
                });
            }
            Effect::TakeHistory(vb, stream, log) => self.report(async move {
                let done = match bucket.vb(vb) {
                    Some(vb) => vb.replace_failover(&log).await,
                    None => Err(VbError::NoVbucket(vb)),
                };
                Event::HistoryTaken(vb, stream, done.map_err(failure))
            }),
            Effect::Apply(vb, stream, after, parts) => self.report(async move {
                let done = apply(&bucket, vb, after, parts).await;
                Event::Applied(vb, stream, done.map_err(failure))
            }),
            Effect::SetState(vb, stream, state) => self.report(async move {
                let done = set_state(&bucket, vb, state).await;
                Event::StateSet(vb, stream, done.map_err(failure))
            }),
            Effect::Note(vb, note) => info!("stream {} vb={} note={note}", self.wire, vb.0),
            // The connection's name says who the producer is.
            Effect::Refused(vb, refused) => {
                warn!("stream ended by a refused frame {} vb={} {refused}", self.wire, vb.0);
            }
            Effect::Close(reason) => return Some(Ended::Closing(reason)),
        }
        None
    }

    fn report(&self, report: impl Future<Output = Event> + Send + 'static) {
        self.reports.push(Box::pin(report));
    }

    fn watch(&mut self, vb: VbId) {
        let listener: Arc<Wakeups> = Arc::clone(&self.access.wakeups);
        if let Some(found) = self.access.bucket().vb(vb) {
            self.watched.insert(vb, found.subscribe(listener));
        }
        self.take_event(Event::Changed(vb));
    }

    fn take_wakeups(&mut self) {
        let mut machine = lock(&self.machine);
        let (access, out) = (&self.access, &mut self.wire.out);
        access.wakeups.drain(|vb, news| {
            if news.changed {
                self.effects.append(&mut machine.on(Event::Changed(vb), access, out));
            }
            if news.freed {
                self.effects.append(&mut machine.on(Event::Freed(vb), access, out));
            }
        });
    }

    fn resize(&mut self) {
        self.consumers.mark_unchanged();
        let bytes = self.window_bytes();
        self.take_event(Event::Window(bytes));
    }

    fn window_bytes(&self) -> u32 {
        window_bytes(self.access.bucket().options().quota_bytes, *self.consumers.borrow())
    }
}

/// Queues all parts, then waits once: commits of a vBucket are in the order of their queueing, and
/// a part that follows a failed one is refused.
async fn apply(
    bucket: &Bucket,
    vb: VbId,
    mut after: Seqno,
    parts: Vec<Part>,
) -> Result<(), VbError> {
    let vb = bucket.vb(vb).ok_or(VbError::NoVbucket(vb))?;
    let mut last = None;
    for part in parts {
        let end = part.last_seqno().unwrap_or(after);
        last = Some(vb.apply(after, part).await?);
        after = end;
    }
    match last {
        Some(ticket) => Ok(ticket.wait().await?),
        None => Ok(()),
    }
}

/// Keeps the topology: the producer knows nothing of it.
async fn set_state(bucket: &Arc<Bucket>, vb: VbId, state: VbState) -> Result<(), VbError> {
    let found = bucket.vb(vb).ok_or(VbError::NoVbucket(vb))?;
    let topology = Some(found.view().topology).filter(|topology| !topology.is_empty());
    bucket.set_state(vb, state, topology).await
}

fn failure(error: VbError) -> Failure {
    match error {
        VbError::NoVbucket(_) | VbError::WrongState { .. } => Failure::NotReplica,
        error => {
            warn!("a stream's change was not taken error={error}");
            Failure::Other(error.to_string())
        }
    }
}
