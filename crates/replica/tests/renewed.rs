//! Scripts for copies that are made anew: rolled back to zero once their producer has accepted a
//! stream of them again, and answered for once that is open; kept where nobody could fill them.
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

use std::time::Duration;

use harness::{Bucket, lost, refused, vbs};
use mcbp::{Seqno, VbId, VbState};
use replica::bucket::{
    BucketCommand, Cause, CommandError, Done, LinkId, LinkReport, MoveKind, PollAnswer, Restart,
};
use replica::link::{Command, Ticket, VbOutcome};

fn renew(bucket: &mut Bucket, vbs: &str) -> Ticket {
    bucket.ask(BucketCommand::Restart(Restart::Copies(vbs.parse().unwrap())))
}

/// Its producer accepts the stream of the copy as it is.
fn accept(bucket: &mut Bucket, of: LinkId) {
    let (id, set_up, command) = bucket.run().expect("a set-up");
    let Command::SetupStreams { reopen, incomplete, .. } = command else { panic!("{command:?}") };
    assert_eq!((id, reopen, incomplete), (of, vbs(&[1]), [].into()));
    bucket.settle(id, set_up, &[(1, VbOutcome::Opened)]);
}

fn rolls_back_to_zero(bucket: &mut Bucket, vb: u16) -> (LinkId, Ticket) {
    let (id, ticket, command) = bucket.run().expect("a set-up");
    let Command::SetupStreams { wanted, incomplete, .. } = command else { panic!("{command:?}") };
    assert!(wanted.contains(&VbId(vb)));
    assert_eq!(incomplete, [(VbId(vb), Seqno(0))].into());
    (id, ticket)
}

#[test]
fn a_copy_that_is_made_anew_is_rolled_back_to_zero_and_answered_once_its_stream_is_open() {
    let (mut bucket, id) = Bucket::open();
    let ticket = renew(&mut bucket, "1");
    accept(&mut bucket, id);
    let (of, set_up) = rolls_back_to_zero(&mut bucket, 1);
    assert_eq!(of, id);
    bucket.report(id, LinkReport::RollbackAsked(VbId(1)));
    let over = LinkReport::RollbackOver { vb: VbId(1), from: Seqno(9), to: Seqno(0) };
    bucket.report(id, over);
    bucket.report(id, LinkReport::Copy(VbId(1), None));
    bucket.settle(id, set_up, &[(1, VbOutcome::RolledBack)]);
    assert_eq!(bucket.answer(ticket), None, "it is empty, and its stream is not open yet");
    let lost = bucket.machine.rolled_back(bucket.now).count();
    assert_eq!(lost, 0, "the producer lacks nothing: we asked for the rollback");
    bucket.wake_after(Duration::from_secs(1));
    let (id, set_up, command) = bucket.run().expect("the stream is added");
    assert_eq!(command, Command::set_up(vbs(&[1])), "and rolled back once only");
    bucket.settle(id, set_up, &[(1, VbOutcome::Opened)]);
    assert_eq!(bucket.answer(ticket), Some(Ok(Done::Changed { open: 1 })));
}

/// A copy that is to be made anew, whose producer has accepted its stream again.
fn accepted() -> (Bucket, LinkId, Ticket, Ticket) {
    let (mut bucket, id) = Bucket::open();
    let ticket = renew(&mut bucket, "1");
    accept(&mut bucket, id);
    let (_, set_up) = rolls_back_to_zero(&mut bucket, 1);
    (bucket, id, ticket, set_up)
}

/// The next link adds the stream of the copy as it is.
fn keeps_its_copy(bucket: &mut Bucket) {
    bucket.wake_after(Duration::from_secs(9));
    let (id, ..) = bucket.connect().expect("a link to open");
    bucket.report(id, LinkReport::Up);
    let (.., command) = bucket.run().expect("a set-up");
    assert_eq!(command, Command::set_up(vbs(&[1])), "nothing is rolled back");
}

