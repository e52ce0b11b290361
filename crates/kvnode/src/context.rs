//! What all connections of a node share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::bucket::Bucket;
use crate::config::{Limits, LiveUsers, NodeConfig};
use crate::counter::Counter;
use crate::dcp::ServedBucket;
use crate::tls::Tls;

/// What VERSION and the statistics answer.
pub(crate) const VERSION: &str = concat!("dcp-proxy-", env!("CARGO_PKG_VERSION"));

/// Counted since the node was started.
#[derive(Default, Debug)]
pub(crate) struct NodeCounters {
    pub(crate) connections: Counter,
    pub(crate) rejected_connections: Counter,
    pub(crate) auth_commands: Counter,
    pub(crate) auth_errors: Counter,
    pub(crate) errors: Counter,
    pub(crate) bytes_read: Counter,
    pub(crate) bytes_written: Counter,
}

/// See the module.
pub(crate) struct Context {
    pub(crate) buckets: Vec<Arc<ServedBucket>>,
    pub(crate) users: LiveUsers,
    pub(crate) tls: Option<Tls>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) limits: Limits,
    pub(crate) counters: NodeCounters,
    /// Cancelled when the node stops.
    pub(crate) shutdown: CancellationToken,
    pub(crate) started: Instant,
    /// One permit for each connection.
    pub(crate) connection_permits: Arc<Semaphore>,
}

impl Context {
    /// The context of a node with `buckets`, which were made from the configuration.
    pub(crate) fn new(config: NodeConfig, buckets: &[Arc<Bucket>]) -> Self {
        let served = buckets.iter().map(|bucket| Arc::new(ServedBucket::new(Arc::clone(bucket))));
        Self {
            buckets: served.collect(),
            users: LiveUsers::new(config.users),
            tls: config.tls,
            certificate: config.certificate,
            connection_permits: Arc::new(Semaphore::new(config.limits.connections_max)),
            limits: config.limits,
            counters: NodeCounters::default(),
            shutdown: CancellationToken::new(),
            started: Instant::now(),
        }
    }

    /// The bucket of this name.
    pub(crate) fn bucket(&self, name: &str) -> Option<Arc<ServedBucket>> {
        self.buckets.iter().find(|served| served.bucket.name() == name).cloned()
    }

    /// How many connections are open.
    pub(crate) fn connection_count(&self) -> u64 {
        let free = self.connection_permits.available_permits();
        self.limits.connections_max.saturating_sub(free) as u64
    }
}
