//! Scripts for the machine of a bucket: events, and the effects that follow.
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

use mcbp::{Seqno, Side, StreamEndStatus, VbId};
use replica::bucket::{
    BucketCommand, BucketEffect, BucketEvent, Cause, Change, CommandError, Done, Finding, LinkDown,
    LinkPhase, LinkReport, MoveKind, Reopen, StreamPhase, TaskId,
};
use replica::link::{
    Command, LinkStep, Reason, ReasonCode, Retry, StopReason, Ticket, VbError, VbOutcome,
};
use replica::plan::Connections;

use harness::{Bucket, STOP, lost, refused, vbs};

#[test]
fn mb_10934_a_link_of_which_nothing_is_wanted_is_closed_and_no_other_is_touched() {
    let mut bucket = Bucket::new();
    bucket.want(&[("alpha", "0-1"), ("gamma", "2")]);
    let (alpha, ticket, _) = bucket.set_up();
    bucket.settle(alpha, ticket, &[(0, VbOutcome::Opened), (1, VbOutcome::Opened)]);
    let (gamma, ticket, _) = bucket.set_up();
    bucket.settle(gamma, ticket, &[(2, VbOutcome::Opened)]);

    bucket.want(&[("alpha", "0,2")]);
    let (id, _, command) = bucket.run().unwrap();
    assert_eq!((id, command), (alpha, Command::set_up(vbs(&[0]))), "2 is gamma's still");
    let (id, shut, command) = bucket.run().unwrap();
    assert_eq!((id, command), (gamma, Command::Shut));
    bucket.settle(gamma, shut, &[]);
    bucket.report(gamma, LinkReport::Down(LinkDown::stopped(&StopReason::Shut)));
    assert_eq!(bucket.connect(), None);
}

#[test]
fn mb_63169_more_connections_move_only_the_streams_that_have_to() {
    let mut bucket = Bucket::new();
    bucket.want(&[("alpha", "0-3")]);
    let (first, ticket, wanted) = bucket.set_up();
    bucket.settle(
        first,
        ticket,
        &wanted.iter().map(|vb| (vb.0, VbOutcome::Opened)).collect::<Vec<_>>(),
    );
    let two = Connections::new(2).unwrap();
    bucket.ask(BucketCommand::Change(Change::Connections(two)));
    let (id, ticket, command) = bucket.run().unwrap();
    assert_eq!((id, command), (first, Command::set_up(vbs(&[0, 2]))));
    let (second, producer, number) = bucket.connect().unwrap();
    assert_eq!((producer.as_str(), number), ("alpha", 1));
    bucket.report(second, LinkReport::Up);
    assert_eq!(bucket.run(), None, "1 and 3 are open on the first link still (MB-29354)");
    bucket.settle(first, ticket, &[(1, VbOutcome::Closed), (3, VbOutcome::Closed)]);
    let (id, _, command) = bucket.run().unwrap();
    assert_eq!((id, command), (second, Command::set_up(vbs(&[1, 3]))));
}

#[test]
fn a_link_that_fails_is_opened_again_after_a_delay_that_grows() {
    let mut bucket = Bucket::new();
    let ticket = bucket.want(&[("alpha", "1")]);
    for delay in [1, 2, 4, 8, 8] {
        let (id, ..) = bucket.connect().unwrap();
        bucket.report(id, LinkReport::Down(lost()));
        assert_eq!(bucket.machine.wake_at(), Some(bucket.now + Duration::from_secs(delay)));
        bucket.wake_after(Duration::from_secs(delay));
    }
    let cause = bucket.failure(ticket);
    assert_eq!((cause.reason(), cause.side()), (ReasonCode::LinkLost, Some(Side::Producer)));
}

#[test]
fn a_failure_of_a_link_keeps_its_side_and_its_own_advice() {
    for (reopen, retry) in [(Reopen::Soon, Retry::AtOnce), (Reopen::Slowly, Retry::AfterBackoff)] {
        let mut bucket = Bucket::new();
        let ticket = bucket.want(&[("alpha", "1")]);
        let (id, ..) = bucket.connect().unwrap();
        let down = LinkDown { side: Some(Side::Consumer), reopen, ..lost() };
        bucket.report(id, LinkReport::Down(down));
        let cause = bucket.failure(ticket);
        assert_eq!((cause.side(), cause.retry()), (Some(Side::Consumer), retry));
    }
}