#[test]
fn a_copy_is_kept_where_its_producer_does_not_accept_a_stream_any_more() {
    let (mut bucket, id) = Bucket::open();
    let ticket = renew(&mut bucket, "1");
    let (_, set_up, command) = bucket.run().expect("a set-up");
    let Command::SetupStreams { reopen, incomplete, .. } = command else { panic!("{command:?}") };
    assert_eq!((reopen, incomplete), (vbs(&[1]), [].into()), "closed, and not rolled back");
    bucket.settle(id, set_up, &[(1, VbOutcome::Failed(refused()))]);
    let cause = bucket.failure(ticket);
    assert!(matches!(cause, Cause::Stream(_)), "{cause:?}");
    bucket.wake_after(Duration::from_secs(9));
    let (_, set_up, command) = bucket.run().expect("a retry");
    assert_eq!(command, Command::set_up(vbs(&[1])), "it is not rolled back later either");
    bucket.settle(id, set_up, &[(1, VbOutcome::Opened)]);
    assert!(bucket.run().is_none(), "nor once its producer has it again");
}

#[test]
fn a_copy_is_kept_where_its_link_is_lost_before_it_is_rolled_back() {
    let (mut bucket, id) = Bucket::open();
    let ticket = renew(&mut bucket, "1");
    bucket.run().expect("a set-up");
    bucket.report(id, LinkReport::Down(lost()));
    assert!(matches!(bucket.failure(ticket), Cause::Link(_)));
    keeps_its_copy(&mut bucket);
    let (mut bucket, id, ticket, _) = accepted();
    bucket.report(id, LinkReport::Down(lost()));
    assert!(matches!(bucket.failure(ticket), Cause::Link(_)));
    keeps_its_copy(&mut bucket);
}

#[test]
fn a_copy_that_was_emptied_and_cannot_be_filled_again_is_told() {
    let (mut bucket, id, ticket, set_up) = accepted();
    bucket.report(id, LinkReport::RollbackAsked(VbId(1)));
    bucket.report(id, LinkReport::Copy(VbId(1), None));
    bucket.settle(id, set_up, &[(1, VbOutcome::RolledBack)]);
    bucket.wake_after(Duration::from_secs(1));
    let (id, set_up, _) = bucket.run().expect("the stream is added");
    bucket.settle(id, set_up, &[(1, VbOutcome::Failed(refused()))]);
    match bucket.answer(ticket) {
        Some(Err(error @ CommandError::NotFilled { .. })) => {
            assert!(error.to_string().contains("vBucket 1 were emptied"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_copy_without_an_open_stream_is_not_made_anew() {
    let mut bucket = Bucket::new();
    bucket.want(&[("alpha", "1")]);
    let (id, opening, _) = bucket.set_up();
    let ticket = renew(&mut bucket, "1");
    bucket.settle(id, opening, &[(1, VbOutcome::Failed(refused()))]);
    let error = bucket.nothing_to_restart(ticket);
    assert!(error.contains("vBucket 1 of bucket default has no open stream"), "{error}");
    assert!(error.contains("no copy was emptied"), "{error}");
}

#[test]
fn no_takeover_begins_with_a_copy_that_is_to_be_made_anew() {
    let (mut bucket, id, _, set_up) = accepted();
    bucket.settle(id, set_up, &[(1, VbOutcome::Failed(refused()))]);
    let moving = bucket.move_here(1, MoveKind::Takeover);
    assert_eq!(bucket.failure(moving), Cause::Incomplete(Seqno(0)));
}

#[test]
fn what_is_no_copy_of_ours_is_not_made_anew() {
    let (mut bucket, _) = Bucket::open();
    let ticket = renew(&mut bucket, "1-2");
    let error = bucket.nothing_to_restart(ticket);
    assert!(error.contains("does not replicate vBucket 2"), "{error}");
    let mut bucket = Bucket::polled();
    bucket.want(&[("alpha", "1")]);
    bucket.consumer_polled(PollAnswer::Misfits(Some(vec![(VbId(1), VbState::Active)])));
    let ticket = renew(&mut bucket, "1");
    let error = bucket.nothing_to_restart(ticket);
    assert!(error.contains("vBucket 1 of bucket default is active at beta"), "{error}");
}
