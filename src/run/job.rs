//! The steps of the main job: sample documents, replication, the wait for its end, comparison.
//!
//! Only their order is here. Each step is a module, and `story` has the output.

use std::pin::pin;
use std::time::{Duration, Instant};

use dcp_actors::ReplicationHandle;
use lifecycle::notify;
use logline::value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{RunError, tell};
use crate::admin::{self, Admin};
use crate::catch_up::{End, Links, catch_up};
use crate::config::{Config, EmbeddedNode};
use crate::embedded::{Nodes, RunningNode};
use crate::invocation;
use crate::load::{Load, Loaded, deleted_of, load};
use crate::screen::Screen;
use crate::sources::Sources;
use crate::story::{self, Numbers, Where};
use crate::trickle::trickle;
use crate::verification::{Verification, Verifier};
use crate::verify::{Difference, Progress, Verified, Verify, verify};
use crate::watch::{Position, Route, Watch};

/// How often the progress of replication is logged.
const REPORT_EVERY: Duration = Duration::from_secs(30);
/// How long the comparison waits for a node that lags.
const PATIENCE_MAX: Duration = Duration::from_secs(5);
/// How often the bar of the comparison moves, and what is waited for is looked at.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// How long the current step may take to end by itself after a stop: each step checks for a stop
/// between two requests.
pub(super) const STEP_STOP: Duration = Duration::from_secs(1);

/// What the steps work with.
pub(super) struct Job<'a> {
    pub(super) sources: &'a Sources,
    /// The configuration at the start.
    pub(super) config: &'a Config,
    pub(super) nodes: &'a Nodes,
    pub(super) admin: &'a Admin,
    pub(super) once: bool,
    pub(super) screen: &'a Screen,
    pub(super) stop: &'a CancellationToken,
}

