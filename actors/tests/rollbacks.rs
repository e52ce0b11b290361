//! A consumer that rolls back one vBucket at a time, as kv_engine 8.0.2 does, for longer than the
//! deadline of a set-up: every vBucket gets its turn, and none is closed while it waits.

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

use common::cluster::{Answer, Cluster, answer};
use common::{Link, Pending, calm};
use dcp_actors::{CommandError, ControlLimits};
use mcbp::{Opcode, Status};
use tokio::time::timeout;

const VBUCKETS: [u16; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
/// The time of one rollback; all of them take more than twice the deadline.
const ROLLBACK: Duration = Duration::from_millis(60);
const SETUP: Duration = Duration::from_millis(200);

/// Limits under which a vBucket that was given up is not tried again while the test runs.
fn limits() -> ControlLimits {
    let steps = replica::link::StepLimits { add_stream: SETUP, ..Default::default() };
    ControlLimits { steps, ..calm() }
}

/// Sets all vBuckets as desired; the producer answers ROLLBACK to 0 for each.
async fn all_roll_back(cluster: &mut Cluster) -> (Answer<usize>, Link, [Pending; 8]) {
    let set_up = cluster.set(&[("alpha", &VBUCKETS)]);
    let mut link = cluster.accept().await;
    let streams = link.requests().await;
    for stream in &streams {
        link.producer.answer_with(&stream.request, Status::ROLLBACK, &[], &[0; 8]).await;
        link.consumer.expect(Opcode::DCP_STREAM_REQ).await;
    }
    (set_up, link, streams)
}

/// One rollback: the consumer gets no frame meanwhile. Then it repeats the STREAM_REQ with the same
/// opaque, and the stream opens.
async fn roll_back(link: &mut Link, stream: &Pending) {
    let said = timeout(ROLLBACK, link.consumer.recv()).await;
    assert!(said.is_err(), "said while {} rolls back: {said:?}", stream.vb);
    link.consumer.send_raw(&stream.request).await;
    assert_eq!(link.producer.expect(Opcode::DCP_STREAM_REQ).await, stream.request);
    link.open(stream).await;
}

#[tokio::test]
async fn rollbacks_in_turn_outlast_the_deadline_of_a_set_up_and_none_is_closed() {
    let mut cluster = Cluster::start(limits(), &["alpha"]).await;
    let (set_up, mut link, streams) = all_roll_back(&mut cluster).await;
    let began = tokio::time::Instant::now();
    // Not in the order in which they were asked for.
    for at in [5, 2, 7, 0, 3, 6, 1, 4] {
        roll_back(&mut link, &streams[at]).await;
    }
    assert!(began.elapsed() > 2 * SETUP, "the deadline has passed twice");
    assert_eq!(answer(set_up).await, Ok(streams.len()));
    link.settle().await; // Neither CLOSE_STREAM nor ADD_STREAM is on its way.
    let status = cluster.status_until(|bucket| bucket.links[0].open == streams.len()).await;
    assert_eq!(status.stream_failures, [], "no attempt failed");
    assert_eq!((status.link_failures, status.links.len()), (Vec::new(), 1), "the link stayed");
    assert_eq!(status.broken, []);
}

#[tokio::test]
async fn rollbacks_that_stand_still_end_the_link_and_the_next_one_asks_for_all_again() {
    let limits = ControlLimits { backoff: common::brisk().backoff, ..limits() };
    let mut cluster = Cluster::start(limits, &["alpha"]).await;
    let (_set_up, mut link, _streams) = all_roll_back(&mut cluster).await;
    // No progress. A CLOSE_STREAM would leave a rollback that still runs.
    let said = link.consumer.recv().await;
    assert_eq!(said, None, "the link is closed, not its streams");
    let mut link = cluster.accept().await;
    let again: [Pending; 8] = link.requests().await;
    for stream in &again {
        link.open(stream).await;
    }
    let status = cluster.status_until(|bucket| bucket.links[0].open == again.len()).await;
    assert_eq!(status.link_failures.iter().map(|one| one.count).sum::<u64>(), 1);
}

#[tokio::test]
async fn a_rollback_that_stands_still_alone_harms_no_other_stream() {
    let limits = ControlLimits { backoff: common::brisk().backoff, ..limits() };
    let mut cluster = Cluster::start(limits, &["alpha"]).await;
    let (set_up, mut link, streams) = all_roll_back(&mut cluster).await;
    for stream in streams.iter().skip(1) {
        roll_back(&mut link, stream).await;
    }
    let failures = match set_up.await.unwrap() {
        Err(CommandError::Failed(failures)) => failures,
        other => panic!("{other:?}"),
    };
    assert_eq!(failures.len(), 1);
    assert_eq!(
        (failures[0].vb.0, failures[0].cause.reason().name()),
        (streams[0].vb.0, "rolling-back")
    );
    link.settle().await; // No frame concerns the vBucket while it rolls back.
    let status = cluster.status_until(|bucket| bucket.links[0].open == 7).await;
    assert_eq!(status.link_failures, []);
    // Once the rollback has ended after all, its attempt is closed, and a new one opens.
    link.consumer.send_raw(&streams[0].request).await;
    link.producer.expect(Opcode::DCP_STREAM_REQ).await;
    link.closes(streams[0].vb).await;
    let again = link.request().await;
    link.open(&again).await;
    cluster.status_until(|bucket| bucket.links[0].open == 8).await;
}