#[test]
fn a_stream_that_fails_is_asked_for_again_and_the_command_says_why() {
    let mut bucket = Bucket::new();
    let change = bucket.want(&[("alpha", "1-2")]);
    let (id, ticket, _) = bucket.set_up();
    bucket.settle(id, ticket, &[(1, VbOutcome::Failed(refused())), (2, VbOutcome::Opened)]);
    assert_eq!(bucket.failure(change), Cause::Stream(refused()));
    assert_eq!((bucket.phase(1), bucket.phase(2)), (StreamPhase::Waiting, StreamPhase::Open));
    bucket.wake_after(Duration::from_secs(1));
    let (_, _, command) = bucket.run().unwrap();
    assert_eq!(command, Command::set_up(vbs(&[1, 2])));
}

#[test]
fn reports_of_older_incarnations_and_answers_to_other_commands_are_ignored() {
    let (mut bucket, old) = Bucket::open();
    bucket.report(old, LinkReport::Down(lost()));
    bucket.wake_after(Duration::from_secs(1));
    let (new, ticket, _) = bucket.set_up();
    assert_eq!((new.index, new.incarnation), (old.index, old.incarnation + 1));
    bucket.report(old, LinkReport::Down(lost()));
    bucket.settle(new, Ticket(ticket.0 + 7), &[(1, VbOutcome::Opened)]);
    assert_eq!(bucket.machine.links().next().unwrap().phase, LinkPhase::Up);
    assert_eq!(bucket.phase(1), StreamPhase::Asked);
}

/// Found by the model checker: the move ended before its takeover.
#[test]
fn a_vbucket_is_not_asked_for_elsewhere_while_its_takeover_goes_on_after_its_move_is_over() {
    let mut bucket = Bucket::new();
    bucket.move_here(1, MoveKind::Takeover);
    let (alpha, ..) = bucket.connect().unwrap();
    bucket.report(alpha, LinkReport::Up);
    let (_, takeover, command) = bucket.run().unwrap();
    assert_eq!(command, Command::Takeover { vb: VbId(1) });
    bucket.wake_after(Duration::from_secs(150));
    let (task, examine) = bucket.examine().unwrap();
    bucket.on(BucketEvent::Examined(task, Finding::NotMoved(examine.cause)));

    bucket.want(&[("gamma", "1")]);
    let (gamma, producer, _) = bucket.connect().unwrap();
    assert_eq!(producer, "gamma");
    bucket.report(gamma, LinkReport::Up);
    let (of, shut, command) = bucket.run().unwrap();
    assert_eq!((of, command), (alpha, Command::Shut));
    assert_eq!(bucket.run(), None, "the takeover may still have its stream");
    bucket.settle(alpha, takeover, &[]);
    bucket.settle(alpha, shut, &[]);
    bucket.report(alpha, LinkReport::Down(LinkDown::stopped(&StopReason::Shut)));
    assert_eq!(bucket.run().unwrap().0, gamma);
}

/// Found by the model checker: the end belonged to the previous stream.
#[test]
fn an_end_that_crosses_a_set_up_does_not_free_the_vbucket_for_another_link() {
    let (mut bucket, alpha) = Bucket::open();
    bucket.want(&[("alpha", "1-2")]);
    let (_, set_up, command) = bucket.run().unwrap();
    assert_eq!(command, Command::set_up(vbs(&[1, 2])));
    let reason = Reason::StreamEnd(StreamEndStatus::STATE_CHANGED);
    let ended = VbError { vb: VbId(1), side: Side::Producer, reason };
    bucket.report(alpha, LinkReport::Ended(ended));

    bucket.wake_after(Duration::from_secs(90));
    bucket.want(&[("alpha", "2"), ("gamma", "1")]);
    let (gamma, ..) = bucket.connect().unwrap();
    bucket.report(gamma, LinkReport::Up);
    assert_eq!(bucket.run(), None, "alpha's link is about to add it");
    bucket.settle(alpha, set_up, &[(1, VbOutcome::Opened), (2, VbOutcome::Opened)]);
    let (of, close, command) = bucket.run().unwrap();
    assert_eq!((of, command), (alpha, Command::set_up(vbs(&[2]))));
    bucket.settle(alpha, close, &[(1, VbOutcome::Closed)]);
    assert_eq!(bucket.run().unwrap().0, gamma);
}

