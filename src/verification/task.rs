//! Carries the schedule out: reads the status of replication, runs the comparisons, keeps what they
//! find.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use dcp_actors::ReplicationHandle;
use relay::Endpoint;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::batch::Batch;
use super::schedule::Schedule;
use super::sight::sights;
use super::words::{Effect, End, Event, Moment, Target};
use super::{Verification, tell};
use crate::config::Node;
use crate::random;
use crate::sources::Sources;
use crate::verify::{Progress, Verified, Verify, VerifyError, verify_each};

/// How long the control plane may take to return its status.
const READ_WAIT: Duration = Duration::from_secs(10);
/// How often the status is read while a run is under way or waits, and else.
const LOOK_BUSY: Duration = Duration::from_secs(1);
const LOOK_IDLE: Duration = Duration::from_secs(10);
/// How long a comparison that was cancelled may take to end by itself.
const CANCEL_WAIT: Duration = Duration::from_secs(5);

/// Compares copies with their producers until it is stopped.
pub struct Verifier {
    sources: Sources,
    replication: ReplicationHandle,
    /// The data nodes inside this process.
    inside: Vec<Endpoint>,
    shared: Verification,
    stop: CancellationToken,
    started: Instant,
    started_at: SystemTime,
    schedule: Schedule,
    running: Option<Running>,
    /// Why the last comparison failed.
    failure: String,
    /// Distinguishes the connections of this process, and of its comparisons.
    name: String,
    comparisons: u64,
}

/// A comparison that runs.
struct Running {
    target: Target,
    task: AbortOnDropHandle<(Batch, Result<Verified, VerifyError>)>,
    progress: Progress,
    stop: CancellationToken,
    /// When it is aborted, once it is cancelled.
    ends: Option<Instant>,
}

impl Verifier {
    /// Returns one that has begun nothing yet. Nothing is begun after `stop`.
    #[must_use]
    pub fn new(
        sources: Sources,
        replication: ReplicationHandle,
        inside: Vec<Endpoint>,
        shared: Verification,
        stop: CancellationToken,
    ) -> Self {
        Self {
            sources,
            replication,
            inside,
            shared,
            stop,
            started: Instant::now(),
            started_at: SystemTime::now(),
            schedule: Schedule::default(),
            running: None,
            failure: String::new(),
            // Without random bytes only two sidecars with equal names would disturb each other.
            name: random::hex::<4>().unwrap_or_default(),
            comparisons: 0,
        }
    }

    /// Runs until it is stopped.
    pub async fn run(mut self) {
        let mut is_over = false;
        self.look().await;
        while !(is_over && self.running.is_none()) {
            let wait = self.wait();
            let woken = self.shared.clone();
            tokio::select! {
                () = self.stop.cancelled(), if !is_over => {
                    is_over = true;
                    self.on(Event::Stop);
                }
                end = ended(&mut self.running) => self.comparison_ended(end),
                () = woken.0.woken.notified() => self.look().await,
                () = sleep(wait) => self.look().await,
            }
        }
    }

    fn wait(&self) -> Duration {
        let look = if self.schedule.is_busy() { LOOK_BUSY } else { LOOK_IDLE };
        let now = self.started.elapsed();
        self.schedule.next_due().map_or(look, |due| look.min(due.saturating_sub(now)))
    }

    /// Tells the schedule what there is, and what was asked for.
    async fn look(&mut self) {
        let Ok(buckets) = timeout(READ_WAIT, self.replication.status()).await else {
            log::warn!("no comparison begins: the control plane does not answer");
            return;
        };
        let (seen, config) = (sights(&buckets), self.sources.config());
        let producers = || config.producers.iter().map(|node| node.name().to_owned());
        let expected: Vec<_> = config
            .buckets
            .iter()
            .flat_map(|it| producers().map(|producer| Target { bucket: it.name.clone(), producer }))
            .collect();
        {
            let mut board = self.shared.board();
            board.interval = config.verify.interval;
            board.rate = config.verify.rate.get();
            let wanted: BTreeMap<_, _> =
                seen.iter().map(|(target, sight)| (target.clone(), sight.wanted.clone())).collect();
            board.follow(&wanted, &expected);
        }
        self.on(Event::Every(config.verify.interval));
        self.on(Event::Seen(seen));
        let shared = self.shared.clone();
        shared.with_asked(|asked| {
            for (target, vbs) in asked {
                self.on(Event::Asked(target.clone(), vbs.clone()));
            }
        });
    }

    fn on(&mut self, event: Event) {
        let at = Moment { now: self.started.elapsed(), chance: fastrand::f64() };
        for effect in self.schedule.on(at, event) {
            self.carry_out(effect);
        }
        self.show();
    }

