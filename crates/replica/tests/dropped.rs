//! Scripts for streams that the consumer dropped silently, because their vBuckets were made active
//! there: reports of the nodes show it, also when seqnos do not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

#[path = "bucket/harness.rs"]
mod harness;

use std::collections::BTreeSet;
use std::time::Duration;

use harness::Bucket;
use mcbp::{Seqno, Side, VbId, VbState, VbUuid};
use replica::bucket::{BucketEffect, LinkId, LinkPhase, MoveKind, PollAnswer, StreamPhase};
use replica::link::{Command, ReasonCode, Ticket, VbOutcome};

const SECOND: Duration = Duration::from_secs(1);

/// The vBuckets that are active at beta.
fn active(bucket: &mut Bucket, age: Duration, active: &[u16]) {
    let states = active.iter().map(|&vb| (VbId(vb), VbState::Active)).collect();
    bucket.tell(Side::Consumer, age, PollAnswer::Misfits(Some(states)));
}

/// The vBuckets that are replicas at beta.
fn replicas(bucket: &mut Bucket, of: &[u16]) {
    let seqnos = of.iter().map(|&vb| (VbId(vb), Seqno(9))).collect();
    bucket.tell(Side::Consumer, Duration::ZERO, PollAnswer::Seqnos(Ok(seqnos)));
}

fn branches(bucket: &mut Bucket, side: Side, age: Duration, uuids: &[(u16, u64)]) {
    let uuids = uuids.iter().map(|&(vb, uuid)| (VbId(vb), VbUuid(uuid))).collect();
    bucket.tell(side, age, PollAnswer::Branches(Some(uuids)));
}

/// A bucket with open streams of vBuckets 1 to 3 from alpha, a second after they opened.
fn open() -> (Bucket, LinkId) {
    let mut bucket = Bucket::polled();
    bucket.now = 10 * SECOND;
    bucket.want(&[("alpha", "1-3")]);
    active(&mut bucket, Duration::ZERO, &[]);
    let (id, ticket, _) = bucket.set_up();
    bucket.settle(id, ticket, &[1, 2, 3].map(|vb| (vb, VbOutcome::Opened)));
    bucket.now += SECOND;
    (bucket, id)
}

/// The next set-up: its ticket, the streams that are wanted, and those that are closed first.
fn set_up(bucket: &mut Bucket) -> (Ticket, Vec<u16>, Vec<u16>) {
    let (_, ticket, command) = bucket.run().expect("a set-up");
    let Command::SetupStreams { wanted, reopen, .. } = command else { panic!("{command:?}") };
    let numbers = |of: BTreeSet<VbId>| of.into_iter().map(|vb| vb.0).collect();
    (ticket, numbers(wanted), numbers(reopen))
}

fn count(bucket: &Bucket) -> u64 {
    let failures = bucket.machine.stream_failures().iter();
    failures.filter(|(kind, _)| kind.reason == ReasonCode::StreamGone).map(|(_, n)| n).sum()
}

fn ended(bucket: &mut Bucket) -> Option<String> {
    bucket.take(|effect| match effect {
        BucketEffect::Log(line) if line.text.starts_with("stream ended") => Some(line.text.clone()),
        _ => None,
    })
}

#[test]
fn an_open_stream_whose_vbucket_is_active_here_is_closed_and_held_back() {
    let (mut bucket, id) = open();
    active(&mut bucket, Duration::ZERO, &[2]);
    let line = ended(&mut bucket).expect("it is logged");
    assert!(
        line.contains("vb:2: consumer has dropped the stream: the vBucket is active"),
        "{line}"
    );
    assert_eq!(bucket.phase(2), StreamPhase::HeldBack);
    let (ticket, wanted, _) = set_up(&mut bucket);
    assert_eq!(wanted, [1, 3], "2 is closed at both nodes");
    bucket.settle(id, ticket, &[(2, VbOutcome::Closed)]);
    assert_eq!(bucket.run(), None, "it is not asked for");

    replicas(&mut bucket, &[1, 2, 3]);
    let (ticket, wanted, reopen) = set_up(&mut bucket);
    assert_eq!((wanted, reopen), (vec![1, 2, 3], vec![]), "it was closed already");
    bucket.settle(id, ticket, &[(2, VbOutcome::Opened)]);
    assert_eq!(bucket.phase(2), StreamPhase::Open);
}

#[test]
fn a_replica_again_before_its_stream_was_closed_is_closed_before_it_is_added() {
    let (mut bucket, id) = open();
    // A set-up runs meanwhile.
    bucket.want(&[("alpha", "1-4")]);
    let (ticket, wanted, _) = set_up(&mut bucket);
    assert_eq!(wanted, [1, 2, 3, 4]);
    active(&mut bucket, Duration::ZERO, &[2]);
    replicas(&mut bucket, &[1, 2, 3, 4]);
    assert_eq!(bucket.run(), None, "one command at a time");
    let open = [1, 2, 3].map(|vb| (vb, VbOutcome::AlreadyOpen));
    bucket.settle(id, ticket, &[&open[..], &[(4, VbOutcome::Opened)]].concat());
    let (ticket, wanted, reopen) = set_up(&mut bucket);
    assert_eq!((wanted, reopen), (vec![1, 2, 3, 4], vec![2]), "its answer was older");
    bucket.settle(id, ticket, &[(2, VbOutcome::Opened)]);
    assert_eq!((bucket.phase(2), bucket.run()), (StreamPhase::Open, None));
}