/// Found by the model checker: only a takeover repaired the copies of an earlier one.
#[test]
fn a_move_with_data_repairs_what_an_interrupted_takeover_left() {
    let mut bucket = Bucket::new();
    let moving = bucket.move_here(1, MoveKind::WithData);
    let (id, ticket, _) = bucket.set_up();
    bucket.settle(id, ticket, &[(1, VbOutcome::Failed(refused()))]);
    let (task, examine) = bucket.examine().unwrap();
    assert!(examine.may_repair && examine.is_complete, "{examine:?}");
    bucket.on(BucketEvent::Examined(task, Finding::Moved));
    assert_eq!(bucket.answer(moving), Some(Ok(Done::Moved { elapsed_ms: 0 })));
}

#[test]
fn a_move_with_data_copies_again_after_its_vbucket_was_given_back() {
    let mut bucket = Bucket::new();
    bucket.move_here(1, MoveKind::WithData);
    let (id, ticket, _) = bucket.set_up();
    bucket.settle(id, ticket, &[(1, VbOutcome::Failed(refused()))]);
    let (task, _) = bucket.examine().unwrap();
    bucket.on(BucketEvent::Examined(task, Finding::GivenBack));
    let (_, ticket, command) = bucket.run().unwrap();
    assert_eq!(command, Command::set_up(vbs(&[1])), "nobody knows how much is missing");
    bucket.settle(id, ticket, &[(1, VbOutcome::Failed(refused()))]);
    let (_, examine) = bucket.examine().unwrap();
    assert!(!examine.may_repair, "it was given back once");
}

#[test]
fn a_move_with_data_whose_takeover_was_refused_copies_again_on_a_link_that_is_free() {
    let (mut bucket, id) = Bucket::open();
    bucket.move_here(1, MoveKind::WithData);
    let task = bucket.take(|effect| match effect {
        BucketEffect::Estimate(task, ..) => Some(*task),
        _ => None,
    });
    bucket.on(BucketEvent::Copied(task.unwrap(), Ok(())));
    let (_, takeover, command) = bucket.run().unwrap();
    assert_eq!(command, Command::Takeover { vb: VbId(1) });
    bucket.settle(id, takeover, &[(1, VbOutcome::Failed(refused()))]);
    let (task, _) = bucket.examine().unwrap();
    bucket.on(BucketEvent::Examined(task, Finding::GivenBack));
    let (_, _, command) = bucket.run().unwrap();
    assert_eq!(command, Command::set_up(vbs(&[1])));
}

#[test]
fn a_copy_with_a_gap_that_was_given_back_is_not_taken_over() {
    let (mut bucket, id) = Bucket::open();
    bucket.report(id, LinkReport::Copy(VbId(1), Some(Seqno(4))));
    bucket.report(id, LinkReport::Down(lost()));
    bucket.move_here(1, MoveKind::WithData);
    let (id, ticket, _) = bucket.set_up();
    bucket.settle(id, ticket, &[(1, VbOutcome::Failed(refused()))]);
    let (task, examine) = bucket.examine().unwrap();
    assert!(examine.may_repair && !examine.is_complete);
    // The next incarnation of the link knows of no gap.
    bucket.report(id, LinkReport::Down(lost()));
    bucket.wake_after(Duration::from_secs(8));
    let (id, ..) = bucket.connect().unwrap();
    bucket.on(BucketEvent::Examined(task, Finding::GivenBack));
    bucket.report(id, LinkReport::Up);
    let (_, _, command) = bucket.run().unwrap();
    let Command::SetupStreams { incomplete, .. } = command else { panic!("{command:?}") };
    assert_eq!(incomplete, [(VbId(1), Seqno(4))].into());
}

