//! Data nodes inside this process: a demonstration, and a whole set-up without any other program.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use kvnode::bucket::BucketOptions;
use kvnode::{NodeConfig, NodeError, NodeHandle};
use relay::{Endpoint, Secret};

use crate::config::{Embedded, EmbeddedNode, Node};

/// Bytes of a random password, before they are written in hexadecimal.
const PASSWORD_BYTES: usize = 16;

/// Why an embedded node did not start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// It did not start.
    #[error("embedded node {name:?} did not start: {source}")]
    Start {
        /// The node.
        name: String,
        /// Why.
        source: NodeError,
    },
    /// It did not stop in order; the next start will find out what is missing.
    #[error("embedded node {name:?} did not stop cleanly: {source}")]
    Stop {
        /// The node.
        name: String,
        /// Why.
        source: NodeError,
    },
    /// A bug: the configuration names a node that it does not have.
    #[error("{name:?} is no embedded node")]
    Unknown {
        /// The node.
        name: String,
    },
    /// The system gave no random bytes for a password.
    #[error("no random password could be made: {0}")]
    Random(getrandom::Error),
}

/// The running nodes.
#[derive(Debug, Default)]
pub struct Nodes {
    running: Vec<Running>,
}

/// One running node.
#[derive(Debug)]
pub struct Running {
    /// What the configuration says about it.
    pub spec: EmbeddedNode,
    /// How to reach it.
    pub endpoint: Endpoint,
    /// Where its data is.
    pub directory: PathBuf,
    handle: NodeHandle,
}

impl Nodes {
    /// Starts every node; returns once all serve. None where there is nothing to embed.
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
            None => random_password().map_err(EmbeddedError::Random)?,
        };
        for node in &embedded.nodes {
            match start(embedded, node, &password).await {
                Ok(running) => nodes.running.push(running),
                Err(source) => {
                    // The first failure is the one to report.
                    _ = nodes.stop(limit).await;
                    return Err(EmbeddedError::Start { name: node.name.clone(), source });
                }
            }
        }
        Ok(nodes)
    }

    /// The running nodes.
    pub fn iter(&self) -> impl Iterator<Item = &Running> {
        self.running.iter()
    }

    /// How to reach a node, be it here or elsewhere.
    ///
    /// # Errors
    /// [`EmbeddedError::Unknown`] where it should be here and is not.
    pub fn endpoint(&self, node: &Node) -> Result<Endpoint, EmbeddedError> {
        match node {
            Node::Remote(endpoint) => Ok(endpoint.clone()),
            Node::Embedded(name) => {
                let found = self.running.iter().find(|running| running.spec.name == *name);
                let unknown = || EmbeddedError::Unknown { name: name.clone() };
                found.map(|running| running.endpoint.clone()).ok_or_else(unknown)
            }
        }
    }

    /// Stops every node; each gets `limit` to put its data in order.
    ///
    /// # Errors
    /// The first [`EmbeddedError`]; all nodes have been stopped, or tried.
    pub async fn stop(self, limit: Duration) -> Result<(), EmbeddedError> {
        let mut outcome = Ok(());
        for Running { spec, handle, .. } in self.running {
            let stopped = handle.shutdown(limit).await;
            let name = spec.name;
            outcome = outcome.and(stopped.map_err(|source| EmbeddedError::Stop { name, source }));
        }
        outcome
    }
}

async fn start(
    embedded: &Embedded,
    node: &EmbeddedNode,
    password: &Secret,
) -> Result<Running, NodeError> {
    let directory = embedded.directory.join(&node.name);
    let mut bucket = BucketOptions::new(&node.bucket);
    bucket.vbuckets = node.vbuckets;
    bucket.initial_state = Some(node.state);
    let config = NodeConfig::new(&node.name, node.listen, &directory)
        .user(&embedded.username, password.clone())
        .bucket(bucket);
    let handle = kvnode::Node::start(config).await?;
    let address = handle.address().to_string();
    let endpoint = Endpoint::new(&node.name, address, &embedded.username, password.clone());
    Ok(Running { spec: node.clone(), endpoint, directory, handle })
}

fn random_password() -> Result<Secret, getrandom::Error> {
    let mut bytes = [0; PASSWORD_BYTES];
    getrandom::fill(&mut bytes)?;
    let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string does not fail.
        _ = write!(hex, "{byte:02x}");
        hex
    });
    Ok(Secret::new(hex))
}
