//! Follows the maps of a Couchbase cluster: one task for each bucket.
//!
//! The producers are the nodes that the maps name, and the name of each is its address. So they
//! follow from the desired maps, after a restart too, when no node has answered yet.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use clustermap::Wanted;
use desired::Entry;
use events::{Kind, Level};
use logline::value;
use tokio_util::sync::CancellationToken;

use super::once::without_own;
use super::origin::{Connection, OriginOfBucket, RefusedMap};
use super::watched::{Watch, Watched};
use super::{Maps, Sources, now_ms};
use crate::config::{Cluster, Config, MapSource, Node};

impl Sources {
    /// Follows the map of every bucket that is there now and was not before, and of none that is
    /// gone.
    pub(super) fn follow_cluster_buckets(&self, stop: &CancellationToken) {
        let (config, maps) = (self.config(), self.maps());
        let MapSource::Cluster(cluster) = &config.source else { return };
        let mut followed = self.0.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.retain(|bucket, stop| {
            let is_there = maps.bucket(bucket).is_some();
            if !is_there {
                stop.cancel();
            }
            is_there
        });
        for bucket in maps.buckets().keys() {
            if !followed.contains_key(bucket) {
                let token = stop.child_token();
                followed.insert(bucket.clone(), token.clone());
                let (sources, cluster, bucket) = (self.clone(), cluster.clone(), bucket.clone());
                tokio::spawn(async move { sources.follow_cluster(cluster, bucket, &token).await });
            }
        }
    }

    /// Follows the map of one bucket until `stop` is cancelled.
    async fn follow_cluster(&self, cluster: Cluster, bucket: String, stop: &CancellationToken) {
        let config = self.config();
        let own = config.node.remote().map(|node| node.address.clone());
        let maps = self.maps();
        let last = maps.bucket(&bucket).into_iter();
        let names = last.flat_map(|maps| maps.source().replicate.producers().keys());
        let nodes = names.filter_map(|name| name.parse().ok()).collect();
        let mut watch = Watch::new(cluster, bucket.clone(), nodes, config.limits.connect);
        loop {
            let Some(watched) = stop.run_until_cancelled(watch.next()).await else { return };
            match watched {
                Watched::Map { node, revision, wanted } => {
                    self.connected(&node);
                    let entry = self.entry(&bucket, wanted, own.as_deref());
                    if self.is_new(&bucket, &entry) {
                        self.take_map(&bucket, entry).await;
                        log::info!(
                            "cluster map taken bucket={bucket} node={node} revision={revision}"
                        );
                    }
                    let revision = Some(revision.number);
                    self.origin_of(&bucket, |known| {
                        *known = OriginOfBucket { revision, ..OriginOfBucket::default() };
                    });
                }
                Watched::Refused { node, reason } => {
                    let said = value(&reason);
                    log::error!(
                        "cluster map refused, the last good one stays bucket={bucket} node={node} \
                         reason={said}"
                    );
                    let text = format!("the cluster map of {node} is refused: {reason}");
                    self.0.events.note(Level::Error, Kind::DesiredChanged, Some(&bucket), text);
                    self.origin_of(&bucket, |known| {
                        let (key, value, revision) = (node, String::new(), 0);
                        known.refused = Some(RefusedMap { key, value, reason, revision });
                    });
                }
                Watched::Follows { node } => self.connected(&node),
                Watched::Away { node, error } => self.away(&bucket, &node, &error),
            }
        }
    }

    /// The entry of a bucket by a map. What the own node has active is replicated from nobody.
    fn entry(&self, bucket: &str, wanted: Wanted, own: Option<&str>) -> Entry {
        let config = self.config();
        let found = config.buckets.iter().find(|it| it.name == bucket);
        let connections = found.map_or(Entry::default().connections, |it| it.connections);
        let mut replicate = wanted.desired;
        without_own(&mut replicate, own);
        Entry { connections, replicate }
    }

    fn is_new(&self, bucket: &str, entry: &Entry) -> bool {
        self.maps().bucket(bucket).is_some_and(|maps| maps.source() != entry)
    }

    /// Makes a map the source. Replication knows a producer before a map names it, and forgets it
    /// after the last map has.
    async fn take_map(&self, bucket: &str, entry: Entry) {
        let more: BTreeSet<_> = entry.replicate.producers().keys().cloned().collect();
        self.set_cluster_producers(&more);
        self.follow_source(bucket, entry).await;
        self.set_cluster_producers(&BTreeSet::new());
        self.0.unsettled.notify_one();
    }

    /// Has the configuration name the producers of all maps, and `more`.
    fn set_cluster_producers(&self, more: &BTreeSet<String>) {
        let mut live = self.0.live.write().unwrap_or_else(PoisonError::into_inner);
        let config = with_producers(&live.config, &self.maps(), more);
        live.config = Arc::new(config);
    }

    fn connected(&self, node: &str) {
        // Another node is asked from time to time, which is no event.
        if !matches!(self.origin().connection, Some(Connection::Connected { .. })) {
            log::info!("cluster maps are followed node={node}");
            let text = format!("the cluster maps are followed at {node}");
            self.0.events.note(Level::Info, Kind::SourceBack, None, text);
        }
        let now = Connection::Connected { endpoint: node.to_owned() };
        self.change_origin(|origin| origin.connection = Some(now));
    }

    fn away(&self, bucket: &str, node: &str, error: &str) {
        let said = value(error);
        log::warn!(
            "cluster map cannot be read, replication goes on as it was bucket={bucket} \
             node={node} error={said}"
        );
        if matches!(self.origin().connection, Some(Connection::Away { .. })) {
            return;
        }
        let text = format!("no cluster map can be read, replication goes on as it was: {error}");
        self.0.events.note(Level::Warn, Kind::SourceLost, None, text);
        let now = Connection::away(now_ms(), error.to_owned());
        self.change_origin(|origin| origin.connection = Some(now));
    }
}

/// The configuration with the producers that maps name, and those of `more`, if a cluster is the
/// source; an unchanged one otherwise.
pub(super) fn with_producers(config: &Config, maps: &Maps, more: &BTreeSet<String>) -> Config {
    let mut config = config.clone();
    if let MapSource::Cluster(cluster) = &config.source {
        let buckets = maps.buckets().values();
        let sources = buckets.map(|maps| &maps.source().replicate);
        let mut names: BTreeSet<String> =
            sources.flat_map(|sets| sets.producers().keys()).cloned().collect();
        names.extend(more.iter().cloned());
        let endpoints = names.iter().filter_map(|name| cluster.producer(name));
        config.producers = endpoints.map(Node::Remote).collect();
    }
    config
}
