//! Two nodes and a relay between them: what the consumer holds in the end.

use mcbp::dcp::{Deletion, SetVbucketState, StreamEnd, Target, control_key};
use mcbp::{Datatype, Opcode, Seqno, Status, StreamEndStatus, VbId, VbState};
use vbucket::{Kind, Row};

use crate::client::{Client, Packet, wait_for};
use crate::node::TestNode;
use crate::relay::Relay;
use crate::scripted::Scripted;

fn pair() -> (TestNode, TestNode) {
    (TestNode::start(VbState::Active), TestNode::start(VbState::Replica))
}

/// Waits until both nodes hold the same rows and histories of a vBucket.
#[track_caller]
pub(crate) fn wait_until_same(producer: &TestNode, consumer: &TestNode, vb: u16) {
    // The row of a commit may come after its client was answered: compared until it is there too.
    wait_for("the consumer catching up", || {
        consumer.high_seqno(vb) == producer.high_seqno(vb)
            && consumer.view(vb).failover == producer.view(vb).failover
            && comparable(consumer, vb) == comparable(producer, vb)
    });
}

/// The rows of a vBucket. ABORT has no time: each node has its own.
fn comparable(node: &TestNode, vb: u16) -> Vec<Row> {
    let mut rows = node.rows(vb);
    for row in &mut rows {
        if let Kind::Aborted { at } = &mut row.kind {
            *at = 0;
        }
    }
    rows
}

#[test]
fn copies_what_is_there_and_what_is_written_later() {
    let (producer, consumer) = pair();
    let mut writer = producer.client();
    for vb in 0..4 {
        (0..300).for_each(|n| writer.set(vb, &format!("key-{n}"), &[b'x'; 300]));
        writer.delete(vb, "key-7");
    }
    let relay = Relay::between(&producer, &consumer, "copies");
    (0..4).for_each(|vb| relay.add(vb, 0));
    (0..4).for_each(|_| assert_eq!(relay.answer().status(), Status::SUCCESS));
    (0..4).for_each(|vb| wait_until_same(&producer, &consumer, vb));
    for vb in 0..4 {
        (0..50).for_each(|n| writer.set(vb, &format!("live-{n}"), b"y"));
        wait_until_same(&producer, &consumer, vb);
    }
}

#[test]
fn add_stream_is_refused_for_active_missing_and_live_vbuckets() {
    let (producer, consumer) = pair();
    consumer.client().set_state(1, VbState::Active);
    let relay = Relay::between(&producer, &consumer, "refused");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    assert_eq!(relay.add_and_wait(0, 0), Status::KEY_EEXISTS);
    assert_eq!(relay.add_and_wait(1, 0), Status::NOT_MY_VBUCKET);
    assert_eq!(relay.add_and_wait(99, 0), Status::NOT_MY_VBUCKET);
    producer.client().set_state(2, VbState::Dead);
    assert_eq!(relay.add_and_wait(2, 0), Status::NOT_MY_VBUCKET);
    assert_eq!(relay.close_on_consumer(0), Status::SUCCESS);
    assert_eq!(relay.close_on_consumer(0), Status::DCP_STREAM_NOT_FOUND);
    assert_eq!(relay.close_on_producer(0), Status::SUCCESS);
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
}

#[test]
fn another_connection_does_not_get_a_vbucket_that_is_streamed() {
    let (producer, consumer) = pair();
    let first = Relay::between(&producer, &consumer, "first");
    assert_eq!(first.add_and_wait(0, 0), Status::SUCCESS);
    let second = Relay::between(&producer, &consumer, "second");
    assert_eq!(second.add_and_wait(0, 0), Status::KEY_EEXISTS);
    drop(first);
    wait_for("the vBucket being free", || second.add_and_wait(0, 0) == Status::SUCCESS);
}

#[test]
fn goes_on_where_it_was_after_both_nodes_restart() {
    let (mut producer, mut consumer) = pair();
    let mut writer = producer.client();
    (0..100).for_each(|n| writer.set(0, &format!("key-{n}"), b"x"));
    drop(writer);
    let relay = Relay::between(&producer, &consumer, "restart");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    wait_until_same(&producer, &consumer, 0);
    drop(relay);
    consumer.restart();
    producer.restart();
    (0..10).for_each(|n| producer.client().set(0, &format!("more-{n}"), b"x"));
    let relay = Relay::between(&producer, &consumer, "restart");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    wait_until_same(&producer, &consumer, 0);
    let requests: Vec<_> = relay.from_consumer.try_iter().collect();
    let request = requests.iter().find(|p| p.opcode() == Opcode::DCP_STREAM_REQ).unwrap();
    assert_eq!(request.frame().extras[8..16], 100_u64.to_be_bytes());
}

