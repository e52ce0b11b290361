//! A vBucket is taken over: the frames to both nodes, their order, and the result of every failure.

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

use common::cluster::{Cluster, answer, failure};
use common::{brisk, calm, failures};
use dcp_actors::{CommandError, LinkPhase, MovePhase};
use mcbp::dcp::stream_flags::TAKEOVER;
use mcbp::{Opcode, Status, StreamEndStatus, VbId, VbState};
use relay::testing::{BUCKET, view};

#[tokio::test]
async fn mb_9343_the_own_stream_is_closed_before_the_takeover_stream_is_added() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let (mut link, _) = cluster.opened([1, 2]).await;
    let takeover = cluster.takeover(1, "alpha");
    link.closes(VbId(1)).await;
    let (stream, flags) = link.request_with_flags().await;
    assert_eq!((stream.vb, flags), (VbId(1), TAKEOVER));
    link.open(&stream).await;
    link.take_state(&stream, VbState::Pending).await;
    assert!(!takeover.is_finished(), "pending is not enough");
    link.take_state(&stream, VbState::Active).await;
    let moved = answer(takeover).await.unwrap();
    assert_eq!((moved.bucket.as_str(), moved.vbucket, moved.from.as_str()), (BUCKET, 1, "alpha"));
    link.end(stream.vb, stream.opaque, StreamEndStatus::OK).await;
    // The vBucket is active here: only the neighbour is still wanted, and its stream was not
    // touched.
    link.settle().await;
    let status = cluster.status_until(|bucket| bucket.links[0].wanted == 1).await;
    assert_eq!((status.links[0].open, status.links[0].streams[0].vbucket), (1, 2));
    assert!(status.moves.is_empty());
}

#[tokio::test]
async fn mb_10779_the_answer_to_add_stream_may_come_after_the_active_state() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let takeover = cluster.takeover(5, "alpha");
    let mut link = cluster.accept().await;
    let stream = link.request().await;
    link.accept(&stream).await;
    link.take_state(&stream, VbState::Pending).await;
    link.take_state(&stream, VbState::Active).await;
    assert!(!takeover.is_finished(), "the answer to ADD_STREAM is awaited");
    link.added(&stream, Status::SUCCESS).await;
    assert_eq!(answer(takeover).await.unwrap().vbucket, 5);
}

#[tokio::test]
async fn a_takeover_opens_the_link_that_it_needs_and_closes_it_afterwards() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let takeover = cluster.takeover(5, "alpha");
    let mut link = cluster.accept().await;
    let (stream, flags) = link.request_with_flags().await;
    assert_eq!(flags, TAKEOVER, "never replicated");
    link.open(&stream).await;
    link.take_state(&stream, VbState::Pending).await;
    link.take_state(&stream, VbState::Active).await;
    answer(takeover).await.unwrap();
    link.consumer.expect_close().await;
    link.producer.expect_close().await;
    cluster.status_until(|bucket| bucket.links[0].phase == LinkPhase::Stopped).await;
}

#[tokio::test]
async fn mb_53445_a_stream_end_before_active_fails_the_takeover_at_once() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let (mut link, _) = cluster.opened([1]).await;
    let takeover = cluster.takeover(1, "alpha");
    link.closes(VbId(1)).await;
    let stream = link.request().await;
    link.open(&stream).await;
    link.take_state(&stream, VbState::Pending).await;
    link.end(stream.vb, stream.opaque, StreamEndStatus::DISCONNECTED).await;
    let status = Some("Disconnected (3)".to_owned());
    assert_eq!(failure(takeover).await, ("stream-end".to_owned(), status));
    // The previous desired map is restored.
    let (again, flags) = link.request_with_flags().await;
    assert_eq!((again.vb, flags), (VbId(1), 0));
}

#[tokio::test]
async fn a_state_that_the_consumer_refuses_fails_the_takeover() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let takeover = cluster.takeover(1, "alpha");
    let mut link = cluster.accept().await;
    let stream = link.request().await;
    link.open(&stream).await;
    let asked = link.state(&stream, VbState::Pending).await;
    link.state_answered(&asked, Status::NOT_MY_VBUCKET).await;
    let status = Some("NotMyVbucket (0x07)".to_owned());
    assert_eq!(failure(takeover).await, ("refused".to_owned(), status));
    // The vBucket must not move after the caller was told that it did not.
    link.closes(VbId(1)).await;
}

#[tokio::test]
async fn a_takeover_that_does_not_end_is_bounded_by_its_deadline() {
    let mut limits = brisk();
    limits.steps.takeover = Duration::from_millis(50);
    let mut cluster = Cluster::start(limits, &["alpha"]).await;
    let takeover = cluster.takeover(1, "alpha");
    let mut link = cluster.accept().await;
    let stream = link.request().await;
    link.open(&stream).await;
    link.take_state(&stream, VbState::Pending).await;
    assert_eq!(failure(takeover).await, ("deadline".to_owned(), None));
}

