//! What a consumer cannot store ends one stream and leaves no gap.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mcbp::{Datatype, FrameBuilder, Opcode, Status, VbState};

use crate::client::wait_for;
use crate::node::TestNode;
use crate::scripted::Scripted;

fn seqnos(node: &TestNode, vb: u16) -> Vec<u64> {
    node.rows(vb).iter().map(|row| row.seqno.0).collect()
}

#[test]
fn a_row_of_an_unknown_collection_ends_its_stream_and_nothing_after_it_is_written() {
    let node = TestNode::start(VbState::Replica);
    let mut producer = Scripted::open(&node, "collection");
    let [(bad, _), (good, _)] = [0, 1].map(|vb| producer.stream(vb));
    producer.marker(0, bad, 0, 4);
    for (seqno, collection) in [(1, 0), (2, 0), (3, 0x77), (4, 0)] {
        producer.row(0, bad, seqno, collection);
    }
    let refusal = producer.refusal();
    assert_eq!((refusal.opcode(), refusal.opaque()), (Opcode::DCP_MUTATION, bad.0));
    assert_eq!(refusal.status(), Status::UNKNOWN_COLLECTION);
    assert_eq!(refusal.frame().header.datatype, Datatype::JSON);
    let reason: serde_json::Value = serde_json::from_slice(refusal.frame().value).unwrap();
    let expected = "collection 0x77 is unknown in manifest 0";
    assert_eq!(reason, serde_json::json!({ "error": { "context": expected } }));
    assert_eq!(producer.refusal().status(), Status::DCP_STREAM_NOT_FOUND);
    // The other stream goes on.
    producer.marker(1, good, 0, 1);
    producer.row(1, good, 1, 0);
    wait_for("the good row", || node.high_seqno(1) == 1);
    wait_for("the rows before the bad one", || node.high_seqno(0) == 2);
    assert_eq!(seqnos(&node, 0), [1, 2]);
    let (_, start) = producer.stream(0);
    assert_eq!(start, 2, "it can be asked for again");
}

#[test]
fn unrequested_durable_writes_end_their_stream_and_not_the_connection() {
    let node = TestNode::start(VbState::Replica);
    let mut producer = Scripted::open_without_a_name(&node, "durable");
    let [(bad, _), (good, _)] = [0, 1].map(|vb| producer.stream(vb));
    producer.marker(0, bad, 0, 4);
    let extras = [[0; 7].as_slice(), &[1], &[0; 22], &[1]].concat();
    let prepare = FrameBuilder::request(Opcode::DCP_PREPARE).opaque(bad).extras(&extras);
    producer.0.send(&prepare.key(b"\0key").value(b"v").build());
    producer.row(0, bad, 2, 0);
    assert_eq!(producer.refusal().status(), Status::NOT_SUPPORTED);
    assert_eq!(producer.refusal().status(), Status::DCP_STREAM_NOT_FOUND);
    producer.marker(1, good, 0, 1);
    producer.row(1, good, 1, 0);
    wait_for("the good row", || node.high_seqno(1) == 1);
    assert_eq!(node.high_seqno(0), 0);
}

#[test]
fn rows_that_could_not_be_written_end_their_stream_and_are_asked_for_again() {
    let node = TestNode::start(VbState::Replica);
    let mut producer = Scripted::open(&node, "failing");
    let (stream, _) = producer.stream(0);
    producer.marker(0, stream, 0, 9);
    producer.row(0, stream, 1, 0);
    wait_for("the first row", || node.high_seqno(0) == 1);
    node.faults.commits_fail.store(true, Ordering::Relaxed);
    producer.row(0, stream, 2, 0);
    let refusal = producer.refusal();
    assert_eq!((refusal.opaque(), refusal.status()), (stream.0, Status::EINTERNAL));
    node.faults.commits_fail.store(false, Ordering::Relaxed);
    producer.row(0, stream, 3, 0);
    assert_eq!(producer.refusal().status(), Status::DCP_STREAM_NOT_FOUND);
    // Writes are refused for a second after a failed commit, so that it may take another time.
    let mut start = None;
    wait_for("a stream that writes again", || {
        let (stream, from) = producer.stream(0);
        start.get_or_insert(from);
        producer.marker(0, stream, from, 9);
        producer.row(0, stream, from + 1, 0);
        wait_for("an outcome", || node.high_seqno(0) > 1 || producer.0.has_answer());
        let written = node.high_seqno(0) > 1;
        if !written {
            assert_eq!(producer.refusal().status(), Status::EINTERNAL);
        }
        written
    });
    assert_eq!(start, Some(1));
    assert_eq!(seqnos(&node, 0), [1, 2]);
}

#[test]
fn a_row_with_a_cas_far_ahead_of_the_clock_ends_its_stream_and_is_counted() {
    let node = TestNode::start(VbState::Replica);
    let mut producer = Scripted::open(&node, "future");
    let [(bad, _), (good, _)] = [0, 1].map(|vb| producer.stream(vb));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let ahead = |by: Duration| (now + by).as_nanos() as u64;
    producer.marker(0, bad, 0, 9);
    producer.row_with_cas(0, bad, 1, ahead(Duration::from_secs(3600)));
    wait_for("a row an hour ahead", || node.high_seqno(0) == 1);
    producer.row_with_cas(0, bad, 2, ahead(Duration::from_secs(2 * 3600)));
    let refusal = producer.refusal();
    assert_eq!((refusal.opaque(), refusal.status()), (bad.0, Status::CAS_VALUE_INVALID));
    producer.marker(1, good, 0, 1);
    producer.row(1, good, 1, 0);
    wait_for("the good row", || node.high_seqno(1) == 1);
    let mut client = node.client();
    assert_eq!(client.stat("", "ep_num_invalid_cas"), "1");
    assert_eq!(client.stat("", "ep_replica_ahead_exceptions"), "1");
    assert_eq!(client.stat("", "ep_replica_hlc_drift_count"), "2");
    // What the replica has become active with is not beyond the clock.
    drop(producer);
    client.set_state(0, VbState::Active);
    client.set(0, "key", b"value");
    assert!(node.view(0).max_cas < ahead(Duration::from_secs(3601)));
}
