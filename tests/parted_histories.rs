//! Two nodes whose histories have diverged: what can be repaired is repaired, other differences are
//! reported.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::path::Path;

use common::{
    Cluster, Config, DataNode, Sidecar, all_taken_over, differences, left_behind, nodes, run,
};
use mcbp::{FrameBuilder, Opcode, VbId, VbState};

async fn set_state(node: &DataNode, state: VbState) {
    let mut client = node.client().await;
    for vb in 0..node.vbuckets {
        client.set_vbucket(VbId(vb), state).await.unwrap();
    }
}

#[tokio::test]
async fn a_replica_that_was_written_to_is_rolled_back() {
    let mut cluster = Cluster::start().await;
    let mut documents = cluster.alpha.documents().await;
    for number in 0..50 {
        documents.set(&format!("key-{number}"), "value").await;
    }
    cluster.converge().await;
    cluster.sidecar.stop().await;
    set_state(&cluster.beta, VbState::Active).await;
    let mut replica = cluster.beta.documents().await;
    for number in 0..50 {
        replica.set(&format!("key-{number}"), "overwritten").await;
        replica.set(&format!("intruder-{number}"), "value").await;
    }
    set_state(&cluster.beta, VbState::Replica).await;
    documents.set("key-0", "written meanwhile").await;
    cluster.sidecar.restart();
    cluster.converge().await;
    set_state(&cluster.beta, VbState::Active).await;
    assert_eq!(replica.get("key-0").await.as_deref(), Some("written meanwhile"));
    assert_eq!(replica.get("key-1").await.as_deref(), Some("value"));
    assert_eq!(replica.get("intruder-1").await, None);
}

/// Polls often: the branches of the copies are compared at every tenth poll.
const LIMITS: &str = "stall_ms = 3000\nlag_interval_ms = 200";

/// A pair whose copies are equal, with streams of all vBuckets open.
async fn replicated() -> Cluster {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = nodes(&folder).await;
    let config = Config::new(&beta.endpoint(), &alpha.endpoint(), "0-7").limits(LIMITS);
    let sidecar = Sidecar::start(folder.path(), &config);
    let cluster = Cluster { alpha, beta, sidecar, folder };
    let mut documents = cluster.alpha.documents().await;
    for number in 0..50 {
        documents.set(&format!("key-{number}"), "value").await;
    }
    cluster.converge().await;
    cluster
}

/// Beta's vBuckets have all become what alpha has, without a write at alpha that would show that
/// their streams are gone.
async fn are_rolled_back(cluster: &Cluster) {
    cluster.converge().await;
    let log = &cluster.sidecar.process;
    log.logs(&["stream ended", "has dropped the stream"]).await;
    set_state(&cluster.beta, VbState::Active).await;
    let mut replica = cluster.beta.documents().await;
    for number in 0..50 {
        assert_eq!(replica.get(&format!("key-{number}")).await.as_deref(), Some("value"));
        assert_eq!(replica.get(&format!("intruder-{number}")).await, None);
    }
}

#[tokio::test]
async fn replicas_that_were_active_for_a_while_are_rolled_back_without_a_write_at_the_producer() {
    let cluster = replicated().await;
    set_state(&cluster.beta, VbState::Active).await;
    let log = &cluster.sidecar.process;
    log.logs(&["stream ended", "the vBucket is active there"]).await;
    let mut replica = cluster.beta.documents().await;
    for number in 0..50 {
        replica.set(&format!("key-{number}"), "overwritten").await;
        replica.set(&format!("intruder-{number}"), "value").await;
    }
    set_state(&cluster.beta, VbState::Replica).await;
    are_rolled_back(&cluster).await;
}

#[tokio::test]
async fn replicas_that_were_active_between_two_polls_are_rolled_back_too() {
    let cluster = replicated().await;
    let (mut beta, mut replica) = (cluster.beta.client().await, cluster.beta.documents().await);
    // One at a time, so that each is a replica again before the next poll.
    for number in 0..50 {
        let key = format!("intruder-{number}");
        let vb = replica.vb(&key);
        beta.set_vbucket(vb, VbState::Active).await.unwrap();
        replica.set(&key, "value").await;
        beta.set_vbucket(vb, VbState::Replica).await.unwrap();
    }
    are_rolled_back(&cluster).await;
}

