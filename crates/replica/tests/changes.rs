//! Scripts for changes of the desired map by its sources, restarts, and producers that change while
//! the machine of a bucket runs.
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

use harness::{Bucket, STOP, lost, refused, vbs};
use mcbp::{Seqno, Side, Status, VbId, VbState, VbUuid};
use replica::bucket::{
    BucketCommand, BucketEffect, BucketEvent, Cause, Change, CommandError, CopyReports, Done,
    LinkDown, LinkId, LinkReport, MoveKind, PollAnswer, PollError, Restart, StreamPhase,
};
use replica::link::{
    Command, LinkStep, Outcome, Reason, ReasonCode, StopReason, Ticket, VbError, VbOutcome,
};
use replica::plan::{Connections, Desired, VbSet};
use replica::remedy::{CopyInfo, CopyReport};

fn map(of: &[(&str, &str)]) -> Desired {
    let sets = of.iter().map(|(name, vbs)| ((*name).to_owned(), vbs.parse::<VbSet>().unwrap()));
    Desired::new(sets.collect()).unwrap()
}

fn follow(bucket: &mut Bucket, of: &[(&str, &str)], connections: u64) -> Ticket {
    let connections = Connections::new(connections).unwrap();
    let change = Change::Follow { desired: map(of), connections };
    bucket.ask(BucketCommand::Change(change))
}

fn restart_links(bucket: &mut Bucket, producer: &str, connection: Option<u8>) -> Ticket {
    let producer = producer.to_owned();
    bucket.ask(BucketCommand::Restart(Restart::Links { producer, connection }))
}

fn restart_streams(bucket: &mut Bucket, vbs: &str) -> Ticket {
    bucket.ask(BucketCommand::Restart(Restart::Streams(vbs.parse().unwrap())))
}

fn producers(bucket: &mut Bucket, known: &[&str], changed: &[&str]) {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    bucket.on(BucketEvent::Producers { known: set(known), changed: set(changed) });
}

/// The link closes as asked, with this outcome of its vBuckets.
fn shut(bucket: &mut Bucket, outcomes: &[(u16, VbOutcome)]) -> LinkId {
    let (id, ticket, command) = bucket.run().expect("a command");
    assert_eq!(command, Command::Shut);
    bucket.settle(id, ticket, outcomes);
    bucket.report(id, LinkReport::Down(LinkDown::stopped(&StopReason::Shut)));
    id
}

fn set_up(bucket: &mut Bucket, outcomes: &[(u16, VbOutcome)]) -> (LinkId, BTreeSet<VbId>) {
    let (id, ticket, wanted) = bucket.set_up();
    bucket.settle(id, ticket, outcomes);
    (id, wanted)
}

/// vBucket 1 was taken over from alpha; nothing is replicated.
fn taken_over() -> Bucket {
    taken_over_in(Bucket::new())
}

fn taken_over_in(mut bucket: Bucket) -> Bucket {
    let ticket = bucket.move_here(1, MoveKind::Takeover);
    let (id, ..) = bucket.connect().unwrap();
    bucket.report(id, LinkReport::Up);
    let (id, of, command) = bucket.run().unwrap();
    assert_eq!(command, Command::Takeover { vb: VbId(1) });
    bucket.settle(id, of, &[(1, VbOutcome::TakenOver)]);
    let moved = bucket.effects.iter().position(|e| matches!(e, BucketEffect::Moved { .. }));
    let answer = bucket.effects.iter().position(|e| matches!(e, BucketEffect::Answer(..)));
    assert!(moved.unwrap() < answer.unwrap(), "told before it is answered");
    assert!(matches!(bucket.answer(ticket), Some(Ok(Done::Moved { .. }))));
    shut(&mut bucket, &[]);
    bucket
}

