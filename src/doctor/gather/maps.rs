//! The maps of a cluster that is followed: they name the producers, and say what comes from each.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

use crate::config::{Cluster, Config, MapSource, Node};
use crate::doctor::facts::MapFacts;
use crate::sources::{FoundMap, map_of, without_own};

/// All nodes together may take so many steps.
const STEPS: u32 = 6;

/// Asks for the map of every bucket. Returns what was found, and the configuration with the
/// producers and the vBuckets of these maps. Without a cluster there are none, and it is unchanged.
pub(in crate::doctor) async fn maps(config: &Config, step: Duration) -> (Vec<MapFacts>, Config) {
    let mut followed = config.clone();
    let MapSource::Cluster(cluster) = &config.source else { return (Vec::new(), followed) };
    let asked = config.buckets.iter().map(|bucket| ask(cluster, &bucket.name, step));
    let own = config.node.remote().map(|node| node.address.clone());
    let (mut facts, mut producers) = (Vec::new(), BTreeSet::new());
    for (bucket, found) in followed.buckets.iter_mut().zip(join_all(asked).await) {
        let map = found.map(|FoundMap { node, revision, wanted }| {
            bucket.desired = wanted.desired;
            without_own(&mut bucket.desired, own.as_deref());
            let names = bucket.desired.producers().keys();
            producers.extend(names.cloned());
            (node, revision.to_string())
        });
        let nodes = bucket.desired.producers().len();
        facts.push(MapFacts { bucket: bucket.name.clone(), map, nodes });
    }
    let endpoints = producers.iter().filter_map(|name| cluster.producer(name));
    followed.producers = endpoints.map(Node::Remote).collect();
    (facts, followed)
}

async fn ask(cluster: &Cluster, bucket: &str, step: Duration) -> Result<FoundMap, String> {
    let whole = step.saturating_mul(STEPS);
    let asked = timeout(whole, map_of(cluster, bucket, step)).await;
    asked.unwrap_or_else(|_| Err(format!("no node has answered within {whole:?}")))
}