#[tokio::test]
async fn a_lost_producer_fails_the_takeover_at_once_and_the_stream_comes_back() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let (mut link, _) = cluster.opened([1]).await;
    let takeover = cluster.takeover(1, "alpha");
    link.closes(VbId(1)).await;
    let stream = link.request().await;
    link.open(&stream).await;
    let asked = link.state(&stream, VbState::Pending).await;
    link.producer.hang_up();
    assert_eq!(failure(takeover).await.0, "link-lost");
    drop(asked);
    let mut link = cluster.accept().await;
    let (again, flags) = link.request_with_flags().await;
    assert_eq!((again.vb, flags), (VbId(1), 0), "replicated, as before");
    link.open(&again).await;
    cluster.status_until(|bucket| bucket.links[0].open == 1).await;
}

#[tokio::test]
async fn mb_29354_a_stream_from_a_third_node_is_closed_before_the_takeover_begins() {
    let mut cluster = Cluster::start(brisk(), &["alpha", "gamma"]).await;
    let (mut from_alpha, _) = cluster.opened([1]).await;
    let takeover = cluster.takeover(1, "gamma");
    let mut from_gamma = cluster.accept().await;
    let close = from_alpha.consumer.expect(Opcode::DCP_CLOSE_STREAM).await;
    assert_eq!(view(&close).header.vbucket(), VbId(1));
    from_gamma.settle().await;
    from_alpha.consumer.answer(&close, Status::SUCCESS).await;
    let stream = from_gamma.request().await;
    from_gamma.open(&stream).await;
    from_gamma.take_state(&stream, VbState::Pending).await;
    from_gamma.take_state(&stream, VbState::Active).await;
    assert_eq!(answer(takeover).await.unwrap().from, "gamma");
}

#[tokio::test]
async fn a_takeover_does_not_wait_for_the_backoff_of_its_link() {
    let mut cluster = Cluster::start(calm(), &["alpha"]).await;
    let (mut link, _) = cluster.opened([1]).await;
    link.producer.hang_up();
    cluster.status_until(|bucket| bucket.links[0].phase == LinkPhase::Waiting).await;
    let takeover = cluster.takeover(1, "alpha");
    let mut link = cluster.accept().await;
    let (stream, flags) = link.request_with_flags().await;
    assert_eq!(flags, TAKEOVER);
    link.open(&stream).await;
    link.take_state(&stream, VbState::Pending).await;
    link.take_state(&stream, VbState::Active).await;
    answer(takeover).await.unwrap();
}

#[tokio::test]
async fn takeovers_are_served_in_turn_and_status_shows_both() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let first = cluster.takeover(1, "alpha");
    let mut link = cluster.accept().await;
    let second = cluster.takeover(2, "alpha");
    let stream = link.request().await;
    let status = cluster.status_until(|bucket| bucket.moves.len() == 2).await;
    let phases: Vec<_> = status.moves.iter().map(|m| (m.vbucket, m.phase)).collect();
    assert_eq!(phases, [(1, MovePhase::TakingOver), (2, MovePhase::Queued)]);
    link.open(&stream).await;
    link.settle().await;
    for state in [VbState::Pending, VbState::Active] {
        link.take_state(&stream, state).await;
    }
    answer(first).await.unwrap();
    let stream = link.request().await;
    assert_eq!(stream.vb, VbId(2), "on the same link");
    link.open(&stream).await;
    for state in [VbState::Pending, VbState::Active] {
        link.take_state(&stream, state).await;
    }
    answer(second).await.unwrap();
}

#[tokio::test]
async fn a_takeover_is_refused_where_its_producer_is_unknown_and_while_stopping() {
    let cluster = Cluster::start(brisk(), &["alpha"]).await;
    let unknown = answer(cluster.takeover(1, "delta")).await;
    assert_eq!(unknown, Err(CommandError::NoProducer { producer: "delta".to_owned() }));
    assert!(cluster.handle.shutdown(common::PATIENCE).await);
    assert_eq!(answer(cluster.takeover(1, "alpha")).await, Err(CommandError::Stopping));
}

#[tokio::test]
async fn mb_10720_shutdown_ends_a_takeover_that_waits() {
    let mut limits = brisk();
    limits.steps.shut = Duration::from_millis(50);
    let mut cluster = Cluster::start(limits, &["alpha"]).await;
    let takeover = cluster.takeover(1, "alpha");
    let mut link = cluster.accept().await;
    let _stuck = link.request().await;
    assert!(cluster.handle.shutdown(common::PATIENCE).await);
    // It had begun, so it was given time to end; its nodes did not let it.
    let ended = answer(takeover).await.map(|_| 0);
    assert_eq!(failures(ended).iter().map(|(vb, ..)| *vb).collect::<Vec<_>>(), [1]);
}
