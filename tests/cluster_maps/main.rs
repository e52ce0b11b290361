//! A sidecar that follows the maps of a cluster of two nodes: vBuckets move under write load, every
//! change of the map is followed soon, nothing is lost, and nothing is copied again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
mod once;
mod reach;

use std::ops::Range;
use std::time::{Duration, Instant};

use common::{Config, DataNode, Sidecar, Writers, all_taken_over, same_documents, until_within};
use mcbp::dcp::StreamReq;
use mcbp::{Frame, FrameBuilder, Opcode, Seqno, VbId};
use serde_json::{Value, json};
use wirelog::{Reader, Record};

const VBUCKETS: u16 = 8;
/// Within this time of a change each vBucket is followed, and of the fastest change within
/// [`AT_ONCE`]. A twentieth of that is usual, and a machine may be busy.
const SOON: Duration = Duration::from_secs(10);
const AT_ONCE: Duration = Duration::from_secs(1);

/// Where each node is, as `nodesExt` has it.
fn hosts(nodes: &[&DataNode]) -> Vec<Value> {
    let ports = nodes.iter().map(|node| node.address().port());
    ports.map(|kv| json!({ "hostname": "127.0.0.1", "services": { "kv": kv } })).collect()
}

/// Tells all nodes the map of this revision; `on` says on which of them each vBucket is active.
async fn tell(nodes: &[&DataNode], rev: i64, on: [i64; VBUCKETS as usize]) {
    tell_hosts(nodes, &hosts(nodes), rev, on).await;
}

/// The same with the nodes at these hosts.
async fn tell_hosts(nodes: &[&DataNode], hosts: &[Value], rev: i64, on: [i64; VBUCKETS as usize]) {
    let server =
        |host: &Value| format!("{}:{}", host["hostname"].as_str().unwrap(), host["services"]["kv"]);
    let servers: Vec<_> = hosts.iter().map(server).collect();
    let chains: Vec<_> = on.iter().map(|&server| [server]).collect();
    let map = json!({
        "rev": rev, "revEpoch": 1, "name": "default", "nodesExt": hosts,
        "vBucketServerMap": { "serverList": servers, "vBucketMap": chains },
    });
    let map = map.to_string();
    let extras = [1_i64.to_be_bytes(), rev.to_be_bytes()].concat();
    for node in nodes {
        let set = FrameBuilder::request(Opcode::SET_CLUSTER_CONFIG).extras(&extras);
        let set = set.key(b"default").value(map.as_bytes());
        node.client().await.ask(set).await.unwrap();
    }
}

/// The configuration of a sidecar of `node` that follows the cluster at this address.
fn following(node: &DataNode, address: &str) -> Config {
    Config::following(&node.endpoint(), &format!("address = {address:?}"))
}

/// Waits until `copy` has all that `from` has now of these vBuckets. Returns how long that took.
async fn followed(within: Duration, from: &DataNode, copy: &DataNode, vbs: Range<u16>) -> Duration {
    let began = Instant::now();
    let (mut left, mut right) = (from.client().await, copy.client().await);
    let goal = left.get_all_vb_seqnos().await.unwrap();
    until_within(within, "the copy has all", async || {
        let have = right.get_all_vb_seqnos().await.unwrap();
        let has = |vb: VbId| goal.iter().zip(&have).all(|(l, r)| l.0 != vb || r.1 >= l.1);
        vbs.clone().map(VbId).all(has).then_some(())
    })
    .await;
    began.elapsed()
}

/// The seqnos from which the streams of the link from `producer` to `copy` were asked for.
async fn asked_from(sidecar: &Sidecar, producer: &DataNode, copy: &DataNode) -> Vec<(VbId, Seqno)> {
    let link = format!("default/{}", producer.address());
    let file = copy.data().with_extension("jsonl");
    let path = file.to_str().unwrap();
    let mut last =
        sidecar.ask(&["capture", &link, path, "--last", "--seconds", "0", "--force"]).await;
    assert_eq!(last.exit_code().await, 0, "{}", last.log());
    let text = std::fs::read_to_string(&file).unwrap();
    let records = Reader::new(text.as_bytes()).map(Result::unwrap);
    let frames = records.filter_map(|record| match record {
        Record::Frame(recorded) => Some(recorded.frame),
        _ => None,
    });
    let mut asked = Vec::new();
    for frame in frames {
        let frame = Frame::parse(&frame).unwrap();
        if frame.opcode() == Opcode::DCP_STREAM_REQ && frame.header.is_request() {
            asked.push((frame.header.vbucket(), StreamReq::decode(&frame).unwrap().start));
        }
    }
    asked
}

