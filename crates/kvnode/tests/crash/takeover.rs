//! A crash of either node at each step of a takeover: never two active copies, and whichever is
//! active or can be made so holds every acknowledged change.

use mcbp::dcp::stream_flags;
use mcbp::{FrameBuilder, Opcode, Status, VbId, VbState};

use crate::contents::{self, Change};
use crate::folder::folder;
use crate::node::{ACTIVE, REPLICA, TestNode, copy};
use crate::relay::Relay;

const DOCUMENTS: u32 = 40;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Producer,
    Consumer,
}

#[test]
fn a_takeover_that_a_crash_interrupts_loses_nothing_and_makes_no_second_active() {
    let templates = [folder(), folder()];
    let producer = TestNode::start(templates[0].path(), ACTIVE);
    let mut client = producer.client();
    (0..DOCUMENTS).for_each(|n| client.set(0, &format!("key-{n}"), b"x"));
    (0..DOCUMENTS).step_by(10).for_each(|n| client.delete(0, &format!("key-{n}")));
    drop(client);
    let producer = TestNode::start(&producer.stop(), ACTIVE);
    let written = contents::changes(&producer, 0);
    assert_eq!(written.len(), DOCUMENTS as usize, "from disk, each key once");
    producer.stop();
    TestNode::start(templates[1].path(), REPLICA).stop();

    // The producer's one change is to dead. The consumer takes over the history, then becomes
    // pending, then active.
    for (side, point) in [
        (Side::Producer, "change-begun=1"),
        (Side::Producer, "flush-stored=1"),
        (Side::Producer, "change-committed=1"),
        (Side::Consumer, "change-begun=1"),
        (Side::Consumer, "change-committed=1"),
        (Side::Consumer, "change-begun=2"),
        (Side::Consumer, "change-committed=2"),
        (Side::Consumer, "change-begun=3"),
        (Side::Consumer, "change-committed=3"),
    ] {
        let folders = [folder(), folder()];
        let failing = |this| if side == this { point } else { "" };
        let start = |at: usize, settings| {
            copy(templates[at].path(), folders[at].path());
            TestNode::start(folders[at].path(), settings)
        };
        let producer = start(0, ACTIVE.failing_at(failing(Side::Producer)));
        let consumer = start(1, REPLICA.failing_at(failing(Side::Consumer)));
        let relay = Relay::between(&producer, &consumer, "takeover");
        relay.add(0, stream_flags::TAKEOVER);
        let (producer, consumer) = match side {
            Side::Producer => (TestNode::start(&producer.aborted(), ACTIVE), consumer),
            Side::Consumer => (producer, TestNode::start(&consumer.aborted(), REPLICA)),
        };
        drop(relay);
        settle(&producer, &consumer, &written)
            .unwrap_or_else(|flaw| panic!("{side:?} {point}: {flaw}"));
    }
}

/// Brings the vBucket back as a control plane does, and compares every document and deletion.
fn settle(producer: &TestNode, consumer: &TestNode, written: &[Change]) -> Result<(), String> {
    let state = |node: &TestNode| contents::state(&mut node.plain_client(), 0);
    let states = (state(producer), state(consumer));
    let active = match states {
        (VbState::Active, VbState::Active) => return Err("two active copies".to_owned()),
        (VbState::Active, _) => producer,
        (_, VbState::Active) => consumer,
        _ => {
            // The producer gives up only what the consumer has.
            consumer.plain_client().set_state(0, VbState::Active);
            consumer
        }
    };
    let held = contents::changes(active, 0);
    if held != written {
        return Err(format!("{held:?} is held of {written:?}, states were {states:?}"));
    }
    let mut client = active.plain_client();
    let set = FrameBuilder::request(Opcode::SET).vbucket(VbId(0)).extras(&[0; 8]).key(b"after");
    match client.try_ask(set).status() {
        Status::SUCCESS => Ok(()),
        status => Err(format!("a write is answered {status}, states were {states:?}")),
    }
}
