//! What is stalled, slow or in a loop is detected, reported with its reason, and restarted or
//! slowed down.

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
use common::cluster::{Cluster, answer, failure};
use dcp_actors::{BucketStatus, ControlLimits};
use mcbp::dcp::Control;
use mcbp::{FrameBuilder, Opaque, Opcode, Status, StreamEndStatus, VbId};
use relay::testing::mutation;

/// Limits with frequent polls and a short stall limit.
fn watchful() -> ControlLimits {
    let (stall, lag) = (Duration::from_millis(200), Duration::from_millis(10));
    ControlLimits { stall, lag_interval: Some(lag), ..brisk() }
}

fn stalled(bucket: &BucketStatus) -> bool {
    bucket.links[0].stall.is_some()
}

#[tokio::test]
async fn mb_14187_a_producer_that_is_ahead_and_sends_nothing_is_restarted() {
    let mut cluster = Cluster::start(watchful(), &["alpha"]).await;
    let (mut link, _) = cluster.opened([1]).await;
    cluster.producers["alpha"].control.seqno(1, 10);
    cluster.beta.control.seqno(1, 4);
    // Noops are no progress.
    link.producer.send(FrameBuilder::request(Opcode::DCP_NOOP)).await;
    let status = cluster.status_until(stalled).await;
    let reason = status.links[0].stall.clone().unwrap();
    assert!(reason.contains("6 seqnos ahead") && reason.contains("no data"), "{reason}");
    let error = status.links[0].last_error.clone().unwrap();
    assert_eq!((error.reason().name(), error.to_string()), ("stalled", reason));
    link.consumer.expect_close().await;
    let mut link = cluster.accept().await;
    let stream = link.request().await;
    link.open(&stream).await;
    // The stall is cleared once data moves.
    link.producer.send_raw(&mutation(VbId(1), stream.opaque, 5, 100)).await;
    cluster.status_until(|bucket| !stalled(bucket)).await;
}

#[tokio::test]
async fn an_idle_link_is_left_alone() {
    let mut cluster = Cluster::start(watchful(), &["alpha"]).await;
    let (mut link, _) = cluster.opened([1]).await;
    cluster.producers["alpha"].control.seqno(1, 10);
    cluster.beta.control.seqno(1, 10);
    let long = |b: &BucketStatus| b.links[0].producer_silent_ms.is_some_and(|ms| ms > 500);
    let status = cluster.status_until(long).await;
    assert_eq!((status.links[0].failures, status.links[0].open), (0, 1));
    link.settle().await;
}

#[tokio::test]
async fn kafka_8_a_full_window_without_an_acknowledgement_is_restarted() {
    let mut cluster =
        Cluster::start(ControlLimits { lag_interval: None, ..watchful() }, &["alpha"]).await;
    let (mut link, streams) = cluster.opened([1]).await;
    let mut control = BytesMut::new();
    Control { key: b"connection_buffer_size", value: b"4096" }.write(Opaque(9), &mut control);
    link.consumer.send_raw(&control).await;
    assert_eq!(link.producer.expect(Opcode::DCP_CONTROL).await, control, "unchanged");
    let data = mutation(VbId(1), streams[0].opaque, 5, 4096);
    link.producer.send_raw(&data).await;
    assert_eq!(link.consumer.expect(Opcode::DCP_MUTATION).await, data);
    let status = cluster.status_until(stalled).await;
    let reason = status.links[0].stall.clone().unwrap();
    assert!(reason.contains("acknowledged nothing") && reason.contains("4096"), "{reason}");
    link.producer.expect_close().await;
}

#[tokio::test]
async fn a_consumer_that_takes_nothing_is_restarted() {
    let mut cluster = Cluster::start(watchful(), &["alpha"]).await;
    let (mut link, streams) = cluster.opened([1]).await;
    let opaque = streams[0].opaque;
    let flood = tokio::spawn(async move {
        let data = mutation(VbId(1), opaque, 5, 1 << 20);
        // More than all buffers on the way can hold; the link is closed meanwhile.
        for _ in 0..64 {
            link.producer.send_raw(&data).await;
        }
    });
    let status = cluster.status_until(stalled).await;
    let reason = status.links[0].stall.clone().unwrap();
    assert!(reason.contains("consumer beta") && reason.contains("accepted no bytes"), "{reason}");
    assert!(flood.await.is_err(), "cut off");
}

