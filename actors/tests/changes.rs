//! Changes at run time: one stream, the number of connections. Streams that may stay are not
//! touched.

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

use common::cluster::{Answer, Cluster, answer, failure};
use common::{brisk, calm};
use dcp_actors::CommandError;
use mcbp::{Opcode, Status, VbId};
use relay::testing::{BUCKET, view};
use replica::plan::PlanError;

fn connections(cluster: &Cluster, count: u8) -> Answer<usize> {
    cluster.ask(async move |handle| handle.set_connections(BUCKET, count).await)
}

fn stream(cluster: &Cluster, vb: u16, from: Option<&'static str>) -> Answer<usize> {
    cluster.ask(async move |handle| handle.set_stream(BUCKET, VbId(vb), from).await)
}

#[tokio::test]
async fn mb_63169_more_connections_leave_the_streams_that_keep_theirs_alone() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let (mut first, _) = cluster.opened([0, 1, 2]).await;
    let change = connections(&cluster, 2);
    let mut second = cluster.accept().await;
    let name = second.consumer.opened.as_ref().unwrap().name.clone();
    assert_eq!(name, "replication:alpha->beta:default/1");
    // MB-29354: the consumer must have closed the stream before it is added on the other link.
    let close = first.consumer.expect(Opcode::DCP_CLOSE_STREAM).await;
    assert_eq!(view(&close).header.vbucket(), VbId(1));
    second.settle().await;
    first.consumer.answer(&close, Status::SUCCESS).await;
    let close = first.producer.expect(Opcode::DCP_CLOSE_STREAM).await;
    first.producer.answer(&close, Status::SUCCESS).await;
    let moved = second.request().await;
    assert_eq!(moved.vb, VbId(1));
    second.open(&moved).await;
    assert_eq!(answer(change).await, Ok(3));
    first.settle().await; // MB-28525: no other frame was sent on the first link.
    let status = cluster.status_until(|bucket| bucket.connections == 2).await;
    let open: Vec<_> = status.links.iter().map(|link| (link.connection, link.open)).collect();
    assert_eq!(open, [(0, 2), (1, 1)]);
}

#[tokio::test]
async fn mb_28525_fewer_connections_move_only_what_has_to_move() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let change = connections(&cluster, 2);
    assert_eq!(answer(change).await, Ok(0));
    let set_up = cluster.set(&[("alpha", &[0, 1])]);
    let (mut first, mut second) = (cluster.accept().await, cluster.accept().await);
    if first.consumer.opened.as_ref().unwrap().name.ends_with("/1") {
        std::mem::swap(&mut first, &mut second);
    }
    for link in [&mut first, &mut second] {
        let stream = link.request().await;
        link.open(&stream).await;
    }
    assert_eq!(answer(set_up).await, Ok(2));
    let change = connections(&cluster, 1);
    let close = second.consumer.expect(Opcode::DCP_CLOSE_STREAM).await;
    second.consumer.answer(&close, Status::SUCCESS).await;
    second.consumer.expect_close().await;
    let moved = first.request().await;
    assert_eq!(moved.vb, VbId(1));
    first.open(&moved).await;
    assert_eq!(answer(change).await, Ok(2));
}

#[tokio::test]
async fn a_number_of_connections_out_of_bounds_is_refused() {
    let cluster = Cluster::start(brisk(), &["alpha"]).await;
    for count in [0, 65] {
        let refused = PlanError::Connections(u64::from(count));
        let change = connections(&cluster, count);
        assert_eq!(answer(change).await, Err(CommandError::Plan(refused)));
    }
}

#[tokio::test]
async fn one_stream_is_added_and_removed_without_its_neighbours() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let (mut link, _) = cluster.opened([1]).await;
    let add = stream(&cluster, 2, Some("alpha"));
    let added = link.request().await;
    assert_eq!(added.vb, VbId(2));
    link.open(&added).await;
    assert_eq!(answer(add).await, Ok(2));
    let remove = stream(&cluster, 1, None);
    link.closes(VbId(1)).await;
    assert_eq!(answer(remove).await, Ok(1));
    link.settle().await;
}

#[tokio::test]
async fn one_stream_is_answered_for_itself_and_not_for_a_neighbour_that_fails() {
    let mut cluster = Cluster::start(calm(), &["alpha"]).await;
    let set_up = cluster.set(&[("alpha", &[1])]);
    let mut link = cluster.accept().await;
    let refused = link.request().await;
    link.added(&refused, Status::ETMPFAIL).await;
    assert_eq!(failure(set_up).await.0, "refused");
    let add = stream(&cluster, 2, Some("alpha"));
    let added = link.request().await;
    assert_eq!(added.vb, VbId(2), "the neighbour still waits");
    link.open(&added).await;
    assert_eq!(answer(add).await, Ok(1));
}

#[tokio::test]
async fn a_stream_changes_its_producer() {
    let mut cluster = Cluster::start(brisk(), &["alpha", "gamma"]).await;
    let (mut from_alpha, _) = cluster.opened([1, 2]).await;
    let change = stream(&cluster, 1, Some("gamma"));
    let mut from_gamma = cluster.accept().await;
    from_alpha.closes(VbId(1)).await;
    let stream = from_gamma.request().await;
    from_gamma.open(&stream).await;
    assert_eq!(answer(change).await, Ok(2));
}

#[tokio::test]
async fn a_vbucket_that_is_wanted_from_two_producers_is_refused() {
    let cluster = Cluster::start(brisk(), &["alpha", "gamma"]).await;
    let twice = answer(cluster.set(&[("alpha", &[1]), ("gamma", &[1])])).await;
    let (first, second) = ("alpha".to_owned(), "gamma".to_owned());
    let error = PlanError::WantedTwice { vb: VbId(1), first, second };
    assert_eq!(twice, Err(CommandError::Plan(error)));
}

#[tokio::test]
async fn a_command_whose_turn_does_not_come_in_time_is_not_begun() {
    let limits =
        dcp_actors::ControlLimits { command: std::time::Duration::from_millis(80), ..calm() };
    let mut cluster = Cluster::start(limits, &["alpha"]).await;
    let takeover = cluster.takeover(1, "alpha");
    let mut link = cluster.accept().await;
    let _stuck = link.request().await;
    let late = answer(stream(&cluster, 2, Some("alpha"))).await;
    assert_eq!(late, Err(CommandError::Busy { waiting: 2 }));
    assert!(!takeover.is_finished(), "it has more time");
}