#[test]
fn a_follow_touches_what_differs_and_sets_map_and_connections_at_once() {
    let (mut bucket, _) = Bucket::open();
    bucket.effects.clear();
    let same = follow(&mut bucket, &[("alpha", "1")], 1);
    assert_eq!(bucket.effects, [BucketEffect::Answer(same, Ok(Done::Changed { open: 1 }))]);

    let more = follow(&mut bucket, &[("alpha", "1-3")], 2);
    let (id, _, command) = bucket.run().expect("a set-up of the first link");
    let Command::SetupStreams { wanted, reopen, .. } = &command else { panic!("{command:?}") };
    assert_eq!((wanted, reopen), (&vbs(&[2]), &vbs(&[])), "1 is of the second connection now");
    assert_eq!(id.index, 0);
    assert_eq!(bucket.answer(more), None);
}

#[test]
fn a_follow_is_not_answered_with_the_old_failure_of_a_vbucket_that_stays() {
    let mut bucket = Bucket::new();
    bucket.want(&[("alpha", "1")]);
    set_up(&mut bucket, &[(1, VbOutcome::Failed(refused()))]);
    let ticket = follow(&mut bucket, &[("alpha", "1-2")], 1);
    let (id, of, command) = bucket.run().expect("a set-up");
    assert_eq!(command, Command::set_up(vbs(&[2])), "the backoff of 1 goes on");
    bucket.settle(id, of, &[(2, VbOutcome::Opened)]);
    assert_eq!(bucket.answer(ticket), Some(Ok(Done::Changed { open: 1 })));
}

#[test]
fn what_was_taken_over_stays_out_of_the_sources_until_a_command_names_it() {
    let mut bucket = taken_over();
    let ticket = follow(&mut bucket, &[("alpha", "1")], 1);
    assert_eq!(bucket.answer(ticket), Some(Ok(Done::Changed { open: 0 })));
    assert_eq!(bucket.connect(), None);
    let (vb, from) = (VbId(1), Some("alpha".to_owned()));
    bucket.ask(BucketCommand::Change(Change::One { vb, from }));
    let (_, wanted) = set_up(&mut bucket, &[(1, VbOutcome::Opened)]);
    assert_eq!(wanted, vbs(&[1]));
    let ticket = follow(&mut bucket, &[("alpha", "1")], 1);
    assert_eq!(bucket.answer(ticket), Some(Ok(Done::Changed { open: 1 })), "it is named now");
}

#[test]
fn what_was_taken_over_and_is_active_elsewhere_again_comes_back_with_the_sources() {
    let mut bucket = taken_over_in(Bucket::polled());
    bucket.consumer_polled(PollAnswer::Misfits(Some(vec![(VbId(1), VbState::Active)])));
    follow(&mut bucket, &[("alpha", "1-2")], 1);
    let (_, wanted) = set_up(&mut bucket, &[(2, VbOutcome::Opened)]);
    assert_eq!(wanted, vbs(&[2]), "it is active here");
    bucket.consumer_polled(PollAnswer::Misfits(Some(Vec::new())));
    follow(&mut bucket, &[("alpha", "1-2")], 1);
    let (_, _, command) = bucket.run().expect("a set-up");
    assert_eq!(command, Command::set_up(vbs(&[1, 2])));
}

#[test]
fn the_consumer_is_polled_while_nothing_is_desired_and_until_a_stop() {
    let polls = |bucket: &mut Bucket| {
        let polls = bucket.take(|effect| match effect {
            BucketEffect::Poll(desired) => Some(desired.clone()),
            _ => None,
        });
        let nodes = bucket.machine.nodes(bucket.now).map(|view| (view.side, view.node.to_owned()));
        (polls, nodes.collect::<Vec<_>>())
    };
    let mut bucket = Bucket::polled();
    bucket.want(&[]);
    let consumer = vec![(Side::Consumer, "beta".to_owned())];
    assert_eq!(polls(&mut bucket), (Some(Some(Desired::default())), consumer));
    bucket.consumer_polled(PollAnswer::Misfits(Some(vec![(VbId(1), VbState::Active)])));
    assert_eq!(bucket.machine.active_here(bucket.now), Some("1".parse().unwrap()));
    bucket.consumer_polled(PollAnswer::Misfits(Some(Vec::new())));
    assert_eq!(bucket.machine.active_here(bucket.now), Some(VbSet::default()), "a replica again");

    bucket.ask(STOP);
    assert_eq!(polls(&mut bucket), (Some(None), Vec::new()));
    producers(&mut bucket, &["alpha"], &["alpha"]);
    assert_eq!(polls(&mut bucket), (Some(None), Vec::new()), "not begun again");
    assert_eq!((bucket.machine.active_here(bucket.now), bucket.machine.wake_at()), (None, None));

    let mut bucket = Bucket::new();
    bucket.want(&[]);
    assert_eq!(polls(&mut bucket).1, [], "polling is off");
}

