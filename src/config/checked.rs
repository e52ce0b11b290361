//! The configuration that has been checked: every value may be used as it is.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mcbp::VbState;
use relay::{Endpoint, Secret};
use replica::plan::{Connections, Desired};

/// Everything the program needs to know.
#[derive(Debug)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// The data node this sidecar serves: the consumer side.
    pub node: Node,
    /// The data nodes it replicates from, by unique name.
    pub producers: Vec<Node>,
    /// What is replicated, by unique name.
    pub buckets: Vec<Bucket>,
    /// The admin API.
    pub admin: Admin,
    /// Deadlines and sizes.
    pub limits: Limits,
    /// Data nodes to run inside this process.
    pub embedded: Option<Embedded>,
}

/// A data node and the way to it.
#[derive(Debug)]
pub enum Node {
    /// Somewhere on the network.
    Remote(Endpoint),
    /// The one of this name in [`Embedded::nodes`].
    Embedded(String),
}

impl Node {
    /// Its name; part of the names of replication connections.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Remote(endpoint) => &endpoint.name,
            Self::Embedded(name) => name,
        }
    }
}

/// A bucket and what of it is replicated.
#[derive(Debug)]
pub struct Bucket {
    /// Its name, the same on all nodes.
    pub name: String,
    /// Connections for each producer.
    pub connections: Connections,
    /// The vBuckets that come from each producer.
    pub desired: Desired,
}

/// The admin API.
#[derive(Debug)]
pub struct Admin {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What a request must carry; always there unless `listen` is a loopback address.
    pub token: Option<Secret>,
}

/// Deadlines, pauses, and what counts as a loop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// For one connection to be made and logged in to.
    pub connect: Duration,
    /// For a data node to answer ADD_STREAM.
    pub setup: Duration,
    /// For a data node to answer CLOSE_STREAM.
    pub close: Duration,
    /// For a producer to have little more to send, while a vBucket is moved.
    pub data_move: Duration,
    /// For a link to stand still that has something to do; it is restarted then.
    pub stall: Duration,
    /// Between two questions to a data node for its seqnos.
    pub lag_interval: Duration,
    /// For anything to move while `--once` waits; what is missing then counts as a difference.
    pub once_idle: Duration,
    /// For everything to stop after a signal; what is left then is dropped.
    pub shutdown: Duration,
    /// The first pause before a failed stream or connection is tried again.
    pub retry_min: Duration,
    /// The longest pause, reached by doubling.
    pub retry_max: Duration,
    /// Failures of one vBucket in a loop, within `loop_window`, after which it is tried at the
    /// slowest pace only.
    pub loop_failures: usize,
    /// The time within which these failures count together.
    pub loop_window: Duration,
}

/// For anything to move: longer than the longest pause between attempts takes on average.
const ONCE_IDLE: Duration = Duration::from_secs(30);
/// Between two questions, where the control plane has no default of its own.
const LAG_INTERVAL: Duration = Duration::from_secs(1);
/// For everything to stop: a supervisor that asks for a stop usually waits longer.
const SHUTDOWN: Duration = Duration::from_secs(10);

impl Default for Limits {
    fn default() -> Self {
        let limits = dcp_actors::Limits::default();
        Self {
            connect: limits.handshake.connect,
            setup: limits.steps.add_stream,
            close: limits.steps.close_stream,
            data_move: limits.data_move,
            stall: limits.stall,
            lag_interval: limits.lag_interval.unwrap_or(LAG_INTERVAL),
            once_idle: ONCE_IDLE,
            shutdown: SHUTDOWN,
            retry_min: limits.backoff.min,
            retry_max: limits.backoff.max,
            loop_failures: limits.loop_failures,
            loop_window: limits.loop_window,
        }
    }
}

impl Limits {
    /// The same for the control plane; what the file does not name keeps its default.
    #[must_use]
    pub fn replication(&self) -> dcp_actors::Limits {
        let mut limits = dcp_actors::Limits::default();
        limits.handshake.connect = self.connect;
        limits.steps.add_stream = self.setup;
        limits.steps.close_stream = self.close;
        limits.data_move = self.data_move;
        limits.stall = self.stall;
        limits.lag_interval = Some(self.lag_interval);
        limits.backoff.min = self.retry_min;
        limits.backoff.max = self.retry_max;
        limits.loop_failures = self.loop_failures;
        limits.loop_window = self.loop_window;
        // A command waits for all of these, one after the other.
        limits.command = limits.command.max(self.connect + self.setup + self.close);
        limits
    }
}

/// Data nodes to run inside this process.
#[derive(Debug)]
pub struct Embedded {
    /// Where their data is kept, a folder for each by its name.
    pub directory: PathBuf,
    /// The user that they accept.
    pub username: String,
    /// The user's password; `None` for a random one that only this process knows.
    pub password: Option<Secret>,
    /// The nodes, by unique name; at least one.
    pub nodes: Vec<EmbeddedNode>,
}

/// One data node inside this process.
#[derive(Clone, Debug)]
pub struct EmbeddedNode {
    /// Its name.
    pub name: String,
    /// Where it listens; port 0 for any free one.
    pub listen: SocketAddr,
    /// Its bucket.
    pub bucket: String,
    /// How many vBuckets the bucket has, 1 to 1,024.
    pub vbuckets: u16,
    /// The state in which it creates vBuckets: active or replica.
    pub state: VbState,
    /// How many sample documents to write into it before anything is replicated; 0 unless the
    /// state is active.
    pub documents: u64,
}
