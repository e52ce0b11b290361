//! A `[node] name` that no topology of a producer contains is reported, and a correct one is not.

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

use common::brisk;
use common::cluster::Cluster;
use dcp_actors::{BucketStatus, ControlLimits};

async fn start() -> Cluster {
    let limits = ControlLimits { lag_interval: Some(Duration::from_millis(5)), ..brisk() };
    Cluster::start(limits, &["alpha"]).await
}

fn warning(status: &BucketStatus) -> Option<&str> {
    status.nodes.iter().find(|node| node.node == "alpha").unwrap().warning.as_deref()
}

#[tokio::test]
async fn a_name_that_no_topology_knows_is_told_until_it_is_known() {
    let mut cluster = start().await;
    cluster.producers["alpha"].control.topology(r#"[["n1","n2"]]"#);
    let (_link, _) = cluster.opened([1, 2]).await;
    let status = cluster.status_until(|status| warning(status).is_some()).await;
    let text = warning(&status).unwrap();
    assert!(text.starts_with(r#"this node calls itself "beta", but"#), "{text}");
    assert!(text.contains(r#"the replicas ["n2"]: "#), "{text}");
    let ours = status.nodes.iter().find(|node| node.node == "beta").unwrap();
    assert_eq!(ours.warning, None, "a consumer is not asked");
    cluster.producers["alpha"].control.topology(r#"[["n1","beta"]]"#);
    cluster.status_until(|status| warning(status).is_none()).await;
}

#[tokio::test]
async fn a_known_name_and_vbuckets_without_topology_are_fine_and_few_are_asked_for() {
    for topology in [r#"[["n1","beta"]]"#, "null"] {
        let mut cluster = start().await;
        let control = cluster.producers["alpha"].control.clone();
        control.topology(topology);
        let (_link, _) = cluster.opened([1, 2, 3, 4, 5, 6]).await;
        // The second round begins only after the first one was evaluated.
        let status = cluster.status_until(|_| control.asked_details().len() > 4).await;
        assert_eq!(warning(&status), None, "{topology}");
        assert_eq!(control.asked_details()[..4], [1, 2, 3, 4], "a few of all six");
    }
}