#[test]
fn histories_that_part_are_rolled_back_and_become_one() {
    let (producer, consumer) = pair();
    let mut writer = producer.client();
    (0..20).for_each(|n| writer.set(0, &format!("shared-{n}"), b"x"));
    let relay = Relay::between(&producer, &consumer, "rollback");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    wait_until_same(&producer, &consumer, 0);
    drop(relay);
    // The consumer is promoted and written to, then made a replica of the other again.
    let mut promoted = consumer.client();
    promoted.set_state(0, VbState::Active);
    (0..5).for_each(|n| promoted.set(0, &format!("lost-{n}"), b"x"));
    promoted.set(0, "shared-3", b"lost");
    promoted.set_state(0, VbState::Replica);
    (0..7).for_each(|n| writer.set(0, &format!("won-{n}"), b"x"));
    let relay = Relay::between(&producer, &consumer, "rollback");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    wait_until_same(&producer, &consumer, 0);
    let asked = relay.from_consumer.try_iter().filter(|p| p.opcode() == Opcode::DCP_STREAM_REQ);
    let opaques: Vec<_> = asked.map(|p| p.opaque()).collect();
    assert_eq!(opaques, [opaques[0]; 2], "asked twice, with the same opaque");
}

#[test]
fn mb_53445_an_end_before_the_answer_is_the_answer() {
    let (producer, consumer) = pair();
    // The END reaches the consumer in the same write as the answer to its STREAM_REQ.
    let meddle = move |packet: &crate::client::Packet| {
        let mut bytes = packet.0.clone();
        if packet.opcode() == Opcode::DCP_STREAM_REQ && packet.status().is_success() {
            let mut end = bytes::BytesMut::new();
            let status = StreamEndStatus::STATE_CHANGED;
            StreamEnd { status }.write(VbId(0), packet.frame().header.opaque, &mut end);
            bytes.extend_from_slice(&end);
        }
        vec![bytes]
    };
    let relay = Relay::meddling(&producer, &consumer, "mb_53445", Box::new(meddle));
    assert_eq!(relay.add_and_wait(0, 0), Status::NOT_MY_VBUCKET);
    // A second answer would come before this one.
    assert_eq!(relay.close_on_consumer(0), Status::DCP_STREAM_NOT_FOUND);
    // Nothing remains: the vBucket can be added again, with the same outcome.
    assert_eq!(relay.close_on_producer(0), Status::SUCCESS);
    assert_eq!(relay.add_and_wait(0, 0), Status::NOT_MY_VBUCKET);
}

#[test]
fn frames_of_unknown_streams_are_refused_and_acknowledged() {
    let (producer, consumer) = pair();
    let mut sent = false;
    let meddle = move |packet: &crate::client::Packet| {
        let mut bytes = vec![packet.0.clone()];
        if packet.is_change() && !std::mem::replace(&mut sent, true) {
            let mut stray = bytes::BytesMut::new();
            let state = VbState::Pending;
            SetVbucketState { state }.write(VbId(5), mcbp::Opaque(0x0505), &mut stray);
            let other = mcbp::Opaque(0x0606);
            SetVbucketState { state }.write(VbId(0), other, &mut stray);
            bytes.push(stray.to_vec());
        }
        bytes
    };
    let relay = Relay::meddling(&producer, &consumer, "stray", Box::new(meddle));
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    producer.client().set(0, "key", b"x");
    wait_until_same(&producer, &consumer, 0);
    let mut refusals = Vec::new();
    wait_for("both refusals", || {
        let answers = relay.from_consumer.try_iter();
        refusals.extend(answers.filter(|p| p.opcode() == Opcode::DCP_SET_VBUCKET_STATE));
        refusals.len() == 2
    });
    assert_eq!(refusals[0].status(), Status::DCP_STREAM_NOT_FOUND);
    assert_eq!(refusals[1].status(), Status::OPAQUE_NO_MATCH);
}

