//! A replica that crashes at each step of a rollback: afterwards it is a valid vBucket, and the
//! next stream makes it the same as its producer.

use std::io::Write as _;

use bytes::Bytes;
use mcbp::{FrameBuilder, Opcode, Status, VbId, VbState};

use crate::client::wait_for;
use crate::contents;
use crate::folder::folder;
use crate::node::{ACTIVE, REPLICA, TestNode, copy};
use crate::relay::Relay;

/// More than one step of the store's rollback undoes.
const LOST: u64 = 2_500;
/// Rolled back to where the histories part.
const PARTED: u16 = 0;
/// Rolled back to 0: its histories have nothing in common.
const FOREIGN: u16 = 1;

/// Writes without waiting for each answer.
fn write(node: &TestNode, vb: u16, prefix: &str, count: u64) {
    let mut client = node.plain_client();
    let frame = |n: u64| -> Bytes {
        let (key, value) = (format!("key-{}", n % 2_000), format!("{prefix} {n}"));
        let set = FrameBuilder::request(Opcode::SET).vbucket(VbId(vb)).extras(&[0; 8]);
        set.key(key.as_bytes()).value(value.as_bytes()).build()
    };
    for first in (0..count).step_by(100) {
        let frames: Vec<_> = (first..count.min(first + 100)).map(frame).collect();
        client.stream.write_all(&frames.concat()).unwrap();
        for _ in &frames {
            assert_eq!(client.next().status(), Status::SUCCESS);
        }
    }
}

fn stream(producer: &TestNode, consumer: &TestNode, vb: u16) -> Relay {
    let relay = Relay::between(producer, consumer, "rollback");
    relay.add(vb, 0);
    relay
}

#[track_caller]
fn wait_until_same(producer: &TestNode, consumer: &TestNode, vb: u16) {
    let high = contents::high_seqno(&mut producer.plain_client(), vb);
    let table = contents::contents(producer, vb);
    let mut client = consumer.plain_client();
    wait_for("the consumer catching up", || {
        contents::high_seqno(&mut client, vb) == high
            && contents::tables(&mut client)[usize::from(vb)] == table.table
    });
    assert_eq!(contents::contents(consumer, vb), table, "vb:{vb}");
}

#[test]
fn a_rollback_that_a_crash_interrupts_is_made_again() {
    let folders = [folder(), folder()];
    let producer = TestNode::start(folders[0].path(), ACTIVE);
    let consumer = TestNode::start(folders[1].path(), REPLICA);
    let replicate = |producer: &TestNode, vb| {
        let _relay = stream(producer, &consumer, vb);
        wait_until_same(producer, &consumer, vb);
    };
    write(&producer, PARTED, "shared", 300);
    replicate(&producer, PARTED);
    write(&producer, FOREIGN, "foreign", 300);
    replicate(&producer, FOREIGN);
    let earlier = folder();
    copy(folders[0].path(), earlier.path());
    write(&producer, PARTED, "lost", LOST);
    replicate(&producer, PARTED);
    producer.kill();
    // The producer comes back in an earlier state, after what looks like a crash.
    let producer = TestNode::start(earlier.path(), ACTIVE);
    write(&producer, PARTED, "won", 200);
    let remove = FrameBuilder::request(Opcode::DEL_VBUCKET).vbucket(VbId(FOREIGN));
    producer.plain_client().ask(remove);
    producer.plain_client().set_state(FOREIGN, VbState::Active);
    write(&producer, FOREIGN, "won", 200);
    let template = consumer.stop();

    for (vb, point) in [
        (PARTED, "rollback-read=1"),
        (PARTED, "rollback-step=1"),
        (PARTED, "rollback-read=2"),
        (PARTED, "rollback-step=2"),
        (PARTED, "rollback-done=1"),
        (PARTED, "replica-rolled-back=1"),
        (FOREIGN, "rollback-to-zero=1"),
        (FOREIGN, "replica-rolled-back=1"),
        (FOREIGN, "janitor-step=1"),
    ] {
        println!("{point}");
        let folder = folder();
        copy(&template, folder.path());
        let consumer = TestNode::start(folder.path(), REPLICA.failing_at(point));
        let relay = stream(&producer, &consumer, vb);
        consumer.aborted();
        drop(relay);
        let consumer = TestNode::start(folder.path(), REPLICA);
        // The janitor works while the vBucket is being filled again: only its crash may come then.
        let left = match point {
            "janitor-step=1" => contents::changes_unless_receiving(&consumer, vb),
            _ => Some(contents::changes(&consumer, vb)),
        };
        if let Some(left) = left {
            assert!(left.is_sorted_by(|a, b| a.3[..8] < b.3[..8]), "{point}");
        }
        let relay = stream(&producer, &consumer, vb);
        wait_until_same(&producer, &consumer, vb);
        drop(relay);
        // The same after a restart: the disk holds it too.
        let consumer = TestNode::start(&consumer.kill(), REPLICA);
        wait_until_same(&producer, &consumer, vb);
    }
}