#[test]
fn a_link_of_another_name_displaces_no_takeover_and_repairs_nothing() {
    let mut bucket = Bucket::new();
    let first = bucket.move_here(1, MoveKind::Takeover);
    let (zero, ..) = bucket.connect().unwrap();
    bucket.report(zero, LinkReport::Up);
    bucket.run().unwrap();
    bucket.report(zero, LinkReport::Down(lost()));
    let (task, examine) = bucket.examine().unwrap();
    bucket.on(BucketEvent::Examined(task, Finding::NotMoved(examine.cause)));
    bucket.failure(first);
    let two = Connections::new(2).unwrap();
    bucket.ask(BucketCommand::Change(Change::Connections(two)));
    for may_repair in [false, true] {
        let moving = bucket.move_here(1, MoveKind::Takeover);
        let (one, _, number) = bucket.connect().unwrap();
        assert_eq!(number, 1);
        bucket.report(one, LinkReport::Up);
        let (_, ticket, _) = bucket.run().unwrap();
        bucket.settle(one, ticket, &[(1, VbOutcome::Failed(refused()))]);
        let (task, examine) = bucket.examine().unwrap();
        assert_eq!(examine.may_repair, may_repair, "until both nodes were asked once");
        bucket.on(BucketEvent::Examined(task, Finding::NotMoved(examine.cause)));
        bucket.failure(moving);
        let (_, shut, _) = bucket.run().unwrap();
        bucket.settle(one, shut, &[]);
        bucket.report(one, LinkReport::Down(LinkDown::stopped(&StopReason::Shut)));
    }
}

#[test]
fn a_move_that_fails_wants_what_was_wanted_before() {
    let (mut bucket, id) = Bucket::open();
    let moving = bucket.move_here(1, MoveKind::Takeover);
    let (_, takeover, _) = bucket.run().unwrap();
    let reason = Reason::Deadline(LinkStep::Takeover);
    let late = VbError { vb: VbId(1), side: Side::Producer, reason };
    bucket.settle(id, takeover, &[(1, VbOutcome::Failed(late))]);
    let (task, examine) = bucket.examine().unwrap();
    assert!(!examine.may_repair, "orders may be on their way");
    bucket.on(BucketEvent::Examined(task, Finding::NotMoved(examine.cause)));
    bucket.failure(moving);
    let (_, _, command) = bucket.run().unwrap();
    assert_eq!(command, Command::set_up(vbs(&[1])));
}

/// A link leaves a stream that opened and ended within one set-up out of its answer.
#[test]
fn a_stream_that_ends_while_its_set_up_runs_is_asked_for_again() {
    let mut bucket = Bucket::new();
    let change = bucket.want(&[("alpha", "1-2")]);
    let (id, ticket, _) = bucket.set_up();
    let reason = Reason::StreamEnd(StreamEndStatus::STATE_CHANGED);
    bucket.report(id, LinkReport::Ended(VbError { vb: VbId(1), side: Side::Producer, reason }));
    bucket.settle(id, ticket, &[(2, VbOutcome::Opened)]);
    assert_eq!(bucket.failure(change).reason(), ReasonCode::StreamEnd);
    bucket.wake_after(Duration::from_secs(1));
    let (_, _, command) = bucket.run().unwrap();
    assert_eq!(command, Command::set_up(vbs(&[1, 2])));
}

#[test]
fn a_move_waits_for_little_to_be_missing_and_is_answered_when_the_nodes_have_done_it() {
    let (mut bucket, id) = Bucket::open();
    let moving = bucket.move_here(1, MoveKind::WithData);
    let estimate = bucket.take(|effect| match effect {
        BucketEffect::Estimate(task, _, vb) => Some((*task, *vb)),
        _ => None,
    });
    let (task, vb) = estimate.unwrap();
    bucket.on(BucketEvent::Estimated(task, 5000));
    assert_eq!(bucket.machine.moves(bucket.now).next().unwrap().estimate, Some(5000));
    bucket.on(BucketEvent::Copied(TaskId(task.0 + 1), Ok(())));
    assert_eq!(bucket.run(), None, "another task's word");
    bucket.on(BucketEvent::Copied(task, Ok(())));
    let (_, takeover, command) = bucket.run().unwrap();
    assert_eq!(command, Command::Takeover { vb });
    bucket.now += Duration::from_millis(40);
    bucket.settle(id, takeover, &[(1, VbOutcome::TakenOver)]);
    assert_eq!(bucket.answer(moving), Some(Ok(Done::Moved { elapsed_ms: 40 })));
}

#[test]
fn a_copy_that_misses_rows_is_not_taken_over() {
    let (mut bucket, id) = Bucket::open();
    bucket.report(id, LinkReport::Copy(VbId(1), Some(Seqno(4))));
    let moving = bucket.move_here(1, MoveKind::Takeover);
    assert_eq!(bucket.failure(moving), Cause::Incomplete(Seqno(4)));
    assert_eq!(bucket.phase(1), StreamPhase::Open, "wanted as before");
}

