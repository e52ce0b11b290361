//! Requests of a consumer to the producer machine: roles, stream ids, ends within a snapshot.

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
use mcbp::dcp::{StreamReq, control_key, push_stream_id, stream_id};
use mcbp::{Frame, FrameBuilder, Opaque, Opcode, Seqno, Status, VbId, VbUuid};
use producer_bench::*;
use vbucket::producer::Effect;

fn with_rows(count: u8) -> Bench {
    let bench = Bench::new(0);
    bench.node.put(0);
    (0..count).for_each(|key| bench.node.write(0, key));
    bench
}

fn ask(bench: &mut Bench, end: u64, value: &str) -> Status {
    let (start, value) = (Seqno::ZERO, value.as_bytes());
    let (snapshot_start, snapshot_end, end, uuid) = (start, start, Seqno(end), VbUuid(0));
    let req = StreamReq { flags: 0, start, end, uuid, snapshot_start, snapshot_end, value };
    let mut out = BytesMut::new();
    req.write(VbId(0), STREAM, &mut out);
    let from = bench.out.len();
    bench.feed(&out);
    Frame::parse(&bench.out[from..]).unwrap().header.status()
}

/// The seqnos of the changes, and the status of the end.
fn sent(bench: &mut Bench) -> (Vec<u64>, Option<u8>) {
    bench.fill(usize::MAX);
    let (mut seqnos, mut end) = (Vec::new(), None);
    for bytes in bench.take_frames() {
        let frame = Frame::parse(&bytes).unwrap();
        match frame.opcode() {
            Opcode::DCP_MUTATION => {
                seqnos.push(u64::from_be_bytes(frame.extras[..8].try_into().unwrap()));
            }
            Opcode::DCP_STREAM_END => end = frame.extras.last().copied(),
            _ => {}
        }
    }
    (seqnos, end)
}

#[test]
fn a_stream_that_ends_within_a_snapshot_gets_all_of_it() {
    // A read of the bench's memory log, which is a snapshot, has seven rows.
    for (end, last) in [(0, 0), (1, 7), (3, 7), (7, 7), (8, 12), (12, 12)] {
        let mut bench = with_rows(12);
        assert_eq!(ask(&mut bench, end, ""), Status::SUCCESS);
        assert_eq!(sent(&mut bench), ((1..=last).collect(), Some(0)), "end {end}");
    }
}

#[test]
fn a_stream_from_disk_that_ends_within_a_snapshot_gets_all_of_it() {
    let mut bench = with_rows(12);
    bench.node.with(VbId(0), |copy| copy.floor = 12);
    assert_eq!(ask(&mut bench, 3, ""), Status::SUCCESS);
    bench.fill(usize::MAX);
    bench.read_disk(100);
    assert_eq!(sent(&mut bench), ((1..=12).collect(), Some(0)));
}

#[test]
fn a_stream_waits_for_an_end_that_is_not_there_yet() {
    let mut bench = with_rows(2);
    assert_eq!(ask(&mut bench, 3, ""), Status::SUCCESS);
    assert_eq!(sent(&mut bench), (vec![1, 2], None));
    bench.node.write(0, 9);
    bench.on(vbucket::producer::Event::Committed(VbId(0)));
    assert_eq!(sent(&mut bench), (vec![3], Some(0)));
}

#[test]
fn what_only_a_producer_sends_closes_the_connection() {
    for (opcode, closes) in [
        (Opcode::DCP_ADD_STREAM, true),
        (Opcode::DCP_STREAM_END, true),
        (Opcode::DCP_MUTATION, true),
        (Opcode::DCP_SET_VBUCKET_STATE, true),
        (Opcode::DCP_NOOP, true),
        (Opcode::DCP_SEQNO_ACK, false),
        (Opcode::DCP_SEQNO_ADVANCED, false),
        (Opcode::DCP_OSO_SNAPSHOT, false),
        (Opcode::DCP_OPEN, false),
    ] {
        let mut bench = with_rows(1);
        bench.feed(&FrameBuilder::request(opcode).build());
        bench.fill(usize::MAX);
        let closed = bench.effects.iter().any(|effect| matches!(effect, Effect::Close(_)));
        assert_eq!(closed, closes, "{opcode}");
        assert_eq!(bench.out.is_empty(), closes, "{opcode}: an answer or the end");
    }
}

#[test]
fn a_vbucket_has_a_stream_for_each_stream_id() {
    let mut bench = with_rows(2);
    assert_eq!(ask(&mut bench, 9, r#"{"sid":1}"#), Status::EINVAL, "no collections here");
    let mut bench =
        Bench::with(vbucket::producer::ProducerOptions { collections: true, ..Default::default() });
    bench.node.put(0);
    (0..2).for_each(|key| bench.node.write(0, key));
    bench.control(control_key::ENABLE_NOOP, "true");
    bench.control(control_key::ENABLE_STREAM_ID, "true");
    bench.control(control_key::ENABLE_SYNC_WRITES, "true");
    let frames = bench.take_frames();
    assert_eq!(Frame::parse(&frames[2]).unwrap().header.status(), Status::NOT_SUPPORTED);
    assert_eq!(ask(&mut bench, 9, ""), Status::STREAM_ID_INVALID);
    assert_eq!(ask(&mut bench, 9, r#"{"sid":1}"#), Status::SUCCESS);
    assert_eq!(ask(&mut bench, 9, r#"{"sid":1}"#), Status::KEY_EEXISTS);
    assert_eq!(ask(&mut bench, 9, r#"{"sid":2}"#), Status::SUCCESS);
    bench.fill(usize::MAX);
    let frames = bench.take_frames();
    for sid in [1, 2] {
        let frames = frames.iter().map(|bytes| Frame::parse(bytes).unwrap());
        let of_sid = frames.filter(|frame| stream_id(frame) == Some(sid)).count();
        assert_eq!(of_sid, 3, "a marker and two rows");
    }
    for sid in 3..=4096 {
        let value = format!(r#"{{"sid":{sid}}}"#);
        assert_eq!(ask(&mut bench, 9, &value), Status::SUCCESS, "{sid}");
    }
    assert_eq!(ask(&mut bench, 9, r#"{"sid":5000}"#), Status::ENOMEM, "too many");
    bench.take_frames();
    let close = |bench: &mut Bench, sid: u16| {
        let mut out = BytesMut::new();
        let close = FrameBuilder::request(Opcode::DCP_CLOSE_STREAM).opaque(Opaque(7));
        close.write(&mut out);
        if sid != 0 {
            push_stream_id(&mut out, 0, sid);
        }
        bench.feed(&out);
        let frames = bench.take_frames();
        Frame::parse(&frames[0]).unwrap().header.status()
    };
    assert_eq!(close(&mut bench, 0), Status::STREAM_ID_INVALID);
    assert_eq!(close(&mut bench, 1), Status::SUCCESS);
    assert_eq!(close(&mut bench, 1), Status::KEY_ENOENT);
    assert_eq!(bench.machine.stream_count(), 4095, "the others go on");
}
