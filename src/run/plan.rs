//! What the main job asks of replication, and between which nodes it is watched and compared.

use dcp_actors::{BucketPlan, ControlLimits, Replication, ReplicationConfig, ReplicationHandle};
use desired::{BucketMaps, Entry};
use relay::Endpoint;
use tokio::time::{Instant, interval};

use super::RunError;
use super::job::{Job, TICK};
use crate::config::MapSource;
use crate::embedded::EmbeddedError;
use crate::watch::{Position, Route, Watch};

impl Job<'_> {
    /// Starts to replicate what is in force.
    pub(super) fn start_replication(&self) -> Result<ReplicationHandle, RunError> {
        let plan = |(name, maps): (&String, &BucketMaps)| {
            let Entry { connections, replicate: desired } = maps.in_force();
            BucketPlan { name: name.clone(), connections, desired }
        };
        let config = ReplicationConfig {
            node: self.nodes.endpoint(&self.config.node)?,
            producers: self.producers()?,
            buckets: self.sources.maps().buckets().iter().map(plan).collect(),
            limits: ControlLimits {
                recorded_bytes: self.config.capture_ring,
                ..self.config.limits.replication()
            },
        };
        Ok(Replication::start_telling(config, &self.sources.events())?)
    }

    fn producers(&self) -> Result<Vec<Endpoint>, EmbeddedError> {
        self.config.producers.iter().map(|node| self.nodes.endpoint(node)).collect()
    }

    /// Waits until there is a map of every bucket, where they do not come from the file: before
    /// that nothing is wanted, and all of it would be there.
    ///
    /// # Errors
    /// What is missing, as a line of the output, after a time without it or at a stop.
    pub(super) async fn maps_are_known(&self) -> Result<(), String> {
        if matches!(self.config.source, MapSource::File) {
            return Ok(());
        }
        let idle = self.config.limits.once_idle;
        let (mut looks, deadline) = (interval(TICK), Instant::now() + idle);
        loop {
            let (maps, origin) = (self.sources.maps(), self.sources.origin());
            let is_known = |bucket: &&String| {
                origin.buckets.get(*bucket).is_some_and(|known| known.revision.is_some())
            };
            let Some(bucket) = maps.buckets().keys().find(|bucket| !is_known(bucket)) else {
                return Ok(());
            };
            if self.stop.run_until_cancelled(looks.tick()).await.is_none() {
                return Err(format!("Interrupted: there is no map of bucket {bucket} yet."));
            }
            if Instant::now() >= deadline {
                let why = origin.problem(bucket).unwrap_or_else(|| "it did not come".to_owned());
                return Err(format!("Nothing was replicated within {idle:?}: {why}."));
            }
        }
    }

    /// One route for each bucket and producer that are replicated now.
    pub(super) fn routes(&self) -> Result<Vec<Route>, RunError> {
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

    /// How far the consumer is before replication starts, where both nodes are in this process.
    pub(super) async fn before(&self) -> Result<Option<Position>, RunError> {
        if !self.config.is_demonstration() {
            return Ok(None);
        }
        // A node that is elsewhere and does not answer has no position yet.
        Ok(Watch::new(&self.routes()?).position().await.ok())
    }
}