#[tokio::test]
async fn sync_gateway_1198_a_rollback_loop_is_broken_and_reported() {
    let backoff =
        replica::backoff::Backoff { min: Duration::from_millis(1), max: Duration::from_secs(30) };
    let limits = ControlLimits { backoff, loop_failures: 3, ..brisk() };
    let mut cluster = Cluster::start(limits, &["alpha"]).await;
    let (mut link, [first, _]) = cluster.opened([1, 2]).await;
    link.end(first.vb, first.opaque, StreamEndStatus::ROLLBACK).await;
    for _ in 0..2 {
        let again = link.request().await;
        link.open(&again).await;
        link.end(again.vb, again.opaque, StreamEndStatus::ROLLBACK).await;
    }
    let status = cluster.status_until(|bucket| !bucket.broken.is_empty()).await;
    let broken = &status.broken[0];
    assert_eq!((broken.vbucket, broken.kind.name(), broken.failures), (1, "rollback", 3));
    let error = status.links[0].streams[0].last_error.clone().unwrap();
    assert_eq!(
        (error.reason().name(), error.answer().map(|a| a.to_string()).as_deref()),
        ("loop", Some("Rollback (6)"))
    );
    assert_eq!(status.links[0].open, 1, "the neighbour is open");
    link.settle().await; // No retry at once.
    // A command of the operator ends the backoff.
    let set_up = cluster.set(&[("alpha", &[1, 2])]);
    let again = link.request().await;
    link.open(&again).await;
    assert_eq!(answer(set_up).await, Ok(2));
    cluster.status_until(|bucket| bucket.broken.is_empty()).await;
}

#[tokio::test]
async fn mb_64246_a_rollback_loop_within_one_attempt_is_seen_before_its_deadline() {
    let limits = ControlLimits { loop_failures: 3, ..brisk() };
    let mut cluster = Cluster::start(limits, &["alpha"]).await;
    let set_up = cluster.set(&[("alpha", &[1])]);
    let mut link = cluster.accept().await;
    let stream = link.request().await;
    for _ in 0..3 {
        link.producer.answer_with(&stream.request, Status::ROLLBACK, &[], &[0; 8]).await;
        link.consumer.expect(Opcode::DCP_STREAM_REQ).await;
        // The consumer repeats its STREAM_REQ, with the same opaque.
        link.consumer.send_raw(&stream.request).await;
        assert_eq!(link.producer.expect(Opcode::DCP_STREAM_REQ).await, stream.request);
    }
    let status = cluster.status_until(|bucket| !bucket.broken.is_empty()).await;
    assert_eq!((status.broken[0].vbucket, status.broken[0].kind.name()), (1, "rollback"));
    assert!(!set_up.is_finished());
}

#[tokio::test]
async fn a_stream_request_that_is_invalid_again_and_again_is_broken() {
    let limits = ControlLimits { loop_failures: 3, ..brisk() };
    let mut cluster = Cluster::start(limits, &["alpha"]).await;
    let set_up = cluster.set(&[("alpha", &[1])]);
    let mut link = cluster.accept().await;
    for _ in 0..3 {
        let stream = link.request().await;
        link.producer.answer(&stream.request, Status::ERANGE).await;
        link.consumer.expect(Opcode::DCP_STREAM_REQ).await;
        link.added(&stream, Status::ERANGE).await;
    }
    assert_eq!(failure(set_up).await, ("refused".to_owned(), Some("Range (0x22)".to_owned())));
    let status = cluster.status_until(|bucket| !bucket.broken.is_empty()).await;
    assert_eq!(status.broken[0].kind.name(), "invalid-request");
}