    fn carry_out(&mut self, effect: Effect) {
        let (now, events) = (SystemTime::now(), self.sources.events());
        match effect {
            Effect::Begun(target) => self.shared.board().begun(&target, now),
            Effect::Compare { target, vbs, confirms } => {
                self.begin(target, Batch::new(vbs, confirms))
            }
            Effect::Cancel => {
                if let Some(running) = &mut self.running {
                    running.stop.cancel();
                    running.ends = Some(Instant::now() + CANCEL_WAIT);
                }
            }
            Effect::Over { target, skipped } => {
                let run = self.shared.board().over(&target, skipped.into_iter().collect(), now);
                if let Some(run) = run {
                    tell::over(&events, &target, &run);
                }
            }
            Effect::Failed(target) => {
                let why = std::mem::take(&mut self.failure);
                tell::failed(&events, &target, &why);
                self.shared.board().failed(&target, why, now);
            }
        }
    }

    /// Shows how far each run is, and when the next one is due.
    fn show(&self) {
        let mut board = self.shared.board();
        for (target, record) in &mut board.targets {
            let (due, held) = self.schedule.outlook(target);
            record.next = due.and_then(|due| self.started_at.checked_add(due));
            if let Some(current) = &mut record.current {
                current.held = held;
                current.left = self.schedule.left(target).unwrap_or(0);
            }
        }
    }

    fn begin(&mut self, target: Target, mut batch: Batch) {
        self.comparisons += 1;
        let (progress, stop) = (Progress::default(), CancellationToken::new());
        let Some(what) = self.what(&target, &batch) else {
            self.failure = format!("the configuration does not have {} any more", target.producer);
            self.on(Event::Ended(End::Failed));
            return;
        };
        let (counts, ends) = (progress.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let result = verify_each(&what, &counts, &mut |event| batch.on(event), &ends).await;
            (batch, result)
        });
        let task = AbortOnDropHandle::new(task);
        self.running = Some(Running { target, task, progress, stop, ends: None });
    }

    /// What to compare; `None` where the configuration does not have the producer any more.
    fn what(&self, target: &Target, batch: &Batch) -> Option<Verify> {
        let config = self.sources.config();
        let producer = config.producers.iter().find(|node| node.name() == target.producer)?;
        let (producer, consumer) = (self.endpoint(producer)?, self.endpoint(&config.node)?);
        let vbs = batch.vbs.iter().copied().collect();
        let name = format!("{}-{}", self.name, self.comparisons);
        let rate = Some(config.verify.rate);
        Some(Verify { rate, ..Verify::new(producer, consumer, target.bucket.clone(), vbs, name) })
    }

    fn endpoint(&self, node: &Node) -> Option<Endpoint> {
        match node {
            Node::Remote(endpoint) => Some(endpoint.clone()),
            Node::Embedded(name) => self.inside.iter().find(|it| it.name == *name).cloned(),
        }
    }

    fn comparison_ended(&mut self, end: Ended) {
        let Some(Running { target, progress, ends, .. }) = self.running.take() else { return };
        let end = match end {
            Ended::Done(batch, Ok(_)) if batch.done.is_empty() && ends.is_none() => {
                self.failure = "it ended without a result".to_owned();
                End::Failed
            }
            Ended::Done(mut batch, Ok(_)) => {
                batch.bytes = progress.now().bytes;
                let (done, differing) = (batch.done.clone(), batch.differing());
                self.shared.board().compared(&target, batch);
                End::Compared { done, differing }
            }
            Ended::Aborted => End::Compared { done: BTreeSet::new(), differing: BTreeSet::new() },
            Ended::Done(_, Err(error)) => {
                self.failure = error.to_string();
                End::Failed
            }
            Ended::Panicked(error) => {
                self.failure = format!("a task of the comparison panicked: {error}");
                End::Failed
            }
        };
        self.on(Event::Ended(end));
    }
}

/// How a comparison ended.
enum Ended {
    Done(Batch, Result<Verified, VerifyError>),
    Aborted,
    Panicked(tokio::task::JoinError),
}

/// Waits for the end of the running comparison; for ever while none runs.
async fn ended(running: &mut Option<Running>) -> Ended {
    let Some(Running { task, ends, .. }) = running else { return std::future::pending().await };
    let is_late = async {
        match ends {
            Some(ends) => tokio::time::sleep_until((*ends).into()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        done = task => match done {
            Ok((batch, result)) => Ended::Done(batch, result),
            Err(error) => Ended::Panicked(error),
        },
        () = is_late => Ended::Aborted,
    }
}
