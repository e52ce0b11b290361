//! All 1,024 vBuckets between real processes: streams that are lost together are open again, no
//! stream is refused meanwhile, and both nodes have the same documents.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use common::{Cluster, Writers, until};
use serde_json::Value;

const VBUCKETS: u16 = 1024;
/// Writes before each event, and again after it.
const WRITES: u64 = 300;
/// The log text of a set-up that opened all streams.
const ALL_OPEN: &str = "open=1024 failed=0";

/// How often all streams have been set up.
fn set_ups(cluster: &Cluster) -> usize {
    let log = cluster.sidecar.process.log();
    let settled = |line: &&str| line.contains("streams settled") && line.contains(ALL_OPEN);
    log.lines().filter(settled).count()
}

/// Waits until all streams were set up more often than before.
async fn all_open_again(cluster: &Cluster, before: usize) {
    until("all 1,024 streams are open", async || (set_ups(cluster) > before).then_some(())).await;
}

/// The status of the bucket.
async fn shown(cluster: &Cluster) -> Value {
    let mut process = cluster.sidecar.ask(&["streams", "default", "--json"]).await;
    assert_eq!(process.exit_code().await, 0);
    let mut shown: Value = serde_json::from_str(&process.out()).unwrap();
    shown["buckets"][0].take()
}

/// Fails if a stream is not open, or if one was refused before.
fn assert_open_and_never_refused(bucket: &Value) {
    let links = bucket["links"].as_array().unwrap();
    let open: u64 = links.iter().map(|link| link["open"].as_u64().unwrap()).sum();
    assert_eq!(open, u64::from(VBUCKETS));
    let failures = bucket["stream_failures"].as_array().unwrap();
    let refused: Vec<_> = failures.iter().filter(|one| one["reason"] == "refused").collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[tokio::test]
async fn all_streams_open_again_after_kill_9_of_either_node() {
    let mut cluster = Cluster::with(VBUCKETS).await;
    cluster.fill().await;
    all_open_again(&cluster, 0).await;
    let writers = Writers::start(&[&cluster.alpha]);
    for is_producer in [true, false] {
        writers.acknowledge(WRITES).await;
        let before = set_ups(&cluster);
        let node = if is_producer { &mut cluster.alpha } else { &mut cluster.beta };
        node.process.kill_9();
        let name = node.name.clone();
        cluster.sidecar.process.logs(&["link down", &name]).await;
        let node = if is_producer { &mut cluster.alpha } else { &mut cluster.beta };
        node.restart().await;
        all_open_again(&cluster, before).await;
    }
    writers.acknowledge(WRITES).await;
    writers.stop(&[&cluster.alpha]).await;
    cluster.converge().await;
    assert_open_and_never_refused(&shown(&cluster).await);
}
