//! What the handlers share: the facts of this process, and the replication once it runs.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use dcp_actors::{BucketStatus, ReplicationHandle};
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::effective;
use super::error::ApiError;
use crate::config::Config;

/// For the control plane to say how it is. It never waits for a command, so this is a broken one.
const READ_WAIT: Duration = Duration::from_secs(10);

/// What the API speaks for.
#[derive(Debug)]
pub struct Running {
    /// The replication.
    pub replication: ReplicationHandle,
    /// The data nodes inside this process.
    pub embedded: Vec<EmbeddedFacts>,
}

/// A data node inside this process, as `GET /api/v1/status` shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EmbeddedFacts {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: String,
    /// What acknowledged means there: `synced` or `buffered`.
    pub durability: String,
}

/// What the handlers share.
pub(super) struct State {
    pub(super) node: String,
    pub(super) producers: Vec<String>,
    pub(super) buckets: Vec<String>,
    /// The configuration as it is in force, secrets left out.
    pub(super) config: Value,
    pub(super) started: Instant,
    pub(super) stop: CancellationToken,
    running: OnceLock<Running>,
}

impl State {
    pub(super) fn new(config: &Config, stop: CancellationToken) -> Self {
        Self {
            node: config.node.name().to_owned(),
            producers: config.producers.iter().map(|node| node.name().to_owned()).collect(),
            buckets: config.buckets.iter().map(|bucket| bucket.name.clone()).collect(),
            config: effective::json(config),
            started: Instant::now(),
            stop,
            running: OnceLock::new(),
        }
    }

    pub(super) fn attach(&self, running: Running) {
        // A second one has no meaning.
        _ = self.running.set(running);
    }

    pub(super) fn running(&self) -> Option<&Running> {
        self.running.get()
    }

    /// Refuses a bucket that the configuration does not have.
    pub(super) fn bucket(&self, name: &str) -> Result<(), ApiError> {
        if self.buckets.iter().any(|bucket| bucket == name) {
            return Ok(());
        }
        let names = self.buckets.join(", ");
        Err(ApiError::Missing(format!("{name:?} is no bucket: give one of {names}")))
    }

    /// The replication, for a command.
    pub(super) fn replication(&self) -> Result<ReplicationHandle, ApiError> {
        let starting = || ApiError::NotNow("replication has not started yet".to_owned());
        self.running().map(|running| running.replication.clone()).ok_or_else(starting)
    }

    /// Every bucket as it is now; none before replication has started.
    pub(super) async fn status(&self) -> Result<Vec<BucketStatus>, ApiError> {
        let Some(running) = self.running() else { return Ok(Vec::new()) };
        let silent = |_| ApiError::NotNow(format!("replication is silent for {READ_WAIT:?}"));
        timeout(READ_WAIT, running.replication.status()).await.map_err(silent)
    }
}
