//! vBuckets that are active at the consumer are not asked for before they are replicas again.

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

use common::calm;
use common::cluster::{Cluster, answer, failure};
use dcp_actors::{BucketStatus, CommandError, ControlLimits, LinkPhase, StreamPhase};
use mcbp::{VbId, VbState};
use relay::testing::BUCKET;
use replica::plan::{Connections, Desired};

/// Frequent polls, and no retry without a cause.
fn polled() -> ControlLimits {
    ControlLimits { lag_interval: Some(Duration::from_millis(10)), ..calm() }
}

/// vBucket 1 is active at beta, vBucket 2 is a replica there.
async fn cluster(limits: ControlLimits) -> Cluster {
    let cluster = Cluster::start(limits, &["alpha"]).await;
    for vb in [1, 2] {
        cluster.beta.control.seqno(vb, 9);
        cluster.producers["alpha"].control.seqno(vb, 9);
        cluster.producers["alpha"].control.copy(vb, VbState::Active, 9);
    }
    cluster.beta.control.copy(1, VbState::Active, 9);
    cluster
}

#[tokio::test]
async fn what_is_active_here_is_answered_at_once_and_opens_once_it_is_a_replica() {
    let mut cluster = cluster(polled()).await;
    let set_up = cluster.set(&[("alpha", &[1, 2])]);
    let mut link = cluster.accept().await;
    let stream = link.request().await;
    assert_eq!(stream.vb, VbId(2), "not even the first set-up asks for 1");
    link.open(&stream).await;
    let Err(CommandError::Failed(failures)) = answer(set_up).await else { panic!("no failure") };
    let told: Vec<_> = failures.iter().map(|f| (f.vb.0, f.cause.reason().name())).collect();
    assert_eq!(told, [(1, "active-here")]);
    assert!(failures[0].detail().starts_with("vb:1: active at beta, "), "{}", failures[0].detail());
    let status = cluster.status_until(|bucket| bucket.active_here.is_some()).await;
    assert_eq!(status.active_here.unwrap().to_string(), "1");
    assert_eq!(status.links[0].streams[0].phase, StreamPhase::HeldBack);

    cluster.beta.control.copy(1, VbState::Replica, 9);
    let stream = link.request().await;
    assert_eq!(stream.vb, VbId(1), "without a command");
    link.open(&stream).await;
    let status = cluster.status_until(|bucket| bucket.links[0].open == 2).await;
    assert_eq!(status.active_here.unwrap().to_string(), "");
}

#[tokio::test]
async fn a_link_of_which_everything_is_active_here_is_closed() {
    let cluster = cluster(polled()).await;
    let set_up = cluster.set(&[("alpha", &[1])]);
    assert_eq!(failure(set_up).await.0, "active-here");
    let phase = |bucket: &BucketStatus| bucket.links[0].phase;
    cluster.status_until(|bucket| phase(bucket) == LinkPhase::Stopped).await;
}

#[tokio::test]
async fn a_consumer_whose_poll_hangs_delays_the_first_set_up_by_a_second_at_most() {
    let mut cluster = cluster(polled()).await;
    cluster.beta.control.silence(true);
    let set_up = cluster.set(&[("alpha", &[2])]);
    let mut link = cluster.accept().await;
    let stream = link.request().await;
    link.open(&stream).await;
    assert_eq!(answer(set_up).await, Ok(1));
    assert_eq!(cluster.status_until(|_| true).await.active_here, None);
}

#[tokio::test]
async fn a_consumer_whose_poll_fails_delays_nothing() {
    let mut cluster = cluster(polled()).await;
    cluster.beta.control.hang_up(true);
    let begun = tokio::time::Instant::now();
    let set_up = cluster.set(&[("alpha", &[2])]);
    let mut link = cluster.accept().await;
    let stream = link.request().await;
    link.open(&stream).await;
    assert_eq!(answer(set_up).await, Ok(1));
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_was_moved_here_is_told_before_its_answer_and_stays_out_of_the_sources() {
    let mut cluster = cluster(polled()).await;
    let (mut link, _) = cluster.opened([2]).await;
    cluster.producers["alpha"].control.copy(1, VbState::Dead, 9);
    let is_known = |bucket: &BucketStatus| bucket.active_here.is_some();
    cluster.status_until(is_known).await;
    let mut moved = cluster.handle.moved_vbuckets();
    let told = answer(cluster.takeover(1, "alpha")).await.unwrap();
    assert_eq!((told.vbucket, told.from.as_str()), (1, "alpha"));
    assert_eq!(moved.try_recv(), Ok(told), "told before it is answered");
    let sets = [("alpha".to_owned(), "1-2".parse().unwrap())].into();
    let desired = Desired::new(sets).unwrap();
    let follow =
        cluster.ask(async move |handle| handle.follow(BUCKET, desired, Connections::ONE).await);
    assert_eq!(answer(follow).await, Ok(1));
    link.settle().await; // Nothing was asked for, by takeover or map.
    let done = cluster.status_until(is_known).await.moves_done;
    assert_eq!((done.moved, done.failed), (1, 0));
}

#[tokio::test]
async fn what_becomes_a_replica_again_is_seen_also_after_everything_was_moved_here() {
    let mut cluster = cluster(polled()).await;
    cluster.beta.control.copy(1, VbState::Replica, 9);
    let is_known = |bucket: &BucketStatus| bucket.active_here.is_some();
    let set_up = cluster.set(&[("alpha", &[1])]);
    let mut link = cluster.accept().await;
    let stream = link.request().await;
    link.open(&stream).await;
    assert_eq!(answer(set_up).await, Ok(1));
    cluster.status_until(is_known).await;
    let takeover = cluster.takeover(1, "alpha");
    link.closes(VbId(1)).await;
    let stream = link.request().await;
    link.open(&stream).await;
    link.take_state(&stream, VbState::Pending).await;
    link.take_state(&stream, VbState::Active).await;
    cluster.beta.control.copy(1, VbState::Active, 9);
    assert_eq!(answer(takeover).await.unwrap().vbucket, 1);
    let shown = |bucket: &BucketStatus| bucket.active_here.as_ref().map(ToString::to_string);
    let is_active = |bucket: &BucketStatus| shown(bucket).as_deref() == Some("1");
    let status = cluster.status_until(is_active).await;
    assert_eq!(status.links[0].wanted, 0, "nothing is replicated any more");

    cluster.beta.control.copy(1, VbState::Replica, 9);
    let is_none = |bucket: &BucketStatus| shown(bucket).as_deref() == Some("");
    let status = cluster.status_until(is_none).await;
    assert!(status.nodes.iter().all(|node| !node.unresponsive), "{:?}", status.nodes);
    assert!(cluster.handle.remove_bucket(BUCKET, common::PATIENCE).await);
}

#[tokio::test]
async fn a_bucket_that_was_started_with_nothing_to_replicate_knows_what_is_active_here() {
    let cluster = cluster(polled()).await;
    answer(cluster.set(&[])).await.unwrap();
    let status = cluster.status_until(|bucket| bucket.active_here.is_some()).await;
    assert_eq!(status.active_here.unwrap().to_string(), "1");
}
