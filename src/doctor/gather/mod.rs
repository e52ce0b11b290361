//! Collects the facts: all nodes at the same time, each with deadlines, so that none keeps another
//! one from being checked.

mod bucket;
mod machine;
mod maps;
mod node;
mod sidecar;
mod stats;

use std::time::Duration;

use futures::future::{join, join_all};
use mcbp::{Side, VbId};
use relay::Endpoint;
use replica::topology::SAMPLE_MAX;
use serde_json::Value;
use tokio::sync::oneshot;

pub(super) use self::maps::maps;
use super::facts::{Facts, MapFacts, Member, NodeFacts, Running, Sidecar};
use crate::config::{Config, MapSource};
use crate::nodes;

/// The agent name in HELLO.
const AGENT: &str = "dcp-proxy:doctor";

/// The node to ask.
struct Target<'a> {
    endpoint: &'a Endpoint,
    side: Side,
    /// The name of our node.
    our_name: &'a str,
    buckets: Vec<BucketTarget<'a>>,
}

/// A bucket of it.
struct BucketTarget<'a> {
    name: &'a str,
    /// The vBuckets whose details are read.
    sample: Vec<VbId>,
}

/// Collects all facts but the maps of a cluster, which [`maps`] has. `step` is the deadline of each
/// step.
pub(super) async fn facts(config: &Config, maps: Vec<MapFacts>, step: Duration) -> Facts {
    let machine = machine::machine(config);
    let sidecar = ask_sidecar(config, step).await;
    let own = std::iter::once((Side::Consumer, &config.node));
    let producers = config.producers.iter().map(|node| (Side::Producer, node));
    let nodes = own.chain(producers).map(|(side, node)| async move {
        match nodes::endpoint(config, node) {
            Ok(endpoint) => check(config, side, &endpoint, step).await,
            Err(why) => {
                let unchecked = Some(why.to_string());
                NodeFacts { unchecked, ..NodeFacts::new(side, node.name(), "", false) }
            }
        }
    });
    let members: &[String] = match &config.source {
        MapSource::Etcd(etcd) => &etcd.endpoints,
        MapSource::File | MapSource::Cluster(_) => &[],
    };
    let etcd = members.iter().map(|address| async {
        let connected = node::is_reachable(address, step).await;
        Member { address: address.clone(), connected }
    });
    let (nodes, etcd) = join(join_all(nodes), join_all(etcd)).await;
    Facts { now_s: bucket::now_ms() / 1000, machine, sidecar, nodes, etcd, maps }
}

async fn check(config: &Config, side: Side, endpoint: &Endpoint, step: Duration) -> NodeFacts {
    let has_tls = endpoint.tls.is_some();
    let mut facts = NodeFacts::new(side, &endpoint.name, &endpoint.address, has_tls);
    facts.allow_plain = endpoint.allow_plain;
    let of_node = |bucket: &&crate::config::Bucket| {
        side == Side::Consumer
            || bucket.desired.producers().contains_key(&endpoint.name)
            || matches!(config.source, MapSource::Etcd(_))
    };
    let buckets = config.buckets.iter().filter(of_node).map(|bucket| {
        let sets = bucket.desired.producers().iter();
        let sets = sets.filter(|(name, _)| side == Side::Consumer || **name == endpoint.name);
        let sample = sets.flat_map(|(_, set)| set.iter()).take(SAMPLE_MAX).collect();
        BucketTarget { name: &bucket.name, sample }
    });
    let buckets = buckets.collect();
    let target = Target { endpoint, side, our_name: config.node.name(), buckets };
    node::node(&mut facts, target, step).await;
    facts
}

/// Asks on a thread of its own: the client of the admin API blocks, with longer deadlines.
async fn ask_sidecar(config: &Config, step: Duration) -> Sidecar {
    let (told, tell) = oneshot::channel();
    let (listen, token) = (config.admin.listen, config.admin.token.clone());
    std::thread::spawn(move || {
        // Once the answer is given up, the process exits, and the thread with it.
        _ = told.send(sidecar::sidecar(listen, token));
    });
    let late = || {
        let why = format!("no answer from {listen} within {step:?}");
        (Sidecar::Stranger(why), Value::Null)
    };
    let answer = tokio::time::timeout(step, tell).await;
    match answer.ok().and_then(Result::ok).unwrap_or_else(late) {
        (Sidecar::Runs(running), of_sidecar) => {
            let differs = sidecar::differences(config, &of_sidecar);
            Sidecar::Runs(Running { differs, ..running })
        }
        (other, _) => other,
    }
}