#[test]
fn mb_56275_every_byte_is_acknowledged_exactly_once() {
    let (producer, consumer) = {
        // A window of about 6.5 KiB, so that acknowledgements come soon.
        let consumer = TestNode::start_with(VbState::Replica, |o| {
            o.quota_bytes = 128 * 1024;
        });
        (TestNode::start(VbState::Active), consumer)
    };
    let mut writer = producer.client();
    (0..200).for_each(|n| writer.set(0, &format!("key-{n}"), &[b'x'; 200]));
    let relay = Relay::between(&producer, &consumer, "acks");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    wait_until_same(&producer, &consumer, 0);
    assert_eq!(relay.close_on_producer(0), Status::SUCCESS);
    let mut admin = producer.client();
    let unacked = "eq_dcpq:acks:unacked_bytes";
    wait_for("the last acknowledgement", || admin.stat("dcp", unacked) == "0");
    let sent: usize =
        relay.from_producer.try_iter().map(|p| mcbp::flow::charge(&p.frame().header)).sum();
    let acked = admin.stat("dcp", "eq_dcpq:acks:total_acked_bytes");
    assert_eq!(acked, sent.to_string());
}

#[test]
fn a_consumer_under_another_of_its_name_gives_its_streams_up() {
    let (producer, consumer) = pair();
    let mut writer = producer.client();
    let first = Relay::between(&producer, &consumer, "same");
    assert_eq!(first.add_and_wait(0, 0), Status::SUCCESS);
    (0..100).for_each(|n| writer.set(0, &format!("key-{n}"), b"x"));
    let second = Relay::between(&producer, &consumer, "same");
    assert_eq!(second.add_and_wait(0, 0), Status::SUCCESS);
    wait_until_same(&producer, &consumer, 0);
}

#[test]
fn consumers_share_the_window_and_tell_their_producers_when_their_number_changes() {
    let (producer, consumer) = pair();
    let windows = |relay: &Relay, wanted: usize| {
        let mut sizes: Vec<u64> = Vec::new();
        wait_for("the window", || {
            for packet in relay.from_consumer.try_iter() {
                let frame = packet.frame();
                if frame.key == control_key::CONNECTION_BUFFER_SIZE.as_bytes() {
                    sizes.push(std::str::from_utf8(frame.value).unwrap().parse().unwrap());
                }
            }
            sizes.len() >= wanted
        });
        sizes
    };
    let first = Relay::between(&producer, &consumer, "first");
    assert_eq!(first.add_and_wait(0, 0), Status::SUCCESS);
    let alone = windows(&first, 1)[0];
    let second = Relay::between(&producer, &consumer, "second");
    assert_eq!(second.add_and_wait(1, 0), Status::SUCCESS);
    assert!(windows(&first, 1)[0].abs_diff(alone / 2) <= 1, "half each");
    drop(second);
    assert_eq!(windows(&first, 1), [alone], "all of it again");
}

#[test]
fn a_compressed_tombstone_passes_through_a_replica_as_it_came() {
    let system = b"\0\0\0\x09\0\0\0\x05_s\x001\0";
    let squeezed = snap::raw::Encoder::new().compress_vec(system).unwrap();
    let mut node = TestNode::start(VbState::Replica);
    let mut producer = Scripted::open(&node, "tombstone");
    let (stream, _) = producer.stream(0);
    producer.marker(0, stream, 0, 1);
    let datatype = Datatype::XATTR.with(Datatype::SNAPPY);
    let to = Target { vb: VbId(0), opaque: stream, cas: 5, datatype };
    let body = Deletion { seqno: Seqno(1), rev: 1, delete_time: Some(9) };
    let mut out = bytes::BytesMut::new();
    body.write(to, b"\0key", &squeezed, &mut out);
    producer.0.send(&out);
    wait_for("the tombstone", || node.high_seqno(0) == 1);
    for from_disk in [false, true] {
        if from_disk {
            node.restart();
        }
        for (features, datatype, value) in
            [(&[0x06, 0x12, 0x0a, 0x0b][..], 6, squeezed.as_slice()), (&[0x06, 0x12], 4, system)]
        {
            let client = Client::connect(node.handle().address(), features);
            let mut dcp = client.produce(&format!("{datatype} {from_disk}"));
            dcp.stream(0, 1);
            let tombstone = std::iter::from_fn(|| dcp.try_next()).find(Packet::is_change).unwrap();
            let frame = tombstone.frame();
            assert_eq!((frame.opcode(), frame.key), (Opcode::DCP_DELETION, &b"\0key"[..]));
            assert_eq!((frame.header.datatype.0, frame.value), (datatype, value), "{from_disk}");
        }
    }
}
