//! What the main job asks of replication, and between which nodes it is watched and compared.

use dcp_actors::{BucketPlan, ControlLimits, Replication, ReplicationConfig, ReplicationHandle};
use desired::{BucketMaps, Entry};
use relay::Endpoint;

use super::RunError;
use super::job::Job;
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
