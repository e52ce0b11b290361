//! Nodes that restart, rollbacks that are not wanted any more, and stalled streams.

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

use common::cluster::{Cluster, failure};
use common::{Link, PATIENCE, Pending, brisk, calm};
use dcp_actors::{BucketStatus, ControlLimits, StreamPhase};
use mcbp::{Opcode, Status, VbId};
use relay::testing::{mutation, view};
use replica::backoff::Backoff;

/// The shortest delay is short; the longest exceeds any test.
fn growing() -> ControlLimits {
    let backoff = Backoff { min: Duration::from_millis(5), max: 4 * PATIENCE };
    ControlLimits { backoff, ..brisk() }
}

/// Frequent polls, and no retry without a cause.
fn waiting() -> ControlLimits {
    ControlLimits { lag_interval: Some(Duration::from_millis(10)), ..calm() }
}

async fn refuse(link: &mut Link, stream: &Pending, status: Status) {
    link.producer.answer(&stream.request, status).await;
    link.consumer.expect(Opcode::DCP_STREAM_REQ).await;
    link.added(stream, status).await;
}

fn phase(bucket: &BucketStatus, at: usize) -> StreamPhase {
    bucket.links[0].streams[at].phase
}

#[tokio::test]
async fn wire_21b_what_a_warming_node_says_is_not_final() {
    for status in [Status::NOT_MY_VBUCKET, Status::EACCESS, Status::EINVAL] {
        let mut cluster = Cluster::start(growing(), &["alpha"]).await;
        let set_up = cluster.set(&[("alpha", &[1])]);
        let mut link = cluster.accept().await;
        for _ in 0..3 {
            let stream = link.request().await;
            refuse(&mut link, &stream, status).await;
        }
        assert!(set_up.await.unwrap().is_err());
        let stream = link.request().await;
        link.open(&stream).await;
        cluster.status_until(|bucket| phase(bucket, 0) == StreamPhase::Open).await;
    }
}

#[tokio::test]
async fn streams_are_asked_for_as_soon_as_their_producer_serves_the_vbucket_again() {
    let mut cluster = Cluster::start(waiting(), &["alpha"]).await;
    let set_up = cluster.set(&[("alpha", &[1, 2])]);
    let mut link = cluster.accept().await;
    let [one, two] = link.requests().await;
    link.open(&one).await;
    refuse(&mut link, &two, Status::NOT_MY_VBUCKET).await;
    assert_eq!(failure(set_up).await.0, "refused");
    // The stream waits for longer than the test, unless the node answers a poll.
    cluster.producers["alpha"].control.seqno(2, 0);
    let again = link.request().await;
    assert_eq!(again.vb, VbId(2));
    link.open(&again).await;
    cluster.status_until(|bucket| bucket.links[0].open == 2).await;
}

#[tokio::test]
async fn links_are_opened_as_soon_as_a_node_answers_again() {
    for is_producer in [true, false] {
        let mut cluster = Cluster::start(waiting(), &["alpha"]).await;
        let (link, _) = cluster.opened([1]).await;
        let node = if is_producer { &cluster.producers["alpha"] } else { &cluster.beta };
        let control = node.control.clone();
        control.seqno(1, 0);
        cluster.status_until(|b| b.links[0].streams[0].seqno.is_some() || is_producer).await;
        cluster
            .status_until(|b| b.links[0].streams[0].producer_seqno.is_some() || !is_producer)
            .await;
        control.hang_up(true);
        drop(link);
        let is_gone = |bucket: &BucketStatus| {
            let unheard = bucket.nodes.iter().any(|node| node.control_error.is_some());
            unheard && bucket.links[0].phase == dcp_actors::LinkPhase::Waiting
        };
        cluster.status_until(is_gone).await;
        control.hang_up(false);
        let mut link = cluster.accept().await;
        let stream = link.request().await;
        link.open(&stream).await;
        cluster.status_until(|bucket| bucket.links[0].open == 1).await;
    }
}

#[tokio::test]
async fn wire_20_a_stream_that_rolls_back_and_is_not_wanted_any_more_ends_its_link() {
    // The first command is answered before its streams are open.
    let limits = ControlLimits { command: Duration::from_millis(200), ..brisk() };
    let mut cluster = Cluster::start(limits, &["alpha"]).await;
    let set_up = cluster.set(&[("alpha", &[1, 2])]);
    let mut link = cluster.accept().await;
    let [one, two] = link.requests().await;
    for stream in [&one, &two] {
        let back = [0; 8];
        link.producer.answer_with(&stream.request, Status::ROLLBACK, &[], &back).await;
        link.consumer.expect(Opcode::DCP_STREAM_REQ).await;
    }
    let status = cluster.status_until(|bucket| phase(bucket, 1) == StreamPhase::RollingBack).await;
    let line: Vec<_> = status.links[0].streams.iter().map(|s| s.rollbacks_before).collect();
    assert_eq!(line, [Some(0), Some(1)]);

    assert!(set_up.await.unwrap().is_err());
    let other = cluster.set(&[("alpha", &[1])]);
    // No CLOSE_STREAM: the rollback would run all the same, under a newer stream.
    assert_eq!(link.consumer.recv().await.as_deref().map(view), None);
    link.producer.expect_close().await;
    let mut link = cluster.accept().await;
    let again = link.request().await;
    assert_eq!(again.vb, VbId(1));
    link.open(&again).await;
    cluster.status_until(|bucket| bucket.links[0].open == 1).await;
    drop(other);
}

