//! Lets the running replication follow the maps and the configuration.
//!
//! Level-triggered: whatever changed, each bucket is told what is in force when its turn comes.
//! Buckets do not wait for each other. A producer is known from the moment a map may name it, until
//! no bucket has it in its map any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dcp_actors::{BucketPlan, CommandError, ReplicationHandle};
use logline::value;
use relay::Endpoint;
use tokio_util::sync::CancellationToken;

use super::{Running, Sources};
#[cfg(feature = "etcd")]
use crate::config::MapSource;
use crate::config::{Config, Node};

/// The pause before a bucket that was busy is asked again.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// The buckets that are being told, and whether they have to be told again.
#[derive(Default)]
pub(super) struct Settling(Mutex<BTreeMap<String, bool>>);

impl Settling {
    /// Returns whether the caller has to tell the bucket; otherwise somebody does.
    fn begin(&self, bucket: &str) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !buckets.contains_key(bucket);
        buckets.insert(bucket.to_owned(), !is_new);
        is_new
    }

    /// Returns whether the bucket has to be told again, and whether no bucket is left.
    fn end(&self, bucket: &str) -> (bool, bool) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match buckets.get_mut(bucket) {
            Some(again) if *again => {
                *again = false;
                (true, false)
            }
            _ => {
                buckets.remove(bucket);
                (false, buckets.is_empty())
            }
        }
    }
}

impl Sources {
    /// Takes over the running replication, which was started with what is in force, and keeps it so
    /// until `stop` is cancelled. Only the first call has an effect.
    pub fn attach(
        &self,
        replication: ReplicationHandle,
        endpoints: Vec<Endpoint>,
        stop: &CancellationToken,
    ) {
        let embedded: BTreeMap<_, _> =
            endpoints.into_iter().map(|endpoint| (endpoint.name.clone(), endpoint)).collect();
        let buckets = self.maps().buckets().keys().cloned().collect();
        let (producers, buckets) = (Mutex::default(), Mutex::new(buckets));
        let (tasks, stop) = (Mutex::default(), stop.child_token());
        let stopped = CancellationToken::new();
        let running = Running {
            replication,
            embedded,
            producers,
            buckets,
            tasks,
            stop: stop.clone(),
            stopped: stopped.clone(),
        };
        if self.0.running.set(running).is_err() {
            return;
        }
        // The streams close after `stop`, and a takeover may end meanwhile.
        let sources = self.clone();
        self.spawn(async move { sources.watch_moves(stopped).await });
        #[cfg(feature = "etcd")]
        if let MapSource::Etcd(etcd) = self.config().source.clone() {
            let (sources, token) = (self.clone(), stop.clone());
            self.spawn(async move { sources.follow_etcd(&etcd, &token).await });
        }
        self.follow_cluster_buckets(&stop);
        let sources = self.clone();
        self.spawn(async move {
            stop.run_until_cancelled(sources.settle_always(&stop)).await;
        });
    }

    /// Stops what [`Self::attach`] has started, and waits for its end, at most `limit`. Replication
    /// has stopped before: all that it took over is written down.
    pub async fn stop(&self, limit: Duration) {
        let Some(running) = self.0.running.get() else { return };
        running.stop.cancel();
        running.stopped.cancel();
        let tasks =
            std::mem::take(&mut *running.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async {
            for task in tasks {
                // A panic ends the process.
                _ = task.await;
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            log::warn!("desired maps were still being followed at the end of the stop");
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(running) = self.0.running.get() {
            let task = tokio::spawn(task);
            running.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
        }
    }

    async fn settle_always(&self, stop: &CancellationToken) {
        loop {
            self.0.unsettled.notified().await;
            self.settle(stop);
        }
    }

    /// Has every bucket told.
    fn settle(&self, stop: &CancellationToken) {
        let Some(running) = self.0.running.get() else { return };
        self.follow_cluster_buckets(stop);
        running.set_producers(&self.config(), true);
        let mut names = running.known();
        names.extend(self.maps().buckets().keys().cloned());
        for name in names {
            if self.0.settling.begin(&name) {
                let (sources, stop) = (self.clone(), stop.clone());
                tokio::spawn(async move {
                    stop.run_until_cancelled(sources.settle_bucket(&name)).await;
                });
            }
        }
    }

    async fn settle_bucket(&self, name: &str) {
        let Some(running) = self.0.running.get() else { return };
        loop {
            if let Err(error) = self.tell(running, name).await {
                let text = value(&error).to_string();
                match error {
                    // Its streams are retried, and the status shows them.
                    CommandError::Failed(_) => {
                        log::warn!(
                            "new map is in force, streams failed bucket={name} error={text}"
                        );
                    }
                    CommandError::Busy { .. } => {
                        log::warn!("new map waits for other commands bucket={name} error={text}");
                        tokio::time::sleep(BUSY_PAUSE).await;
                        continue;
                    }
                    // The next start replicates what is in force by then.
                    CommandError::Stopping => {}
                    _ => log::error!("new map is not in force bucket={name} error={text}"),
                }
            }
            let (again, is_last) = self.0.settling.end(name);
            if is_last {
                running.set_producers(&self.config(), false);
            }
            if !again {
                return;
            }
        }
    }

    /// Tells a bucket what is in force, adds it or removes it.
    async fn tell(&self, running: &Running, name: &str) -> Result<(), CommandError> {
        let turn = self.turn(name);
        let _turn = turn.lock().await;
        let maps = self.maps();
        let Some(entry) = maps.bucket(name).map(|maps| maps.in_force()) else {
            let limit = self.config().limits.shutdown;
            if !running.replication.remove_bucket(name, limit).await {
                log::warn!("streams of a removed bucket did not close in time bucket={name}");
            }
            running.forget(name);
            return Ok(());
        };
        if running.note(name) {
            let (connections, desired) = (entry.connections, entry.replicate);
            let plan = BucketPlan { name: name.to_owned(), connections, desired };
            let added = running.replication.add_bucket(plan);
            if added.is_err() {
                running.forget(name);
            }
            return added;
        }
        running.replication.follow(name, entry.replicate, entry.connections).await.map(drop)
    }
}

impl Running {
    fn known(&self) -> BTreeSet<String> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that replication has this bucket. Returns whether it is new.
    fn note(&self, bucket: &str) -> bool {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).insert(bucket.to_owned())
    }

    fn forget(&self, bucket: &str) {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).remove(bucket);
    }

    /// Has replication know the producers of a configuration, and `keep` those it knew before; and
    /// how much it keeps for captures.
    fn set_producers(&self, config: &Config, keep: bool) {
        let of_node = |node: &Node| match node {
            Node::Remote(endpoint) => Some(endpoint.clone()),
            Node::Embedded(name) => self.embedded.get(name).cloned(),
        };
        let mut endpoints: Vec<_> = config.producers.iter().filter_map(of_node).collect();
        let mut known = self.producers.lock().unwrap_or_else(PoisonError::into_inner);
        if keep {
            let is_gone = |it: &&Endpoint| !endpoints.iter().any(|new| new.name == it.name);
            let gone: Vec<_> = known.iter().filter(is_gone).cloned().collect();
            endpoints.extend(gone);
        }
        known.clone_from(&endpoints);
        self.replication.keep_recorded(config.capture_ring);
        self.replication.set_producers(endpoints);
    }
}
