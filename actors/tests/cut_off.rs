//! An interrupted takeover: the answer to the caller, and the result of a retry, for every pair of
//! copies that the nodes may be left with.

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

use common::cluster::{Answer, Cluster, answer};
use common::{Link, brisk, words};
use dcp_actors::{CommandError, Moved, VbFailure};
use mcbp::VbState::{self, Active, Dead, Pending, Replica};
use mcbp::{Opcode, Status, VbId};

/// The one failure of a command.
async fn failure(command: Answer<Moved>) -> VbFailure {
    match answer(command).await {
        Err(CommandError::Failed(mut failures)) if failures.len() == 1 => failures.remove(0),
        other => panic!("one failure was expected: {other:?}"),
    }
}

/// Sets the copies of vBucket 1 at both nodes.
fn say(cluster: &Cluster, alpha: (VbState, u64), beta: (VbState, u64)) {
    cluster.producers["alpha"].control.copy(1, alpha.0, alpha.1);
    cluster.beta.control.copy(1, beta.0, beta.1);
}

/// The vBuckets that each node was told to make active.
fn set_active(cluster: &Cluster) -> (Vec<u16>, Vec<u16>) {
    (cluster.producers["alpha"].control.set_active(), cluster.beta.control.set_active())
}

/// The consumer refuses the stream, as one whose copy is active already.
async fn refused(cluster: &mut Cluster) -> Link {
    let mut link = cluster.accept().await;
    let add = link.consumer.expect(Opcode::DCP_ADD_STREAM).await;
    assert_eq!(relay::testing::view(&add).header.vbucket(), VbId(1));
    link.consumer.answer(&add, Status::NOT_MY_VBUCKET).await;
    link
}

/// Plays a takeover up to the moment before the consumer answers that it is active.
async fn before_active(cluster: &mut Cluster) -> (Answer<Moved>, Link) {
    let takeover = cluster.takeover(1, "alpha");
    let mut link = cluster.accept().await;
    let stream = link.request().await;
    link.open(&stream).await;
    link.take_state(&stream, Pending).await;
    let _unanswered = link.state(&stream, Active).await;
    (takeover, link)
}

#[tokio::test]
async fn a_link_that_dies_after_active_was_passed_on_has_moved_the_vbucket() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let (takeover, mut link) = before_active(&mut cluster).await;
    say(&cluster, (Dead, 10), (Active, 10));
    link.producer.hang_up();
    assert_eq!(answer(takeover).await.unwrap().vbucket, 1);
    assert_eq!(set_active(&cluster), (vec![], vec![]));
}

#[tokio::test]
async fn a_consumer_that_is_about_to_become_active_is_asked_again() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let (takeover, mut link) = before_active(&mut cluster).await;
    say(&cluster, (Dead, 10), (Pending, 10));
    link.producer.hang_up();
    cluster.status_until(|b| b.moves[0].phase == dcp_actors::MovePhase::Examining).await;
    cluster.beta.control.copy(1, Active, 10);
    assert_eq!(answer(takeover).await.unwrap().vbucket, 1);
    assert_eq!(set_active(&cluster), (vec![], vec![]), "it became active without an order");
}

#[tokio::test]
async fn a_link_that_dies_repairs_nothing_itself_and_says_what_both_nodes_have() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let (takeover, mut link) = before_active(&mut cluster).await;
    say(&cluster, (Dead, 10), (Replica, 10));
    link.producer.hang_up();
    let failure = failure(takeover).await;
    assert_eq!(failure.cause.reason().name(), "link-lost");
    let found = "; at alpha it is dead up to 10, at beta replica up to 10: ";
    assert!(failure.detail().contains(found), "{failure:?}");
    assert_eq!(set_active(&cluster), (vec![], vec![]));
}

#[tokio::test]
async fn a_vbucket_that_is_active_here_already_is_taken_over() {
    for from in [Dead, Replica] {
        let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
        say(&cluster, (from, 10), (Active, 11));
        let takeover = cluster.takeover(1, "alpha");
        let _link = refused(&mut cluster).await;
        assert_eq!(answer(takeover).await.unwrap().vbucket, 1);
        assert_eq!(set_active(&cluster), (vec![], vec![]));
    }
}

#[tokio::test]
async fn a_vbucket_that_is_active_here_already_has_moved() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    say(&cluster, (Dead, 10), (Active, 11));
    let moving = cluster.move_vbucket(1, "alpha");
    let _link = refused(&mut cluster).await;
    assert_eq!(answer(moving).await.unwrap().vbucket, 1);
    cluster.status_until(|bucket| bucket.links[0].wanted == 0).await;
}

#[tokio::test]
async fn one_that_was_interrupted_after_the_last_change_is_finished() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    say(&cluster, (Dead, 10), (Pending, 10));
    let takeover = cluster.takeover(1, "alpha");
    let _link = refused(&mut cluster).await;
    assert_eq!(answer(takeover).await.unwrap().vbucket, 1);
    assert_eq!(set_active(&cluster), (vec![], vec![1]));
}

#[tokio::test]
async fn one_that_was_interrupted_before_the_last_change_begins_anew() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    say(&cluster, (Dead, 10), (Pending, 9));
    let takeover = cluster.takeover(1, "alpha");
    let mut link = refused(&mut cluster).await;
    let stream = link.request().await;
    assert_eq!(set_active(&cluster), (vec![1], vec![]), "only alpha has the last change");
    link.open(&stream).await;
    link.take_state(&stream, Pending).await;
    link.take_state(&stream, Active).await;
    assert_eq!(answer(takeover).await.unwrap().vbucket, 1);
}

#[tokio::test]
async fn it_is_given_back_once_and_not_again() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    say(&cluster, (Dead, 10), (Pending, 9));
    let takeover = cluster.takeover(1, "alpha");
    let mut link = refused(&mut cluster).await;
    let again = link.consumer.expect(Opcode::DCP_ADD_STREAM).await;
    say(&cluster, (Dead, 10), (Replica, 9));
    link.consumer.answer(&again, Status::NOT_MY_VBUCKET).await;
    assert_eq!(failure(takeover).await.cause.reason().name(), "refused");
    assert_eq!(set_active(&cluster), (vec![1], vec![]));
}

#[tokio::test]
async fn copies_that_no_takeover_explains_are_not_touched() {
    for (alpha, beta, advice) in [
        (Active, Active, "set one of them dead"),
        (Dead, Replica, "no interrupted takeover explains this"),
        (Dead, Dead, "no interrupted takeover explains this"),
        (Replica, Pending, "no interrupted takeover explains this"),
    ] {
        let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
        say(&cluster, (alpha, 10), (beta, 10));
        let takeover = cluster.takeover(1, "alpha");
        let _link = refused(&mut cluster).await;
        let failure = failure(takeover).await;
        let status = Some("NotMyVbucket (0x07)".to_owned());
        assert_eq!((failure.cause.reason().name(), words(&failure)), ("refused", status));
        assert!(failure.detail().contains(advice), "{}", failure.detail());
        assert_eq!(set_active(&cluster), (vec![], vec![]), "{alpha}, {beta}");
    }
}

#[tokio::test]
async fn a_node_that_does_not_answer_leaves_the_other_untouched() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    say(&cluster, (Dead, 10), (Pending, 10));
    cluster.producers["alpha"].control.hang_up(true);
    let takeover = cluster.takeover(1, "alpha");
    let _link = refused(&mut cluster).await;
    let failure = failure(takeover).await;
    assert!(failure.detail().contains("ask again when both nodes answer"), "{failure:?}");
    assert_eq!(set_active(&cluster), (vec![], vec![]));
}
