//! The shared state of the handlers: facts of this process, and the replication once it runs.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use dcp_actors::{BucketStatus, ReplicationHandle};
use desired::BucketMaps;
use events::Events;
use kvnode::NodeGauges;
use serde::Serialize;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::capture_seats::Captures;
use super::error::ApiError;
use super::ready::{self, Needs};
use super::session::Session;
use crate::config::MapSource;
use crate::sources::Sources;
use crate::verification::Verification;

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
    /// What these nodes count and hold, in the same order.
    pub gauges: Vec<NodeGauges>,
    /// The verification of copies.
    pub verification: Verification,
}

/// A data node inside this process, as `GET /api/v1/status` shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = EmbeddedNode)]
pub struct EmbeddedFacts {
    /// Its name.
    pub name: String,
    /// Where it listens.
    #[schema(examples("127.0.0.1:40001"))]
    pub address: String,
    /// Whether it syncs writes to disk before it acknowledges them.
    pub durability: Durability,
}

/// The durability of an embedded node, as a word of the API.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
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
    pub(super) sources: Sources,
    pub(super) started: Instant,
    pub(super) stop: CancellationToken,
    /// What happens to replication.
    pub(super) events: Events,
    /// How many clients follow the events.
    pub(super) followers: Arc<AtomicUsize>,
    /// The captures that run.
    pub(super) captures: Arc<Captures>,
    /// The token where none is configured, and its file.
    pub(super) session: Arc<Session>,
    running: OnceLock<Replicating>,
}

impl State {
    pub(super) fn new(sources: Sources, stop: CancellationToken, session: Arc<Session>) -> Self {
        Self {
            node: sources.config().node.name().to_owned(),
            events: sources.events(),
            sources,
            started: Instant::now(),
            stop,
            followers: Arc::default(),
            captures: Arc::default(),
            session,
            running: OnceLock::new(),
        }
    }

    /// The names of the producers.
    pub(super) fn producers(&self) -> Vec<String> {
        self.sources.config().producers.iter().map(|node| node.name().to_owned()).collect()
    }

    /// The names of the buckets.
    pub(super) fn buckets(&self) -> Vec<String> {
        self.sources.config().buckets.iter().map(|bucket| bucket.name.clone()).collect()
    }

    pub(super) fn attach(&self, running: Replicating) {
        // Only the first call has an effect.
        _ = self.running.set(running);
    }

    pub(super) fn running(&self) -> Option<&Replicating> {
        self.running.get()
    }

    /// Lets the session file follow the configuration, and writes one that is missing.
    pub(super) fn follow_session(&self) {
        self.session.follow(self.has_token());
    }

    /// Lets the session file follow a reload that may have set or removed the token. Cheap where
    /// it has not, because it is called at each event.
    pub(super) fn follow_token(&self) {
        if !self.session.knows(self.has_token()) {
            self.follow_session();
        }
    }

    fn has_token(&self) -> bool {
        self.sources.config().admin.token.is_some()
    }

    /// Why the sidecar is not ready, by the status of its buckets; empty when it is.
    pub(super) fn missing(&self, buckets: &[BucketStatus]) -> Vec<String> {
        if self.stop.is_cancelled() {
            return vec!["the sidecar is stopping".to_owned()];
        }
        if self.running().is_none() {
            return vec!["replication has not started yet".to_owned()];
        }
        let waiting = self.without_map();
        if !waiting.is_empty() {
            return waiting;
        }
        let (buckets_needed, config) = (self.buckets(), self.sources.config());
        let percent = config.admin.ready_percent;
        let needs = Needs { buckets: &buckets_needed, percent, node: &self.node };
        ready::missing(&needs, buckets, SystemTime::now())
    }

    /// Why buckets have no map from etcd or a cluster yet; empty where each has one, if only an old
    /// one.
    fn without_map(&self) -> Vec<String> {
        if matches!(self.sources.config().source, MapSource::File) {
            return Vec::new();
        }
        let (maps, origin) = (self.sources.maps(), self.sources.origin());
        let is_empty = |maps: &BucketMaps| maps.source().replicate.producers().is_empty();
        let unset = maps.buckets().iter().filter(|(name, maps)| {
            let known = origin.buckets.get(*name).and_then(|known| known.revision);
            is_empty(maps) && known.is_none()
        });
        unset.filter_map(|(name, _)| origin.problem(name)).collect()
    }

    /// Refuses a bucket that the configuration does not have.
    pub(super) fn bucket(&self, name: &str) -> Result<(), ApiError> {
        let buckets = self.buckets();
        if buckets.iter().any(|bucket| bucket == name) {
            return Ok(());
        }
        let names = buckets.join(", ");
        Err(ApiError::Missing(format!("unknown bucket {name:?}: give one of {names}")))
    }

    /// The verification of copies, or an error before replication has started.
    pub(super) fn verification(&self) -> Result<Verification, ApiError> {
        let starting = || ApiError::NotNow("replication has not started yet".to_owned());
        self.running().map(|running| running.verification.clone()).ok_or_else(starting)
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