#[tokio::test]
async fn lag_is_known_in_seqnos_and_in_time() {
    let mut cluster = Cluster::start(
        ControlLimits { lag_interval: Some(Duration::from_millis(10)), ..brisk() },
        &["alpha"],
    )
    .await;
    let (_link, _) = cluster.opened([1]).await;
    cluster.producers["alpha"].control.seqno(1, 10);
    cluster.beta.control.seqno(1, 4);
    let behind = |b: &BucketStatus| {
        let stream = &b.links[0].streams[0];
        stream.lag_ms.is_some_and(|ms| ms >= 50) && stream.progress_ms.is_some_and(|ms| ms >= 50)
    };
    let status = cluster.status_until(behind).await;
    let stream = &status.links[0].streams[0];
    let seqnos = (stream.producer_seqno, stream.seqno, stream.lag_seqnos);
    assert_eq!(seqnos, (Some(10), Some(4), Some(6)));
    cluster.beta.control.seqno(1, 10);
    let status = cluster.status_until(|b| b.links[0].streams[0].lag_seqnos == Some(0)).await;
    assert_eq!(status.links[0].streams[0].lag_ms, Some(0));
    let names: Vec<_> = status.nodes.iter().map(|node| node.node.as_str()).collect();
    assert_eq!(names, ["alpha", "beta"]);
    assert!(status.nodes.iter().all(|node| node.silent_ms.is_some()));
}

#[tokio::test]
async fn gocbcore_1451_a_control_connection_that_fails_harms_no_stream() {
    let mut cluster = Cluster::start(
        ControlLimits { lag_interval: Some(Duration::from_millis(10)), ..brisk() },
        &["alpha"],
    )
    .await;
    let (mut link, _) = cluster.opened([1]).await;
    cluster.producers["alpha"].control.seqno(1, 10);
    cluster.beta.control.seqno(1, 4);
    cluster.status_until(|b| b.links[0].streams[0].lag_seqnos == Some(6)).await;
    cluster.producers["alpha"].control.hang_up(true);
    let status = cluster.status_until(|b| b.links[0].streams[0].lag_seqnos.is_none()).await;
    assert_eq!(status.links[0].streams[0].seqno, Some(4), "what is known is shown");
    assert!(status.nodes[0].control_error.as_ref().is_some_and(|error| error.contains("alpha")));
    assert_eq!((status.links[0].open, status.links[0].failures), (1, 0));
    cluster.producers["alpha"].control.hang_up(false);
    cluster.status_until(|b| b.links[0].streams[0].lag_seqnos == Some(6)).await;
    link.settle().await;
}

#[tokio::test]
async fn the_lag_of_a_node_that_hangs_is_unknown_long_before_the_deadline() {
    for silent in ["alpha", "beta"] {
        let limits = ControlLimits { lag_interval: Some(Duration::from_millis(10)), ..brisk() };
        let deadline = limits.handshake.request;
        let mut cluster = Cluster::start(limits, &["alpha"]).await;
        let (_link, _) = cluster.opened([1]).await;
        cluster.producers["alpha"].control.seqno(1, 4);
        cluster.beta.control.seqno(1, 4);
        cluster.status_until(|b| b.links[0].streams[0].lag_seqnos == Some(0)).await;
        let node = if silent == "alpha" { &cluster.producers["alpha"] } else { &cluster.beta };
        node.control.silence(true);
        let hung = tokio::time::Instant::now();
        let status = cluster.status_until(|b| b.links[0].streams[0].lag_seqnos.is_none()).await;
        assert!(hung.elapsed() < deadline / 2, "{:?}", hung.elapsed());
        let stream = &status.links[0].streams[0];
        let known = if silent == "alpha" { stream.seqno } else { stream.producer_seqno };
        assert_eq!(known, Some(4), "{silent}");
        let (lag, age) = (stream.lag_ms.unwrap(), stream.lag_age_ms.unwrap());
        assert!(lag > 0 && lag == age, "it grows by the clock, and says how old it is: {stream:?}");
        cluster.status_until(|b| b.links[0].streams[0].lag_ms > Some(lag + 50)).await;
    }
}

#[tokio::test]
async fn mb_67329_status_never_waits_for_a_takeover() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let takeover = cluster.takeover(1, "alpha");
    let mut link = cluster.accept().await;
    let stream = link.request().await;
    let status = cluster.status_until(|bucket| !bucket.moves.is_empty()).await;
    assert_eq!((status.moves[0].vbucket, status.moves[0].from.as_str()), (1, "alpha"));
    assert_eq!(stream.vb, VbId(1));
    assert!(!takeover.is_finished());
}
