//! Known bugs of data nodes, by their public numbers, that belong to no other file.

use std::sync::Arc;

use kvnode::bucket::VbError;
use mcbp::dcp::StreamReq;
use mcbp::{FrameBuilder, Opcode, Seqno, Status, VbId, VbState, VbUuid};

use crate::client::{Packet, from_zero, wait_for};
use crate::link::wait_until_same;
use crate::node::TestNode;
use crate::relay::Relay;

#[test]
fn mb_25820_every_stream_request_gets_one_answer() {
    let node = TestNode::start(VbState::Active);
    node.client().set(0, "key", b"x");
    let mut dcp = node.client().produce("answers");
    let foreign = StreamReq {
        start: Seqno(1),
        snapshot_start: Seqno(1),
        snapshot_end: Seqno(1),
        uuid: VbUuid(7),
        ..from_zero()
    };
    // Opened, there already, not here, another history.
    for (vb, opaque, request) in
        [(0, 1, from_zero()), (0, 2, from_zero()), (99, 3, from_zero()), (1, 4, foreign)]
    {
        let mut out = bytes::BytesMut::new();
        request.write(VbId(vb), mcbp::Opaque(opaque), &mut out);
        dcp.send(&out);
    }
    let log = FrameBuilder::request(Opcode::DCP_GET_FAILOVER_LOG).vbucket(VbId(0));
    dcp.send(&log.opaque(mcbp::Opaque(5)).build());
    let is_last = |packet: &Packet| packet.opcode() == Opcode::DCP_GET_FAILOVER_LOG;
    let before = std::iter::from_fn(|| Some(dcp.next()).filter(|packet| !is_last(packet)));
    let answers: Vec<_> = before
        .filter(|packet| !packet.is_request())
        .map(|packet| (packet.opaque(), packet.status()))
        .collect();
    assert_eq!(
        answers[..3],
        [(1, Status::SUCCESS), (2, Status::KEY_EEXISTS), (3, Status::NOT_MY_VBUCKET)]
    );
    assert_eq!(answers.len(), 4, "{answers:?}");
}

#[test]
fn mb_38356_a_refused_second_request_leaves_the_first_stream_alone() {
    let node = TestNode::start(VbState::Active);
    let mut dcp = node.client().produce("twice");
    dcp.stream(0, 1);
    assert_eq!(dcp.request(0, 2, from_zero()).status(), Status::KEY_EEXISTS);
    for seqno in 1..=3 {
        node.client().set(0, &format!("key-{seqno}"), b"x");
        let change = std::iter::from_fn(|| dcp.try_next()).find(Packet::is_change).unwrap();
        assert_eq!((change.seqno(), change.opaque()), (seqno, 1));
    }
}

#[test]
fn mb_25803_a_vbucket_may_go_and_come_back_while_streams_are_asked_for() {
    let node = TestNode::start(VbState::Active);
    let mut admin = node.client();
    let coming_and_going = std::thread::spawn(move || {
        for _ in 0..30 {
            admin.ask(FrameBuilder::request(Opcode::DEL_VBUCKET).vbucket(VbId(0)));
            admin.set_state(0, VbState::Active);
            admin.set(0, "key", b"x");
        }
    });
    let mut dcp = node.client().produce("persistent");
    let mut opaque = 0;
    while !coming_and_going.is_finished() {
        opaque += 1;
        let status = dcp.request(0, opaque, from_zero()).status();
        let known = [Status::SUCCESS, Status::KEY_EEXISTS, Status::NOT_MY_VBUCKET];
        assert!(known.contains(&status), "{status}");
    }
    coming_and_going.join().unwrap();
    // The connection still works, for the vBucket as it is now.
    let mut dcp = node.client().produce("persistent");
    dcp.stream(0, 1);
    assert_eq!(dcp.changes(1), [1]);
}

#[test]
fn mb_25258_a_vbucket_that_became_active_is_not_rolled_back() {
    let node = TestNode::start(VbState::Active);
    (0..5).for_each(|n| node.client().set(0, &format!("key-{n}"), b"x"));
    let vb = node.handle().buckets()[0].vb(VbId(0)).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let refused = runtime.block_on(vb.rollback(Seqno(2))).unwrap_err();
    let state = VbState::Active;
    assert!(matches!(refused, VbError::WrongState { state: s, .. } if s == state), "{refused}");
    assert_eq!((node.high_seqno(0), node.rows(0).len()), (5, 5));
}

#[test]
fn mb_26470_nothing_keeps_a_stopped_bucket_alive() {
    let (producer, consumer) =
        (TestNode::start(VbState::Active), TestNode::start(VbState::Replica));
    producer.client().set(0, "key", b"x");
    let relay = Relay::between(&producer, &consumer, "alive");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    wait_until_same(&producer, &consumer, 0);
    let buckets = [&producer, &consumer].map(|node| Arc::downgrade(&node.handle().buckets()[0]));
    drop((producer, consumer));
    wait_for("the end of the buckets", || buckets.iter().all(|bucket| bucket.upgrade().is_none()));
}

#[test]
fn mb_59759_no_snapshot_begins_before_what_was_asked_for() {
    let mut node = TestNode::start(VbState::Active);
    (0..20).for_each(|n| node.client().set(0, &format!("key-{n}"), b"x"));
    for from_disk in [false, true] {
        if from_disk {
            node.restart();
        }
        let mut dcp = node.client().produce("later");
        let start = Seqno(10);
        let uuid = node.view(0).uuid();
        let request =
            StreamReq { start, snapshot_start: start, snapshot_end: start, uuid, ..from_zero() };
        assert_eq!(dcp.request(0, 1, request).status(), Status::SUCCESS);
        assert!(dcp.next().marker().start >= start, "from disk: {from_disk}");
        assert_eq!(dcp.changes(10), (11..=20).collect::<Vec<_>>());
    }
}

#[test]
fn mb_62840_a_replica_that_is_rolled_back_ends_its_own_streams() {
    let (producer, consumer) =
        (TestNode::start(VbState::Active), TestNode::start(VbState::Replica));
    // Two histories with nothing in common.
    let mut other = consumer.client();
    other.set_state(0, VbState::Active);
    (0..9).for_each(|n| other.set(0, &format!("lost-{n}"), b"x"));
    other.set_state(0, VbState::Replica);
    (0..3).for_each(|n| producer.client().set(0, &format!("won-{n}"), b"x"));
    let mut downstream = consumer.client().produce("downstream");
    downstream.stream(0, 1);
    assert_eq!(downstream.changes(9).len(), 9);
    let relay = Relay::between(&producer, &consumer, "rolled back");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    let mut rest = std::iter::from_fn(|| downstream.try_next());
    let first = rest.find(|p| p.is_change() || p.opcode() == Opcode::DCP_STREAM_END).unwrap();
    assert_eq!(first.opcode(), Opcode::DCP_STREAM_END, "no change of another history");
    wait_until_same(&producer, &consumer, 0);
}
