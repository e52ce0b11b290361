//! The checked configuration: values are parsed and need no further check.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;
use logger::Format;
use mcbp::VbState;
use relay::{Endpoint, Secret};
use replica::plan::{Connections, Desired};
use settings::{Entry, Problem};

use super::cluster::Cluster;
use super::verification::Verification;

/// The whole configuration.
#[derive(Clone, Debug)]
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
    /// The log.
    pub log: Log,
    /// How many bytes of the last frames of each link are kept, for captures.
    pub capture_ring: usize,
    /// Deadlines and sizes.
    pub limits: Limits,
    /// The verification of copies.
    pub verify: Verification,
    /// Data nodes to run inside this process.
    pub embedded: Option<Embedded>,
    /// The folder of what was changed at run time; it may not exist yet.
    pub state: PathBuf,
    /// Where the desired maps come from.
    pub source: MapSource,
    /// The files of certificates.
    pub certificates: Vec<Certificate>,
    /// What is allowed and probably not meant, in the order of the lines of the file.
    pub warnings: Vec<Problem>,
    /// The effective value of every setting, and where it comes from.
    pub entries: Vec<Entry>,
}

impl Config {
    /// Whether it is a demonstration: it brings data nodes of its own, to replicate between.
    #[must_use]
    pub const fn is_demonstration(&self) -> bool {
        self.embedded.is_some()
    }

    /// The effective values as a file, with where each comes from, and without secrets.
    #[must_use]
    pub fn effective(&self) -> String {
        settings::effective_file(&self.path, &self.entries)
    }
}

/// Where the desired maps come from.
#[derive(Clone, Debug)]
pub enum MapSource {
    /// From `replicate` of each bucket.
    File,
    /// From etcd, by node and bucket; [`Bucket::desired`] is empty.
    Etcd(Etcd),
    /// From the maps of a Couchbase cluster, whose nodes are the producers; [`Bucket::desired`] is
    /// empty.
    Cluster(Cluster),
}

/// An etcd cluster that holds the desired maps.
#[derive(Clone, Debug)]
pub struct Etcd {
    /// Its members, as `host:port`; at least one.
    pub endpoints: Vec<String>,
    /// What all keys begin with, without a slash at the end.
    pub prefix: String,
    /// TLS; `None` for plain TCP.
    pub tls: Option<EtcdTls>,
    /// The user and password.
    pub login: Option<(String, Secret)>,
}

/// The TLS files of an etcd cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EtcdTls {
    /// The certificate authorities to trust.
    pub ca: PathBuf,
    /// The own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name that the members' certificates are verified against; `None` for that of each
    /// endpoint.
    pub server_name: Option<String>,
}

/// A file of certificates, for the metrics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// The data node that it is for.
    pub node: String,
    /// The key of the file: `ca` or `certificate`.
    pub key: &'static str,
    /// The file.
    pub path: PathBuf,
}

/// A data node and how to reach it.
#[derive(Clone, Debug)]
pub enum Node {
    /// A node on the network.
    Remote(Endpoint),
    /// The node of this name in [`Embedded::nodes`].
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

    /// What topologies of durable writes call it.
    #[must_use]
    pub fn consumer_name(&self) -> &str {
        match self {
            Self::Remote(endpoint) => endpoint.consumer_name(),
            Self::Embedded(name) => name,
        }
    }

    /// How to reach it, unless it is embedded.
    #[must_use]
    pub const fn remote(&self) -> Option<&Endpoint> {
        match self {
            Self::Remote(endpoint) => Some(endpoint),
            Self::Embedded(_) => None,
        }
    }
}

/// A bucket and which of its vBuckets are replicated.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Its name, the same on all nodes.
    pub name: String,
    /// Connections for each producer.
    pub connections: Connections,
    /// The vBuckets that come from each producer.
    pub desired: Desired,
}

/// The admin API.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The token that a request must have; always set unless `listen` is a loopback address.
    pub token: Option<Secret>,
    /// The share of wanted streams that must be open for `/ready` to be 200, in percent; 0 for
    /// none.
    pub ready_percent: u8,
}

/// The log; the command line takes precedence.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Log {
    /// The level of the sidecar's own packages; RUST_LOG, where set, takes precedence.
    pub level: Option<LevelFilter>,
    /// The format.
    pub format: Option<Format>,
}

/// Deadlines, pauses, and the limits that define a loop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The deadline to connect and log in.
    pub connect: Duration,
    /// The deadline of a data node to answer ADD_STREAM.
    pub setup: Duration,
    /// The deadline of a data node to answer CLOSE_STREAM.
    pub close: Duration,
    /// How long a move waits for the producer to have little more to send.
    pub data_move: Duration,
    /// After how long without progress a link with work to do is restarted.
    pub stall: Duration,
    /// How often a data node is asked for its seqnos.
    pub lag_interval: Duration,
    /// How long `--once` waits without progress; missing changes count as differences then.
    pub once_idle: Duration,
    /// How long everything goes on after a signal, with `/ready` at 503, before the stop begins.
    pub drain: Duration,
    /// The deadline for a clean stop after a signal; remaining connections are dropped then.
    pub shutdown: Duration,
    /// The first pause before a failed stream or connection is retried.
    pub retry_min: Duration,
    /// The longest pause, reached by doubling.
    pub retry_max: Duration,
    /// How many failures of one vBucket within `loop_window` are a loop, after which it is retried
    /// with the longest pause only.
    pub loop_failures: usize,
    /// The time within which these failures are counted.
    pub loop_window: Duration,
}

/// How long `--once` waits without progress: longer than the average of the longest pause between
/// attempts.
const ONCE_IDLE: Duration = Duration::from_secs(30);
/// How often data nodes are asked for seqnos, where the control plane has no default.
const LAG_INTERVAL: Duration = Duration::from_secs(1);
/// The deadline for a clean stop: supervisors usually wait longer than this.
const SHUTDOWN: Duration = Duration::from_secs(10);

impl Default for Limits {
    fn default() -> Self {
        let limits = dcp_actors::ControlLimits::default();
        Self {
            connect: limits.handshake.connect,
            setup: limits.steps.add_stream,
            close: limits.steps.close_stream,
            data_move: limits.data_move,
            stall: limits.stall,
            lag_interval: limits.lag_interval.unwrap_or(LAG_INTERVAL),
            once_idle: ONCE_IDLE,
            drain: Duration::ZERO,
            shutdown: SHUTDOWN,
            retry_min: limits.backoff.min,
            retry_max: limits.backoff.max,
            loop_failures: limits.loop_failures,
            loop_window: limits.loop_window,
        }
    }
}

impl Limits {
    /// The limits of the control plane; those that are not configurable keep their defaults.
    #[must_use]
    pub fn replication(&self) -> dcp_actors::ControlLimits {
        let mut limits = dcp_actors::ControlLimits::default();
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
        // A command may need all of these in sequence.
        limits.command = limits.command.max(self.connect + self.setup + self.close);
        limits
    }
}

/// Data nodes to run inside this process.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// The folder of their data; each node has a subfolder of its name.
    pub directory: PathBuf,
    /// The user that they accept.
    pub username: String,
    /// The user's password; `None` for a random one, which only the session file has.
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
    /// How many sample documents are written to it before replication starts; 0 unless the state
    /// is active.
    pub documents: u64,
}
