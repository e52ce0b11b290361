//! What a producer answers: opening, controls, the checks of STREAM_REQ, closing.

use std::time::Duration;

use bytes::BytesMut;
use mcbp::dcp::{Control, Open, StreamReq, control_key, open_flags, stream_flags};
use mcbp::{FrameBuilder, Opaque, Opcode, Seqno, Status, VbId, VbState, VbUuid};

use crate::client::{from_zero, wait_for};
use crate::node::TestNode;

#[test]
fn dcp_open_refuses_bad_names_flags_and_values() {
    let node = TestNode::start(VbState::Active);
    let mut client = node.client();
    let long = "n".repeat(252);
    let producer = open_flags::PRODUCER;
    let name_in_json = r#"{"consumer_name": "me"}"#;
    for (name, flags, value) in [
        ("", producer, ""),
        (&long, producer, ""),
        ("x", producer | open_flags::INVALID_NOTIFIER, ""),
        ("x", producer | open_flags::INVALID_PITR, ""),
        ("x", producer | 0x8000, ""),
        ("x", producer | open_flags::NO_VALUE | open_flags::NO_VALUE_WITH_DATATYPE, ""),
        ("x", producer | open_flags::INCLUDE_DELETED_USER_XATTRS, ""),
        ("x", producer, name_in_json),
        ("x", 0, "nonsense"),
        ("x", 0, r#"["me"]"#),
        ("x", 0, r#"{"else": "me"}"#),
    ] {
        assert_eq!(client.open(name, flags, value), Status::EINVAL, "{name} {flags:#x} {value}");
    }
    let not_utf8 = Open { flags: producer, name: b"\xff", value: b"" };
    client.send(&not_utf8.build(Opaque(0)));
    assert_eq!(client.next().status(), Status::EINVAL);
    // The connection can still be used.
    assert_eq!(client.open(&"n".repeat(251), 0, name_in_json), Status::SUCCESS);
}

#[test]
fn a_filter_of_stat_dcp_is_json_or_empty() {
    let node = TestNode::start(VbState::Active);
    let mut client = node.client();
    let stat = FrameBuilder::request(Opcode::STAT).key(b"dcp");
    assert_eq!(client.try_ask(stat.value(b"{")).status(), Status::EINVAL);
}

#[test]
fn controls_are_answered_as_a_real_node_does() {
    let node = TestNode::start(VbState::Active);
    let mut dcp = node.client();
    assert_eq!(dcp.open("controls", open_flags::REPLICATION_PRODUCER, ""), Status::SUCCESS);
    for (key, value, status) in [
        (control_key::ENABLE_NOOP, "true", Status::SUCCESS),
        (control_key::ENABLE_NOOP, "maybe", Status::SUCCESS),
        (control_key::SET_NOOP_INTERVAL, "0.100000", Status::SUCCESS),
        (control_key::SET_NOOP_INTERVAL, "0.01", Status::EINVAL),
        (control_key::SET_PRIORITY, "high", Status::SUCCESS),
        (control_key::SET_PRIORITY, "utmost", Status::EINVAL),
        (control_key::INCLUDE_DELETED_USER_XATTRS, "true", Status::SUCCESS),
        (control_key::CHANGE_STREAMS, "true", Status::SUCCESS),
        (control_key::CHANGE_STREAMS, "false", Status::EINVAL),
        (control_key::MAX_MARKER_VERSION, "2.2", Status::SUCCESS),
        (control_key::MAX_MARKER_VERSION, "2.0", Status::EINVAL),
        (control_key::MAX_MARKER_VERSION, "3.0", Status::EINVAL),
        (control_key::CONNECTION_BUFFER_SIZE, "4294967295", Status::SUCCESS),
        (control_key::CONNECTION_BUFFER_SIZE, "4294967296", Status::EINVAL),
        ("stream_buffer_size", "1", Status::NOT_SUPPORTED),
        ("backfill_order", "sequential", Status::SUCCESS),
        ("unheard_of", "true", Status::EINVAL),
    ] {
        assert_eq!(dcp.control(key, value), status, "{key}={value}");
    }
    let map = FrameBuilder::request(Opcode::GET_ERROR_MAP).value(&[0, 0]);
    assert_eq!(dcp.try_ask(map).status(), Status::KEY_ENOENT);
    let mut plain = node.plain_client();
    assert_eq!(plain.open("plain", open_flags::PRODUCER, ""), Status::SUCCESS);
    assert_eq!(plain.control(control_key::MAX_MARKER_VERSION, "2.2"), Status::NOT_SUPPORTED);
    assert_eq!(plain.control(control_key::INCLUDE_DELETED_USER_XATTRS, "true"), Status::EINVAL);
}

#[test]
fn questions_that_come_in_groups_are_answered_in_their_order() {
    let node = TestNode::start(VbState::Active);
    (0..2).for_each(|vb| node.client().set(vb, "key", b"x"));
    let mut dcp = node.client();
    assert_eq!(dcp.open("groups", open_flags::REPLICATION_PRODUCER, ""), Status::SUCCESS);
    // As version 7.6 groups them; here all groups and two requests are one write.
    let mut out = BytesMut::new();
    let mut control = |key: &str, value: &str, opaque| {
        let control = Control { key: key.as_bytes(), value: value.as_bytes() };
        control.write(Opaque(opaque), &mut out);
    };
    control(control_key::CONNECTION_BUFFER_SIZE, "107374184", 3);
    control(control_key::ENABLE_NOOP, "true", 5);
    control(control_key::SET_NOOP_INTERVAL, "0.100000", 6);
    control(control_key::SET_PRIORITY, "high", 7);
    control(control_key::SEND_STREAM_END_ON_CLIENT_CLOSE, "true", 8);
    control(control_key::ENABLE_SYNC_WRITES, "true", 9);
    control(control_key::CONSUMER_NAME, "beta", 10);
    control(control_key::CHANGE_STREAMS, "true", 11);
    let map = FrameBuilder::request(Opcode::GET_ERROR_MAP).value(&[0, 0]);
    out.extend_from_slice(&map.opaque(Opaque(4)).build());
    (0..2).for_each(|vb| from_zero().write(VbId(vb), Opaque(1 + u32::from(vb)), &mut out));
    dcp.send(&out);
    let answers = std::iter::repeat_with(|| dcp.next()).filter(|packet| !packet.is_request());
    let answers: Vec<_> = answers.take(11).map(|p| (p.opaque(), p.status())).collect();
    let good = |opaque| (opaque, Status::SUCCESS);
    let mut expected: Vec<_> = [3, 5, 6, 7, 8, 9, 10, 11].map(good).to_vec();
    expected.extend([(4, Status::KEY_ENOENT), good(1), good(2)]);
    assert_eq!(answers, expected);
    wait_for("the data", || dcp.next().is_change());
}

#[test]
fn stream_requests_are_checked_in_order() {
    let node = TestNode::start(VbState::Active);
    let mut admin = node.client();
    (0..5).for_each(|n| admin.set(0, &format!("key-{n}"), b"x"));
    admin.set_state(1, VbState::Dead);
    admin.set_state(2, VbState::Replica);
    let uuid = node.view(0).uuid();
    let at = |start, snapshot_start, snapshot_end| StreamReq {
        start: Seqno(start),
        snapshot_start: Seqno(snapshot_start),
        snapshot_end: Seqno(snapshot_end),
        uuid,
        ..from_zero()
    };
    let flags = |flags| StreamReq { flags, ..from_zero() };
    let mut dcp = node.client();
    assert_eq!(dcp.open("checks", open_flags::REPLICATION_PRODUCER, ""), Status::SUCCESS);
    let before_noop = dcp.request(0, 1, from_zero()).status();
    assert_eq!(before_noop, Status::NOT_SUPPORTED, "noop is mandatory");
    assert_eq!(dcp.control(control_key::ENABLE_NOOP, "true"), Status::SUCCESS);
    let unknown_uuid = StreamReq { uuid: VbUuid(99), ..at(5, 5, 5) };
    for (vb, request, status) in [
        (0, flags(stream_flags::REMOVED_NO_VALUE), Status::EINVAL),
        (99, from_zero(), Status::NOT_MY_VBUCKET),
        (1, from_zero(), Status::NOT_MY_VBUCKET),
        (2, flags(stream_flags::ACTIVE_ONLY), Status::NOT_MY_VBUCKET),
        (0, StreamReq { end: Seqno(1), ..at(3, 3, 3) }, Status::ERANGE),
        (0, at(3, 4, 5), Status::ERANGE),
        (0, at(3, 1, 2), Status::ERANGE),
        (
            0,
            StreamReq { value: br#"{"collections":["8"]}"#, ..from_zero() },
            Status::UNKNOWN_COLLECTION,
        ),
        (0, StreamReq { value: b"nonsense", ..from_zero() }, Status::EINVAL),
        (0, unknown_uuid, Status::ROLLBACK),
        (0, at(9, 9, 9), Status::ROLLBACK),
        (0, at(5, 5, 9), Status::SUCCESS),
        (0, from_zero(), Status::KEY_EEXISTS),
        (2, from_zero(), Status::SUCCESS),
    ] {
        assert_eq!(dcp.request(vb, 5, request).status(), status, "vb {vb} {request:?}");
    }
    let answer = dcp.request(3, 6, StreamReq { uuid: VbUuid(1), ..at(5, 5, 5) });
    assert_eq!(answer.frame().value, [0; 8], "rollback to zero");
}

#[test]
fn a_stream_behind_the_purge_seqno_is_sent_back_to_zero() {
    let node = TestNode::start(VbState::Active);
    let mut client = node.client();
    client.set(0, "a", b"x");
    client.delete(0, "a");
    client.set(0, "b", b"x");
    let mut extras = [0; 24];
    extras[16] = 1;
    client.ask(FrameBuilder::request(Opcode::COMPACT_DB).extras(&extras));
    let uuid = node.view(0).uuid();
    let mut dcp = node.client().produce("behind");
    let from = |start| {
        let start = Seqno(start);
        StreamReq { start, uuid, snapshot_start: start, snapshot_end: start, ..from_zero() }
    };
    let behind = dcp.request(0, 1, from(1));
    assert_eq!((behind.status(), behind.frame().value), (Status::ROLLBACK, [0; 8].as_slice()));
    assert_eq!(dcp.request(0, 2, from(2)).status(), Status::SUCCESS, "it has what was purged");
    assert_eq!(dcp.changes(1), [3]);
}

#[test]
fn closing_answers_and_then_ends_the_stream() {
    let node = TestNode::start(VbState::Active);
    let mut dcp = node.client().produce("closing");
    dcp.stream(0, 1);
    assert_eq!(dcp.close_stream(0), Status::SUCCESS);
    let end = dcp.next();
    assert_eq!((end.end(), end.opaque()), (1, 1));
    assert_eq!(dcp.close_stream(0), Status::KEY_ENOENT);
    dcp.stream(0, 2);
}

#[test]
fn a_change_of_state_and_a_removal_end_the_stream() {
    let node = TestNode::start(VbState::Active);
    let mut admin = node.client();
    let mut dcp = node.client().produce("state");
    dcp.stream(0, 1);
    dcp.stream(1, 2);
    admin.set_state(0, VbState::Dead);
    let end = dcp.next();
    assert_eq!((end.end(), end.vb(), end.opaque()), (2, 0, 1));
    admin.ask(FrameBuilder::request(Opcode::DEL_VBUCKET).vbucket(VbId(1)));
    let end = dcp.next();
    assert_eq!((end.end(), end.vb(), end.opaque()), (2, 1, 2));
}

#[test]
fn a_connection_of_the_same_name_displaces_the_older_one() {
    let node = TestNode::start(VbState::Active);
    let mut first = node.client().produce("one name");
    first.stream(0, 1);
    let mut second = node.client().produce("one name");
    assert!(first.try_next().is_none(), "the older one is closed");
    second.stream(0, 1);
    let mut admin = node.client();
    assert_eq!(admin.stat("dcp", "ep_dcp_producer_count"), "1");
}

#[test]
fn one_noop_at_a_time() {
    let node = TestNode::start(VbState::Active);
    let mut dcp = node.client().produce("noop");
    assert_eq!(dcp.control(control_key::SET_NOOP_INTERVAL, "0.100000"), Status::SUCCESS);
    dcp.answers_noops = false;
    wait_for("a noop", || !dcp.is_silent(Duration::from_millis(20)) || dcp.noops == 1);
    assert!(dcp.is_silent(Duration::from_millis(350)));
    assert_eq!(dcp.noops, 1, "the first was not answered");
}

#[test]
fn failover_log_is_answered_on_a_dcp_connection() {
    let node = TestNode::start(VbState::Active);
    let mut dcp = node.client().produce("log");
    let ask = |vb| FrameBuilder::request(Opcode::DCP_GET_FAILOVER_LOG).vbucket(VbId(vb));
    let answer = dcp.ask(ask(0));
    assert_eq!(answer.frame().value[..8], node.view(0).uuid().0.to_be_bytes());
    assert_eq!(dcp.try_ask(ask(99)).status(), Status::NOT_MY_VBUCKET);
}

#[test]
fn statistics_tell_of_connections_and_streams() {
    let node = TestNode::start(VbState::Active);
    let mut admin = node.client();
    admin.set(0, "key", b"x");
    let mut dcp = node.client().produce("told");
    dcp.stream(0, 3_u32.swap_bytes());
    dcp.changes(1);
    let sent = || node.client().stat("dcp", "eq_dcpq:told:stream_0_last_sent_seqno");
    wait_for("the seqno", || sent() == "1");
    assert_eq!(admin.stat("dcp", "eq_dcpq:told:stream_0_opaque"), "3");
    assert_eq!(admin.stat("dcp", "eq_dcpq:told:user"), "dcp-proxy");
    assert_eq!(admin.stat("dcp-vbtakeover 0 told", "status"), "in-memory");
    assert_eq!(admin.stat("dcp-vbtakeover 0 told", "estimate"), "0");
    assert_eq!(admin.stat("dcp-vbtakeover 1 told", "status"), "does_not_exist", "MB-35061");
    let unknown = admin.stat("dcp-vbtakeover 0 nobody", "status");
    assert_eq!(unknown, "connection_does_not_exist");
}
