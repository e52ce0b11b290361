//! Restarts, and producers and buckets that change while replication runs.

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
use common::cluster::{Answer, Cluster, answer};
use common::{brisk, calm};
use dcp_actors::{BucketPlan, CommandError, Restart};
use mcbp::dcp::StreamEnd;
use mcbp::{Opcode, Status, StreamEndStatus, VbId, VbState};
use relay::testing::{BUCKET, view};
use replica::plan::{Connections, Desired};

const LIMIT: Duration = Duration::from_secs(5);

fn restart(cluster: &Cluster, what: Restart) -> Answer<usize> {
    cluster.ask(async move |handle| handle.restart(BUCKET, what).await)
}

fn links(producer: &str) -> Restart {
    Restart::Links { producer: producer.to_owned(), connection: None }
}

fn plan(name: &str, of: &[(&str, &str)]) -> BucketPlan {
    let sets = of.iter().map(|(name, vbs)| ((*name).to_owned(), vbs.parse().unwrap()));
    let desired = Desired::new(sets.collect()).unwrap();
    BucketPlan { name: name.to_owned(), connections: Connections::ONE, desired }
}

#[tokio::test]
async fn a_link_is_closed_and_opened_again_and_its_streams_come_back() {
    let mut cluster = Cluster::start(calm(), &["alpha"]).await;
    let (mut link, _) = cluster.opened([1]).await;
    let restart = restart(&cluster, links("alpha"));
    let close = link.consumer.expect(Opcode::DCP_CLOSE_STREAM).await;
    link.consumer.answer(&close, Status::SUCCESS).await;
    link.consumer.expect_close().await;
    let mut again = cluster.accept().await;
    let stream = again.request().await;
    again.open(&stream).await;
    assert_eq!(answer(restart).await, Ok(1));
}

#[tokio::test]
async fn a_stream_is_closed_and_added_again_beside_its_neighbour() {
    let mut cluster = Cluster::start(calm(), &["alpha"]).await;
    let (mut link, _) = cluster.opened([1, 2]).await;
    let restart = restart(&cluster, Restart::Streams("1".parse().unwrap()));
    link.closes(VbId(1)).await;
    let stream = link.request().await;
    assert_eq!(stream.vb, VbId(1));
    link.open(&stream).await;
    assert_eq!(answer(restart).await, Ok(2));
    link.settle().await;
}

#[tokio::test]
async fn a_restart_of_nothing_is_refused() {
    let cluster = Cluster::start(calm(), &["alpha"]).await;
    let refused = answer(restart(&cluster, links("alpha"))).await;
    assert!(matches!(refused, Err(CommandError::NothingToRestart { .. })), "{refused:?}");
}

#[tokio::test]
async fn what_a_frozen_consumer_does_not_close_is_an_error_in_bounded_time() {
    let mut limits = calm();
    limits.steps.shut = Duration::from_millis(50);
    let mut cluster = Cluster::start(limits, &["alpha"]).await;
    let (_link, _) = cluster.opened([1]).await;
    let drained = answer(cluster.set(&[])).await;
    let Err(CommandError::Failed(failures)) = drained else { panic!("{drained:?}") };
    let told: Vec<_> = failures.iter().map(|f| (f.vb.0, f.cause.side())).collect();
    assert_eq!(told, [(1, Some(mcbp::Side::Consumer))]);
}

#[tokio::test]
async fn a_producer_that_moves_to_another_address_gets_new_links_and_its_neighbour_none() {
    let mut cluster = Cluster::start(brisk(), &["alpha", "gamma"]).await;
    let set_up = cluster.set(&[("alpha", &[1]), ("gamma", &[2])]);
    let (mut one, mut other) = (cluster.accept().await, cluster.accept().await);
    if one.consumer.opened.as_ref().unwrap().name.contains("gamma") {
        std::mem::swap(&mut one, &mut other);
    }
    for link in [&mut one, &mut other] {
        let stream = link.request().await;
        link.open(&stream).await;
    }
    assert_eq!(answer(set_up).await, Ok(2));
    cluster.set_producers();
    other.settle().await;
    one.settle().await;

    cluster.start_producer("alpha").await;
    cluster.set_producers();
    let close = one.consumer.expect(Opcode::DCP_CLOSE_STREAM).await;
    one.consumer.answer(&close, Status::SUCCESS).await;
    // Its producer is the new one.
    let mut again = cluster.accept().await;
    let stream = again.request().await;
    assert_eq!(stream.vb, VbId(1));
    again.open(&stream).await;
    cluster.status_until(|bucket| bucket.links[0].open == 1).await;
    other.settle().await;
}

