//! OSO snapshots: a stream of one collection from disk, in the order of keys.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "support/producer_bench.rs"]
mod producer_bench;

use bytes::BytesMut;
use mcbp::dcp::{
    OsoSnapshot, SeqnoAdvanced, SnapshotMarker, StreamReq, change_seqno, control_key, open_flags,
};
use mcbp::{Frame, Opcode, Seqno, VbId, VbUuid};
use producer_bench::{Bench, STREAM, Writing};
use vbucket::producer::{Event, ProducerOptions};

const VB: VbId = VbId(0);
const NAMED: u8 = 8;

/// A frame in short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sent {
    Begin,
    End,
    /// A change, with its seqno.
    Change(u64),
    Advanced(u64),
    /// A marker, with its bounds.
    Marker(u64, u64),
}

fn short(bytes: &[u8]) -> Option<Sent> {
    let frame = Frame::parse(bytes).unwrap();
    Some(match frame.opcode() {
        Opcode::DCP_STREAM_REQ | Opcode::DCP_CONTROL => return None,
        Opcode::DCP_OSO_SNAPSHOT if OsoSnapshot::decode(&frame).unwrap().start => Sent::Begin,
        Opcode::DCP_OSO_SNAPSHOT => Sent::End,
        Opcode::DCP_SEQNO_ADVANCED => {
            Sent::Advanced(SeqnoAdvanced::decode(&frame).unwrap().seqno.0)
        }
        Opcode::DCP_SNAPSHOT_MARKER => {
            let marker = SnapshotMarker::decode(&frame).unwrap();
            Sent::Marker(marker.start.0, marker.end.0)
        }
        _ => Sent::Change(change_seqno(&frame).unwrap().0),
    })
}

fn write(bench: &Bench, key: u8) {
    assert!(bench.node.happens(VB, Writing::Write { key, deletes: false }));
}

/// A consumer with this control. Collection 8 begins and gets three documents, then the default
/// collection gets one; nothing is in memory.
fn bench(control: Option<&str>, durable: bool) -> Bench {
    let open_flags = open_flags::PRODUCER;
    let options =
        ProducerOptions { open_flags, collections: true, json: true, ..Default::default() };
    let mut bench = Bench::with(options);
    bench.control(control_key::ENABLE_NOOP, "true");
    if let Some(value) = control {
        bench.control("enable_out_of_order_snapshots", value);
    }
    if durable {
        bench.control(control_key::ENABLE_SYNC_WRITES, "true");
    }
    bench.node.put(0);
    bench.node.happens(VB, Writing::Collection { id: NAMED, begins: true });
    // Keys with an odd number are in collection 8.
    [5, 1, 3, 2].into_iter().for_each(|key| write(&bench, key));
    bench.node.with(VB, |copy| copy.floor = copy.rows.len() as u64);
    bench
}

/// All that is sent of these collections.
fn sent(bench: &mut Bench, filter: &[u8]) -> Vec<Sent> {
    let (start, uuid) = (Seqno::ZERO, VbUuid(0));
    let (snapshot_start, snapshot_end) = (start, start);
    let end = Seqno::MAX;
    let request =
        StreamReq { flags: 0, start, end, uuid, snapshot_start, snapshot_end, value: filter };
    let mut out = BytesMut::new();
    request.write(VB, STREAM, &mut out);
    bench.feed(&out);
    drain(bench)
}

fn drain(bench: &mut Bench) -> Vec<Sent> {
    for _ in 0..20 {
        bench.fill(usize::MAX);
        bench.read_disk(2);
    }
    bench.take_frames().iter().filter_map(|frame| short(frame)).collect()
}

const FILTER: &[u8] = br#"{"collections":["8"]}"#;

#[test]
fn events_come_first_and_documents_in_the_order_of_keys() {
    use Sent::*;
    let mut bench = bench(Some("true"), false);
    let first = [Begin, Change(1), Change(3), Change(4), Change(2), End];
    assert_eq!(sent(&mut bench, FILTER), first);
    // It goes on in memory, after all that the snapshot covered.
    write(&bench, 1);
    bench.on(Event::Committed(VB));
    assert_eq!(drain(&mut bench), [Marker(6, 6), Change(6)]);
}

#[test]
fn the_end_is_told_to_who_asked_for_it() {
    use Sent::*;
    let mut bench = bench(Some("true_with_seqno_advanced"), false);
    let all = [Begin, Change(1), Change(3), Change(4), Change(2), Advanced(5), End];
    assert_eq!(sent(&mut bench, FILTER), all);
}

#[test]
fn seqnos_are_in_order_where_they_have_to_be() {
    use Sent::*;
    let of_8 = [Marker(0, 5), Change(1), Change(2), Change(3), Change(4), Advanced(5)];
    assert_eq!(sent(&mut bench(None, false), FILTER), of_8);
    assert_eq!(sent(&mut bench(Some("true"), true), FILTER), of_8);
    let two = br#"{"collections":["8","0"]}"#;
    let of_both = [Marker(0, 5), Change(1), Change(2), Change(3), Change(4), Change(5)];
    assert_eq!(sent(&mut bench(Some("true"), false), two), of_both);
}