#[test]
fn a_link_is_closed_and_opened_again_and_its_streams_come_back() {
    let (mut bucket, id) = Bucket::open();
    let ticket = restart_links(&mut bucket, "alpha", Some(0));
    assert_eq!(shut(&mut bucket, &[(1, VbOutcome::Closed)]), id);
    assert_eq!(bucket.answer(ticket), None);
    let (again, _) = set_up(&mut bucket, &[(1, VbOutcome::Opened)]);
    assert_eq!((again.index, again.incarnation), (id.index, id.incarnation + 1));
    assert_eq!(bucket.answer(ticket), Some(Ok(Done::Changed { open: 1 })));
}

#[test]
fn a_restart_ends_the_backoff_of_a_link_and_its_pause_for_a_rival() {
    let (mut bucket, id) = Bucket::open();
    let hung_up = LinkDown { hung_up: true, ..lost() };
    bucket.report(id, LinkReport::Down(hung_up));
    let ticket = restart_links(&mut bucket, "alpha", None);
    let opens = |effect: &BucketEffect| match effect {
        BucketEffect::Connect(id, _) => Some(*id),
        _ => None,
    };
    let again = bucket.take(opens).expect("at once, and whoever else has the name");
    bucket.report(again, LinkReport::Down(lost()));
    assert_eq!(bucket.failure(ticket).reason(), ReasonCode::LinkLost);
}

#[test]
fn a_link_that_is_being_opened_is_opened_anew() {
    let mut bucket = Bucket::new();
    bucket.want(&[("alpha", "1")]);
    let (first, ..) = bucket.connect().unwrap();
    bucket.wake_after(Duration::from_secs(90));
    let ticket = restart_links(&mut bucket, "alpha", None);
    let abandoned = |e: &BucketEffect| matches!(e, BucketEffect::Abandon(id) if *id == first);
    assert!(bucket.effects.iter().any(abandoned));
    set_up(&mut bucket, &[(1, VbOutcome::Opened)]);
    assert_eq!(bucket.answer(ticket), Some(Ok(Done::Changed { open: 1 })));
}

#[test]
fn a_stream_is_closed_and_added_again_and_no_other_is_touched() {
    let mut bucket = Bucket::new();
    bucket.want(&[("alpha", "1-3")]);
    let failed =
        [(1, VbOutcome::Opened), (2, VbOutcome::Opened), (3, VbOutcome::Failed(refused()))];
    set_up(&mut bucket, &failed);
    let ticket = restart_streams(&mut bucket, "1,3");
    let (id, of, command) = bucket.run().expect("a set-up");
    let Command::SetupStreams { wanted, reopen, .. } = command else { panic!("{command:?}") };
    assert_eq!((wanted, reopen), (vbs(&[1, 2, 3]), vbs(&[1])), "3 is tried again at once");
    let opened = [1, 3].map(|vb| (vb, VbOutcome::Opened));
    bucket.settle(id, of, &opened);
    assert_eq!(bucket.answer(ticket), Some(Ok(Done::Changed { open: 3 })));
}

