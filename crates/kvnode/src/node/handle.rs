//! A running node, and how it stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use log::{error, info, warn};
use logline::value;
use tokio::runtime::Runtime;
use tokio_util::task::TaskTracker;

use super::error::NodeError;
use super::gauges::NodeGauges;
use super::health::Health;
use super::live::Live;
use crate::bucket::Bucket;
use crate::context::Context;

/// A running node. Dropped without [`NodeHandle::shutdown`] it stops at once, and its next start
/// treats that as a crash.
pub struct NodeHandle {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    buckets: Vec<Arc<Bucket>>,
    context: Arc<Context>,
    tasks: TaskTracker,
    /// `None` once it has been stopped.
    runtime: Option<Runtime>,
}

impl NodeHandle {
    pub(super) fn new(
        address: SocketAddr,
        metrics_address: Option<SocketAddr>,
        buckets: Vec<Arc<Bucket>>,
        context: Arc<Context>,
        tasks: TaskTracker,
        runtime: Runtime,
    ) -> Self {
        Self { address, metrics_address, buckets, context, tasks, runtime: Some(runtime) }
    }

    /// The address that it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of its metrics, if they are served.
    #[must_use]
    pub const fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Its buckets.
    #[must_use]
    pub fn buckets(&self) -> &[Arc<Bucket>] {
        &self.buckets
    }

    /// The bucket of this name.
    #[must_use]
    pub fn bucket(&self, name: &str) -> Option<Arc<Bucket>> {
        self.buckets.iter().find(|bucket| bucket.name() == name).cloned()
    }

    /// What it counts and holds; does not keep the node from ending.
    #[must_use]
    pub fn gauges(&self) -> NodeGauges {
        NodeGauges::of(&self.context)
    }

    /// What may be replaced while it runs.
    #[must_use]
    pub fn live(&self) -> Live {
        Live(Arc::clone(&self.context))
    }

    /// What tells whether it works.
    #[must_use]
    pub fn health(&self) -> Health {
        Health::new(Arc::clone(&self.context), self.buckets.clone())
    }

    /// Stops cleanly: connections end after their current request, what is queued is committed, the
    /// stores are closed. Blocks at most for `limits.shutdown` and the last commit.
    ///
    /// # Errors
    /// [`NodeError::Close`]: the next start treats this stop as a crash, which costs nothing but a
    /// new branch of history.
    pub fn shutdown(mut self) -> Result<(), NodeError> {
        info!("stopping address={}", self.address);
        self.stop_tasks(self.context.limits.shutdown());
        let mut outcome = Ok(());
        for bucket in &self.buckets {
            if let Err(source) = bucket.close() {
                error!(
                    "bucket not closed cleanly bucket={} error={}",
                    bucket.name(),
                    value(&source)
                );
                let bucket = bucket.name().to_owned();
                outcome = outcome.and(Err(NodeError::Close { bucket, source }));
            }
        }
        info!("stopped address={}", self.address);
        outcome
    }

    fn stop_tasks(&mut self, patience: Duration) {
        let Some(runtime) = self.runtime.take() else { return };
        self.context.shutdown.cancel();
        self.tasks.close();
        let tasks = self.tasks.clone();
        // In a thread of its own: a runtime must not wait inside another one.
        let waiting = std::thread::spawn(move || {
            let ended = async { tokio::time::timeout(patience, tasks.wait()).await };
            if runtime.block_on(ended).is_err() && !patience.is_zero() {
                warn!("stopping took too long, connections cut off seconds={}", patience.as_secs());
            }
            runtime.shutdown_timeout(Duration::from_secs(1));
        });
        if waiting.join().is_err() {
            error!("the thread that stops the node panicked");
        }
    }
}

impl Drop for NodeHandle {
    fn drop(&mut self) {
        self.stop_tasks(Duration::ZERO);
        for bucket in &self.buckets {
            bucket.abandon();
        }
    }
}
