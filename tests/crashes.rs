//! kill -9 of each process under write load: no acknowledged write is lost, and both nodes have the
//! same documents in the end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use common::{Cluster, Writers};
use mcbp::VbId;

/// Writes before a crash, and again after it.
const WRITES: u64 = 300;
/// How often each process is killed.
const ROUNDS: usize = 2;

/// Log texts of the sidecar while one of its nodes is down.
const NODE_AWAY: &[&str] = &["link down", "lag is unknown"];
/// Log texts of a node that was killed.
const WAS_KILLED: &[&str] =
    &["the last stop was not clean", "cutting an unfinished commit off a journal"];

#[tokio::test]
async fn mb_41942_the_producer_is_killed() {
    let mut cluster = Cluster::start().await;
    cluster.fill().await;
    let writers = Writers::start(&[&cluster.alpha]);
    for round in 1..=ROUNDS {
        writers.acknowledge(WRITES).await;
        cluster.alpha.process.kill_9();
        cluster.sidecar.process.logs(&["link down", "producer alpha"]).await;
        cluster.alpha.restart().await;
        let log = cluster.alpha.client().await.failover_log(VbId(0)).await.unwrap();
        assert_eq!(log.len(), 1 + round, "each crash of an active begins a branch: {log:?}");
    }
    writers.acknowledge(WRITES).await;
    writers.stop(&[&cluster.alpha]).await;
    cluster.converge().await;
    cluster.sidecar.process.assert_quiet(NODE_AWAY);
    cluster.beta.process.assert_quiet(&[]);
    cluster.alpha.process.assert_quiet(WAS_KILLED);
}

#[tokio::test]
async fn the_consumer_is_killed() {
    let mut cluster = Cluster::start().await;
    cluster.fill().await;
    let writers = Writers::start(&[&cluster.alpha]);
    for _ in 0..ROUNDS {
        writers.acknowledge(WRITES).await;
        cluster.beta.process.kill_9();
        cluster.sidecar.process.logs(&["link down", "consumer beta"]).await;
        cluster.beta.restart().await;
    }
    writers.acknowledge(WRITES).await;
    writers.stop(&[&cluster.alpha]).await;
    cluster.converge().await;
    let log = cluster.beta.client().await.failover_log(VbId(0)).await.unwrap();
    assert_eq!(log.len(), 1, "a replica begins no branch of its own: {log:?}");
    cluster.sidecar.process.assert_quiet(NODE_AWAY);
    cluster.alpha.process.assert_quiet(&[]);
    cluster.beta.process.assert_quiet(WAS_KILLED);
}

#[tokio::test]
async fn the_sidecar_is_killed() {
    let mut cluster = Cluster::start().await;
    cluster.fill().await;
    let writers = Writers::start(&[&cluster.alpha]);
    for _ in 0..ROUNDS {
        writers.acknowledge(WRITES).await;
        cluster.sidecar.process.kill_9();
        cluster.sidecar.restart();
    }
    writers.acknowledge(WRITES).await;
    writers.stop(&[&cluster.alpha]).await;
    cluster.converge().await;
    cluster.assert_quiet(&[]);
}

#[tokio::test]
async fn all_three_are_killed_at_once() {
    let mut cluster = Cluster::start().await;
    cluster.fill().await;
    let writers = Writers::start(&[&cluster.alpha]);
    writers.acknowledge(WRITES).await;
    for process in
        [&mut cluster.alpha.process, &mut cluster.beta.process, &mut cluster.sidecar.process]
    {
        process.kill_9();
    }
    cluster.sidecar.restart();
    cluster.beta.restart().await;
    cluster.alpha.restart().await;
    writers.acknowledge(WRITES).await;
    writers.stop(&[&cluster.alpha]).await;
    cluster.converge().await;
}