#[tokio::test]
async fn producers_come_and_go() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let unknown = |name: &str| Err(CommandError::NoProducer { producer: name.to_owned() });
    assert_eq!(answer(cluster.set(&[("gamma", &[1])])).await, unknown("gamma"));
    cluster.start_producer("gamma").await;
    cluster.set_producers();
    let set_up = cluster.set(&[("gamma", &[1])]);
    let mut link = cluster.accept().await;
    let stream = link.request().await;
    link.open(&stream).await;
    assert_eq!(answer(set_up).await, Ok(1));

    cluster.endpoints.remove("gamma");
    let drain = cluster.set(&[]);
    let close = link.consumer.expect(Opcode::DCP_CLOSE_STREAM).await;
    cluster.set_producers();
    assert_eq!(answer(cluster.set(&[("gamma", &[1])])).await, unknown("gamma"));
    link.consumer.answer(&close, Status::SUCCESS).await;
    assert_eq!(answer(drain).await, Ok(0));
    cluster.status_until(|bucket| bucket.links.is_empty()).await;
}

#[tokio::test]
async fn a_bucket_is_added_removed_and_added_again() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let names = async |cluster: &Cluster| {
        let status = cluster.handle.status().await;
        status.into_iter().map(|bucket| bucket.bucket).collect::<Vec<_>>()
    };
    let twice = cluster.handle.add_bucket(plan(BUCKET, &[]));
    assert!(matches!(twice, Err(CommandError::BucketExists { .. })), "{twice:?}");
    let unknown = cluster.handle.add_bucket(plan("other", &[("gamma", "1")]));
    assert_eq!(unknown, Err(CommandError::NoProducer { producer: "gamma".to_owned() }));
    for _ in 0..2 {
        cluster.handle.add_bucket(plan("other", &[("alpha", "1")])).unwrap();
        assert_eq!(names(&cluster).await, [BUCKET, "other"]);
        let mut link = cluster.accept().await;
        let stream = link.request().await;
        link.open(&stream).await;
        let handle = cluster.handle.clone();
        let removed = tokio::spawn(async move { handle.remove_bucket("other", LIMIT).await });
        let close = link.consumer.expect(Opcode::DCP_CLOSE_STREAM).await;
        assert_eq!(view(&close).header.vbucket(), VbId(1));
        assert_eq!(names(&cluster).await, [BUCKET], "gone at once");
        let early = cluster.handle.add_bucket(plan("other", &[]));
        assert!(early.unwrap_err().to_string().contains("still being removed"));
        link.consumer.answer(&close, Status::SUCCESS).await;
        assert!(removed.await.unwrap(), "every stream was closed");
        link.consumer.expect_close().await;
    }
    assert!(cluster.handle.timings().iter().all(|(name, _)| name == BUCKET));
    assert!(!cluster.handle.remove_bucket("other", LIMIT).await, "there is none");
}

#[tokio::test]
async fn a_bucket_whose_consumer_is_frozen_is_removed_after_the_limit() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    cluster.handle.add_bucket(plan("other", &[("alpha", "1")])).unwrap();
    let mut link = cluster.accept().await;
    let stream = link.request().await;
    link.open(&stream).await;
    let waits = cluster.ask(async move |handle| handle.restart("other", links("alpha")).await);
    link.consumer.expect(Opcode::DCP_CLOSE_STREAM).await;
    assert!(!cluster.handle.remove_bucket("other", Duration::from_millis(50)).await);
    assert_eq!(answer(waits).await, Err(CommandError::Removed { bucket: "other".to_owned() }));
    link.producer.expect_close().await;
}

#[tokio::test]
async fn a_takeover_ends_before_its_bucket_is_removed_and_those_behind_it_are_refused() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let (mut link, _) = cluster.opened([2]).await;
    let takeover = cluster.takeover(1, "alpha");
    let stream = link.request().await;
    link.open(&stream).await;
    let behind = cluster.takeover(3, "alpha");
    cluster.status_until(|bucket| bucket.moves.len() == 2).await;
    let handle = cluster.handle.clone();
    let removed = tokio::spawn(async move { handle.remove_bucket(BUCKET, LIMIT).await });
    let refused = Err(CommandError::Removed { bucket: BUCKET.to_owned() });
    assert_eq!(answer(behind).await, refused);
    link.take_state(&stream, VbState::Pending).await;
    assert!(!takeover.is_finished() && !removed.is_finished());
    link.take_state(&stream, VbState::Active).await;
    let mut end = BytesMut::new();
    StreamEnd { status: StreamEndStatus::OK }.write(stream.vb, stream.opaque, &mut end);
    link.producer.send_raw(&end).await;
    assert_eq!(answer(takeover).await.unwrap().vbucket, 1);
    // The machine knows of the end before the consumer: its next order may overtake the frame.
    let close = loop {
        let frame = link.consumer.recv().await.expect("the other stream is closed");
        if view(&frame).opcode() == Opcode::DCP_CLOSE_STREAM {
            break frame;
        }
        assert_eq!(frame, end);
    };
    assert_eq!(view(&close).header.vbucket(), VbId(2));
    link.consumer.answer(&close, Status::SUCCESS).await;
    assert!(removed.await.unwrap(), "every stream was closed");
}
