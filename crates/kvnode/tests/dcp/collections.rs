//! Captures 12b and 13 of real nodes, replayed whole: what clients are answered, and what each DCP
//! client gets of collections, from memory and from disk, with and without filters.

use mcbp::{Frame, FrameBuilder, Opcode, VbState};
use recordings::Line;

use crate::client::{Client, Packet, wait_for};
use crate::node::TestNode;
use crate::recorded::Replay;
use crate::scripted::Scripted;

/// With the default collection and these, as a part of a manifest.
fn manifest(uid: u32, in_default: &str, others: &str) -> String {
    let default = r#"{"name":"_default","uid":"0"}"#;
    let default =
        format!(r#"{{"name":"_default","uid":"0","collections":[{default}{in_default}]}}"#);
    format!(r#"{{"uid":"{uid:x}","scopes":[{default}{others}]}}"#)
}

fn set_manifest(node: &TestNode, manifest: &str) {
    let request = FrameBuilder::request(Opcode::COLLECTIONS_SET_MANIFEST);
    node.client().ask(request.value(manifest.as_bytes()));
}

/// Bytes of changes in memory: all that the recordings make.
const ALL: usize = 1 << 20;

/// Replays what the clients of 12b said.
fn replay_12b(log_bytes_max: usize) -> Replay {
    let mut replay = Replay::new(log_bytes_max);
    replay.run("12b-collections-events", |replay, line| {
        // The late clients of the recording are served from disk.
        if line.from == "dcp-late" && line.what.contains("SASL") {
            replay.end_connections();
            replay.node.restart();
            replay.from_disk = true;
        }
    });
    replay
}

#[test]
fn capture_12b_events_of_collections_from_memory_and_disk() {
    for log_bytes_max in [ALL, 1] {
        assert_eq!(replay_12b(log_bytes_max).compared, 119);
    }
}

#[test]
fn capture_13_streams_with_filters_from_memory_and_disk() {
    let c8 = r#",{"name":"c8","uid":"8"}"#;
    let c9 = r#",{"name":"c9","uid":"9"}"#;
    let s8 = r#",{"name":"s8","uid":"8","collections":[{"name":"ca","uid":"a"}]}"#;
    for log_bytes_max in [ALL, 1] {
        let mut replay = Replay::new(log_bytes_max);
        set_manifest(&replay.node, &manifest(1, &format!("{c8}{c9}"), s8));
        if log_bytes_max == ALL {
            // The last stream of the recording reads the disk.
            replay.listed.insert(190);
        }
        replay.run("13-dcp-filters", |replay, line| match line.number {
            167 => set_manifest(&replay.node, &manifest(2, c9, s8)),
            174 => set_manifest(&replay.node, &manifest(3, c9, "")),
            _ => {}
        });
        assert_eq!(replay.compared, 106 - replay.listed.len());
    }
}

/// The frames of the recorded stream to the consumer, in the order in which they came.
fn recorded_stream(lines: &[Line]) -> Vec<(usize, Vec<u8>)> {
    let of_stream = |frame: &Frame<'_>| {
        let opcode = frame.opcode();
        frame.header.is_request() && opcode.is_dcp() && opcode != Opcode::DCP_NOOP
    };
    let frames = lines.iter().enumerate().filter(|(_, line)| line.from == "producer");
    let frames = frames.filter(|(_, line)| of_stream(&Frame::parse(&line.bytes).unwrap()));
    frames.map(|(at, line)| (at, line.bytes.clone())).collect()
}

/// What of a row is the same on every node.
fn facts(row: vbucket::Row) -> (u64, bytes::Bytes, bool, bytes::Bytes) {
    (row.seqno.0, row.key.clone(), row.is_alive(), row.value)
}

#[test]
fn capture_12b_makes_a_replica_as_the_clients_made_its_active_vbucket() {
    let lines = recordings::capture("12b-collections-events");
    let replay = replay_12b(ALL);
    let active: Vec<_> = replay.node.rows(0).into_iter().map(facts).collect();

    let mut node = TestNode::start(VbState::Replica);
    let mut consumer = Scripted::open(&node, "replication:alpha->beta:default");
    let (stream, _) = consumer.stream(0);
    let mut client = Client::connect(node.handle().address(), &[0x07, 0x12]);
    let mut sent = recorded_stream(&lines).into_iter().peekable();
    let mut compared = 0;
    for (at, line) in lines.iter().enumerate() {
        if let Some((_, bytes)) = sent.next_if(|(of, _)| *of == at) {
            let frame = Frame::parse(&bytes).unwrap();
            consumer.0.send(&FrameBuilder::from_frame(&frame).opaque(stream).build());
            if frame.opcode() != Opcode::DCP_SNAPSHOT_MARKER {
                let seqno = Packet(bytes).seqno();
                wait_for("the change", || node.high_seqno(0) == seqno);
            }
        }
        let theirs = Frame::parse(&line.bytes).unwrap();
        let logs_in = [Opcode::SASL_AUTH, Opcode::HELLO, Opcode::SELECT_BUCKET];
        if logs_in.contains(&theirs.opcode()) {
            continue;
        }
        if line.from == "client-b" {
            client.send(&line.bytes);
        } else if line.to == "client-b" {
            let ours = client.answer_to(theirs.header.opaque.0);
            let about = format!("frame {} {}: {ours:?}", line.number, line.note);
            assert_eq!(ours.status(), theirs.header.status(), "{about}");
            if ours.status().is_success() {
                assert_eq!(ours.frame().value, theirs.value, "{about}");
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 9);
    for is_restarted in [false, true] {
        let replica: Vec<_> = node.rows(0).into_iter().map(facts).collect();
        assert_eq!(replica, active);
        let details = |node: &TestNode| node.client().stats("collections-details 0");
        assert_eq!(details(&node), details(&replay.node));
        if !is_restarted {
            node.restart();
        }
    }
}
