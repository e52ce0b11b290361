//! Moving a vBucket from one node to the other.

use mcbp::dcp::stream_flags;
use mcbp::{FrameBuilder, Opcode, Status, VbId, VbState};

use crate::client::wait_for;
use crate::link::wait_until_same;
use crate::node::TestNode;
use crate::relay::Relay;

#[test]
fn the_vbucket_ends_dead_here_and_active_there() {
    let producer = TestNode::start(VbState::Active);
    let consumer = TestNode::start(VbState::Replica);
    let mut writer = producer.client();
    (0..20).for_each(|n| writer.set(0, &format!("key-{n}"), b"x"));
    let relay = Relay::between(&producer, &consumer, "takeover");
    assert_eq!(relay.add_and_wait(0, stream_flags::TAKEOVER), Status::SUCCESS);
    assert_eq!(relay.wait_for(Opcode::DCP_SNAPSHOT_MARKER).marker().flags, 0x0d);
    assert_eq!(relay.wait_for(Opcode::DCP_SET_VBUCKET_STATE).frame().extras, [3]);
    assert_eq!(relay.wait_for(Opcode::DCP_SET_VBUCKET_STATE).frame().extras, [1]);
    assert_eq!(relay.wait_for(Opcode::DCP_STREAM_END).end(), 0);
    assert_eq!((producer.state(0), consumer.state(0)), (VbState::Dead, VbState::Active));
    assert_eq!(consumer.rows(0), producer.rows(0));
    let (there, here) = (consumer.view(0).failover, producer.view(0).failover);
    assert_eq!(there.entries()[1..], *here.entries(), "a new branch on top of the old ones");
    assert_eq!(there.entries()[0].seqno.0, 20);
    consumer.client().set(0, "after", b"x");
}

#[test]
fn a_takeover_from_disk_under_writes_loses_nothing() {
    let mut producer = TestNode::start(VbState::Active);
    let consumer = TestNode::start(VbState::Replica);
    let mut writer = producer.client();
    (0..500).for_each(|n| writer.set(0, &format!("key-{n}"), &[b'x'; 300]));
    drop(writer);
    producer.restart();
    let mut writer = producer.client();
    let writing = std::thread::spawn(move || {
        let extras = [0; 8];
        for n in 0.. {
            let key = format!("\0live-{n}");
            let set = FrameBuilder::request(Opcode::SET).vbucket(VbId(0)).extras(&extras);
            let answer = writer.try_ask(set.key(key.as_bytes()).value(b"x"));
            if answer.status() != Status::SUCCESS {
                return (n, answer.status());
            }
        }
        unreachable!()
    });
    let relay = Relay::between(&producer, &consumer, "busy takeover");
    assert_eq!(relay.add_and_wait(0, stream_flags::TAKEOVER), Status::SUCCESS);
    assert_eq!(relay.wait_for(Opcode::DCP_STREAM_END).end(), 0);
    let (acknowledged, refusal) = writing.join().unwrap();
    assert_eq!(refusal, Status::NOT_MY_VBUCKET);
    assert_eq!((producer.state(0), consumer.state(0)), (VbState::Dead, VbState::Active));
    assert_eq!(consumer.high_seqno(0), 500 + acknowledged);
    assert_eq!(consumer.rows(0), producer.rows(0), "every acknowledged write is there");
}

#[test]
fn a_takeover_whose_consumer_goes_leaves_the_vbucket_active_here() {
    let producer = TestNode::start(VbState::Active);
    let mut dcp = producer.client().produce("alone");
    let takeover =
        mcbp::dcp::StreamReq { flags: stream_flags::TAKEOVER, ..crate::client::from_zero() };
    assert_eq!(dcp.request(0, 1, takeover).status(), Status::SUCCESS);
    let pending = dcp.next();
    assert_eq!(pending.opcode(), Opcode::DCP_SET_VBUCKET_STATE);
    drop(dcp);
    let gone = || producer.client().stat("dcp", "ep_dcp_count") == "0";
    wait_for("the end of the connection", gone);
    assert_eq!(producer.state(0), VbState::Active);
}

#[test]
fn a_refused_state_ends_the_takeover_and_nothing_is_active_twice() {
    let producer = TestNode::start(VbState::Active);
    let mut dcp = producer.client().produce("refusing");
    let flags = stream_flags::TAKEOVER;
    let takeover = mcbp::dcp::StreamReq { flags, ..crate::client::from_zero() };
    let answer = |status, opaque| {
        let answer = FrameBuilder::response(Opcode::DCP_SET_VBUCKET_STATE, status);
        answer.opaque(mcbp::Opaque(opaque)).build()
    };
    assert_eq!(dcp.request(0, 1, takeover).status(), Status::SUCCESS);
    dcp.next();
    dcp.send(&answer(Status::NOT_MY_VBUCKET, 1));
    assert_eq!(dcp.next().end(), 2);
    assert_eq!(producer.state(0), VbState::Active, "pending was refused");
    assert_eq!(dcp.request(0, 2, takeover).status(), Status::SUCCESS);
    dcp.next();
    dcp.send(&answer(Status::SUCCESS, 2));
    assert_eq!(dcp.next().frame().extras, [1]);
    dcp.send(&answer(Status::NOT_MY_VBUCKET, 2));
    assert_eq!(dcp.next().end(), 2);
    assert_eq!(producer.state(0), VbState::Dead, "active was refused");
}

#[test]
fn replication_goes_the_other_way_after_a_takeover() {
    let alpha = TestNode::start(VbState::Active);
    let beta = TestNode::start(VbState::Replica);
    (0..5).for_each(|n| alpha.client().set(0, &format!("key-{n}"), b"x"));
    let relay = Relay::between(&alpha, &beta, "there");
    assert_eq!(relay.add_and_wait(0, stream_flags::TAKEOVER), Status::SUCCESS);
    relay.wait_for(Opcode::DCP_STREAM_END);
    drop(relay);
    alpha.client().set_state(0, VbState::Replica);
    beta.client().set(0, "new", b"x");
    let back = Relay::between(&beta, &alpha, "back");
    assert_eq!(back.add_and_wait(0, 0), Status::SUCCESS);
    wait_until_same(&beta, &alpha, 0);
}