#[test]
fn a_link_whose_streams_are_all_gone_is_closed() {
    let (mut bucket, _) = open();
    active(&mut bucket, Duration::ZERO, &[1, 2, 3]);
    let (_, _, command) = bucket.run().expect("a command");
    assert_eq!(command, Command::Shut);
    assert!(bucket.machine.links().all(|link| link.phase == LinkPhase::Closing));
}

#[test]
fn a_report_from_before_the_stream_opened_ends_nothing() {
    let (mut bucket, _) = open();
    active(&mut bucket, 2 * SECOND, &[2]);
    assert_eq!(bucket.phase(2), StreamPhase::Open);
    for side in [Side::Producer, Side::Consumer] {
        let uuid = if side == Side::Producer { 70 } else { 71 };
        branches(&mut bucket, side, 2 * SECOND, &[(1, uuid)]);
    }
    branches(&mut bucket, Side::Consumer, Duration::ZERO, &[(1, 71)]);
    assert_eq!(bucket.phase(1), StreamPhase::Open, "that of alpha is older than the stream");
    assert_eq!((bucket.run(), count(&bucket)), (None, 0));
}

#[test]
fn equal_seqnos_on_different_branches_are_closed_and_added_again() {
    let (mut bucket, id) = open();
    branches(&mut bucket, Side::Producer, Duration::ZERO, &[(1, 70), (2, 80), (3, 90)]);
    branches(&mut bucket, Side::Consumer, Duration::ZERO, &[(1, 70), (2, 80), (3, 90)]);
    assert_eq!((bucket.run(), count(&bucket)), (None, 0), "all is well");

    branches(&mut bucket, Side::Consumer, Duration::ZERO, &[(1, 70), (2, 81), (3, 90)]);
    let line = ended(&mut bucket).expect("it is logged");
    assert!(line.contains("its copy is on branch 81, the producer's is on 80"));
    assert_eq!(count(&bucket), 1);
    assert_eq!(bucket.phase(2), StreamPhase::Waiting);
    let (ticket, wanted, _) = set_up(&mut bucket);
    assert_eq!(wanted, [1, 3], "closed first, whatever the backoff is");
    bucket.settle(id, ticket, &[(2, VbOutcome::Closed)]);

    bucket.wake_after(SECOND);
    let (ticket, wanted, reopen) = set_up(&mut bucket);
    assert_eq!((wanted, reopen), (vec![1, 2, 3], vec![]));
    bucket.settle(id, ticket, &[(2, VbOutcome::Opened)]);
    bucket.now += SECOND;
    branches(&mut bucket, Side::Consumer, Duration::ZERO, &[(1, 70), (2, 80), (3, 90)]);
    branches(&mut bucket, Side::Producer, Duration::ZERO, &[(1, 70), (2, 80), (3, 90)]);
    assert_eq!((bucket.phase(2), bucket.run(), count(&bucket)), (StreamPhase::Open, None, 1));
}

#[test]
fn what_a_node_does_not_say_is_no_difference() {
    let (mut bucket, _) = open();
    branches(&mut bucket, Side::Producer, Duration::ZERO, &[(1, 70), (2, 80)]);
    branches(&mut bucket, Side::Consumer, Duration::ZERO, &[(1, 70), (3, 91)]);
    bucket.tell(Side::Producer, Duration::ZERO, PollAnswer::Branches(None));
    branches(&mut bucket, Side::Consumer, Duration::ZERO, &[(1, 71), (2, 81)]);
    assert_eq!((bucket.run(), count(&bucket)), (None, 0));
}

#[test]
fn a_branch_that_differs_at_every_report_is_retried_at_the_longest_backoff_only() {
    let (mut bucket, id) = open();
    for _ in 0..40 {
        bucket.wake_after(SECOND);
        branches(&mut bucket, Side::Producer, Duration::ZERO, &[(2, 80)]);
        branches(&mut bucket, Side::Consumer, Duration::ZERO, &[(2, 81)]);
        while let Some((_, ticket, command)) = bucket.run() {
            let Command::SetupStreams { wanted, .. } = command else { panic!("{command:?}") };
            let is_wanted = wanted.contains(&VbId(2));
            let outcome = if is_wanted { VbOutcome::Opened } else { VbOutcome::Closed };
            bucket.settle(id, ticket, &[(2, outcome)]);
        }
    }
    let broken: Vec<_> = bucket.machine.broken(bucket.now).map(|broken| broken.vb).collect();
    assert_eq!(broken, [VbId(2)], "it is shown as broken");
    assert!(count(&bucket) < 12, "{}", count(&bucket));
    assert_eq!((bucket.phase(1), bucket.phase(3)), (StreamPhase::Open, StreamPhase::Open));
}

#[test]
fn a_vbucket_that_a_takeover_makes_active_here_is_not_ended_as_dropped() {
    let (mut bucket, id) = open();
    bucket.move_here(2, MoveKind::Takeover);
    let (_, ticket, command) = bucket.run().unwrap();
    assert_eq!(command, Command::Takeover { vb: VbId(2) });
    active(&mut bucket, Duration::ZERO, &[2]);
    branches(&mut bucket, Side::Producer, Duration::ZERO, &[(2, 80)]);
    branches(&mut bucket, Side::Consumer, Duration::ZERO, &[(2, 81)]);
    bucket.settle(id, ticket, &[(2, VbOutcome::TakenOver)]);
    assert_eq!((bucket.run(), count(&bucket)), (None, 0));
    assert_eq!(bucket.machine.active_here(bucket.now), Some("2".parse().unwrap()));
}
