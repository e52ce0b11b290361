//! The consumer's side of a session: a thin shell around [`Consumer`].
//!
//! When the connection ends, its vBuckets are released only after everything that it received is
//! on disk, because the next stream has to name what is on disk then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use log::{info, warn};
use logline::value;
use mcbp::{Frame, Seqno, Status, VbId, VbState};
use tokio::sync::watch;
use vbucket::consumer::{Consumer, Effect, Effects, Event, Failure, Part, Replicas as _};

use super::access::{Access, ReplicaAccess};
use super::registry::window_bytes;
use super::session::{Execution, Side};
use super::wakeups::{News, Wakeups};
use super::wire::Wire;
use crate::bucket::{Bucket, Subscription, Vb, VbError};
use crate::clock;

/// No more is read while this many windows are received and not on disk. A producer that heeds the
/// window never comes near; one without flow control is slowed by its socket.
const HELD_WINDOWS: usize = 2;

/// See the module.
pub(super) struct ConsumerSide {
    /// The name of the connection, for the log: it says who the producer is.
    name: Arc<str>,
    access: ReplicaAccess,
    watched: HashMap<VbId, Subscription>,
    /// The number of consumers of the bucket, which share its memory for windows.
    consumers: watch::Receiver<u32>,
}

impl ConsumerSide {
    pub(super) fn new(name: &str, access: Access) -> Self {
        let consumers = access.served().connections.consumers();
        let (access, watched) = (ReplicaAccess::new(access), HashMap::new());
        Self { name: name.into(), access, watched, consumers }
    }

    fn window_bytes(&self) -> u32 {
        window_bytes(self.access.bucket().options().quota_bytes, *self.consumers.borrow())
    }

    fn watch(&mut self, vb: VbId) {
        let listener: Arc<Wakeups> = Arc::clone(&self.access.wakeups);
        if let Some(found) = self.access.bucket().vb(vb) {
            self.watched.insert(vb, found.subscribe(listener));
        }
    }

    /// Runs `change` on the vBucket, if it is still there, and makes an event of its outcome.
    fn later<F: Future<Output = Result<(), VbError>> + Send>(
        &self,
        vb: VbId,
        change: impl FnOnce(Arc<Bucket>, Arc<Vb>) -> F + Send + 'static,
        event: impl FnOnce(Result<(), Failure>) -> Event + Send + 'static,
    ) -> Execution<Self> {
        let (name, bucket) = (Arc::clone(&self.name), Arc::clone(self.access.bucket()));
        Execution::Later(Box::pin(async move {
            let outcome = match bucket.vb(vb) {
                Some(found) => change(bucket, found).await,
                None => Err(VbError::NoVbucket(vb)),
            };
            event(outcome.map_err(|error| failure(&name, vb, error)))
        }))
    }
}

impl Side for ConsumerSide {
    type Machine = Consumer;
    type Event = Event;
    type Effect = Effect;
    type Report = Event;

    fn wakeups(&self) -> &Arc<Wakeups> {
        &self.access.wakeups
    }

    fn events(vb: VbId, news: News) -> impl IntoIterator<Item = Event> {
        let changed = news.changed.then_some(Event::Changed(vb));
        changed.into_iter().chain(news.freed.then_some(Event::Freed(vb)))
    }

    fn tick(now: Duration) -> Event {
        Event::Tick { now, unix_s: clock::unix_now() }
    }

    /// The window changes with the number of consumers.
    async fn changed(&mut self) -> Event {
        if self.consumers.changed().await.is_err() {
            // The bucket is gone, so nothing will change any more.
            return std::future::pending().await;
        }
        Event::Window(self.window_bytes())
    }

    fn on_frame(
        &self,
        machine: &mut Consumer,
        frame: &Frame<'_>,
        memory: Option<&Bytes>,
        now: Duration,
        out: &mut BytesMut,
    ) -> Effects {
        machine.on_frame(frame, memory, now, &self.access, out)
    }

    fn heard(machine: &mut Consumer, now: Duration) {
        machine.heard(now);
    }