#[test]
fn a_restart_of_what_does_not_exist_is_an_error_that_names_it() {
    let (mut bucket, _) = Bucket::open();
    let ticket = restart_links(&mut bucket, "gamma", None);
    let text = bucket.nothing_to_restart(ticket);
    assert!(text.starts_with("bucket default has no link to gamma: "), "{text}");
    let ticket = restart_links(&mut bucket, "alpha", Some(7));
    let text = bucket.nothing_to_restart(ticket);
    assert!(text.starts_with("bucket default has no connection 7 to alpha: "), "{text}");
    let ticket = restart_streams(&mut bucket, "1,5-7");
    let text = bucket.nothing_to_restart(ticket);
    assert!(text.starts_with("bucket default does not replicate vBucket 5-7: "), "{text}");
    let ticket = restart_links(&mut bucket, "delta", None);
    let unknown = CommandError::NoProducer { producer: "delta".to_owned() };
    assert_eq!(bucket.answer(ticket), Some(Err(unknown)));
    assert_eq!(bucket.run(), None, "nothing was touched");
}

#[test]
fn what_a_frozen_consumer_does_not_close_is_named_with_its_side() {
    let (mut bucket, _) = Bucket::open();
    let ticket = bucket.want(&[]);
    let reason = Reason::Deadline(LinkStep::Shut);
    let error = VbError { vb: VbId(1), side: Side::Consumer, reason };
    shut(&mut bucket, &[(1, VbOutcome::Failed(error))]);
    let failure = bucket.failure(ticket);
    assert_eq!((failure.side(), failure.reason()), (Some(Side::Consumer), ReasonCode::Deadline));
    let text = "vb:1: consumer did not finish shut in time; the connections of its link were \
                closed all the same, and its stream ends with them once the node notices";
    assert_eq!(failure.to_string(), text);
}

#[test]
fn a_stream_that_is_not_closed_at_the_deadline_of_the_command_is_named() {
    let mut bucket = Bucket::new();
    bucket.want(&[("alpha", "1-2")]);
    set_up(&mut bucket, &[1, 2].map(|vb| (vb, VbOutcome::Opened)));
    let ticket = bucket.want(&[("alpha", "1")]);
    let behind = follow(&mut bucket, &[("alpha", "1-2")], 1);
    bucket.run().expect("a set-up that nobody answers");
    bucket.wake_after(Duration::from_secs(90));
    let failure = bucket.failure(ticket);
    assert_eq!(failure.to_string(), "vb:2: consumer did not finish close-stream in time");
    assert_eq!(bucket.answer(behind), Some(Err(CommandError::Busy { waiting: 2 })));
}

#[test]
fn a_refused_close_on_a_link_that_stays_is_named() {
    let mut bucket = Bucket::new();
    bucket.want(&[("alpha", "1-2")]);
    set_up(&mut bucket, &[1, 2].map(|vb| (vb, VbOutcome::Opened)));
    let ticket = bucket.want(&[("alpha", "1")]);
    let (id, of, _) = bucket.run().unwrap();
    let reason = Reason::Refused { step: LinkStep::CloseStream, status: Status::EINVAL };
    let error = VbError { vb: VbId(2), side: Side::Producer, reason };
    let closed = [(1, VbOutcome::AlreadyOpen), (2, VbOutcome::Failed(error))];
    bucket.settle(id, of, &closed);
    let text = bucket.failure(ticket).to_string();
    assert!(
        text.ends_with("; its stream may still be open there, restart the link to be sure"),
        "{text}"
    );
}

#[test]
fn a_producer_with_another_address_gets_new_links_and_no_other_is_touched() {
    let mut bucket = Bucket::new();
    bucket.want(&[("alpha", "1"), ("gamma", "2")]);
    let (alpha, _) = set_up(&mut bucket, &[(1, VbOutcome::Opened)]);
    set_up(&mut bucket, &[(2, VbOutcome::Opened)]);
    producers(&mut bucket, &["alpha", "gamma"], &["alpha"]);
    assert_eq!(shut(&mut bucket, &[(1, VbOutcome::Closed)]), alpha);
    let (id, of, _) = bucket.set_up();
    assert_eq!(id.index, alpha.index);
    bucket.settle(id, of, &[(1, VbOutcome::Opened)]);
    assert_eq!(bucket.run(), None);
}

