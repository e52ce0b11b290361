//! vBuckets that the consumer has and does not serve: a real node accepts ADD_STREAM for a dead
//! one, and drops its rollback silently.

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

use common::brisk;
use common::cluster::Cluster;
use dcp_actors::{BucketStatus, ControlLimits, StreamPhase};
use mcbp::{Opcode, Seqno, Status, VbId};
use relay::testing::{mutation, view};

const LAG_INTERVAL: Duration = Duration::from_millis(20);

fn polling() -> ControlLimits {
    ControlLimits { lag_interval: Some(LAG_INTERVAL), ..brisk() }
}

fn phase(bucket: &BucketStatus, at: usize) -> StreamPhase {
    bucket.links[0].streams[at].phase
}

#[tokio::test]
async fn wire_21a_a_copy_that_is_dead_is_not_rolled_back_before_it_is_served_again() {
    let mut cluster = Cluster::start(polling(), &["alpha"]).await;
    let beta = cluster.beta.control.clone();
    beta.seqno(1, 3);
    beta.seqno(2, 0);
    let (mut link, [one, two]) = cluster.opened([1, 2]).await;
    cluster.status_until(|bucket| bucket.links[0].streams[0].seqno == Some(3)).await;
    // Dead from here on; the next poll shows it.
    beta.no_seqno(1);
    link.producer.send_raw(&mutation(one.vb, one.opaque, 4, 10)).await;
    link.consumer.expect(Opcode::DCP_MUTATION).await;
    link.refuse(&one, Opcode::DCP_MUTATION, Status::ERANGE).await;
    link.closes(one.vb).await;
    let is_missed = |bucket: &BucketStatus| bucket.links[0].streams[0].seqno.is_none();
    let status = cluster.status_until(|b| is_missed(b) && phase(b, 0) == StreamPhase::Due).await;
    assert_eq!((phase(&status, 0), phase(&status, 1)), (StreamPhase::Due, StreamPhase::Open));
    assert_eq!(status.links[0].streams[0].complete_to, Some(0));

    beta.seqno(1, 3);
    let mut again = link.request_incomplete(3).await;
    let answer = link.consumer.expect(Opcode::DCP_STREAM_REQ).await;
    assert_eq!(view(&answer).header.status(), Status::ROLLBACK);
    link.ask_from(&mut again, 0).await;
    link.consumer.expect(Opcode::DCP_STREAM_REQ).await;
    link.added(&again, Status::ETMPFAIL).await;
    let again = link.request().await;
    link.open(&again).await;
    let status = cluster.status_until(|bucket| bucket.links[0].open == 2).await;
    assert_eq!(status.links[0].failures, 0, "the link was up all the time");
    link.producer.send_raw(&mutation(two.vb, two.opaque, 1, 10)).await;
    link.consumer.expect(Opcode::DCP_MUTATION).await;
}

#[tokio::test]
async fn wire_21a_a_rollback_that_the_consumer_has_given_up_ends_its_link_once() {
    let mut cluster = Cluster::start(polling(), &["alpha"]).await;
    let beta = cluster.beta.control.clone();
    beta.seqno(1, 3);
    beta.seqno(2, 0);
    let (mut link, _) = cluster.opened([2]).await;
    cluster.status_until(|bucket| bucket.links[0].streams[0].seqno == Some(0)).await;
    let set_up = cluster.set(&[("alpha", &[1, 2])]);
    let one = link.request().await;
    beta.no_seqno(1);
    let back = Seqno(0).0.to_be_bytes();
    link.producer.answer_with(&one.request, Status::ROLLBACK, &[], &back).await;
    link.consumer.expect(Opcode::DCP_STREAM_REQ).await;
    assert_eq!(link.consumer.recv().await.as_deref().map(view), None);

    let mut link = cluster.accept().await;
    let two = link.request().await;
    assert_eq!(two.vb, VbId(2), "the other one would only be given up again");
    link.open(&two).await;
    let status = cluster.status_until(|bucket| bucket.links[0].open == 1).await;
    assert_eq!(phase(&status, 0), StreamPhase::Due);
    let detail = &status.link_failures[0];
    assert_eq!((detail.reason.name(), detail.count), ("link-lost", 1));

    beta.seqno(1, 3);
    let one = link.request().await;
    assert_eq!(one.vb, VbId(1));
    link.open(&one).await;
    cluster.status_until(|bucket| bucket.links[0].open == 2).await;
    assert!(set_up.await.unwrap().is_err(), "answered when the link was lost");
}
