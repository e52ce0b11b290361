//! A data node: its runtime, its listener, its buckets; start and stop.

mod accept;
mod error;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use log::{error, info, warn};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::task::TaskTracker;
use vbucket::engine::SharedStore;

use crate::bucket::{Bucket, BucketOptions};
use crate::config::NodeConfig;
use crate::context::Context;
use crate::metrics;
pub use error::NodeError;

/// Starts nodes.
pub struct Node;

impl Node {
    /// Starts a node in threads of its own. When this returns, connections are accepted; warm-up
    /// goes on behind it, and operations get a temporary failure until it ends.
    ///
    /// # Errors
    /// [`NodeError`], with the address or folder and what would do.
    pub fn start(config: NodeConfig) -> Result<NodeHandle, NodeError> {
        let data = config.data.clone();
        Self::start_on(config, |options| {
            let folder = data.join(&options.name);
            let opened = store::FjallStore::open(&folder, options.store_options());
            let store = opened.map_err(|source| NodeError::Open {
                bucket: options.name.clone(),
                folder: folder.clone(),
                source,
            })?;
            Ok(Arc::new(store))
        })
    }

    /// As [`Node::start`], on stores that `open` makes.
    ///
    /// # Errors
    /// As [`Node::start`], and what `open` says.
    pub fn start_on(
        config: NodeConfig,
        mut open: impl FnMut(&BucketOptions) -> Result<SharedStore, NodeError>,
    ) -> Result<NodeHandle, NodeError> {
        config.check().map_err(NodeError::Config)?;
        let (listener, address) = listen(config.listen)?;
        let metrics = config.metrics.map(listen).transpose()?;
        let mut buckets = Vec::new();
        for options in &config.buckets {
            let store = open(options)?;
            buckets.push(Bucket::open(options.clone(), store).map_err(NodeError::Threads)?);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.limits.worker_threads)
            .thread_name("kvnode")
            .enable_all()
            .build()
            .map_err(NodeError::Threads)?;
        let context = Arc::new(Context::new(config, &buckets));
        let metrics_address = metrics.as_ref().map(|(_, address)| *address);
        let (tasks, runtime) = (TaskTracker::new(), Some(runtime));
        let node = NodeHandle { address, metrics_address, buckets, context, tasks, runtime };
        node.run(listener, metrics.map(|(listener, _)| listener))?;
        info!("listening on {address}");
        if let Some(address) = metrics_address {
            info!("metrics on http://{address}/metrics");
        }
        Ok(node)
    }
}

/// A listener that is not served yet, and where it listens.
fn listen(address: SocketAddr) -> Result<(std::net::TcpListener, SocketAddr), NodeError> {
    let refused = |source| NodeError::Listen { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

/// A running node. Dropped without [`NodeHandle::shutdown`] it stops at once, and its next start
/// takes that for a crash.
pub struct NodeHandle {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    buckets: Vec<Arc<Bucket>>,
    context: Arc<Context>,
    tasks: TaskTracker,
    runtime: Option<Runtime>,
}

impl NodeHandle {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it answers `GET /metrics`, if it does.
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

    /// Stops cleanly: connections end after what they are doing, what is queued is committed, the
    /// stores are closed. Blocks, at most for `limits.shutdown` and the last commit.
    ///
    /// # Errors
    /// [`NodeError::Close`]: the next start takes this stop for a crash, which costs nothing but a
    /// new branch of history.
    pub fn shutdown(mut self) -> Result<(), NodeError> {
        info!("stopping address={}", self.address);
        self.stop_tasks(self.context.limits.shutdown);
        let mut outcome = Ok(());
        for bucket in &self.buckets {
            if let Err(source) = bucket.close() {
                error!("bucket not closed cleanly bucket={} error={source}", bucket.name());
                let bucket = bucket.name().to_owned();
                outcome = outcome.and(Err(NodeError::Close { bucket, source }));
            }
        }
        info!("stopped address={}", self.address);
        outcome
    }

    /// Starts warm-up, what every bucket does by itself, and the listeners.
    fn run(
        &self,
        listener: std::net::TcpListener,
        metrics: Option<std::net::TcpListener>,
    ) -> Result<(), NodeError> {
        let Some(runtime) = &self.runtime else { return Ok(()) };
        let _inside = runtime.enter();
        let listen = |source| NodeError::Listen { address: self.address, source };
        let listener = TcpListener::from_std(listener).map_err(listen)?;
        if let Some(metrics) = metrics {
            let metrics = TcpListener::from_std(metrics).map_err(listen)?;
            self.tasks.spawn(metrics::serve(metrics, Arc::clone(&self.context)));
        }
        for bucket in &self.buckets {
            let warming = Arc::clone(bucket);
            self.tasks.spawn_blocking(move || drop(warming.warm_up()));
            let interval = bucket.options().expiry_pager_interval;
            let shutdown = self.context.shutdown.clone();
            self.tasks.spawn(Arc::clone(bucket).run_expiry_pager(interval, shutdown.clone()));
            self.tasks.spawn(Arc::clone(bucket).run_failure_reports(shutdown.clone()));
            self.tasks.spawn(Arc::clone(bucket).run_purger(shutdown));
        }
        self.tasks.spawn(accept::run(listener, Arc::clone(&self.context), self.tasks.clone()));
        Ok(())
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
                warn!("connections cut off after {} s", patience.as_secs());
            }
            runtime.shutdown_timeout(Duration::from_secs(1));
        });
        if waiting.join().is_err() {
            error!("the stopping thread died");
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