impl Job<'_> {
    pub(super) async fn run(&self) -> Result<bool, RunError> {
        let mut written = Vec::new();
        for node in self.nodes.iter() {
            if self.load(node).await? {
                written.push(node.spec.name.clone());
            }
        }
        if self.stop.is_cancelled() {
            self.say_interrupted(story::not_started());
            return Ok(self.interrupted());
        }
        let before = self.before().await?;
        notify::status("replication starts");
        let replication = self.start_replication()?;
        let embedded = self.nodes.iter().map(RunningNode::facts).collect();
        let gauges = self.nodes.iter().map(RunningNode::gauges).collect();
        let verification = Verification::default();
        let running = admin::Replicating {
            replication: replication.clone(),
            embedded,
            gauges,
            verification: verification.clone(),
        };
        let inside: Vec<_> = self.nodes.iter().map(|node| node.endpoint.clone()).collect();
        let verifier = Verifier::new(
            self.sources.clone(),
            replication.clone(),
            inside.clone(),
            verification,
            self.admin.stopping(),
        );
        self.sources.attach(replication.clone(), inside, self.stop);
        self.admin.attach(running);
        let _verifier = AbortOnDropHandle::new(tokio::spawn(verifier.run()));
        notify::ready();
        let (not_ready, over) = (self.admin.not_ready(), self.stop.clone());
        let teller = tell::tell(replication.clone(), not_ready, over);
        let _teller = AbortOnDropHandle::new(tokio::spawn(teller));
        let done = tokio::select! {
            done = self.replicate(&replication, before, &written) => done,
            () = self.overdue() => {
                self.say_interrupted(story::given_up(STEP_STOP));
                Ok(self.interrupted())
            }
        };
        if !replication.shutdown(self.config.limits.shutdown).await {
            let limit = self.config.limits.shutdown;
            log::warn!("streams did not close in time, connections dropped limit={limit:?}");
        }
        done
    }

    /// The result of a job that was stopped before its end: a run with `once` did not do what it
    /// is for.
    const fn interrupted(&self) -> bool {
        !self.once
    }

    /// Says this where people follow the steps; a sidecar that was stopped logs it.
    fn say_interrupted(&self, lines: Vec<String>) {
        if self.once || self.config.is_demonstration() {
            self.say(lines);
        }
    }

    /// Returns some time after a stop was requested, so that a node that does not answer cannot
    /// prevent the streams from being closed.
    async fn overdue(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(STEP_STOP).await;
    }

    /// Returns whether this run wrote all sample documents of the node.
    async fn load(&self, node: &RunningNode) -> Result<bool, RunError> {
        let EmbeddedNode { name, bucket, vbuckets, documents, .. } = node.spec.clone();
        if documents == 0 || self.stop.is_cancelled() {
            return Ok(false);
        }
        let what = Load { endpoint: node.endpoint.clone(), bucket, vbuckets, documents };
        notify::status(format!("writing sample documents to {name}"));
        self.say(story::loading(&name, documents));
        let (started, mut bar) = (Instant::now(), self.screen.bar("writing", documents));
        let loaded = load(&what, &mut bar, self.stop).await?;
        drop(bar);
        self.say(story::loaded(&name, documents, loaded, started.elapsed()));
        Ok(matches!(loaded, Loaded::Written(_)))
    }

    fn say(&self, lines: Vec<String>) {
        for line in lines {
            self.screen.say(line);
        }
    }

    async fn replicate(
        &self,
        replication: &ReplicationHandle,
        before: Option<Position>,
        written: &[String],
    ) -> Result<bool, RunError> {
        if self.once
            && let Err(missing) = self.maps_are_known().await
        {
            self.say(vec![missing]);
            return Ok(false);
        }
        let routes = self.routes()?;
        let mut watch = Watch::new(&routes);
        if !self.once && !self.config.is_demonstration() {
            self.follow(replication).await;
            return Ok(true);
        }
        let producers: Vec<_> = routes.iter().map(|route| route.producer.name.as_str()).collect();
        self.say(story::copying(self.config.node.name(), &producers, watch.vbuckets()));
        let mut bar = self.screen.bar("copying", before.map_or(0, |before| before.behind));
        let idle = self.config.limits.once_idle;
        let caught_up = catch_up(&mut watch, replication, before, idle, &mut bar, self.stop);
        let caught_up = caught_up.await?;
        drop(bar);
        self.say(story::caught_up(self.config.node.name(), &caught_up));
        if caught_up.end == End::Stopped {
            return Ok(self.interrupted());
        }
        let mut is_identical = caught_up.end == End::Complete;
        for route in &routes {
            let verified = self.verify(route).await?;
            if verified.is_interrupted() {
                return Ok(self.interrupted());
            }
            is_identical &= verified.is_identical();
            if let ([_], Some(numbers)) =
                (routes.as_slice(), self.numbers(route, caught_up.after, &verified, written))
            {
                self.say(story::sums(&numbers));
            }
        }
        if self.once {
            return Ok(is_identical);
        }
        if !self.stop.is_cancelled() {
            self.go_on(replication).await;
        }
        // A requested stop is a success, whatever was found before it and said.
        Ok(true)
    }

    /// The numbers of one copy, where what was written to its producer is known.
    fn numbers(
        &self,
        route: &Route,
        after: Position,
        verified: &Verified,
        written: &[String],
    ) -> Option<Numbers> {
        let is_producer = |node: &&RunningNode| node.spec.name == route.producer.name;
        let spec = &self.nodes.iter().find(is_producer)?.spec;
        let is_whole = verified.is_identical()
            && spec.bucket == route.bucket
            && route.vbs.len() == usize::from(spec.vbuckets);
        (spec.documents > 0 && is_whole).then(|| Numbers {
            documents: spec.documents,
            deleted: deleted_of(spec.documents),
            is_new: written.contains(&spec.name),
            changes: after.total,
            rows: verified.rows,
            deletions: verified.deletions,
        })
    }

    async fn verify(&self, route: &Route) -> Result<Verified, RunError> {
        let (producer, consumer) = (route.producer.clone(), route.consumer.clone());
        let (vbs, name) = (route.vbs.clone(), format!("{:08x}", fastrand::u32(..)));
        let what = Verify {
            // They were waited for: what lags now needs to show that it goes on, and no more.
            patience: self.config.limits.once_idle.min(PATIENCE_MAX),
            ..Verify::new(producer, consumer, route.bucket.clone(), vbs, name)
        };
        let (producer, consumer) = (&what.producer.name, &what.consumer.name);
        self.say(story::comparing(producer, consumer, what.vbs.len()));
        let (started, mut bar) =
            (Instant::now(), self.screen.bar("comparing", what.vbs.len() as u64));
        let (progress, mut first) = (Progress::default(), Vec::new());
        let mut each = |difference: Difference| {
            if first.len() < story::DIFFERENCES_MAX {
                first.push(difference);
            }
        };
        let verified = {
            let mut verifying = pin!(verify(&what, &progress, &mut each, self.stop));
            let mut tick = tokio::time::interval(TICK);
            loop {
                tokio::select! {
                    verified = &mut verifying => break verified?,
                    _ = tick.tick() => {
                        bar.set(progress.now().vbuckets, "vBuckets compared".to_owned());
                    }
                }
            }
        };
        drop(bar);
        self.say(story::verified(producer, consumer, &verified, &first, started.elapsed()));
        Ok(verified)
    }

    /// Keeps replicating, with sample writes to replicate, until a stop is requested.
    async fn go_on(&self, replication: &ReplicationHandle) {
        let mut writers = tokio::task::JoinSet::new();
        for node in self.nodes.iter().filter(|node| node.spec.documents > 0) {
            let EmbeddedNode { bucket, vbuckets, .. } = node.spec.clone();
            writers.spawn(trickle(node.endpoint.clone(), bucket, vbuckets, self.stop.clone()));
        }
        let (config, address) = (self.config, self.admin.address());
        let dashboard = self.admin.dashboard_url();
        let program = invocation::program();
        self.say(story::where_to_look(
            self.nodes,
            &Where { config, address, program: &program, dashboard: &dashboard },
        ));
        self.follow(replication).await;
        let written: u64 = writers.join_all().await.into_iter().sum();
        self.say(vec![story::stopping(written)]);
    }

    /// Logs the progress of replication at intervals until a stop is requested.
    async fn follow(&self, replication: &ReplicationHandle) {
        let mut watch = Watch::new(&[]);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(REPORT_EVERY) => {}
            }
            match self.routes() {
                Ok(routes) => watch.follow(&routes),
                Err(error) => log::warn!("progress unknown error={}", value(&error)),
            }
            let Links { wanted, open, .. } = Links::of(&replication.status().await);
            match watch.position().await {
                Ok(position) => log::info!(
                    "replicating streams={open}/{wanted} changes={} behind={}",
                    position.total,
                    position.behind
                ),
                Err(error) => log::warn!(
                    "replicating, progress unknown streams={open}/{wanted} error={}",
                    value(&error)
                ),
            }
        }
    }
}
