//! Signals: the first requests a clean stop, the second terminates the process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use common::{Cluster, Config, FakeNode, Sidecar, run, until};
use mcbp::Opcode;
use relay::testing::FakePeer;
use tempfile::TempDir;

#[tokio::test]
async fn both_signals_stop_sidecar_and_nodes_cleanly() {
    for signal in ["INT", "TERM"] {
        let mut cluster = Cluster::start().await;
        cluster.alpha.documents().await.set("key", "value").await;
        cluster.converge().await;
        let Cluster { alpha, beta, sidecar, .. } = &mut cluster;
        for process in [&mut sidecar.process, &mut beta.process, &mut alpha.process] {
            process.signal(signal);
            assert_eq!(process.exit_code().await, 0, "after {signal}");
        }
        cluster.sidecar.process.logs(&[&format!("signal=SIG{signal}")]).await;
        cluster.assert_quiet(&[]);
    }
}

#[tokio::test]
async fn a_sidecar_that_reaches_nobody_stops_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = (FakePeer::bind().await, FakePeer::bind().await);
    let config = Config::new(&beta.endpoint("beta"), &alpha.endpoint("alpha"), "0-7");
    drop((alpha, beta));
    let mut sidecar = Sidecar::start(folder.path(), &config);
    sidecar.process.logs(&["link down", "could not connect"]).await;
    sidecar.stop().await;
}

#[tokio::test]
async fn a_demonstration_that_was_stopped_early_goes_on_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::demonstration(8, 1000);
    let mut process = run(folder.path(), &config, &[]);
    let data = folder.path().join("data").join("alpha");
    until("the first node starts", async || data.exists().then_some(())).await;
    process.signal("INT");
    assert_eq!(process.exit_code().await, 0);
    let mut process = run(folder.path(), &config, &["--once"]);
    assert_eq!(process.exit_code().await, 0);
    assert!(process.out().contains("identical"), "{}", process.out());
    process.assert_quiet(&[]);
}

/// Replication with a consumer that reads the first ADD_STREAM and never answers.
async fn with_a_silent_consumer(limits: &str) -> (TempDir, Sidecar, impl Sized) {
    let folder = tempfile::tempdir().unwrap();
    let (mut alpha, mut beta) = (FakeNode::start("alpha").await, FakeNode::start("beta").await);
    let config = Config::new(&beta.endpoint, &alpha.endpoint, "0").limits(limits);
    let sidecar = Sidecar::start(folder.path(), &config);
    let (mut consumer, producer) = tokio::join!(beta.dcp(), alpha.dcp());
    consumer.expect(Opcode::DCP_ADD_STREAM).await;
    (folder, sidecar, (alpha, beta, consumer, producer))
}

#[tokio::test]
async fn a_stop_is_bounded_whatever_a_node_does() {
    let (_folder, mut sidecar, _peers) = with_a_silent_consumer("shutdown_ms = 300").await;
    sidecar.stop().await;
    sidecar.process.logs(&["WARN", "streams did not close in time"]).await;
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let (_folder, mut sidecar, _peers) = with_a_silent_consumer("shutdown_ms = 600_000").await;
    sidecar.process.signal("INT");
    sidecar.process.logs(&["signal=SIGINT"]).await;
    until("it ends", async || {
        // Signals that come too close together are one request.
        sidecar.process.signal("INT");
        (!sidecar.process.is_running()).then_some(())
    })
    .await;
    assert_eq!(sidecar.process.exit_code().await, 1);
    sidecar.process.logs(&["WARN", "terminating immediately"]).await;
}

#[tokio::test]
async fn a_stop_during_a_handshake_that_hangs_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = (FakePeer::bind().await, FakePeer::bind().await);
    let config = Config::new(&beta.endpoint("beta"), &alpha.endpoint("alpha"), "0");
    let mut sidecar = Sidecar::start(folder.path(), &config);
    let _connections = tokio::join!(beta.accept_raw(), alpha.accept_raw());
    sidecar.stop().await;
    sidecar.process.assert_quiet(&[]);
}
