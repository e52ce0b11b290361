//! The shared state of the handlers: facts of this process, and the replication once it runs.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use dcp_actors::{BucketStatus, ReplicationHandle};
use events::{Events, Kind, Level};
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::effective;
use super::error::ApiError;
use super::ready::{self, Needs};
use crate::config::{Certificate, Config};

/// How long the control plane may take to return its status. It does not wait for commands, so only
/// a defect or an overloaded machine exceeds this.
const READ_WAIT: Duration = Duration::from_secs(10);

/// What runs once the process has started.
#[derive(Debug)]
pub struct Replicating {
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
    /// Whether it syncs writes to disk before it acknowledges them.
    pub durability: Durability,
}

/// The durability of an embedded node, as a word of the API.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Writes are synced to disk before they are acknowledged.
    Synced,
    /// Writes are handed to the operating system before they are acknowledged.
    Buffered,
}

impl From<kvnode::Durability> for Durability {
    fn from(durability: kvnode::Durability) -> Self {
        match durability {
            kvnode::Durability::Synced => Self::Synced,
            kvnode::Durability::Buffered => Self::Buffered,
        }
    }
}

/// The shared state of the handlers.
pub(super) struct State {
    pub(super) node: String,
    pub(super) producers: Vec<String>,
    pub(super) buckets: Vec<String>,
    /// `[admin] ready_percent`.
    ready_percent: u8,
    /// The effective configuration without secrets.
    pub(super) config: Value,
    pub(super) certificates: Vec<Certificate>,
    pub(super) started: Instant,
    pub(super) stop: CancellationToken,
    /// What happens to replication.
    pub(super) events: Events,
    /// How many clients follow the events.
    pub(super) followers: Arc<AtomicUsize>,
    running: OnceLock<Replicating>,
}

impl State {
    pub(super) fn new(config: &Config, stop: CancellationToken) -> Self {
        let events = Events::start();
        let text = format!("dcp-proxy {} has started", env!("CARGO_PKG_VERSION"));
        events.note(Level::Info, Kind::Started, None, text);
        Self {
            node: config.node.name().to_owned(),
            producers: config.producers.iter().map(|node| node.name().to_owned()).collect(),
            buckets: config.buckets.iter().map(|bucket| bucket.name.clone()).collect(),
            ready_percent: config.admin.ready_percent,
            config: effective::json(config),
            certificates: config.certificates.clone(),
            started: Instant::now(),
            stop,
            events,
            followers: Arc::default(),
            running: OnceLock::new(),
        }
    }

    pub(super) fn attach(&self, running: Replicating) {
        // Only the first call has an effect.
        _ = self.running.set(running);
    }

    pub(super) fn running(&self) -> Option<&Replicating> {
        self.running.get()
    }

    /// Why the sidecar is not ready, by the status of its buckets; empty when it is.
    pub(super) fn missing(&self, buckets: &[BucketStatus]) -> Vec<String> {
        if self.stop.is_cancelled() {
            return vec!["the sidecar is stopping".to_owned()];
        }
        if self.running().is_none() {
            return vec!["replication has not started yet".to_owned()];
        }
        let needs = Needs { buckets: &self.buckets, percent: self.ready_percent, node: &self.node };
        ready::missing(&needs, buckets, SystemTime::now())
    }

    /// Refuses a bucket that the configuration does not have.
    pub(super) fn bucket(&self, name: &str) -> Result<(), ApiError> {
        if self.buckets.iter().any(|bucket| bucket == name) {
            return Ok(());
        }
        let names = self.buckets.join(", ");
        Err(ApiError::Missing(format!("unknown bucket {name:?}: give one of {names}")))
    }

    /// The replication, or an error before it has started.
    pub(super) fn replication(&self) -> Result<ReplicationHandle, ApiError> {
        let starting = || ApiError::NotNow("replication has not started yet".to_owned());
        self.running().map(|running| running.replication.clone()).ok_or_else(starting)
    }

    /// The status of every bucket; empty before replication has started.
    pub(super) async fn status(&self) -> Result<Vec<BucketStatus>, ApiError> {
        let Some(running) = self.running() else { return Ok(Vec::new()) };
        let silent =
            |_| ApiError::NotNow(format!("replication did not answer within {READ_WAIT:?}"));
        timeout(READ_WAIT, running.replication.status()).await.map_err(silent)
    }
}
