//! A link: opened, lost, opened again, changed, closed.

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

use std::collections::BTreeMap;
use std::time::Duration;

use common::{Link, Nodes, PATIENCE, Pending, brisk, calm, failures, from_alpha, within_a_second};
use dcp_actors::{CommandError, LinkPhase, StreamPhase};
use mcbp::dcp::open_flags;
use mcbp::{Opcode, Status, VbId};
use relay::testing::{BUCKET, Manner, Manners, view};

/// A link with these streams open.
async fn opened<const N: usize>(nodes: &Nodes, ids: [u16; N]) -> (Link, [Pending; N]) {
    let (set_up, mut link) = nodes.begin(&ids).await;
    let streams = link.requests().await;
    for stream in &streams {
        link.open(stream).await;
    }
    assert_eq!(within_a_second(set_up).await, Ok(N));
    (link, streams)
}

#[tokio::test]
async fn both_connections_carry_the_name_and_flags_that_couchbase_gives() {
    let nodes = Nodes::start(brisk()).await;
    let (link, _) = opened(&nodes, [0]).await;
    let (consumer, producer) = (link.consumer.opened.unwrap(), link.producer.opened.unwrap());
    assert_eq!(consumer.name, "replication:alpha->beta:default");
    assert_eq!(producer.name, consumer.name);
    assert_eq!(consumer.flags, open_flags::REPLICATION_CONSUMER);
    assert_eq!(producer.flags, open_flags::REPLICATION_PRODUCER);
    assert_eq!(consumer.value, r#"{"consumer_name":"beta"}"#);
}

#[tokio::test]
async fn mb_14305_mb_21511_a_lost_producer_fails_the_call_at_once() {
    let nodes = Nodes::start(brisk()).await;
    let (set_up, mut link) = nodes.begin(&[3, 4]).await;
    let [_, _] = link.requests().await;
    link.producer.hang_up();
    let lost = failures(within_a_second(set_up).await);
    assert_eq!(lost.iter().map(|(vb, ..)| *vb).collect::<Vec<_>>(), [3, 4]);
    assert!(lost.iter().all(|(_, reason, _)| reason == "link-lost"), "{lost:?}");
    link.consumer.expect_close().await;
    let mut link = nodes.accept().await;
    for stream in link.requests::<2>().await {
        link.open(&stream).await;
    }
    nodes.status_until(|bucket| bucket.links[0].open == 2).await;
}

#[tokio::test]
async fn mb_12158_a_lost_consumer_ends_the_pair() {
    let nodes = Nodes::start(brisk()).await;
    let (mut link, _) = opened(&nodes, [3]).await;
    link.consumer.hang_up();
    link.producer.expect_close().await;
    let mut link = nodes.accept().await;
    let stream = link.request().await;
    link.open(&stream).await;
    nodes.status_until(|bucket| bucket.links[0].open == 1).await;
}

#[tokio::test]
async fn garbage_from_a_peer_ends_the_link_with_a_reason_that_names_it() {
    let nodes = Nodes::start(calm()).await;
    let (mut link, _) = opened(&nodes, [3]).await;
    link.producer.send_raw(b"GET / HTTP/1.1\r\n\r\n").await;
    let status = nodes.status_until(|b| b.links[0].phase == LinkPhase::Waiting).await;
    let reason = status.links[0].last_error.clone().unwrap().to_string();
    assert!(reason.contains("producer alpha") && reason.contains("magic 0x47"), "{reason}");
}

#[tokio::test]
async fn a_wrong_password_comes_back_as_a_failure_of_every_vbucket() {
    let nodes = Nodes::start(calm()).await;
    let set_up = nodes.set(&[8, 9]);
    let refuse = Manners::bad_at(Opcode::SASL_AUTH, Manner::Refuse(Status::AUTH_ERROR));
    let _conn = nodes.alpha.accept(&refuse).await;
    let refused = failures(within_a_second(set_up).await);
    let want = |vb| (vb, "refused".to_owned(), Some("AuthError (0x20)".to_owned()));
    assert_eq!(refused, [want(8), want(9)]);
}

#[tokio::test]
async fn mb_32577_a_consumer_that_warms_up_is_tried_again_soon() {
    let nodes = Nodes::start(brisk()).await;
    let set_up = nodes.set(&[8]);
    let warming = Manners::bad_at(Opcode::DCP_OPEN, Manner::Refuse(Status::ETMPFAIL));
    let (_early, _given_up) = tokio::join!(nodes.beta.accept(&warming), nodes.alpha.accept_raw());
    assert_eq!(failures(within_a_second(set_up).await)[0].0, 8);
    let mut link = nodes.accept().await;
    let stream = link.request().await;
    link.open(&stream).await;
    nodes.status_until(|bucket| bucket.links[0].open == 1).await;
}

#[tokio::test]
async fn mb_10934_what_is_not_wanted_any_more_is_closed_on_both_sides() {
    let nodes = Nodes::start(brisk()).await;
    let (mut link, _) = opened(&nodes, [1, 2]).await;
    let change = nodes.set(&[2]);
    let at_consumer = link.consumer.expect(Opcode::DCP_CLOSE_STREAM).await;
    assert_eq!(view(&at_consumer).header.vbucket(), VbId(1));
    let at_producer = link.producer.expect(Opcode::DCP_CLOSE_STREAM).await;
    assert_eq!(view(&at_producer).header.vbucket(), VbId(1));
    link.consumer.answer(&at_consumer, Status::SUCCESS).await;
    // MB-15926: a stream that was closed before counts as closed.
    link.producer.answer(&at_producer, Status::KEY_ENOENT).await;
    assert_eq!(within_a_second(change).await, Ok(1));
    link.settle().await;
}

#[tokio::test]
async fn a_producer_that_is_not_wanted_any_more_loses_its_link() {
    let nodes = Nodes::start(brisk()).await;
    let (mut link, _) = opened(&nodes, [1]).await;
    let change = nodes.set(&[]);
    let close = link.consumer.expect(Opcode::DCP_CLOSE_STREAM).await;
    link.consumer.answer(&close, Status::SUCCESS).await;
    assert_eq!(within_a_second(change).await, Ok(0));
    link.producer.expect_close().await;
}

#[tokio::test]
async fn mb_17341_mb_67329_reading_does_not_wait_for_a_command() {
    let nodes = Nodes::start(brisk()).await;
    let (set_up, mut link) = nodes.begin(&[1]).await;
    let stream = link.request().await;
    let status = nodes.status_until(|b| b.links[0].streams[0].opaque.is_some()).await;
    assert_eq!(status.links[0].streams[0].phase, StreamPhase::Asked);
    assert_eq!(status.links[0].streams[0].opaque, Some(stream.opaque.0));
    assert!(!set_up.is_finished());
}

#[tokio::test]
async fn commands_of_one_bucket_are_served_in_turn() {
    let nodes = Nodes::start(brisk()).await;
    let (first, mut link) = nodes.begin(&[1]).await;
    let stream = link.request().await;
    let second = nodes.set(&[1, 2]);
    link.settle().await;
    assert!(!first.is_finished() && !second.is_finished());
    link.open(&stream).await;
    assert_eq!(within_a_second(first).await, Ok(1));
    let stream = link.request().await;
    assert_eq!(stream.vb, VbId(2));
    link.open(&stream).await;
    assert_eq!(within_a_second(second).await, Ok(2));
}

#[tokio::test]
async fn a_consumer_that_never_answers_is_bounded_by_the_deadline_of_the_step() {
    let mut limits = calm();
    limits.steps.add_stream = Duration::from_millis(50);
    let nodes = Nodes::start(limits).await;
    let (set_up, mut link) = nodes.begin(&[1, 2]).await;
    let [first, second] = link.requests().await;
    link.open(&first).await;
    link.accept(&second).await;
    let failed = failures(within_a_second(set_up).await);
    assert_eq!(failed, [(2, "deadline".to_owned(), None)]);
}

#[tokio::test]
async fn mb_17279_shutdown_closes_the_streams_of_the_consumer_first() {
    let nodes = Nodes::start(brisk()).await;
    let (mut link, _) = opened(&nodes, [1]).await;
    let handle = nodes.handle.clone();
    let down = tokio::spawn(async move { handle.shutdown(PATIENCE).await });
    let close = link.consumer.expect(Opcode::DCP_CLOSE_STREAM).await;
    link.consumer.answer(&close, Status::SUCCESS).await;
    assert!(down.await.unwrap(), "in time");
    link.producer.expect_close().await;
    assert_eq!(
        nodes.handle.set_desired(BUCKET, from_alpha(&[1])).await,
        Err(CommandError::Stopping)
    );
}

#[tokio::test]
async fn mb_11587_shutdown_gives_up_on_a_consumer_that_does_not_answer() {
    let mut limits = brisk();
    limits.steps.shut = Duration::from_millis(50);
    let nodes = Nodes::start(limits).await;
    let (set_up, mut link) = nodes.begin(&[1]).await;
    let _stuck = link.request().await;
    assert!(nodes.handle.shutdown(PATIENCE).await, "the link's own deadline is enough");
    assert_eq!(set_up.await.unwrap(), Err(CommandError::Stopping));
}

#[tokio::test]
async fn unknown_names_are_refused() {
    let nodes = Nodes::start(brisk()).await;
    let no_bucket = nodes.handle.set_desired("travel", BTreeMap::new()).await;
    assert_eq!(no_bucket, Err(CommandError::NoBucket { bucket: "travel".to_owned() }));
    let gamma = BTreeMap::from([("gamma".to_owned(), common::vbs(&[1]))]);
    let no_producer = nodes.handle.set_desired(BUCKET, gamma).await;
    assert_eq!(no_producer, Err(CommandError::NoProducer { producer: "gamma".to_owned() }));
}

#[tokio::test]
async fn mb_50442_a_node_that_never_answers_holds_up_neither_reading_nor_stopping() {
    let nodes = Nodes::start(brisk()).await;
    let set_up = nodes.set(&[1]);
    let silent = Manners::bad_at(Opcode::SASL_AUTH, Manner::Silence);
    let _conn = nodes.alpha.accept(&silent).await;
    let status = nodes.status_until(|b| b.links[0].phase == LinkPhase::Connecting).await;
    assert_eq!(status.links[0].wanted, 1);
    assert!(nodes.handle.shutdown(Duration::from_secs(1)).await, "the connect is given up");
    assert_eq!(set_up.await.unwrap(), Err(CommandError::Stopping));
}