#[tokio::test]
async fn a_changed_map_is_followed_under_load() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let folder = folders[0].path();
    let (mut alpha, beta, copy) = tokio::join!(
        DataNode::start(folder, "alpha", "active", VBUCKETS),
        DataNode::start(folder, "beta", "replica", VBUCKETS),
        DataNode::start(folder, "copy", "replica", VBUCKETS),
    );
    tell(&[&alpha, &beta], 1, [0; 8]).await;
    // The cluster itself: its replicas are kept, and its vBuckets move, by a sidecar of `beta`.
    let config = Config::new(&beta.endpoint(), &alpha.endpoint(), "0-7");
    let within = Sidecar::start(folders[1].path(), &config);
    // Nobody listens at the first host.
    let hosts = format!("couchbase://127.0.0.1:1,{}", alpha.address());
    let mut outside = Sidecar::start(folder, &following(&copy, &hosts));
    let writers = Writers::start(&[&alpha, &beta]);
    writers.acknowledge(300).await;
    followed(common::PATIENCE, &alpha, &copy, 0..8).await;
    let copied = copy.client().await.get_all_vb_seqnos().await.unwrap();
    let takeover = async |set: &str| {
        let mut command = within.ask(&["takeover", "default", set, "--from", "alpha"]).await;
        assert_eq!(command.exit_code().await, 0, "{}", command.log());
    };
    takeover("4-7").await;
    writers.acknowledge(100).await;
    tell(&[&alpha, &beta], 2, [0, 0, 0, 0, 1, 1, 1, 1]).await;
    let first = followed(SOON, &beta, &copy, 4..8).await;
    followed(SOON, &alpha, &copy, 0..4).await;
    writers.acknowledge(100).await;
    // An older map is no news, and the first node has no vBucket left by the next one.
    tell(&[&alpha, &beta], 1, [0; 8]).await;
    writers.acknowledge(100).await;
    takeover("0-3").await;
    tell(&[&alpha, &beta], 3, [1; 8]).await;
    let second = followed(SOON, &beta, &copy, 0..8).await;
    assert!(first.min(second) < AT_ONCE, "{first:?} {second:?}");
    writers.acknowledge(100).await;
    writers.stop(&[&beta, &alpha]).await;
    followed(common::PATIENCE, &beta, &copy, 0..8).await;
    same_documents(&beta.endpoint(), &copy.endpoint(), (0..VBUCKETS).map(VbId)).await;
    all_taken_over(&alpha.endpoint(), &copy.endpoint(), (0..VBUCKETS).map(VbId)).await;
    // Nothing is copied again: each stream goes on where the copy of the other node ended.
    let asked = asked_from(&outside, &beta, &copy).await;
    for &(vb, seqno) in &copied {
        let starts: Vec<_> = asked.iter().filter(|it| it.0 == vb).map(|it| it.1).collect();
        assert!(!starts.is_empty() && starts.iter().all(|start| *start >= seqno), "{asked:?}");
    }
    assert!(copied.iter().all(|(_, seqno)| seqno.0 > 0), "{copied:?}");
    // After a restart the nodes of the last map are known, though those of the file are gone.
    alpha.process.kill_9();
    outside.stop().await;
    outside.restart();
    let mut documents = beta.documents().await;
    for number in 0..50 {
        documents.set(&format!("after-{number}"), "1").await;
    }
    followed(common::PATIENCE, &beta, &copy, 0..8).await;
    tell(&[&beta], 4, [-1, 0, 0, 0, 0, 0, 0, 0]).await;
    outside.process.logs(&["cluster map taken", "revision=1:4"]).await;
}