    fn on(&self, machine: &mut Consumer, event: Event, out: &mut BytesMut) -> Effects {
        machine.on(event, &self.access, out)
    }

    fn settle(
        &self,
        machine: &mut Consumer,
        now: Duration,
        effects: &mut Effects,
        out: &mut BytesMut,
    ) {
        effects.append(&mut machine.settle(now, &self.access, out));
    }

    fn may_read(&self, machine: &Consumer) -> bool {
        machine.queued_bytes() < HELD_WINDOWS * self.window_bytes() as usize
    }

    fn execute(
        &mut self,
        _machine: &Mutex<Consumer>,
        effect: Effect,
        wire: &Wire,
    ) -> Execution<Self> {
        match effect {
            Effect::Watch(vb) => {
                self.watch(vb);
                return Execution::Event(Event::Changed(vb));
            }
            Effect::Unwatch(vb) => drop(self.watched.remove(&vb)),
            Effect::Rollback(vb, stream, to) => {
                info!("rolling back {wire} vb={} to={to}", vb.0);
                let change = async move |_, found: Arc<Vb>| found.rollback(to).await.map(drop);
                return self.later(vb, change, move |done| Event::RolledBack(vb, stream, done));
            }
            Effect::TakeHistory(vb, stream, log) => {
                let change = async move |_, found: Arc<Vb>| found.replace_failover(&log).await;
                return self.later(vb, change, move |done| Event::HistoryTaken(vb, stream, done));
            }
            Effect::Apply(vb, stream, after, parts) => {
                let change = move |_, found| apply(found, after, parts);
                return self.later(vb, change, move |done| Event::Applied(vb, stream, done));
            }
            Effect::SetState(vb, stream, state) => {
                let change = move |bucket, found| set_state(bucket, found, state);
                return self.later(vb, change, move |done| Event::StateSet(vb, stream, done));
            }
            Effect::Note(vb, note) => info!("note of a stream {wire} vb={} note={note:?}", vb.0),
            // The connection's name says who the producer is.
            Effect::Refused(vb, refused) => {
                let is_invalid_cas = refused.status == Status::CAS_VALUE_INVALID;
                let counters = self.access.bucket().counters();
                counters.invalid_cas.add(u64::from(is_invalid_cas));
                warn!("stream ended by a refused frame {wire} vb={} {refused}", vb.0);
            }
            Effect::Close(reason) => return Execution::Close(reason),
        }
        Execution::Done
    }

    fn reported(&mut self, _machine: &Consumer, report: Event) -> Event {
        report
    }

    fn ended(&mut self, machine: &Consumer) {
        self.access.ended(machine.vbuckets());
    }

    fn gone(&mut self, machine: &Consumer) {
        machine.vbuckets().for_each(|vb| self.access.release(vb));
    }
}

/// Queues all parts, then waits once: commits of a vBucket are in the order of their queueing, and
/// a part that follows a failed one is refused.
async fn apply(vb: Arc<Vb>, mut after: Seqno, parts: Vec<Part>) -> Result<(), VbError> {
    let mut last = None;
    for part in parts {
        // A part without rows leaves the vBucket where it was.
        let end = part.last_seqno().unwrap_or(after);
        last = Some(vb.apply(after, part).await?);
        after = end;
    }
    match last {
        Some(commit) => Ok(commit.wait().await?),
        None => Ok(()),
    }
}

/// Keeps the topology, which the producer does not know.
async fn set_state(bucket: Arc<Bucket>, vb: Arc<Vb>, state: VbState) -> Result<(), VbError> {
    let topology = Some(vb.view().topology).filter(|topology| !topology.is_empty());
    bucket.set_state(vb.id(), state, topology).await
}

fn failure(name: &str, vb: VbId, error: VbError) -> Failure {
    match error {
        VbError::NoVbucket(_) | VbError::WrongState { .. } => Failure::NotReplica,
        error => {
            let (vb, name, error) = (vb.0, value(name), value(&error));
            warn!("change of a stream failed connection={name} vb={vb} error={error}");
            Failure::Other(error.to_string())
        }
    }
}
