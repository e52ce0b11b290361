//! How a node starts: its listeners, its buckets, its runtime, its tasks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::info;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use vbucket::store::SharedStore;

use super::accept;
use super::error::NodeError;
use super::handle::NodeHandle;
use crate::bucket::{Bucket, BucketOptions};
use crate::config::NodeConfig;
use crate::context::Context;
use crate::metrics;

/// How often old range scans are ended.
const SCANS_INTERVAL: Duration = Duration::from_secs(10);

/// Starts nodes.
pub struct Node;

impl Node {
    /// Starts a node in threads of its own. When this returns, connections are accepted. Warm-up
    /// continues in the background; until it ends, operations get a temporary failure.
    ///
    /// # Errors
    /// [`NodeError`], with the address or folder and what to do.
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
    /// As [`Node::start`], and the errors of `open`.
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
        let context = Arc::new(Context::new(config, &buckets, address.port()));
        let metrics_address = metrics.as_ref().map(|(_, address)| *address);
        let tasks = TaskTracker::new();
        {
            let _inside = runtime.enter();
            start_listeners((listener, address), metrics, &context, &tasks)?;
            buckets.iter().for_each(|bucket| start_bucket(bucket, &context, &tasks));
        }
        let node = NodeHandle::new(address, metrics_address, buckets, context, tasks, runtime);
        info!("listening on {address}");
        if let Some(address) = metrics_address {
            info!("metrics on http://{address}/metrics");
        }
        Ok(node)
    }
}

/// A listener that is not served yet, and its address.
type Listening = (std::net::TcpListener, SocketAddr);

fn listen(address: SocketAddr) -> Result<Listening, NodeError> {
    let refused = |source| NodeError::Listen { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

/// Serves the listeners, within the runtime.
fn start_listeners(
    listening: Listening,
    metrics: Option<Listening>,
    context: &Arc<Context>,
    tasks: &TaskTracker,
) -> Result<(), NodeError> {
    let within = |(listener, address)| {
        TcpListener::from_std(listener).map_err(|source| NodeError::Listen { address, source })
    };
    let listener = within(listening)?;
    if let Some(metrics) = metrics {
        tasks.spawn(metrics::serve(within(metrics)?, Arc::clone(context)));
    }
    tasks.spawn(accept::run(listener, Arc::clone(context), tasks.clone()));
    tasks.spawn(end_old_scans(Arc::clone(context)));
    Ok(())
}

/// Starts the warm-up of a bucket and the tasks that run by themselves, within the runtime.
fn start_bucket(bucket: &Arc<Bucket>, context: &Arc<Context>, tasks: &TaskTracker) {
    let warming = Arc::clone(bucket);
    tasks.spawn_blocking(move || drop(warming.warm_up()));
    let interval = bucket.options().expiry_pager_interval;
    let shutdown = &context.shutdown;
    tasks.spawn(Arc::clone(bucket).run_expiry_pager(interval, shutdown.clone()));
    tasks.spawn(Arc::clone(bucket).run_failure_reports(shutdown.clone()));
    tasks.spawn(Arc::clone(bucket).run_purger(shutdown.clone()));
    tasks.spawn(Arc::clone(bucket).run_durable_writes(shutdown.clone()));
    tasks.spawn(follow_map(Arc::clone(bucket), Arc::clone(context)));
}

/// Ends range scans that nobody has ended, until the node stops.
async fn end_old_scans(context: Arc<Context>) {
    let mut interval = tokio::time::interval(SCANS_INTERVAL);
    while context.shutdown.run_until_cancelled(interval.tick()).await.is_some() {
        context.buckets.iter().for_each(|served| served.scans.end_old(Instant::now()));
    }
}

/// Keeps the map of a bucket up to date for those who wait for its changes.
async fn follow_map(bucket: Arc<Bucket>, context: Arc<Context>) {
    tokio::select! {
        () = context.shutdown.cancelled() => {}
        () = context.maps.follow(&bucket) => {}
    }
}