#[tokio::test]
async fn a_stream_whose_rollback_is_over_is_given_up_without_its_link() {
    let limits = ControlLimits { command: Duration::from_millis(200), ..brisk() };
    let mut cluster = Cluster::start(limits, &["alpha"]).await;
    let set_up = cluster.set(&[("alpha", &[1, 2])]);
    let mut link = cluster.accept().await;
    let [one, two] = link.requests().await;
    for stream in [&one, &two] {
        link.producer.answer_with(&stream.request, Status::ROLLBACK, &[], &[0; 8]).await;
        link.consumer.expect(Opcode::DCP_STREAM_REQ).await;
    }
    let ask_again = async |link: &mut Link, stream: &Pending| {
        link.consumer.send_raw(&stream.request).await;
        link.producer.expect(Opcode::DCP_STREAM_REQ).await;
        link.open(stream).await;
    };
    ask_again(&mut link, &one).await;
    assert!(set_up.await.unwrap().is_err(), "the second one rolls back");
    let other = cluster.set(&[("alpha", &[2])]);
    cluster.status_until(|bucket| bucket.links[0].streams.len() == 1).await;
    ask_again(&mut link, &two).await;
    link.closes(one.vb).await;
    assert_eq!(other.await.unwrap(), Ok(1));
}

#[tokio::test]
async fn one_vbucket_that_stands_still_while_its_neighbours_move_is_added_again() {
    let (stall, lag) = (Duration::from_millis(200), Duration::from_millis(10));
    let limits = ControlLimits { stall, lag_interval: Some(lag), ..brisk() };
    let mut cluster = Cluster::start(limits, &["alpha"]).await;
    let (mut link, [still, moving]) = cluster.opened([1, 2]).await;
    let alpha = cluster.producers["alpha"].control.clone();
    let beta = cluster.beta.control.clone();
    beta.seqno(1, 4);
    alpha.seqno(1, 4);
    let is_level = |b: &BucketStatus| b.links[0].streams[0].lag_seqnos == Some(0);
    cluster.status_until(is_level).await;
    let mut seqno = 4;
    // Writes continue, and only the neighbour gets them.
    let close = loop {
        seqno += 1;
        alpha.seqno(1, seqno);
        alpha.seqno(2, seqno);
        beta.seqno(2, seqno);
        link.producer.send_raw(&mutation(moving.vb, moving.opaque, seqno, 100)).await;
        let frame = link.consumer.recv().await.unwrap();
        match view(&frame).opcode() {
            Opcode::DCP_MUTATION => tokio::task::yield_now().await,
            Opcode::DCP_CLOSE_STREAM => break frame,
            other => panic!("{other}"),
        }
    };
    assert_eq!(view(&close).header.vbucket(), still.vb);
    link.consumer.answer(&close, Status::DCP_STREAM_NOT_FOUND).await;
    let close = link.producer.expect(Opcode::DCP_CLOSE_STREAM).await;
    link.producer.answer(&close, Status::SUCCESS).await;
    while view(&link.consumer.recv().await.unwrap()).opcode() != Opcode::DCP_ADD_STREAM {}
    let status = cluster.status_until(|bucket| !bucket.stream_failures.is_empty()).await;
    assert_eq!(status.stream_failures[0].reason.name(), "stalled");
    assert_eq!((phase(&status, 1), status.links[0].failures), (StreamPhase::Open, 0));
}

#[tokio::test]
async fn a_node_whose_seqnos_are_not_known_lately_has_no_stream_that_stands_still() {
    let (stall, lag) = (Duration::from_millis(200), Duration::from_millis(10));
    let limits = ControlLimits { stall, lag_interval: Some(lag), ..brisk() };
    let mut cluster = Cluster::start(limits, &["alpha"]).await;
    let (mut link, [one]) = cluster.opened([1]).await;
    let alpha = cluster.producers["alpha"].control.clone();
    let beta = cluster.beta.control.clone();
    beta.seqno(1, 3);
    alpha.seqno(1, 3);
    let level = |lag| move |b: &BucketStatus| b.links[0].streams[0].lag_seqnos == Some(lag);
    cluster.status_until(level(0)).await;
    // The stream was checked several times by then.
    let is_old = |b: &BucketStatus| b.links[0].streams[0].progress_ms.is_some_and(|ms| ms > 200);
    cluster.status_until(is_old).await;
    beta.seqno(1, 5);
    alpha.seqno(1, 6);
    cluster.status_until(level(1)).await;
    // From here on its control connection hangs; its stream does not.
    beta.silence(true);
    let until = tokio::time::Instant::now() + 4 * stall;
    let mut seqno = 6;
    while tokio::time::Instant::now() < until {
        seqno += 1;
        alpha.seqno(1, seqno);
        link.producer.send_raw(&mutation(one.vb, one.opaque, seqno, 100)).await;
        let frame = link.consumer.recv().await.unwrap();
        assert_eq!(view(&frame).opcode(), Opcode::DCP_MUTATION, "the stream continues");
        tokio::task::yield_now().await;
    }
}
