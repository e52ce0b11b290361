//! Nodes that accept connections and are heard no more, and connections that are dead: each is
//! shown as what it is, and a link is restarted where that can help.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

mod common;

use std::time::Duration;

use bytes::BytesMut;
use common::brisk;
use common::cluster::Cluster;
use dcp_actors::{BucketStatus, ControlLimits, LinkPhase, NodeStatus};
use mcbp::dcp::Control;
use mcbp::{FrameBuilder, Opaque, Opcode};

/// Limits with frequent polls and a short stall limit. A request without an answer is soon
/// repeated.
fn watchful() -> ControlLimits {
    let (stall, lag) = (Duration::from_millis(200), Duration::from_millis(10));
    let mut limits = ControlLimits { stall, lag_interval: Some(lag), ..brisk() };
    limits.handshake.request = Duration::from_millis(300);
    limits
}

fn node<'a>(bucket: &'a BucketStatus, name: &str) -> &'a NodeStatus {
    bucket.nodes.iter().find(|node| node.node == name).unwrap()
}

#[tokio::test]
async fn a_node_that_answers_nowhere_is_unresponsive_and_its_link_is_kept() {
    for name in ["alpha", "beta"] {
        let mut cluster = Cluster::start(watchful(), &["alpha"]).await;
        let (mut link, _) = cluster.opened([1]).await;
        cluster.status_until(|b| node(b, name).silent_ms.is_some()).await;
        let control = |cluster: &Cluster, silent| match name {
            "alpha" => cluster.producers["alpha"].control.silence(silent),
            _ => cluster.beta.control.silence(silent),
        };
        control(&cluster, true);
        let status = cluster.status_until(|b| node(b, name).unresponsive).await;
        let other = if name == "alpha" { "beta" } else { "alpha" };
        assert!(!node(&status, other).unresponsive, "{status:#?}");
        assert!(node(&status, name).unheard_ms >= Some(200), "{status:#?}");
        assert_eq!(status.links[0].phase, LinkPhase::Unresponsive, "{name}");
        // For as long again, nothing is restarted.
        let status = cluster.status_until(|b| node(b, name).unheard_ms > Some(500)).await;
        assert_eq!((status.links[0].open, status.links[0].failures), (1, 0), "{name}");
        link.settle().await;
        control(&cluster, false);
        let status = cluster.status_until(|b| !node(b, name).unresponsive).await;
        assert_eq!((status.links[0].phase, status.links[0].open), (LinkPhase::Up, 1));
        link.settle().await;
    }
}

#[tokio::test]
async fn a_link_without_the_noops_that_are_due_is_restarted_while_its_nodes_answer() {
    let mut cluster = Cluster::start(watchful(), &["alpha"]).await;
    let (mut link, _) = cluster.opened([1]).await;
    for (key, value) in [("enable_noop", "true"), ("set_noop_interval", "0.01")] {
        let mut control = BytesMut::new();
        Control { key: key.as_bytes(), value: value.as_bytes() }.write(Opaque(9), &mut control);
        link.consumer.send_raw(&control).await;
        link.producer.expect(Opcode::DCP_CONTROL).await;
    }
    let status = cluster.status_until(|bucket| bucket.links[0].last_error.is_some()).await;
    let error = status.links[0].last_error.clone().unwrap();
    assert_eq!(error.reason().name(), "unresponsive", "{error}");
    assert!(error.to_string().contains("answers on its control connection"), "{error}");
    assert!(status.nodes.iter().all(|node| !node.unresponsive), "{status:#?}");
    let failure = &status.link_failures[0];
    assert_eq!((failure.reason.name(), failure.count), ("unresponsive", 1));
    link.consumer.expect_close().await;
    let mut link = cluster.accept().await;
    let stream = link.request().await;
    link.open(&stream).await;
    cluster.status_until(|bucket| bucket.links[0].open == 1).await;
}

#[tokio::test]
async fn a_consumer_that_leaves_noops_unanswered_is_named() {
    let mut cluster = Cluster::start(watchful(), &["alpha"]).await;
    let (mut link, _) = cluster.opened([1]).await;
    let mut control = BytesMut::new();
    Control { key: b"enable_noop", value: b"true" }.write(Opaque(9), &mut control);
    link.consumer.send_raw(&control).await;
    let mut control = BytesMut::new();
    Control { key: b"set_noop_interval", value: b"0.01" }.write(Opaque(10), &mut control);
    link.consumer.send_raw(&control).await;
    cluster.status_until(|bucket| bucket.links[0].consumer_silent_ms > Some(50)).await;
    link.producer.send(FrameBuilder::request(Opcode::DCP_NOOP)).await;
    let status = cluster.status_until(|bucket| bucket.links[0].last_error.is_some()).await;
    let error = status.links[0].last_error.clone().unwrap();
    assert!(error.to_string().starts_with("the consumer has sent nothing"), "{error}");
}