#[test]
fn a_move_ends_before_the_link_to_its_changed_producer_is_opened_anew() {
    let (mut bucket, _) = Bucket::open();
    bucket.want(&[("alpha", "1-2")]);
    let (id, of, _) = bucket.run().unwrap();
    bucket.settle(id, of, &[(1, VbOutcome::AlreadyOpen), (2, VbOutcome::Opened)]);
    let ticket = bucket.move_here(1, MoveKind::Takeover);
    let (id, of, command) = bucket.run().unwrap();
    assert_eq!(command, Command::Takeover { vb: VbId(1) });
    producers(&mut bucket, &["alpha", "gamma"], &["alpha"]);
    assert_eq!(bucket.run(), None, "the takeover runs");
    bucket.settle(id, of, &[(1, VbOutcome::TakenOver)]);
    assert!(matches!(bucket.answer(ticket), Some(Ok(Done::Moved { .. }))));
    assert_eq!(shut(&mut bucket, &[(2, VbOutcome::Closed)]), id);
    bucket.set_up();
}

#[test]
fn a_removed_producer_is_unknown_to_new_and_queued_commands_and_the_running_move_ends() {
    let mut bucket = Bucket::new();
    let running = bucket.move_here(1, MoveKind::Takeover);
    let (id, ..) = bucket.connect().unwrap();
    bucket.report(id, LinkReport::Up);
    let (id, of, _) = bucket.run().unwrap();
    let queued = bucket.move_here(2, MoveKind::Takeover);
    let left = follow(&mut bucket, &[("gamma", "3")], 1);
    producers(&mut bucket, &["gamma"], &[]);
    let unknown = || Some(Err(CommandError::NoProducer { producer: "alpha".to_owned() }));
    let new = bucket.want(&[("alpha", "1")]);
    assert_eq!(bucket.answer(new), unknown());
    assert!(bucket.machine.needs_producer("alpha"), "the move needs its address");
    bucket.settle(id, of, &[(1, VbOutcome::TakenOver)]);
    assert!(matches!(bucket.answer(running), Some(Ok(Done::Moved { .. }))));
    assert_eq!(bucket.answer(queued), unknown());
    shut(&mut bucket, &[]);
    assert!(!bucket.machine.needs_producer("alpha"));
    let (gamma, _) = set_up(&mut bucket, &[(3, VbOutcome::Opened)]);
    assert_eq!(bucket.answer(left), Some(Ok(Done::Changed { open: 1 })));
    let links: Vec<_> = bucket.machine.links().map(|link| link.key.producer.clone()).collect();
    assert_eq!(links, ["gamma"], "no trace of alpha");
    assert_ne!(gamma, id);
}

#[test]
fn the_place_of_a_removed_producer_is_used_again_and_its_old_reports_do_not_count() {
    let (mut bucket, old) = Bucket::open();
    bucket.want(&[]);
    shut(&mut bucket, &[(1, VbOutcome::Closed)]);
    producers(&mut bucket, &["gamma"], &[]);
    bucket.want(&[("gamma", "1")]);
    let (new, ..) = bucket.connect().unwrap();
    assert_eq!((new.index, new.incarnation), (old.index, old.incarnation + 1));
    bucket.report(old, LinkReport::Up);
    bucket.settle(old, Ticket(0), &[(1, VbOutcome::Opened)]);
    assert_eq!(bucket.phase(1), StreamPhase::Due);
}

