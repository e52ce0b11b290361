//! vBuckets that move from one connection of a consumer to another.

use std::sync::atomic::Ordering;

use mcbp::{FrameBuilder, Opaque, Opcode, Status, VbId, VbState};

use crate::client::wait_for;
use crate::link::wait_until_same;
use crate::node::TestNode;
use crate::relay::Relay;
use crate::scripted::Scripted;

/// A node whose first connection has sent three rows of vBucket 0 that are being committed.
fn committing(node: &TestNode) -> (Scripted, Opaque) {
    let mut first = Scripted::open(node, "first");
    let (stream, _) = first.stream(0);
    let commits = node.faults.commits.load(Ordering::Relaxed);
    node.faults.commits_wait.store(true, Ordering::Relaxed);
    first.marker(0, stream, 0, 3);
    first.rows(0, stream, 1..=3);
    wait_for("the commit", || node.faults.commits.load(Ordering::Relaxed) > commits);
    first.nothing_is_answered(); // All three rows have been read.
    (first, stream)
}

#[test]
fn a_vbucket_that_drains_on_one_connection_is_held_on_another_until_it_is_free() {
    let node = TestNode::start(VbState::Replica);
    let (mut first, stream) = committing(&node);
    let mut second = Scripted::open(&node, "second");
    second.add(0);
    let streamed = second.refusal();
    assert_eq!(
        (streamed.opcode(), streamed.status()),
        (Opcode::DCP_ADD_STREAM, Status::KEY_EEXISTS)
    );
    first.end(0, stream);
    first.nothing_is_answered();
    second.add(0);
    second.nothing_is_answered();
    assert_eq!(node.high_seqno(0), 0, "nothing is committed");
    node.faults.commits_wait.store(false, Ordering::Relaxed);
    let (stream, start) = second.request();
    assert_eq!(start, 3);
    second.accept(0, stream);
}

#[test]
fn a_vbucket_of_a_connection_that_is_gone_is_held_until_its_rows_are_written() {
    let node = TestNode::start(VbState::Replica);
    let (first, _) = committing(&node);
    drop(first);
    let mut second = Scripted::open(&node, "second");
    // Until the node has noticed the end of the first connection it is streamed there.
    wait_for("the end of the first connection", || {
        second.add(0);
        let close = FrameBuilder::request(Opcode::DCP_CLOSE_STREAM).vbucket(VbId(99));
        second.0.send(&close.opaque(Opaque(0xc105)).build());
        let answer = second.refusal();
        if answer.opcode() == Opcode::DCP_CLOSE_STREAM {
            return true;
        }
        assert_eq!(answer.status(), Status::KEY_EEXISTS);
        second.refusal();
        false
    });
    node.faults.commits_wait.store(false, Ordering::Relaxed);
    assert_eq!(second.request().1, 3);
}

#[test]
fn a_close_answers_an_add_stream_that_is_held() {
    let node = TestNode::start(VbState::Replica);
    let (mut first, stream) = committing(&node);
    first.end(0, stream);
    first.nothing_is_answered();
    let mut second = Scripted::open(&node, "second");
    second.add(0);
    let close = FrameBuilder::request(Opcode::DCP_CLOSE_STREAM).vbucket(VbId(0));
    second.0.send(&close.opaque(Opaque(0xc105)).build());
    let added = second.refusal();
    assert_eq!((added.opcode(), added.status()), (Opcode::DCP_ADD_STREAM, Status::KEY_ENOENT));
    assert_eq!(second.refusal().status(), Status::SUCCESS);
    // A connection that ends while it waits leaves no waiter either.
    let mut third = Scripted::open(&node, "third");
    third.add(0);
    third.nothing_is_answered();
    drop(third);
    node.faults.commits_wait.store(false, Ordering::Relaxed);
    wait_for("the commit", || node.high_seqno(0) == 3);
    assert_eq!(Scripted::open(&node, "fourth").stream(0).1, 3);
}

#[test]
fn vbuckets_that_change_their_connection_under_load_are_never_refused() {
    let (producer, consumer) =
        (TestNode::start(VbState::Active), TestNode::start(VbState::Replica));
    let relays = ["0", "1"].map(|name| Relay::between(&producer, &consumer, name));
    let mut writer = producer.client();
    (0..4).for_each(|vb| assert_eq!(relays[0].add_and_wait(vb, 0), Status::SUCCESS));
    for round in 0..20_usize {
        let (from, to) = (&relays[round % 2], &relays[(round + 1) % 2]);
        for vb in 0..4 {
            (0..20).for_each(|n| writer.set(vb, &format!("key-{round}-{n}"), b"x"));
            assert_eq!(from.close_on_consumer(vb), Status::SUCCESS);
            assert_eq!(from.close_on_producer(vb), Status::SUCCESS);
            assert_eq!(to.add_and_wait(vb, 0), Status::SUCCESS, "round {round} vb:{vb}");
        }
    }
    (0..4).for_each(|vb| wait_until_same(&producer, &consumer, vb));
}
