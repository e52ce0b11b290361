//! Signals: the first requests a clean stop, the second terminates the process. A takeover that has
//! begun ends before the stop.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::time::Duration;

use common::{Cluster, Config, FakeNode, Sidecar, States, run, until, until_within};
use mcbp::{Opcode, VbId, VbState};
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

/// A cluster whose sidecar has these limits.
async fn with_limits(limits: &str) -> Cluster {
    let mut cluster = Cluster::start().await;
    let (alpha, beta) = (cluster.alpha.endpoint(), cluster.beta.endpoint());
    let config = Config::new(&beta, &alpha, "0-7").limits(limits);
    cluster.sidecar.process.logs(&["admin API listens"]).await;
    cluster.sidecar.stop().await;
    cluster.sidecar = Sidecar::start(cluster.folder.path(), &config);
    cluster.sidecar.process.logs(&["streams settled", "open=8"]).await;
    cluster
}

#[tokio::test]
async fn a_drain_is_not_ready_and_replicates_on_until_a_second_signal() {
    let mut cluster = with_limits("drain_ms = 600_000").await;
    cluster.sidecar.process.signal("TERM");
    cluster.sidecar.process.logs(&["not ready any more", "drain_ms=600000"]).await;
    let mut status = cluster.sidecar.ask(&["status"]).await;
    assert_eq!(status.exit_code().await, 1);
    assert!(status.out().contains("NOT READY: the sidecar is stopping"), "{}", status.out());
    cluster.alpha.documents().await.set("key", "value").await;
    cluster.converge().await;
    until("it ends", async || {
        cluster.sidecar.process.signal("TERM");
        (!cluster.sidecar.process.is_running()).then_some(())
    })
    .await;
    assert_eq!(cluster.sidecar.process.exit_code().await, 1);
}

#[tokio::test]
async fn a_drain_ends_by_itself_and_streams_are_closed_then() {
    let mut cluster = with_limits("drain_ms = 200").await;
    cluster.sidecar.stop().await;
    cluster.sidecar.process.logs(&["not ready any more", "drain_ms=200"]).await;
    cluster.assert_quiet(&[]);
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

/// Whether a step of a takeover is reached, by the states on producer and consumer.
type Reached = fn(VbState, VbState) -> bool;

const STEPS: [Reached; 3] = [
    |_, consumer| matches!(consumer, VbState::Pending | VbState::Active),
    |producer, _| matches!(producer, VbState::Dead),
    |_, consumer| matches!(consumer, VbState::Active),
];

/// A set of takeovers, or moves, is stopped at each step of one of them.
#[tokio::test]
async fn a_stop_in_a_set_of_takeovers_leaves_each_vbucket_active_once() {
    const VBUCKETS: u16 = 40;
    let mut cluster = Cluster::with(VBUCKETS).await;
    cluster.fill().await;
    let mut states = States::start(&cluster.alpha, &cluster.beta);
    let commands = ["takeover", "takeover", "move", "takeover", "move", "takeover"];
    let (set, mut stopped) = (format!("0-{}", VBUCKETS - 1), 0);
    for ((command, step), vb) in commands.iter().zip(STEPS.iter().cycle()).zip((4..).step_by(5)) {
        is_ready(&cluster.sidecar).await;
        let mut asked = cluster.sidecar.ask(&[command, "default", &set, "--from", "alpha"]).await;
        let is_now = |from: Option<VbState>, to: Option<VbState>| {
            from.zip(to).is_some_and(|(from, to)| step(from, to))
        };
        states.until(VbId(vb), is_now).await;
        cluster.sidecar.stop().await;
        stopped += usize::from(asked.exit_code().await != 0);
        let mut active = 0;
        for vb in (0..VBUCKETS).map(VbId) {
            let are = [cluster.alpha.state(vb).await, cluster.beta.state(vb).await];
            let count = are.iter().filter(|state| **state == VbState::Active).count();
            assert_eq!(
                count,
                1,
                "after a {command}: {vb} is {are:?}, {}",
                cluster.sidecar.process.log()
            );
            active += u16::from(are[1] == VbState::Active);
        }
        assert!(active > vb, "{vb} had begun, and {active} are taken over");
        cluster.sidecar.process.assert_quiet(&["command ended", "slow takeover"]);
        cluster.sidecar.restart();
    }
    assert!(stopped > 0, "every set was through before its stop");
    is_ready(&cluster.sidecar).await;
    states.stop().await;
}

/// Waits until `dcp-proxy status` finds nothing missing.
async fn is_ready(sidecar: &Sidecar) {
    until("the sidecar is ready", async || {
        (sidecar.ask(&["status"]).await.exit_code().await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_takeover_at_a_frozen_node_does_not_keep_the_stop_and_is_named() {
    let mut cluster = with_limits("shutdown_ms = 4000").await;
    cluster.beta.process.signal("STOP");
    let mut asked = cluster.sidecar.ask(&["takeover", "default", "3-4", "--from", "alpha"]).await;
    cluster.sidecar.process.logs(&["takeover begins", "vb=3"]).await;
    cluster.sidecar.process.signal("TERM");
    let limit = Duration::from_secs(10);
    let ended = async || (!cluster.sidecar.process.is_running()).then_some(());
    until_within(limit, "the stop is over", ended).await;
    cluster.beta.process.signal("CONT");
    assert_eq!((cluster.sidecar.process.exit_code().await, asked.exit_code().await), (0, 1));
    let log = &cluster.sidecar.process;
    log.logs(&["failed takeover examined", "vb=3", "at alpha it is active", "unknown"]).await;
    log.logs(&["ERROR", "may be active nowhere", "vb=3", "remedy="]).await;
    assert_eq!(log.logged(&["may be active nowhere", "vb=4"]), None);
    assert!(asked.log().contains("stopp"), "{}", asked.log());
}