#[test]
fn an_active_vbucket_is_answered_at_once_and_asked_for_once_it_is_a_replica() {
    let mut bucket = Bucket::polled();
    let ticket = bucket.want(&[("alpha", "1-2")]);
    let (id, ..) = bucket.connect().unwrap();
    bucket.report(id, LinkReport::Up);
    assert_eq!(bucket.run(), None, "the first set-up waits for the states");
    let due = bucket.machine.wake_at().expect("not for ever");
    assert!(due <= Duration::from_secs(1), "{due:?}");
    bucket.consumer_polled(PollAnswer::Misfits(Some(vec![(VbId(1), VbState::Active)])));
    let (id, of, command) = bucket.run().unwrap();
    assert_eq!(command, Command::set_up(vbs(&[2])));
    bucket.settle(id, of, &[(2, VbOutcome::Opened)]);
    assert_eq!(bucket.failure(ticket).reason(), ReasonCode::ActiveHere);
    assert_eq!(bucket.machine.active_here(bucket.now), Some("1".parse().unwrap()));

    let seqnos = [1, 2].map(|vb| (VbId(vb), Seqno(9))).to_vec();
    bucket.consumer_polled(PollAnswer::Seqnos(Ok(seqnos)));
    let (_, _, command) = bucket.run().expect("by itself");
    assert_eq!(command, Command::set_up(vbs(&[1, 2])));
}

#[test]
fn a_poll_that_fails_or_does_not_say_states_delays_nothing() {
    let error = PollError { text: "gone".to_owned(), is_sign: false };
    for answer in [PollAnswer::Misfits(None), PollAnswer::Seqnos(Err(error))] {
        let mut bucket = Bucket::polled();
        bucket.want(&[("alpha", "1")]);
        let (id, ..) = bucket.connect().unwrap();
        bucket.report(id, LinkReport::Up);
        bucket.consumer_polled(answer);
        assert!(bucket.run().is_some());
        assert_eq!(bucket.machine.active_here(bucket.now), None, "unknown");
    }
}

#[test]
fn states_that_are_old_hold_nothing_back() {
    let mut bucket = Bucket::polled();
    bucket.want(&[("alpha", "1")]);
    bucket.consumer_polled(PollAnswer::Misfits(Some(vec![(VbId(1), VbState::Active)])));
    assert_eq!(bucket.phase(1), StreamPhase::HeldBack);
    bucket.effects.clear();
    bucket.wake_after(Duration::from_secs(13));
    assert_eq!(bucket.machine.active_here(bucket.now), None);
    assert!(bucket.connect().is_some(), "the node refuses it if it is still active");
}

#[test]
fn a_move_of_what_an_old_poll_calls_active_begins_once_the_nodes_were_asked() {
    let mut bucket = Bucket::polled();
    bucket.want(&[("alpha", "2")]);
    bucket.consumer_polled(PollAnswer::Misfits(Some(vec![(VbId(1), VbState::Active)])));
    let (id, of, _) = bucket.set_up();
    bucket.settle(id, of, &[(2, VbOutcome::Opened)]);
    let ticket = bucket.move_here(1, MoveKind::Takeover);
    assert_eq!(bucket.run(), None, "not asked for");
    let (task, examine) = bucket.examine().expect("both nodes are asked");
    let [alpha, beta] = [VbState::Active, VbState::Replica]
        .map(|state| CopyReport::Present(CopyInfo { state, branch: VbUuid(7), high: Seqno(9) }));
    let finding = examine.not_moved(&CopyReports { producer: alpha, consumer: beta }, None);
    bucket.on(BucketEvent::Examined(task, finding));
    let (id, of, command) = bucket.run().expect("the takeover");
    assert_eq!(command, Command::Takeover { vb: VbId(1) });
    bucket.settle(id, of, &[(1, VbOutcome::TakenOver)]);
    assert!(matches!(bucket.answer(ticket), Some(Ok(Done::Moved { .. }))));
    assert_eq!(bucket.machine.active_here(bucket.now), Some("1".parse().unwrap()), "noted");
}

#[test]
fn every_kind_of_failure_names_vbucket_and_remedy() {
    let cause = Cause::ActiveHere { node: "beta".to_owned() };
    let text = "vb:7: active at beta, so it is not asked for; if another node is to serve it, set \
                it replica at beta with SET_VBUCKET, and its stream opens by itself; else take it \
                out of what is replicated";
    assert_eq!(cause.detail(Some(VbId(7))), text);
    assert_eq!(Outcome::Busy.errors().count(), 0);
}
