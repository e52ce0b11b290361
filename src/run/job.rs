//! The steps of the main job: sample documents, replication, the wait for its end, comparison.
//!
//! Only their order is here. Each step is a module, and `story` has the output.

use std::time::{Duration, Instant};

use dcp_actors::{BucketPlan, Replication, ReplicationConfig, ReplicationHandle};
use desired::{BucketMaps, Entry};
use logline::value;
use relay::Endpoint;
use tokio_util::sync::CancellationToken;

use super::RunError;
use crate::admin::{self, Admin};
use crate::catch_up::{End, Links, catch_up};
use crate::config::{Config, EmbeddedNode};
use crate::embedded::{EmbeddedError, Nodes, RunningNode};
use crate::load::{Load, load};
use crate::screen::Screen;
use crate::sources::Sources;
use crate::story;
use crate::trickle::trickle;
use crate::verify::{Verify, verify};
use crate::watch::{Route, Watch};

/// How often the progress of replication is logged.
const REPORT_EVERY: Duration = Duration::from_secs(30);
/// How long the current step may take to end by itself after a stop: each step checks for a stop
/// between two requests.
const STEP_STOP: Duration = Duration::from_secs(1);

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
        for node in self.nodes.iter() {
            self.load(node).await?;
        }
        if self.stop.is_cancelled() {
            return Ok(true);
        }
        let replication = self.start_replication()?;
        let embedded = self.nodes.iter().map(RunningNode::facts).collect();
        let running = admin::Replicating { replication: replication.clone(), embedded };
        let inside = self.nodes.iter().map(|node| node.endpoint.clone()).collect();
        self.sources.attach(replication.clone(), inside, self.stop);
        self.admin.attach(running);
        let done = tokio::select! {
            done = self.replicate(&replication) => done,
            () = self.overdue() => Ok(true),
        };
        if !replication.shutdown(self.config.limits.shutdown).await {
            let limit = self.config.limits.shutdown;
            log::warn!("streams did not close in time, connections dropped limit={limit:?}");
        }
        done
    }

    /// Returns some time after a stop was requested, so that a node that does not answer cannot
    /// prevent the streams from being closed.
    async fn overdue(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(STEP_STOP).await;
    }

    async fn load(&self, node: &RunningNode) -> Result<(), RunError> {
        let EmbeddedNode { name, bucket, vbuckets, documents, .. } = node.spec.clone();
        if documents == 0 || self.stop.is_cancelled() {
            return Ok(());
        }
        let what = Load { endpoint: node.endpoint.clone(), bucket, vbuckets, documents };
        let (started, mut bar) = (Instant::now(), self.screen.bar("writing", documents));
        let loaded = load(&what, &mut bar, self.stop).await?;
        drop(bar);
        self.say(story::loaded(&name, documents, loaded, started.elapsed()));
        Ok(())
    }

    fn say(&self, lines: Vec<String>) {
        for line in lines {
            self.screen.say(line);
        }
    }

    fn start_replication(&self) -> Result<ReplicationHandle, RunError> {
        let plan = |(name, maps): (&String, &BucketMaps)| {
            let Entry { connections, replicate: desired } = maps.in_force();
            BucketPlan { name: name.clone(), connections, desired }
        };
        let config = ReplicationConfig {
            node: self.nodes.endpoint(&self.config.node)?,
            producers: self.producers()?,
            buckets: self.sources.maps().buckets().iter().map(plan).collect(),
            limits: self.config.limits.replication(),
        };
        Ok(Replication::start_telling(config, &self.sources.events())?)
    }

    fn producers(&self) -> Result<Vec<Endpoint>, EmbeddedError> {
        self.config.producers.iter().map(|node| self.nodes.endpoint(node)).collect()
    }

    /// One route for each bucket and producer that are replicated now.
    fn routes(&self) -> Result<Vec<Route>, RunError> {
        let (config, consumer) = (self.sources.config(), self.nodes.endpoint(&self.config.node)?);
        let mut routes = Vec::new();
        for node in &config.producers {
            let producer = self.nodes.endpoint(node)?;
            for (bucket, maps) in self.sources.maps().buckets() {
                let desired = maps.in_force().replicate;
                let Some(set) = desired.producers().get(&producer.name) else { continue };
                let (producer, consumer) = (producer.clone(), consumer.clone());
                let (bucket, vbs) = (bucket.clone(), set.iter().collect());
                routes.push(Route { producer, consumer, bucket, vbs });
            }
        }
        Ok(routes)
    }

    async fn replicate(&self, replication: &ReplicationHandle) -> Result<bool, RunError> {
        let routes = self.routes()?;
        let mut watch = Watch::new(&routes);
        let is_demonstration = self.config.embedded.is_some();
        if !self.once && !is_demonstration {
            self.follow(replication).await;
            return Ok(true);
        }
        let mut bar = self.screen.bar("copying", 0);
        let idle = self.config.limits.once_idle;
        let caught_up = catch_up(&mut watch, replication, idle, &mut bar, self.stop).await?;
        drop(bar);
        self.say(story::caught_up(self.config.node.name(), &caught_up));
        if caught_up.end == End::Stopped {
            return Ok(true);
        }
        let mut is_identical = caught_up.end == End::Complete;
        for route in &routes {
            is_identical &= self.verify(route).await?;
        }
        if !self.once {
            self.go_on(replication).await;
        }
        Ok(is_identical)
    }

    async fn verify(&self, route: &Route) -> Result<bool, RunError> {
        let what = Verify {
            producer: route.producer.clone(),
            consumer: route.consumer.clone(),
            bucket: route.bucket.clone(),
            vbs: route.vbs.clone(),
        };
        let (started, mut bar) =
            (Instant::now(), self.screen.bar("comparing", what.vbs.len() as u64));
        let verified = verify(&what, &mut bar, self.stop).await?;
        drop(bar);
        let (producer, consumer) = (&what.producer.name, &what.consumer.name);
        self.say(story::verified(producer, consumer, &verified, started.elapsed()));
        Ok(verified.is_identical())
    }

    /// Keeps replicating, with sample writes to replicate, until a stop is requested.
    async fn go_on(&self, replication: &ReplicationHandle) {
        let mut writers = tokio::task::JoinSet::new();
        for node in self.nodes.iter().filter(|node| node.spec.documents > 0) {
            let EmbeddedNode { bucket, vbuckets, .. } = node.spec.clone();
            writers.spawn(trickle(node.endpoint.clone(), bucket, vbuckets, self.stop.clone()));
        }
        self.say(story::where_to_look(self.config, self.nodes, self.admin.address()));
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
