//! Requests that are not DCP's on DCP connections: beside streams, in the order of real clients,
//! and with answers that nobody reads.

use std::io::Write as _;
use std::time::Duration;

use mcbp::dcp::{Open, control_key, open_flags};
use mcbp::kv::StoreExtras;
use mcbp::{Frame, FrameBuilder, Opaque, Opcode, Seqno, Status, VbId, VbState};
use std::sync::atomic::Ordering;

use crate::client::{Client, from_zero, wait_for};
use crate::node::TestNode;

fn producer(node: &TestNode, name: &str) -> Client {
    let mut dcp = node.client();
    assert_eq!(dcp.open(name, open_flags::PRODUCER, ""), Status::SUCCESS);
    dcp
}

/// The requests of the connectors that use couchbase/java-dcp-client, in their order.
#[test]
fn the_java_client_gets_what_it_asks_for() {
    let node = TestNode::start(VbState::Active);
    node.client().set(0, "key", b"1");
    let mut dcp = node.client();
    assert_eq!(dcp.open("java-dcp", open_flags::PRODUCER, ""), Status::SUCCESS);
    for (key, value) in [
        (control_key::ENABLE_NOOP, "true"),
        (control_key::SET_NOOP_INTERVAL, "120"),
        (control_key::CONNECTION_BUFFER_SIZE, "10485760"),
        (control_key::SET_PRIORITY, "high"),
        (control_key::ENABLE_EXPIRY_OPCODE, "true"),
        ("force_value_compression", "true"),
        ("supports_cursor_dropping", "true"),
    ] {
        assert_eq!(dcp.control(key, value), Status::SUCCESS, "{key}");
    }
    let ask = |opcode| FrameBuilder::request(opcode);
    let manifest = dcp.ask(ask(Opcode::COLLECTIONS_GET_MANIFEST));
    assert!(manifest.frame().value.ends_with(br#""uid":"0"}"#));
    for extras in [&[0, 0, 0, 1][..], &[0, 0, 0, 1, 0, 0, 0, 0]] {
        let seqnos = dcp.ask(ask(Opcode::GET_ALL_VB_SEQNOS).extras(extras));
        assert_eq!(seqnos.frame().value.len(), 8 * 10);
    }
    dcp.ask(ask(Opcode::DCP_GET_FAILOVER_LOG));
    let value = br#"{"uid":"0"}"#;
    let request = mcbp::dcp::StreamReq { value, ..from_zero() };
    assert_eq!(dcp.request(0, 5, request).status(), Status::SUCCESS);
    let flags = mcbp::dcp::stream_flags::ACTIVE_ONLY | mcbp::dcp::stream_flags::FROM_LATEST;
    let request = mcbp::dcp::StreamReq { flags, value, ..from_zero() };
    assert_eq!(dcp.request(1, 6, request).status(), Status::SUCCESS);
    let uuid = node.view(0).uuid().0.to_be_bytes();
    let observed = dcp.ask(ask(Opcode::OBSERVE_SEQNO).value(&uuid));
    assert_eq!(observed.frame().value.len(), 27);
    dcp.ask(ask(Opcode::NOOP));
    assert_eq!(dcp.changes(1), [1]);
}

#[test]
fn a_request_that_waits_holds_up_no_stream_and_no_dcp_request() {
    let node = TestNode::start(VbState::Active);
    let mut writer = node.client();
    let mut dcp = producer(&node, "waits").produce_controls();
    dcp.stream(0, 5);
    // Nothing has this seqno yet, so that this waits for 30 s at most.
    let persisted = FrameBuilder::request(Opcode::SEQNO_PERSISTENCE).vbucket(VbId(0));
    dcp.send(&persisted.opaque(Opaque(77)).extras(&2_u64.to_be_bytes()).build());
    let noop = FrameBuilder::request(Opcode::NOOP).opaque(Opaque(78));
    dcp.send(&noop.build());
    writer.set(0, "a", b"x");
    assert_eq!(dcp.changes(1), [1], "the stream goes on");
    assert_eq!(dcp.close_stream(3), Status::KEY_ENOENT, "DCP is answered at once");
    writer.set(0, "b", b"x");
    assert_eq!(dcp.answer_to(77).status(), Status::SUCCESS);
    assert_eq!(dcp.answer_to(78).status(), Status::SUCCESS, "in order, after the one that waited");
}

#[test]
fn a_write_on_a_dcp_connection_is_answered_once_it_is_durable() {
    let node = TestNode::start(VbState::Active);
    let mut dcp = producer(&node, "writes");
    node.faults.commits_wait.store(true, Ordering::Relaxed);
    let extras = StoreExtras::default().encode();
    let set = FrameBuilder::request(Opcode::SET).extras(&extras).key(b"\0key").value(b"x");
    dcp.send(&set.opaque(Opaque(9)).build());
    assert!(dcp.is_silent(Duration::from_millis(200)));
    node.faults.commits_wait.store(false, Ordering::Relaxed);
    assert_eq!(dcp.answer_to(9).status(), Status::SUCCESS);
    assert_eq!(node.high_seqno(0), 1);
}

#[test]
fn a_consumer_connection_answers_ordinary_requests_too() {
    let node = TestNode::start(VbState::Replica);
    let mut dcp = node.client();
    assert_eq!(dcp.open("consumer", open_flags::REPLICATION_CONSUMER, ""), Status::SUCCESS);
    assert_eq!(dcp.stat("vbucket", "vb_0"), "replica");
    assert_eq!(dcp.stat("dcp", "ep_dcp_count"), "1", "this one");
    // A time since the node was started, not an age.
    let number = |text: String| text.parse::<u64>().unwrap();
    let created = number(dcp.stat("dcp", "eq_dcpq:consumer:created"));
    assert!(created <= number(dcp.stat("", "uptime")));
    let get = FrameBuilder::request(Opcode::GET).key(b"\0key");
    assert_eq!(dcp.try_ask(get).status(), Status::NOT_MY_VBUCKET);
}

#[test]
fn a_dcp_connection_stays_with_its_user_and_bucket() {
    let node = TestNode::start(VbState::Active);
    let mut dcp = producer(&node, "stays");
    for opcode in
        [Opcode::SELECT_BUCKET, Opcode::SASL_LIST_MECHS, Opcode::SASL_AUTH, Opcode::SASL_STEP]
    {
        let request = FrameBuilder::request(opcode).key(b"default");
        assert_eq!(dcp.try_ask(request).status(), Status::NOT_SUPPORTED, "{opcode}");
    }
    let open = Open { flags: open_flags::PRODUCER, name: b"again", value: b"" };
    dcp.send(&open.build(Opaque(3)));
    assert_eq!(dcp.answer_to(3).status(), Status::EINVAL);
    dcp.ask(FrameBuilder::request(Opcode::QUIT));
    assert!(dcp.try_next().is_none(), "closed");
}

#[test]
fn a_request_of_more_than_a_mebibyte_is_refused_on_a_dcp_connection() {
    let node = TestNode::start(VbState::Active);
    let mut dcp = producer(&node, "large");
    let extras = StoreExtras::default().encode();
    let value = vec![b'x'; 2 << 20];
    let set = FrameBuilder::request(Opcode::SET).extras(&extras).key(b"\0key").value(&value);
    assert_eq!(dcp.try_ask(set).status(), Status::E2BIG);
    dcp.ask(FrameBuilder::request(Opcode::NOOP));
}

/// A peer that asks and does not read is not read any more, and gets every answer once it reads.
#[test]
fn answers_that_nobody_reads_are_bounded_and_none_is_lost() {
    let node = TestNode::start(VbState::Active);
    let mut writer = node.client();
    writer.set(0, "key", &vec![b'x'; 100_000]);
    let mut dcp = producer(&node, "lazy");
    let get = FrameBuilder::request(Opcode::GET).key(b"\0key").build();
    let mut asking = dcp.stream.try_clone().unwrap();
    asking.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    let asked = std::thread::spawn(move || (0..2000).try_for_each(|_| asking.write_all(&get)));
    // Only answers that wait are in the account, and at most those of one round of requests.
    let mut held = || writer.stat("", "kvnode_connection_memory").parse::<usize>().unwrap();
    wait_for("answers that wait", || held() > 0);
    assert!((0..50).all(|_| held() < 1 << 20));
    for _ in 0..2000 {
        let packet = dcp.next();
        assert_eq!((packet.opcode(), packet.status()), (Opcode::GET, Status::SUCCESS));
        assert_eq!(packet.frame().value.len(), 100_000);
    }
    asked.join().unwrap().unwrap();
}

/// A stream of 100,000 changes that nobody has asked to stop is stopped soon after it is closed.
#[test]
fn a_close_is_heeded_while_the_stream_writes() {
    const CHANGES: u64 = 100_000;
    let node = TestNode::start(VbState::Active);
    let mut writer = node.client();
    let extras = StoreExtras::default().encode();
    let mut batch = Vec::new();
    for at in 0..CHANGES {
        let key = format!("\0key{at}");
        let set = FrameBuilder::request(Opcode::SETQ).extras(&extras).key(key.as_bytes());
        batch.extend_from_slice(&set.value(b"value").build());
    }
    writer.send(&batch);
    writer.ask(FrameBuilder::request(Opcode::NOOP));
    let mut dcp = producer(&node, "closes").produce_controls();
    for round in 0..3 {
        let mut out = bytes::BytesMut::new();
        let request = mcbp::dcp::StreamReq { end: Seqno(CHANGES), ..from_zero() };
        request.write(VbId(0), Opaque(5 + round), &mut out);
        dcp.send(&out);
        dcp.changes(1);
        let close = FrameBuilder::request(Opcode::DCP_CLOSE_STREAM).opaque(Opaque(99 + round));
        dcp.send(&close.build());
        let mut changes = 0;
        loop {
            let packet = dcp.next();
            changes += u64::from(packet.is_change());
            if packet.opcode() == Opcode::DCP_CLOSE_STREAM {
                assert_eq!(packet.status(), Status::SUCCESS);
                break;
            }
        }
        assert!(changes < CHANGES / 4, "{changes} after the first one");
        let end = dcp.next();
        assert_eq!(end.end(), 1, "closed");
        let frame = Frame::parse(&end.0).unwrap();
        assert_eq!(frame.header.opaque, Opaque(5 + round));
    }
}
