//! Documents that are written to one data node are on the other: two nodes and a sidecar, all
//! healthy.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use common::{Cluster, Writers, until};
use mcbp::Seqno;

#[tokio::test]
async fn what_was_there_before_the_sidecar_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = common::nodes(&folder).await;
    let mut documents = alpha.documents().await;
    for number in 0..200 {
        documents.set(&format!("key-{number}"), &"x".repeat(number * 10)).await;
    }
    let cluster = Cluster::between(folder, alpha, beta);
    cluster.converge().await;
    cluster.sidecar.process.logs(&["streams settled", "opened=8", "open=8", "failed=0"]).await;
    cluster.assert_quiet(&[]);
}

#[tokio::test]
async fn writes_overwrites_and_deletions_arrive() {
    let cluster = Cluster::start().await;
    cluster.converge().await;
    let mut documents = cluster.alpha.documents().await;
    for number in 0..100 {
        documents.set(&format!("key-{number}"), "first").await;
    }
    cluster.converge().await;
    for number in 0..50 {
        documents.set(&format!("key-{number}"), "second").await;
    }
    for number in 25..75 {
        documents.delete(&format!("key-{number}")).await;
    }
    documents.set("key-30", "third").await;
    cluster.converge().await;
    assert_eq!(documents.get("key-30").await.as_deref(), Some("third"));
    assert_eq!(documents.get("key-31").await, None);
    cluster.assert_quiet(&[]);
}

/// A node streams changes since its start from memory, including replaced ones, and older changes
/// from disk. The comparison must not depend on that.
#[tokio::test]
async fn a_node_that_was_restarted_is_compared_by_what_it_holds() {
    let mut cluster = Cluster::start().await;
    let mut documents = cluster.alpha.documents().await;
    documents.set("key", "first").await;
    let vb = documents.vb("key");
    let others = (0..).map(|number| format!("other-{number}"));
    let others: Vec<_> = others.filter(|key| documents.vb(key) == vb).take(20).collect();
    for key in &others {
        // Together more than a producer reads from its memory at once.
        documents.set(key, &"x".repeat(100_000)).await;
    }
    documents.delete("key").await;
    cluster.converge().await;
    cluster.beta.stop().await;
    cluster.beta.restart().await;
    cluster.converge().await;
}

#[tokio::test]
async fn a_document_that_expires_is_gone_on_both_nodes() {
    let cluster = Cluster::start().await;
    let mut documents = cluster.alpha.documents().await;
    documents.set_for("short-lived", "value", 1).await;
    documents.set_for("long-lived", "value", 3600).await;
    assert_ne!(documents.vb("short-lived"), documents.vb("long-lived"));
    cluster.converge().await;
    let mut client = cluster.alpha.client().await;
    let goal = (documents.vb("short-lived"), Seqno(2));
    until("its expiry is a change of its own", async || {
        // A read finds it expired, which queues a write.
        let is_gone = documents.get("short-lived").await.is_none();
        (is_gone && client.get_all_vb_seqnos().await.unwrap().contains(&goal)).then_some(())
    })
    .await;
    cluster.converge().await;
    assert!(documents.get("long-lived").await.is_some());
    cluster.assert_quiet(&[]);
}

#[tokio::test]
async fn everything_stops_cleanly_and_goes_on_from_there() {
    let mut cluster = Cluster::start().await;
    let mut documents = cluster.alpha.documents().await;
    documents.set("before", "value").await;
    cluster.converge().await;
    cluster.sidecar.stop().await;
    cluster.alpha.stop().await;
    cluster.beta.stop().await;
    cluster.assert_quiet(&[]);
    cluster.alpha.restart().await;
    cluster.beta.restart().await;
    cluster.sidecar.restart();
    let mut documents = cluster.alpha.documents().await;
    documents.set("after", "value").await;
    cluster.converge().await;
    assert_eq!(documents.get("before").await.as_deref(), Some("value"));
    let log = cluster.alpha.client().await.failover_log(documents.vb("before")).await.unwrap();
    assert_eq!(log.len(), 1, "a clean stop begins no branch");
    cluster.assert_quiet(&[]);
}

#[tokio::test]
async fn changes_of_connections_under_load_lose_no_document() {
    let cluster = Cluster::start().await;
    cluster.fill().await;
    let writers = Writers::start(&[&cluster.alpha]);
    for count in ["4", "2", "3", "1"] {
        writers.acknowledge(100).await;
        let mut command = cluster.sidecar.ask(&["connections", "default", count]).await;
        assert_eq!(command.exit_code().await, 0, "{}", command.log());
    }
    writers.acknowledge(100).await;
    writers.stop(&[&cluster.alpha]).await;
    cluster.converge().await;
}
