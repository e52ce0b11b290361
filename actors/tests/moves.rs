//! A move: a vBucket is replicated until its producer has few changes left to send, then taken
//! over.

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
use common::{Link, brisk};
use dcp_actors::MovePhase;
use mcbp::dcp::stream_flags::TAKEOVER;
use mcbp::{Status, VbId, VbState};

/// Plays the nodes in the takeover of a vBucket that is replicated on this link.
async fn take_over(link: &mut Link, vb: u16) {
    link.closes(VbId(vb)).await;
    let (stream, flags) = link.request_with_flags().await;
    assert_eq!((stream.vb, flags), (VbId(vb), TAKEOVER));
    link.open(&stream).await;
    link.take_state(&stream, VbState::Pending).await;
    link.take_state(&stream, VbState::Active).await;
}

#[tokio::test]
async fn mb_35594_a_move_waits_for_the_count_and_for_the_data() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let estimates = &cluster.producers["alpha"].control;
    estimates.estimates(&[
        ("calculating-item-count", 0),
        ("calculating-item-count", 0),
        ("backfilling", 70_000),
        ("in-memory", 12),
    ]);
    let moving = cluster.move_vbucket(7, "alpha");
    let mut link = cluster.accept().await;
    let (stream, flags) = link.request_with_flags().await;
    assert_eq!(flags, 0, "replicated first");
    let status = cluster.status_until(|bucket| !bucket.moves.is_empty()).await;
    assert_eq!(status.moves[0].phase, MovePhase::Opening);
    link.open(&stream).await;
    let far = cluster.status_until(|b| b.moves[0].estimate == Some(70_000)).await;
    assert_eq!(far.moves[0].phase, MovePhase::Copying);
    take_over(&mut link, 7).await;
    assert_eq!(answer(moving).await.unwrap().vbucket, 7);
    let groups = cluster.producers["alpha"].control.groups();
    assert_eq!(groups, vec!["dcp-vbtakeover 7 replication:alpha->beta:default"; 4]);
}

#[tokio::test]
async fn mb_59522_an_unknown_status_fails_the_move_and_changes_nothing() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    cluster.producers["alpha"].control.estimates(&[("does_not_exist", 0)]);
    let (mut link, _) = cluster.opened([7]).await;
    let moving = cluster.move_vbucket(7, "alpha");
    let status = Some("does_not_exist".to_owned());
    assert_eq!(failure(moving).await, ("estimate".to_owned(), status));
    link.settle().await;
    let status = cluster.status_until(|bucket| bucket.moves.is_empty()).await;
    assert_eq!((status.links[0].wanted, status.links[0].open), (1, 1));
}

#[tokio::test]
async fn a_vbucket_that_was_not_replicated_before_is_not_afterwards_where_the_move_fails() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let moving = cluster.move_vbucket(7, "alpha");
    let mut link = cluster.accept().await;
    let stream = link.request().await;
    link.producer.answer(&stream.request, Status::NOT_MY_VBUCKET).await;
    link.consumer.expect(mcbp::Opcode::DCP_STREAM_REQ).await;
    link.added(&stream, Status::NOT_MY_VBUCKET).await;
    let status = Some("NotMyVbucket (0x07)".to_owned());
    assert_eq!(failure(moving).await, ("refused".to_owned(), status));
    link.producer.expect_close().await;
}

#[tokio::test]
async fn a_producer_that_is_lost_while_data_moves_fails_the_move() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    cluster.producers["alpha"].control.estimates(&[("backfilling", 5000)]);
    let (mut link, _) = cluster.opened([7]).await;
    let moving = cluster.move_vbucket(7, "alpha");
    cluster.status_until(|b| b.moves.iter().any(|m| m.estimate == Some(5000))).await;
    link.producer.hang_up();
    assert_eq!(failure(moving).await.0, "link-lost");
}

#[tokio::test]
async fn a_move_whose_data_never_comes_is_bounded_by_its_deadline() {
    let limits = dcp_actors::ControlLimits { data_move: Duration::from_millis(50), ..brisk() };
    let mut cluster = Cluster::start(limits, &["alpha"]).await;
    cluster.producers["alpha"].control.estimates(&[("backfilling", 5000)]);
    let (_link, _) = cluster.opened([7]).await;
    let moving = cluster.move_vbucket(7, "alpha");
    assert_eq!(failure(moving).await, ("deadline".to_owned(), None));
}

#[tokio::test]
async fn a_producer_that_answers_no_question_fails_the_move() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    cluster.producers["alpha"].control.hang_up(true);
    let (_link, _) = cluster.opened([7]).await;
    assert_eq!(failure(cluster.move_vbucket(7, "alpha")).await.0, "link-lost");
}
