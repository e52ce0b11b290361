//! Data nodes inside this process, so that everything runs without any other program.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use invariant::{Broken, broken};
use kvnode::bucket::{BucketOptions, Warmup};
use kvnode::{Durability, NodeConfig, NodeError, NodeGauges, NodeHandle};
use relay::{Endpoint, Secret};
use tokio::task::{JoinError, spawn_blocking};

use crate::admin::EmbeddedFacts;
use crate::config::{Embedded, EmbeddedNode, Node};
use crate::random;
use crate::session::SessionNode;

/// Bytes of a random password, before they are written in hexadecimal.
const PASSWORD_BYTES: usize = 16;
/// How long a node may take to load its data: far more than any disk needs for sample documents.
const WARMUP_MAX: Duration = Duration::from_secs(600);
/// How often the warm-up of a node is checked.
const WARMUP_TICK: Duration = Duration::from_millis(10);

/// Why an embedded node did not start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// It did not start, or did not stop cleanly.
    #[error("embedded node {name:?}: {source}")]
    Node {
        /// The node.
        name: String,
        /// Why.
        source: Box<NodeError>,
    },
    /// Its warm-up failed or took too long.
    #[error("embedded node {name:?} could not load its data: {reason}")]
    Warmup {
        /// The node.
        name: String,
        /// Why.
        reason: String,
    },
    /// A broken invariant.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The operating system has no random bytes for a password.
    #[error("no random password could be made: {0}")]
    Random(getrandom::Error),
    /// The thread that starts or stops a node panicked: a bug.
    #[error("the thread of an embedded node panicked: {0}")]
    Panicked(#[from] JoinError),
}

impl EmbeddedError {
    fn node(name: String, error: NodeError) -> Self {
        Self::Node { name, source: Box::new(error) }
    }
}

/// The running nodes.
#[derive(Default)]
pub struct Nodes {
    running: Vec<RunningNode>,
}

/// One running node.
pub struct RunningNode {
    /// Its configuration.
    pub spec: EmbeddedNode,
    /// How to reach it.
    pub endpoint: Endpoint,
    /// Where its data is.
    pub directory: PathBuf,
    /// Whether it syncs writes to disk before it acknowledges them.
    pub durability: Durability,
    handle: NodeHandle,
}

impl RunningNode {
    /// What the admin API shows of it.
    #[must_use]
    pub fn facts(&self) -> EmbeddedFacts {
        let (name, address) = (self.endpoint.name.clone(), self.endpoint.address.clone());
        EmbeddedFacts { name, address, durability: self.durability.into() }
    }

    /// What the session file says of it, with its password where no file has it.
    #[must_use]
    pub fn session(&self, embedded: &Embedded) -> SessionNode {
        let password = embedded.password.is_none().then(|| self.endpoint.password.expose());
        let (name, address) = (self.endpoint.name.clone(), self.endpoint.address.clone());
        SessionNode { name, address, password }
    }

    /// What it counts and holds, as long as it runs.
    #[must_use]
    pub fn gauges(&self) -> NodeGauges {
        self.handle.gauges()
    }
}

impl Nodes {
    /// Starts every node of `embedded`, if any; returns once all have loaded their data. `limit`
    /// is the deadline for the clean stop of each.
    ///
    /// # Errors
    /// An [`EmbeddedError`]; the nodes that had started are stopped.
    pub async fn start(
        embedded: Option<&Embedded>,
        limit: Duration,
    ) -> Result<Self, EmbeddedError> {
        let mut nodes = Self::default();
        let Some(embedded) = embedded else { return Ok(nodes) };
        let password = match &embedded.password {
            Some(password) => password.clone(),
            None => {
                random::hex::<PASSWORD_BYTES>().map(Secret::new).map_err(EmbeddedError::Random)?
            }
        };
        for spec in &embedded.nodes {
            let started = match start(embedded, spec, &password, limit).await {
                Ok(running) => {
                    nodes.running.push(running);
                    nodes.loaded().await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = started {
                // The first failure is the one to report.
                _ = nodes.stop().await;
                return Err(error);
            }
        }
        Ok(nodes)
    }

    /// The running nodes.
    pub fn iter(&self) -> impl Iterator<Item = &RunningNode> {
        self.running.iter()
    }

    /// The endpoint of a node, whether it runs in this process or elsewhere.
    ///
    /// # Errors
    /// A broken invariant: the node is embedded and does not run here.
    pub fn endpoint(&self, node: &Node) -> Result<Endpoint, EmbeddedError> {
        match node {
            Node::Remote(endpoint) => Ok(endpoint.clone()),
            Node::Embedded(name) => {
                let found = self.running.iter().find(|running| running.spec.name == *name);
                let missing = || broken!("embedded node {name:?} does not run").into();
                found.map(|running| running.endpoint.clone()).ok_or_else(missing)
            }
        }
    }

    /// Stops every node cleanly.
    ///
    /// # Errors
    /// The first [`EmbeddedError`]; every node was told to stop.
    pub async fn stop(self) -> Result<(), EmbeddedError> {
        let mut outcome = Ok(());
        for RunningNode { spec, handle, .. } in self.running {
            let stopped = match spawn_blocking(move || handle.shutdown()).await {
                Ok(stopped) => stopped.map_err(|error| EmbeddedError::node(spec.name, error)),
                Err(panicked) => Err(panicked.into()),
            };
            outcome = outcome.and(stopped);
        }
        outcome
    }

    /// Waits until every node has loaded its data.
    async fn loaded(&self) -> Result<(), EmbeddedError> {
        let started = Instant::now();
        for RunningNode { spec, handle, .. } in &self.running {
            let failed = |reason| EmbeddedError::Warmup { name: spec.name.clone(), reason };
            for bucket in handle.buckets() {
                loop {
                    match bucket.warmup() {
                        Warmup::Done => break,
                        Warmup::Failed(reason) => return Err(failed(reason)),
                        Warmup::Closed => return Err(failed("it was closed".to_owned())),
                        Warmup::Loading if started.elapsed() > WARMUP_MAX => {
                            return Err(failed(format!("not done after {WARMUP_MAX:?}")));
                        }
                        Warmup::Loading => tokio::time::sleep(WARMUP_TICK).await,
                    }
                }
            }
        }
        Ok(())
    }
}

/// Starts one node on a thread that may block, because the node creates its own runtime, which is
/// not allowed inside another one.
async fn start(
    embedded: &Embedded,
    spec: &EmbeddedNode,
    password: &Secret,
    limit: Duration,
) -> Result<RunningNode, EmbeddedError> {
    let directory = embedded.directory.join(&spec.name);
    let mut bucket = BucketOptions::new(&spec.bucket);
    bucket.vbuckets = spec.vbuckets;
    bucket.initial_state = Some(spec.state);
    let durability = bucket.durability;
    let (username, password) = (&embedded.username, password.clone());
    let mut config = NodeConfig::new(spec.listen, &directory, bucket, username, password.clone());
    config.limits.shutdown = limit;
    let started = spawn_blocking(move || kvnode::Node::start(config)).await?;
    let handle = started.map_err(|error| EmbeddedError::node(spec.name.clone(), error))?;
    let endpoint = Endpoint::new(&spec.name, handle.address().to_string(), username, password);
    Ok(RunningNode { spec: spec.clone(), endpoint, directory, durability, handle })
}
