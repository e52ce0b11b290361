//! vBuckets that another connection has: streamed there they are refused, draining there they are
//! waited for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "support/consumer_bench.rs"]
mod consumer_bench;

use consumer_bench::Bench;
use mcbp::{Frame, Opcode, Seqno, Status, StreamEndStatus, VbId, VbState};
use vbucket::consumer::{Effect, Event};

/// A consumer with its negotiation done, and vBucket 0 on another connection.
fn bench(draining: bool) -> Bench {
    let mut bench = Bench::new();
    (0..2).for_each(|vb| bench.node.put(vb, 0, &[(1, 0)]));
    bench.open(1);
    bench.elsewhere(0, 0);
    if draining {
        bench.elsewhere(0, 1);
    }
    bench
}

#[test]
fn a_vbucket_that_another_connection_streams_is_refused_at_once() {
    let mut bench = bench(false);
    bench.add(0, 5, 0);
    assert_eq!(bench.answers(), [(5, Status::KEY_EEXISTS)]);
    bench.elsewhere(0, 2);
    bench.add(0, 6, 0);
    bench.request();
}

#[test]
fn a_vbucket_that_drains_elsewhere_is_asked_for_from_where_it_stands_once_it_is_free() {
    let mut bench = bench(true);
    bench.add(0, 5, 0);
    assert!(bench.answers().is_empty() && bench.take(Opcode::DCP_STREAM_REQ).is_empty());
    bench.node.with(0, |facts| facts.high_seqno = Seqno(4));
    bench.node.with(0, |facts| (facts.snapshot_start, facts.snapshot_end) = (Seqno(4), Seqno(4)));
    bench.elsewhere(0, 2);
    let (opaque, fields) = bench.request();
    assert_eq!(fields[0], 4);
    bench.accept(opaque);
    bench.run_effects();
    assert_eq!(bench.answers(), [(5, Status::SUCCESS)]);
}

#[test]
fn a_connection_that_was_faster_leaves_the_answer_of_a_streamed_vbucket() {
    let mut bench = bench(true);
    bench.add(0, 5, 0);
    bench.node.elsewhere.borrow_mut().insert(VbId(0), false);
    bench.on(Event::Freed(VbId(0)));
    bench.settle();
    assert_eq!(bench.answers(), [(5, Status::KEY_EEXISTS)]);
}

#[test]
fn a_second_wait_may_follow_the_first() {
    let mut bench = bench(true);
    bench.add(0, 5, 0);
    // Freed, taken and draining again before this connection looked.
    bench.on(Event::Freed(VbId(0)));
    bench.settle();
    assert!(bench.answers().is_empty());
    bench.elsewhere(0, 2);
    bench.request();
}

#[test]
fn one_add_stream_waits_for_a_vbucket() {
    let mut bench = bench(true);
    bench.add(0, 5, 0);
    bench.add(0, 6, 0);
    assert_eq!(bench.answers(), [(6, Status::KEY_EEXISTS)]);
    bench.elsewhere(0, 2);
    bench.request();
}

#[test]
fn a_close_answers_the_add_stream_that_waits() {
    let mut bench = bench(true);
    bench.add(0, 5, 0);
    bench.close(0, 9);
    assert_eq!(bench.answers(), [(5, Status::KEY_ENOENT)]);
    assert_eq!(bench.refusals(Opcode::DCP_CLOSE_STREAM), [Status::SUCCESS]);
    bench.elsewhere(0, 2);
    assert!(bench.take(Opcode::DCP_STREAM_REQ).is_empty(), "nobody waits");
    assert!(!bench.node.claimed.borrow().contains(&VbId(0)));
}

#[test]
fn the_end_of_the_connection_answers_the_add_stream_that_waits() {
    let mut bench = bench(true);
    bench.add(0, 5, 0);
    bench.on(Event::Close("the end".to_owned()));
    bench.settle();
    assert_eq!(bench.answers(), [(5, Status::ETMPFAIL)]);
}

#[test]
fn a_vbucket_that_became_active_while_it_was_waited_for_is_refused() {
    let mut bench = bench(true);
    bench.add(0, 5, 0);
    bench.node.with(0, |facts| facts.state = VbState::Active);
    bench.elsewhere(0, 2);
    assert_eq!(bench.answers(), [(5, Status::NOT_MY_VBUCKET)]);
    assert!(!bench.node.claimed.borrow().contains(&VbId(0)));
}

#[test]
fn others_learn_that_a_stream_drains_before_what_it_received_is_written() {
    let mut bench = bench(false);
    bench.elsewhere(0, 2);
    let opaque = bench.open(0);
    bench.marker(0, opaque, 0, 9);
    bench.mutation(0, opaque, 1);
    assert!(bench.node.draining.borrow().is_empty());
    bench.end(0, opaque, StreamEndStatus::STATE_CHANGED);
    assert!(bench.node.draining.borrow().contains(&VbId(0)));
    assert!(matches!(bench.effects[..], [Effect::Apply(..)]), "not written yet");
    bench.run_effects();
    assert!(!bench.node.claimed.borrow().contains(&VbId(0)));
}

#[test]
fn others_learn_that_a_closed_stream_is_still_being_rolled_back() {
    let mut bench = bench(false);
    bench.elsewhere(0, 2);
    bench.node.put(0, 5, &[(1, 0)]);
    bench.add(0, 5, 0);
    let (opaque, _) = bench.request();
    bench.answer_request(opaque, Status::ROLLBACK, &0_u64.to_be_bytes());
    bench.close(0, 9);
    assert!(bench.node.draining.borrow().contains(&VbId(0)));
    bench.run_effects();
    let closed = bench.take(Opcode::DCP_CLOSE_STREAM);
    assert_eq!(Frame::parse(&closed[0]).unwrap().header.status(), Status::SUCCESS);
    assert!(!bench.node.claimed.borrow().contains(&VbId(0)));
}
