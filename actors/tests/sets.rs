//! Many moves at once: all are queued and answered, and none is refused while the queue makes
//! progress.

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

use common::cluster::{Answer, Cluster, failure};
use common::{Link, PATIENCE, Pending, brisk, failures, vbs, words};
use dcp_actors::{CommandError, ControlLimits, Moved, MovedSet};
use mcbp::{Opcode, Status, VbId, VbState};
use relay::testing::{BUCKET, view};

/// Gives the command for a set.
fn takeover_set(cluster: &Cluster, ids: &[u16]) -> Answer<MovedSet> {
    let set = vbs(ids);
    cluster.ask(async move |handle| handle.takeover_set(BUCKET, &set, "alpha").await)
}

/// Waits for the answer, however many commands are before it.
async fn answer<T>(command: Answer<T>) -> Result<T, CommandError> {
    tokio::time::timeout(PATIENCE, command).await.expect("an answer in time").unwrap()
}

/// Plays the next takeover up to pending.
async fn until_pending(link: &mut Link) -> Pending {
    let stream = link.request().await;
    link.open(&stream).await;
    link.take_state(&stream, VbState::Pending).await;
    stream
}

/// Plays the next takeover. Returns its vBucket.
async fn take_over(link: &mut Link) -> u16 {
    let stream = until_pending(link).await;
    link.take_state(&stream, VbState::Active).await;
    stream.vb.0
}

/// Short limits: a queued command without progress is refused soon, and a stuck takeover ends
/// sooner.
fn short() -> ControlLimits {
    let mut limits = ControlLimits { command: Duration::from_millis(400), ..brisk() };
    limits.steps.takeover = Duration::from_millis(100);
    limits
}

fn numbers(set: &MovedSet) -> (Vec<u16>, Vec<u16>) {
    let moved = set.moved.iter().map(|moved| moved.vbucket);
    (moved.collect(), set.failures.iter().map(|failure| failure.vb.0).collect())
}

#[tokio::test]
async fn sixty_four_takeovers_at_once_are_all_answered() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let commands: Vec<_> = (0..64).map(|vb| cluster.takeover(vb, "alpha")).collect();
    let mut link = cluster.accept().await;
    let first = until_pending(&mut link).await;
    let status = cluster.status_until(|bucket| bucket.moves.len() == 64).await;
    assert_eq!(status.moves[0].vbucket, first.vb.0, "in the order of their turns");
    link.take_state(&first, VbState::Active).await;
    let mut taken = vec![first.vb.0];
    for _ in 1..64 {
        taken.push(take_over(&mut link).await);
    }
    taken.sort_unstable();
    assert_eq!(taken, (0..64).collect::<Vec<_>>());
    for (vb, command) in (0..).zip(commands) {
        assert_eq!(answer(command).await.unwrap().vbucket, vb);
    }
}

#[tokio::test]
async fn one_failure_in_a_set_does_not_stop_the_others() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let set = takeover_set(&cluster, &[1, 2, 3]);
    let mut link = cluster.accept().await;
    assert_eq!(take_over(&mut link).await, 1);
    let add = link.consumer.expect(Opcode::DCP_ADD_STREAM).await;
    assert_eq!(view(&add).header.vbucket(), VbId(2));
    link.consumer.answer(&add, Status::NOT_MY_VBUCKET).await;
    assert_eq!(take_over(&mut link).await, 3);
    let set = answer(set).await.unwrap();
    assert_eq!(numbers(&set), (vec![1, 3], vec![2]));
    let failure = &set.failures[0];
    let status = Some("NotMyVbucket (0x07)");
    assert_eq!((failure.cause.reason().name(), words(failure).as_deref()), ("refused", status));
}

#[tokio::test]
async fn a_vbucket_that_is_being_moved_is_refused_until_that_is_answered() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let set = takeover_set(&cluster, &[1, 2]);
    let mut link = cluster.accept().await;
    let stream = until_pending(&mut link).await;
    let again = answer(cluster.takeover(1, "alpha")).await;
    let refused = |vb| CommandError::AlreadyMoving { vb: VbId(vb), from: "alpha".to_owned() };
    assert_eq!(again, Err(refused(1)), "it is under way");
    assert_eq!(answer(cluster.move_vbucket(2, "alpha")).await, Err(refused(2)), "it waits");
    let overlapping = takeover_set(&cluster, &[2, 3]);
    link.take_state(&stream, VbState::Active).await;
    assert_eq!([take_over(&mut link).await, take_over(&mut link).await], [2, 3]);
    assert_eq!(numbers(&answer(set).await.unwrap()), (vec![1, 2], vec![]));
    let overlapping = answer(overlapping).await.unwrap();
    assert_eq!(numbers(&overlapping), (vec![3], vec![2]));
    assert_eq!(overlapping.failures[0].cause.reason().name(), "already-moving");
    assert!(overlapping.failures[0].detail().contains("vb:2 is already being moved from alpha"));
    let again = cluster.takeover(1, "alpha");
    link.consumer.expect_close().await;
    let mut link = cluster.accept().await;
    assert_eq!(take_over(&mut link).await, 1);
    answer(again).await.unwrap();
}

#[tokio::test]
async fn takeovers_that_hang_one_after_the_other_do_not_fail_those_that_wait() {
    let mut cluster = Cluster::start(short(), &["alpha"]).await;
    // Each takeover is stuck until its own deadline; together they take longer than a command may
    // be queued without progress.
    let commands: Vec<_> = (0..10).map(|vb| cluster.takeover(vb, "alpha")).collect();
    let mut link = cluster.accept().await;
    let first = until_pending(&mut link).await;
    cluster.status_until(|bucket| bucket.moves.len() == 10).await;
    let change = cluster.ask(async |handle| handle.set_connections(BUCKET, 2).await);
    link.closes(first.vb).await;
    for _ in 1..10 {
        let stream = until_pending(&mut link).await;
        link.closes(stream.vb).await;
    }
    for command in commands {
        assert_eq!(hung(command).await, ("deadline".to_owned(), None));
    }
    assert_eq!(answer(change).await, Ok(0));
}

