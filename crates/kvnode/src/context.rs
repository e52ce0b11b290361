//! What all connections of a node share.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Instant;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::account::Account;
use crate::admission::{Door, Logins, SeatLimits, connections};
use crate::bucket::Bucket;
use crate::clock::unix_now;
use crate::cluster::Maps;
use crate::config::{Bucketless, LiveLimits, NodeConfig};
use crate::counter::Counter;
use crate::dcp::ServedBucket;
use crate::reloads::Reloads;
use crate::timings::Timings;
use crate::tls::Tls;
use crate::users::LiveUsers;

/// What VERSION and the statistics answer: first the version of kv_engine that this node behaves
/// like, which clients parse, then its own.
pub(crate) const VERSION: &str = concat!("8.0.2-0000-dcp-proxy-", env!("CARGO_PKG_VERSION"));

/// How a login ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LoginOutcome {
    Success,
    Failure,
    /// Too many failed before.
    NotTried,
}

/// The mechanisms of logins; the last one stands for all that this node does not have.
const MECHANISMS: [&str; 5] = ["PLAIN", "SCRAM-SHA512", "SCRAM-SHA256", "SCRAM-SHA1", "other"];
const OUTCOMES: [(LoginOutcome, &str); 3] = [
    (LoginOutcome::Success, "success"),
    (LoginOutcome::Failure, "failure"),
    (LoginOutcome::NotTried, "not_tried"),
];

/// Logins by mechanism and outcome.
#[derive(Default, Debug)]
pub(crate) struct LoginCounts([[Counter; OUTCOMES.len()]; MECHANISMS.len()]);

impl LoginCounts {
    pub(crate) fn add(&self, mechanism: &str, outcome: LoginOutcome) {
        let of = MECHANISMS.iter().zip(&self.0).find(|(name, _)| **name == mechanism);
        let of = of.and_then(|(_, row)| {
            OUTCOMES.iter().zip(row).find(|((known, _), _)| *known == outcome)
        });
        if let Some((_, counter)) = of {
            counter.add(1);
        }
    }

    /// Mechanism, outcome and count of each.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        MECHANISMS.into_iter().zip(&self.0).flat_map(|(mechanism, row)| {
            OUTCOMES.iter().zip(row).map(move |((_, outcome), it)| (mechanism, *outcome, it.get()))
        })
    }
}

/// Counted since the node was started.
#[derive(Default, Debug)]
pub(crate) struct NodeCounters {
    pub(crate) connections: Counter,
    pub(crate) rejected_connections: Counter,
    pub(crate) auth_commands: Counter,
    pub(crate) auth_errors: Counter,
    pub(crate) logins: LoginCounts,
    pub(crate) errors: Counter,
    pub(crate) bytes_read: Counter,
    pub(crate) bytes_written: Counter,
    /// How long the commands of clients took that had selected no bucket.
    pub(crate) timings: Timings,
}

/// A question to a task, which answers it by [`Question::answer`].
#[derive(Default, Debug)]
pub(crate) struct Question {
    asked: Notify,
    answered: Notify,
}

impl Question {
    /// Asks, and waits for the answer.
    pub(crate) async fn ask(&self) {
        let answered = self.answered.notified();
        self.asked.notify_one();
        answered.await;
    }

    /// Waits for the question.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    pub(crate) fn answer(&self) {
        self.answered.notify_waiters();
    }
}

/// See the module.
pub(crate) struct Context {
    pub(crate) buckets: Vec<Arc<ServedBucket>>,
    pub(crate) users: LiveUsers,
    pub(crate) tls: Option<Tls>,
    pub(crate) certificate: RwLock<Option<PathBuf>>,
    pub(crate) limits: LiveLimits,
    pub(crate) reloads: Reloads,
    pub(crate) counters: NodeCounters,
    /// Asks the listener whether it still accepts connections, and its answer.
    pub(crate) is_accepting: Question,
    /// Cancelled when the node stops.
    pub(crate) shutdown: CancellationToken,
    pub(crate) started: Instant,
    /// Who may be connected.
    pub(crate) door: Arc<Door>,
    /// How often logins may fail.
    pub(crate) logins: Logins,
    /// What connections hold of the memory.
    pub(crate) account: Arc<Account>,
    /// Which node serves what.
    pub(crate) maps: Maps,
    /// What clients get that select no bucket.
    pub(crate) bucketless: Bucketless,
}

impl Context {
    /// The context of a node with `buckets`, which were made from the configuration, that listens
    /// on `port`.
    pub(crate) fn new(config: NodeConfig, buckets: &[Arc<Bucket>], port: u16) -> Self {
        let served = buckets.iter().map(|bucket| Arc::new(ServedBucket::new(Arc::clone(bucket))));
        let shutdown = CancellationToken::new();
        let seats = SeatLimits::of(connections(config.limits.connections_max, buckets.len()));
        Self {
            maps: Maps::new(port, config.tls.is_some(), buckets),
            bucketless: config.bucketless,
            buckets: served.collect(),
            users: LiveUsers::new(config.users),
            tls: config.tls,
            certificate: RwLock::new(config.certificate),
            limits: LiveLimits::new(config.limits),
            reloads: Reloads::new(unix_now()),
            counters: NodeCounters::default(),
            is_accepting: Question::default(),
            started: Instant::now(),
            door: Arc::new(Door::new(seats, shutdown.clone())),
            logins: Logins::default(),
            account: Arc::new(account(buckets, shutdown.clone())),
            shutdown,
        }
    }

    /// The bucket of this name.
    pub(crate) fn bucket(&self, name: &str) -> Option<Arc<ServedBucket>> {
        self.buckets.iter().find(|served| served.bucket.name() == name).cloned()
    }

    /// How many connections are open.
    pub(crate) fn connection_count(&self) -> u64 {
        self.door.taken().0 as u64
    }
}

/// The account of a node's connections. The buckets lend what they do not use of their quotas, but
/// for a quarter: they may need it again before it is given back.
fn account(buckets: &[Arc<Bucket>], shutdown: CancellationToken) -> Account {
    let least_bytes = buckets.iter().map(|bucket| bucket.options().connection_bytes()).sum();
    let buckets = buckets.to_vec();
    let unused = move || {
        let unused = buckets.iter().map(|bucket| {
            let quota_bytes = bucket.options().quota_bytes;
            (quota_bytes - quota_bytes / 4).saturating_sub(bucket.used_bytes())
        });
        unused.sum()
    };
    Account::new(least_bytes, unused, shutdown)
}