/// The vBuckets are created anew and get as many changes as alpha has: equal seqnos, other
/// documents.
#[tokio::test]
async fn copies_with_equal_seqnos_and_other_documents_are_rolled_back_too() {
    let cluster = replicated().await;
    let (mut beta, mut replica) = (cluster.beta.client().await, cluster.beta.documents().await);
    let seqnos = beta.get_all_vb_seqnos().await.unwrap();
    for &(vb, _) in &seqnos {
        beta.set_vbucket(vb, VbState::Dead).await.unwrap();
        beta.ask(FrameBuilder::request(Opcode::DEL_VBUCKET).vbucket(vb)).await.unwrap();
        beta.set_vbucket(vb, VbState::Active).await.unwrap();
        for key in (0..50).map(|number| format!("key-{number}")) {
            if replica.vb(&key) == vb {
                replica.set(&key, "of beta").await;
            }
        }
        beta.set_vbucket(vb, VbState::Replica).await.unwrap();
    }
    are_rolled_back(&cluster).await;
    assert_eq!(cluster.alpha.client().await.get_all_vb_seqnos().await.unwrap(), seqnos);
}

/// Two nodes continued the same history: neither seqnos nor failover logs show a difference.
#[tokio::test]
async fn a_difference_that_seqnos_do_not_show_is_printed_and_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let mut alpha = DataNode::start(folder.path(), "alpha", "active", 8).await;
    alpha.documents().await.set("before", "value").await;
    alpha.stop().await;
    copy(&alpha.data(), &folder.path().join("beta"));
    alpha.restart().await;
    let beta = DataNode::start(folder.path(), "beta", "active", 8).await;
    alpha.documents().await.set("parted", "of alpha").await;
    beta.documents().await.set("parted", "of beta").await;
    set_state(&beta, VbState::Replica).await;

    let config = Config::new(&beta.endpoint(), &alpha.endpoint(), "0-7");
    let mut once = run(folder.path(), &config, &["--once"]);
    assert_eq!(once.exit_code().await, 1);
    let said = once.out();
    let difference = said.lines().find(|line| line.contains("key \"parted\""));
    let difference = difference.expect("the difference is printed");
    assert!(difference.contains("on alpha and") && difference.contains("on beta"), "{difference}");
    assert!(said.contains("1 differences"), "{said}");
    let all = (0..8).map(VbId);
    let found = differences(&alpha.endpoint(), &beta.endpoint(), all).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("key \"parted\" is on alpha seqno 1 rev 1"), "{found:?}");
}

/// The comparison after a takeover finds a document that was left behind, and ignores newer ones.
#[tokio::test]
async fn a_document_that_a_takeover_left_behind_is_found() {
    let cluster = Cluster::start().await;
    cluster.fill().await;
    cluster.converge().await;
    let (alpha, beta) = (cluster.alpha.endpoint(), cluster.beta.endpoint());
    let mut documents = cluster.alpha.documents().await;
    let vb = documents.vb("left behind");
    let takeover = ["takeover", "default", &vb.0.to_string(), "--from", "alpha"];
    assert_eq!(cluster.sidecar.ask(&takeover).await.exit_code().await, 0);
    all_taken_over(&alpha, &beta, [vb]).await;
    cluster.alpha.client().await.set_vbucket(vb, VbState::Active).await.unwrap();
    documents.set("left behind", "value").await;
    cluster.alpha.client().await.set_vbucket(vb, VbState::Dead).await.unwrap();
    let found = left_behind(&alpha, &beta, [vb]).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("left behind") && found[0].contains("not on beta"), "{found:?}");
    assert_eq!(cluster.alpha.state(vb).await, VbState::Dead, "as it was");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
