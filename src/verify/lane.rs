//! A lane: a pair of connections that compares one vBucket after the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use comparison::{Counts, Difference, Job, Queue, Side, Vbucket, Verdict};
use mcbp::VbId;
use relay::Reconnect;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::reader::{NodeReader, Trouble};
use super::{Progress, VerifyError};

/// What is kept of keys at most, in each lane.
const KEYS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How often in succession a connection may fail.
const LINK_FAILURES_MAX: u32 = 3;
/// How long a lane waits after its connection has failed.
const LINK_REST: Duration = Duration::from_secs(1);

/// What a lane tells the task that started it.
pub(super) enum Message {
    /// A difference.
    Found(Difference),
    /// The comparison of a vBucket is over; its differences were sent before.
    Done(VbId, Counts),
}

/// What all lanes share.
pub(super) struct Shared {
    state: Mutex<State>,
    /// There is something in the queue, or nothing left to come.
    pub(super) news: Notify,
    started: Instant,
}

struct State {
    queue: Queue,
    /// vBuckets that are compared again later.
    parked: BTreeMap<VbId, Vbucket>,
}

impl Shared {
    pub(super) fn new(queue: Queue) -> Self {
        let state = Mutex::new(State { queue, parked: BTreeMap::new() });
        Self { state, news: Notify::new(), started: Instant::now() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn with_queue<T>(&self, with: impl FnOnce(&mut Queue, Duration) -> T) -> T {
        with(&mut self.lock().queue, self.started.elapsed())
    }

    /// The next vBucket, `None` once there is none left.
    async fn next(&self) -> Option<(Job, Option<Vbucket>)> {
        loop {
            let news = self.news.notified();
            {
                let mut state = self.lock();
                if let Some(job) = state.queue.take() {
                    let parked = state.parked.remove(&job.vb);
                    return Some((job, parked));
                }
                if state.queue.is_over() {
                    return None;
                }
            }
            news.await;
        }
    }

    fn park(&self, vb: VbId, vbucket: Vbucket, rest: u32) {
        let mut state = self.lock();
        state.parked.insert(vb, vbucket);
        let now = self.started.elapsed();
        state.queue.later(vb, now, rest);
    }

    fn done(&self) {
        self.lock().queue.done();
        self.news.notify_waiters();
    }
}

/// See the module.
pub(super) struct Lane {
    pub(super) shared: Arc<Shared>,
    pub(super) a: NodeReader,
    pub(super) b: NodeReader,
    pub(super) names: [String; 2],
    pub(super) progress: Progress,
    pub(super) messages: mpsc::Sender<Message>,
}

impl Lane {
    /// Compares until nothing is left.
    pub(super) async fn run(mut self) -> Result<(), VerifyError> {
        let mut failures = 0;
        while let Some((job, parked)) = self.shared.next().await {
            let [a, b] = &self.names;
            let mut vbucket = parked.unwrap_or_else(|| Vbucket::new(job.vb, a, b, KEYS_BYTES_MAX));
            match self.passes(&job, &mut vbucket).await {
                Ok(Verdict::Done) => {
                    failures = 0;
                    self.send(Message::Done(job.vb, vbucket.counts())).await;
                    self.progress.vbucket_done();
                    self.shared.done();
                }
                Ok(Verdict::Later { rest }) => self.shared.park(job.vb, vbucket, rest),
                // `passes` goes on by itself.
                Ok(Verdict::Again) => self.shared.park(job.vb, vbucket, 0),
                Err(error) => {
                    failures += 1;
                    let is_lasting = matches!(error.retry(), Reconnect::Slowly | Reconnect::Never);
                    if failures > LINK_FAILURES_MAX || is_lasting {
                        return Err(error.into());
                    }
                    log::warn!(
                        "a connection failed, opened again error={}",
                        logline::value(&error)
                    );
                    self.a.reset();
                    self.b.reset();
                    self.shared.park(job.vb, vbucket, failures);
                    tokio::time::sleep(LINK_REST).await;
                }
            }
        }
        Ok(())
    }

    /// Passes over a vBucket until it is over or has to wait.
    async fn passes(
        &mut self,
        job: &Job,
        vbucket: &mut Vbucket,
    ) -> Result<Verdict, relay::LinkError> {
        loop {
            let mut found = Vec::new();
            let verdict = match self.pass(job.vb, vbucket).await {
                Ok(()) => vbucket.finish(job.pin, &mut found),
                Err(Trouble::Stream(failure)) => {
                    self.a.abandon();
                    self.b.abandon();
                    vbucket.failed(&failure, &mut found)
                }
                Err(Trouble::Link(error)) => return Err(error),
            };
            self.tell(found).await;
            if verdict != Verdict::Again {
                return Ok(verdict);
            }
        }
    }

    async fn pass(&mut self, vb: VbId, vbucket: &mut Vbucket) -> Result<(), Trouble> {
        // In this order: B may be within a snapshot that A made before its own is opened here.
        self.b.open(vb).await?;
        self.a.open(vb).await?;
        vbucket.begin(self.a.log(), self.b.log());
        vbucket.ends(Side::A, self.a.end());
        vbucket.ends(Side::B, self.b.end());
        loop {
            if self.a.is_empty() || self.b.is_empty() {
                tokio::try_join!(self.a.fill(), self.b.fill())?;
                let mut found = Vec::new();
                vbucket.take_found(&mut found);
                self.tell(found).await;
            }
            let (a, b) = (self.a.front()?, self.b.front()?);
            if a.is_none() && b.is_none() {
                break;
            }
            let advance = vbucket.step(a.as_ref(), b.as_ref());
            if advance.a {
                self.a.advance()?;
            }
            if advance.b {
                self.b.advance()?;
            }
        }
        for side in [&mut self.a, &mut self.b] {
            vbucket.ends(side.side(), side.end());
        }
        if vbucket.asks_for_purge() {
            for side in [&mut self.a, &mut self.b] {
                let purge = side.purge_seqno().await?;
                vbucket.purge(side.side(), purge);
            }
        }
        Ok(())
    }

    async fn tell(&mut self, found: Vec<Difference>) {
        for difference in found {
            self.send(Message::Found(difference)).await;
        }
    }

    async fn send(&mut self, message: Message) {
        // The receiver outlives the lanes, unless the comparison was given up.
        _ = self.messages.send(message).await;
    }
}
