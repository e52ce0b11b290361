//! A data node: its runtime, its listener, its buckets; start and stop.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{error, info, warn};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vbucket::StoreError;
use vbucket::engine::SharedStore;

use crate::bucket::{Bucket, BucketOptions};
use crate::config::{Limits, NodeConfig, Users};
use crate::counters::NodeCounters;
use crate::session;

/// How long the accept loop rests after an error such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a node did not start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration contradicts itself.
    #[error("{0}")]
    Config(String),
    /// The address cannot be listened on.
    #[error("listening on {address}: {source}; give another address, or stop what uses this one")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
    /// A bucket's store cannot be opened.
    #[error("opening bucket {bucket:?} in {folder:?}: {source}")]
    Open {
        /// The bucket.
        bucket: String,
        /// Where its data is.
        folder: PathBuf,
        /// What the store said.
        source: StoreError,
    },
    /// The port cannot be told.
    #[error("writing the port to {path:?}: {source}")]
    PortFile {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// Threads cannot be started.
    #[error("starting threads: {0}")]
    Threads(io::Error),
    /// A bucket was not closed cleanly; its next start will take this for a crash.
    #[error("closing bucket {bucket:?}: {source}")]
    Close {
        /// The bucket.
        bucket: String,
        /// What the store said.
        source: StoreError,
    },
}

/// What the connections of a node share.
pub(crate) struct Shared {
    pub(crate) buckets: Vec<Arc<Bucket>>,
    pub(crate) users: Users,
    pub(crate) limits: Limits,
    pub(crate) counters: NodeCounters,
    pub(crate) shutdown: CancellationToken,
    pub(crate) started: Instant,
    slots: Arc<Semaphore>,
}

impl Shared {
    pub(crate) fn bucket(&self, name: &str) -> Option<Arc<Bucket>> {
        self.buckets.iter().find(|bucket| bucket.name() == name).cloned()
    }

    /// How many connections there are now.
    pub(crate) fn connection_count(&self) -> u64 {
        self.limits.connections_max.saturating_sub(self.slots.available_permits()) as u64
    }
}

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
            let opened = store::FjallStore::open(&folder, store::Options::default());
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
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.limits.worker_threads)
            .thread_name("kvnode")
            .enable_all()
            .build()
            .map_err(NodeError::Threads)?;
        let listen = |source| NodeError::Listen { address: config.listen, source };
        let listener = runtime.block_on(TcpListener::bind(config.listen)).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let mut buckets = Vec::new();
        for options in config.buckets {
            let store = open(&options)?;
            buckets.push(Bucket::open(options, store).map_err(NodeError::Threads)?);
        }
        let shared = Arc::new(Shared {
            slots: Arc::new(Semaphore::new(config.limits.connections_max)),
            buckets,
            users: config.users,
            limits: config.limits,
            counters: NodeCounters::default(),
            shutdown: CancellationToken::new(),
            started: Instant::now(),
        });
        let tasks = TaskTracker::new();
        for bucket in &shared.buckets {
            let warming = Arc::clone(bucket);
            tasks.spawn_blocking_on(move || drop(warming.warm_up()), runtime.handle());
            let pager = Arc::clone(bucket)
                .run_expiry_pager(bucket.options().expiry_pager_interval, shared.shutdown.clone());
            tasks.spawn_on(pager, runtime.handle());
        }
        let accepting = accept(listener, Arc::clone(&shared), tasks.clone());
        tasks.spawn_on(accepting, runtime.handle());
        info!("listening on {address}");
        Ok(NodeHandle { address, shared, tasks, runtime: Some(runtime) })
    }
}

/// A running node. Dropping it stops the node the way a crash would; see [`NodeHandle::shutdown`].
pub struct NodeHandle {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: TaskTracker,
    runtime: Option<Runtime>,
}

impl NodeHandle {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its buckets.
    #[must_use]
    pub fn buckets(&self) -> &[Arc<Bucket>] {
        &self.shared.buckets
    }

    /// The bucket of this name.
    #[must_use]
    pub fn bucket(&self, name: &str) -> Option<Arc<Bucket>> {
        self.shared.bucket(name)
    }

    /// Stops cleanly: connections end after what they are doing, what is queued is committed, the
    /// stores are closed. Blocks, at most for `limits.shutdown` and the last commit.
    ///
    /// # Errors
    /// [`NodeError::Close`]: the next start takes this stop for a crash, which costs nothing but a
    /// new branch of history.
    pub fn shutdown(mut self) -> Result<(), NodeError> {
        info!("stopping address={}", self.address);
        self.stop_tasks(self.shared.limits.shutdown);
        let mut outcome = Ok(());
        for bucket in &self.shared.buckets {
            if let Err(source) = bucket.close() {
                error!("bucket not closed cleanly bucket={} error={source}", bucket.name());
                let bucket = bucket.name().to_owned();
                outcome = outcome.and(Err(NodeError::Close { bucket, source }));
            }
        }
        info!("stopped address={}", self.address);
        outcome
    }

    fn stop_tasks(&mut self, patience: Duration) {
        let Some(runtime) = self.runtime.take() else { return };
        self.shared.shutdown.cancel();
        self.tasks.close();
        let tasks = self.tasks.clone();
        // In a thread of its own: a runtime must not wait inside another one.
        let waiting = std::thread::spawn(move || {
            let ended = async { tokio::time::timeout(patience, tasks.wait()).await };
            if runtime.block_on(ended).is_err() {
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
        for bucket in &self.shared.buckets {
            bucket.abandon();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, tasks: TaskTracker) {
    // Said once for every time the limit is reached, not for every connection.
    let mut full = false;
    loop {
        let accepted = tokio::select! {
            () = shared.shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!("cannot accept a connection error={error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        shared.counters.connections.add(1);
        let Ok(slot) = Arc::clone(&shared.slots).try_acquire_owned() else {
            shared.counters.rejected_connections.add(1);
            if !std::mem::replace(&mut full, true) {
                let limit = shared.limits.connections_max;
                warn!("connections turned away, the limit is reached peer={peer} limit={limit}");
            }
            continue;
        };
        full = false;
        if let Err(error) = prepare(&stream) {
            warn!("cannot set up a socket peer={peer} error={error}");
            continue;
        }
        let shared = Arc::clone(&shared);
        tasks.spawn(async move {
            session::serve(stream, peer, shared).await;
            drop(slot);
        });
    }
}

/// Answers leave at once, and a peer that vanished is noticed.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10));
    socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
