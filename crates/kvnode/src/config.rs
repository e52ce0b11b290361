//! The configuration of a node.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::RwLock;
use std::time::Duration;

use relay::Secret;

pub use crate::bucket::BucketOptions;
pub use crate::privilege::Role;
use crate::sync::{read, write};
use crate::tls::Tls;
pub use crate::users::{Credentials, Grant, User, Users, UsersFile};

/// Everything a node needs to start.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The address that it listens on; port 0 for any free one.
    pub listen: SocketAddr,
    /// The address that serves `GET /metrics`, without a password; `None` for none, port 0 for any
    /// free one.
    pub metrics: Option<SocketAddr>,
    /// The TLS of every connection; `None` for plain TCP.
    pub tls: Option<Tls>,
    /// The file of the certificate, for the metrics.
    pub certificate: Option<PathBuf>,
    /// The folder for its data; it gets a folder for each bucket.
    pub data: PathBuf,
    /// Its buckets, by unique name; at least one.
    pub buckets: Vec<BucketOptions>,
    /// The users who may connect; at least one.
    pub users: Users,
    /// What it does for clients that select no bucket.
    pub bucketless: Bucketless,
    /// Its limits.
    pub limits: Limits,
}

/// What a node does for memcached clients that do not know SELECT_BUCKET.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bucketless {
    /// A login selects the bucket that has the user's name, if there is one.
    pub select_user_bucket: bool,
    /// The bucket that connections from this machine use without a login, to read and write
    /// documents; none by default.
    pub anonymous_bucket: Option<String>,
}

impl NodeConfig {
    /// A node with one user, who may do everything, and the default limits.
    #[must_use]
    pub fn new(
        listen: SocketAddr,
        data: impl Into<PathBuf>,
        bucket: BucketOptions,
        username: impl Into<String>,
        password: Secret,
    ) -> Self {
        let users = Users::new(vec![User::admin(username, password)]);
        let limits = Limits::default();
        Self {
            listen,
            metrics: None,
            tls: None,
            certificate: None,
            data: data.into(),
            buckets: vec![bucket],
            users,
            bucketless: Bucketless::default(),
            limits,
        }
    }

    /// # Errors
    /// What is wrong, as text.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.buckets.is_empty() {
            return Err("a node needs a bucket".to_owned());
        }
        if self.users.all.is_empty() {
            return Err("a node needs a user, without one nobody can connect".to_owned());
        }
        if let Some(name) = twice(self.buckets.iter().map(|bucket| &bucket.name)) {
            return Err(format!(
                "bucket {name:?} is configured twice: give each a name of its own"
            ));
        }
        if let Some(name) = twice(self.users.all.iter().map(|user| &user.name)) {
            return Err(format!("user {name:?} is configured twice: which password is theirs?"));
        }
        if let Some(name) = &self.bucketless.anonymous_bucket
            && !self.buckets.iter().any(|bucket| bucket.name == *name)
        {
            return Err(format!("anonymous_bucket {name:?} is none of the buckets of this node"));
        }
        self.buckets.iter().try_for_each(BucketOptions::check)
    }
}

/// A name that is there twice.
fn twice<'a>(names: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some(*a),
        _ => None,
    })
}

/// The limits of a running node, of which some may be replaced.
pub(crate) struct LiveLimits(RwLock<Limits>);

impl LiveLimits {
    pub(crate) const fn new(limits: Limits) -> Self {
        Self(RwLock::new(limits))
    }

    pub(crate) fn authentication(&self) -> Duration {
        read(&self.0).authentication
    }

    pub(crate) fn shutdown(&self) -> Duration {
        read(&self.0).shutdown
    }

    pub(crate) fn worker_threads(&self) -> usize {
        read(&self.0).worker_threads
    }

    /// Replaces the deadlines. Connections and threads are counted out at the start.
    pub(crate) fn replace(&self, limits: &Limits) {
        let Limits { authentication, shutdown, connections_max: _, worker_threads: _ } = *limits;
        let mut live = write(&self.0);
        (live.authentication, live.shutdown) = (authentication, shutdown);
    }
}

/// The limits of a node.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time, fewer where the process has too few descriptors. Half of them may be
    /// without a login, an eighth is kept for replication; more are rejected.
    pub connections_max: usize,
    /// How long a connection may stay without authenticating.
    pub authentication: Duration,
    /// Threads that serve connections.
    pub worker_threads: usize,
    /// How long a clean stop waits before it cuts off the remaining connections.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            authentication: Duration::from_secs(60),
            worker_threads: std::thread::available_parallelism().map_or(2, |n| n.get().min(8)),
            shutdown: Duration::from_secs(20),
        }
    }
}