#[test]
fn a_stop_answers_every_command_and_waits_for_the_links() {
    let (mut bucket, id) = Bucket::open();
    let moving = bucket.move_here(1, MoveKind::WithData);
    let stop = bucket.ask(STOP);
    assert_eq!(bucket.answer(moving), Some(Err(CommandError::Stopping)));
    let cancelled = |effect: &BucketEffect| matches!(effect, BucketEffect::Cancel(_)).then_some(());
    assert_eq!(bucket.take(cancelled), Some(()));
    let (_, shut, command) = bucket.run().unwrap();
    assert_eq!((command, bucket.answer(stop)), (Command::Shut, None));
    bucket.settle(id, shut, &[]);
    bucket.report(id, LinkReport::Down(LinkDown::stopped(&StopReason::Shut)));
    assert_eq!(bucket.answer(stop), Some(Ok(Done::Stopped)));
    let late = bucket.want(&[]);
    assert_eq!(bucket.answer(late), Some(Err(CommandError::Stopping)));
    assert_eq!(bucket.machine.wake_at(), None);
}

#[test]
fn a_removal_lets_a_takeover_end_and_refuses_every_other_command() {
    let removed = || Some(Err(CommandError::Removed { bucket: "default".to_owned() }));
    let (mut bucket, id) = Bucket::open();
    let taking = bucket.move_here(1, MoveKind::Takeover);
    let (_, takeover, command) = bucket.run().unwrap();
    assert_eq!(command, Command::Takeover { vb: VbId(1) });
    let behind = bucket.move_here(2, MoveKind::Takeover);
    let removal = bucket.ask(BucketCommand::Remove);
    assert_eq!((bucket.answer(behind), bucket.answer(removal)), (removed(), None));
    let late = bucket.want(&[]);
    assert_eq!((bucket.answer(late), bucket.answer(taking)), (removed(), None));
    bucket.settle(id, takeover, &[(1, VbOutcome::Failed(refused()))]);
    assert_eq!(bucket.answer(removal), None, "the copies are examined first");
    let (task, _) = bucket.examine().unwrap();
    bucket.on(BucketEvent::Examined(task, Finding::GivenBack));
    assert_eq!(bucket.answer(taking), removed(), "it does not begin again");
    assert_eq!(bucket.answer(removal), Some(Ok(Done::Removed)));

    let (mut bucket, _) = Bucket::open();
    let copying = bucket.move_here(1, MoveKind::WithData);
    let removal = bucket.ask(BucketCommand::Remove);
    assert_eq!(bucket.answer(copying), removed(), "its takeover has not begun");
    assert_eq!(bucket.answer(removal), Some(Ok(Done::Removed)));

    let (mut bucket, _) = Bucket::open();
    let taking = bucket.move_here(1, MoveKind::Takeover);
    let removal = bucket.ask(BucketCommand::Remove);
    let stop = bucket.ask(STOP);
    assert_eq!(bucket.answer(removal), Some(Err(CommandError::Stopping)));
    assert_eq!((bucket.answer(taking), bucket.answer(stop)), (None, None), "it waits for both");
}

/// Lines of one event are suppressed after the first few, and nothing else keeps these numbers.
#[test]
fn a_stop_names_every_copy_that_may_miss_rows_in_few_lines() {
    let (mut bucket, id) = Bucket::open();
    for vb in 0..1024 {
        bucket.report(id, LinkReport::Copy(VbId(vb), Some(Seqno(u64::MAX))));
    }
    bucket.effects.clear();
    bucket.ask(STOP);
    let lines = bucket.effects.iter().filter_map(|effect| match effect {
        BucketEffect::Log(line) if line.text.starts_with("stopping with") => Some(&line.text),
        _ => None,
    });
    let lines: Vec<_> = lines.collect();
    assert!(lines.len() <= 20 && lines.iter().all(|line| line.len() <= 4000), "{lines:?}");
    let named = lines.iter().flat_map(|line| {
        let vbs = line.split_once(" vb=").unwrap().1;
        vbs.split_once(' ').unwrap().0.split(',').map(|vb| vb.parse().unwrap())
    });
    assert_eq!(named.collect::<Vec<u16>>(), (0..1024).collect::<Vec<_>>());
}