#[tokio::test]
async fn a_move_waits_for_as_long_as_a_takeover_before_it_may_hang() {
    let mut limits = ControlLimits { command: Duration::from_millis(100), ..brisk() };
    limits.steps.takeover = Duration::from_millis(400);
    let mut cluster = Cluster::start(limits, &["alpha"]).await;
    let first = cluster.takeover(1, "alpha");
    let mut link = cluster.accept().await;
    let stream = until_pending(&mut link).await;
    let second = cluster.takeover(2, "alpha");
    link.closes(stream.vb).await;
    assert_eq!(hung(first).await, ("deadline".to_owned(), None));
    assert_eq!(take_over(&mut link).await, 2);
    answer(second).await.unwrap();
}

/// The failure of a command that was refused while queued.
async fn hung(command: Answer<Moved>) -> (String, Option<String>) {
    let result = answer(command).await;
    failure(tokio::spawn(async move { result })).await
}

#[tokio::test]
async fn a_move_that_copies_for_long_is_progress_while_less_is_left() {
    let mut cluster = Cluster::start(short(), &["alpha"]).await;
    let control = &cluster.producers["alpha"].control;
    let backfill = (0..12).map(|asked| ("backfilling", 100_000 - asked));
    control.estimates(&backfill.chain([("in-memory", 0)]).collect::<Vec<_>>());
    let (mut link, _) = cluster.opened([1]).await;
    let moving = cluster.move_vbucket(1, "alpha");
    cluster.status_until(|bucket| bucket.moves.len() == 1).await;
    let waiting = cluster.takeover(2, "alpha");
    link.closes(VbId(1)).await;
    assert_eq!([take_over(&mut link).await, take_over(&mut link).await], [1, 2]);
    answer(moving).await.unwrap();
    answer(waiting).await.unwrap();
}

#[tokio::test]
async fn a_move_whose_turn_does_not_come_for_want_of_progress_is_refused() {
    let mut cluster = Cluster::start(short(), &["alpha"]).await;
    cluster.producers["alpha"].control.estimates(&[("backfilling", 5000)]);
    let (_link, _) = cluster.opened([1]).await;
    let stuck = cluster.move_vbucket(1, "alpha");
    cluster.status_until(|bucket| bucket.moves.iter().any(|m| m.estimate == Some(5000))).await;
    let set = answer(takeover_set(&cluster, &[2, 3])).await.unwrap();
    assert_eq!(numbers(&set), (vec![], vec![2, 3]));
    assert!(set.failures.iter().all(|failure| failure.cause.reason().name() == "busy"), "{set:?}");
    assert!(!stuck.is_finished(), "it has more time");
}

#[tokio::test]
async fn moves_that_wait_are_bounded_and_leave_room_for_other_commands() {
    let mut cluster = Cluster::start(brisk(), &["alpha"]).await;
    let all: Vec<u16> = (0..1024).collect();
    let set = takeover_set(&cluster, &all);
    let mut link = cluster.accept().await;
    let _stuck = link.request().await;
    cluster.status_until(|bucket| bucket.moves.len() == 1024).await;
    let beyond = answer(cluster.takeover(1024, "alpha")).await;
    assert_eq!(beyond, Err(CommandError::Busy { waiting: 1024 }));
    let change = cluster.set(&[]);
    let moves = cluster.status_until(|bucket| !bucket.moves.is_empty()).await.moves;
    assert_eq!(moves.len(), 1024);
    assert!(!change.is_finished(), "it waits");
    link.consumer.hang_up();
    assert!(cluster.handle.shutdown(PATIENCE).await);
    assert_eq!(answer(change).await, Err(CommandError::Stopping));
    answer(set).await.unwrap();
}

#[tokio::test]
async fn a_stop_answers_every_move_that_waits() {
    let mut limits = brisk();
    limits.steps.shut = Duration::from_millis(50);
    let mut cluster = Cluster::start(limits, &["alpha"]).await;
    let single = cluster.takeover(0, "alpha");
    let mut link = cluster.accept().await;
    let _stuck = link.request().await;
    let ids: Vec<u16> = (1..=64).collect();
    let set = takeover_set(&cluster, &ids);
    cluster.status_until(|bucket| bucket.moves.len() == 65).await;
    assert!(cluster.handle.shutdown(PATIENCE).await);
    // It had begun, so it was given time to end; its nodes did not let it.
    let ended = answer(single).await.map(|_| 0);
    assert_eq!(failures(ended).iter().map(|(vb, ..)| *vb).collect::<Vec<_>>(), [0]);
    let set = answer(set).await.unwrap();
    assert_eq!(numbers(&set), (vec![], ids));
    assert!(
        set.failures.iter().all(|failure| failure.cause.reason().name() == "stopping"),
        "{set:?}"
    );
}

#[tokio::test]
async fn a_set_from_an_unknown_producer_or_bucket_is_refused_as_a_whole() {
    let cluster = Cluster::start(brisk(), &["alpha"]).await;
    let set = vbs(&[1, 2]);
    let unknown = cluster.handle.takeover_set(BUCKET, &set, "delta").await;
    assert_eq!(unknown, Err(CommandError::NoProducer { producer: "delta".to_owned() }));
    let unknown = cluster.handle.move_set("other", &set, "alpha").await;
    assert_eq!(unknown, Err(CommandError::NoBucket { bucket: "other".to_owned() }));
}
