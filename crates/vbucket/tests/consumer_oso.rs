//! OSO snapshots, cache transfers and requests of the wrong role, as a consumer takes them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "support/consumer_bench.rs"]
mod consumer_bench;

use consumer_bench::{Bench, built, mutation};
use mcbp::dcp::{CacheRecord, OsoSnapshot, SeqnoAdvanced};
use mcbp::{Datatype, FrameBuilder, Opaque, Opcode, Seqno, Status, StreamEndStatus, VbId};
use vbucket::consumer::Replicas as _;

fn opened(window_bytes: u32) -> (Bench, Opaque) {
    let mut bench = Bench::with_window(window_bytes);
    bench.node.put(0, 0, &[(1, 0)]);
    let stream = bench.open(0);
    (bench, stream)
}

fn oso(bench: &mut Bench, stream: Opaque, start: bool) {
    bench.feed(&built(|out| OsoSnapshot { start }.write(VbId(0), stream, out)));
}

fn high_seqno(bench: &Bench) -> u64 {
    bench.node.facts(VbId(0)).unwrap().high_seqno.0
}

#[test]
fn the_rows_of_an_oso_snapshot_are_written_in_order_once_it_has_ended() {
    let (mut bench, stream) = opened(1 << 20);
    oso(&mut bench, stream, true);
    for seqno in [3, 4, 2] {
        bench.mutation(0, stream, seqno);
    }
    bench.settle();
    bench.run_effects();
    assert_eq!(high_seqno(&bench), 0, "it has not ended");
    let advanced = SeqnoAdvanced { seqno: Seqno(5) };
    bench.feed(&built(|out| advanced.write(VbId(0), stream, out)));
    oso(&mut bench, stream, false);
    bench.settle();
    bench.run_effects();
    assert_eq!(high_seqno(&bench), 5);
    let facts = bench.node.facts(VbId(0)).unwrap();
    // From 0: until all of a first snapshot is there, nothing is streamed from the vBucket.
    assert_eq!((facts.snapshot_start, facts.snapshot_end), (Seqno(0), Seqno(5)));
    // Ordinary snapshots follow.
    bench.marker(0, stream, 6, 6);
    bench.mutation(0, stream, 6);
    bench.settle();
    bench.run_effects();
    assert_eq!(high_seqno(&bench), 6);
    assert!(bench.refusals(Opcode::DCP_MUTATION).is_empty());
    assert_eq!(bench.machine.queued_bytes(), 0, "every byte is free");
}

#[test]
fn an_oso_snapshot_without_its_end_is_dropped() {
    let (mut bench, stream) = opened(1 << 20);
    oso(&mut bench, stream, true);
    bench.mutation(0, stream, 2);
    bench.end(0, stream, StreamEndStatus::STATE_CHANGED);
    bench.settle();
    bench.run_effects();
    assert_eq!(high_seqno(&bench), 0);
    assert_eq!(bench.machine.queued_bytes(), 0, "every byte is free");
}

#[test]
fn what_is_set_aside_is_bounded_by_half_of_the_window() {
    let (mut bench, stream) = opened(1000);
    oso(&mut bench, stream, true);
    (1..=9).for_each(|seqno| bench.mutation(0, stream, 20 - seqno));
    let refused = bench.refusals(Opcode::DCP_MUTATION);
    assert_eq!(refused[0], Status::NOT_SUPPORTED);
    bench.settle();
    bench.run_effects();
    assert_eq!((high_seqno(&bench), bench.machine.queued_bytes()), (0, 0));
    assert!(!bench.closed);
}

#[test]
fn an_oso_snapshot_that_makes_no_sense_ends_its_stream() {
    for frames in [
        vec![oso_frame(false)],
        vec![oso_frame(true), oso_frame(true)],
        vec![oso_frame(true), row(2), row(2), oso_frame(false)],
    ] {
        let (mut bench, stream) = opened(1 << 20);
        for frame in &frames {
            bench.feed(&frame(stream));
        }
        bench.settle();
        bench.run_effects();
        assert_eq!(bench.refusals(Opcode::DCP_OSO_SNAPSHOT), [Status::EINVAL]);
        assert_eq!((high_seqno(&bench), bench.machine.queued_bytes()), (0, 0));
    }
}

type Written = Box<dyn Fn(Opaque) -> bytes::BytesMut>;

fn oso_frame(start: bool) -> Written {
    Box::new(move |stream| built(|out| OsoSnapshot { start }.write(VbId(0), stream, out)))
}

fn row(seqno: u64) -> Written {
    Box::new(move |stream| mutation(0, stream, seqno))
}

#[test]
fn a_cache_transfer_changes_nothing() {
    let (mut bench, stream) = opened(1 << 20);
    let mut records = Vec::new();
    let record = CacheRecord {
        cas: 1,
        seqno: Seqno(1),
        rev: 1,
        flags: 0,
        expiry: 0,
        datatype: Datatype::RAW,
        hint: 0,
        key: b"key",
        value: b"value",
    };
    record.push(&mut records);
    for (opcode, value) in
        [(Opcode::DCP_CACHE_TRANSFER, &records[..]), (Opcode::DCP_CACHE_TRANSFER_END, &[])]
    {
        bench.feed(&FrameBuilder::request(opcode).opaque(stream).value(value).build());
        assert!(bench.refusals(opcode).is_empty());
    }
    bench.marker(0, stream, 0, 1);
    bench.mutation(0, stream, 1);
    bench.settle();
    bench.run_effects();
    assert_eq!(high_seqno(&bench), 1);
}

#[test]
fn what_only_a_consumer_sends_closes_the_connection() {
    for (opcode, closes) in [
        (Opcode::DCP_STREAM_REQ, true),
        (Opcode::DCP_GET_FAILOVER_LOG, true),
        (Opcode::DCP_BUFFER_ACK, true),
        (Opcode::DCP_CONTROL, true),
        (Opcode::DCP_SEQNO_ACK, true),
        (Opcode::DCP_OPEN, false),
        (Opcode::DCP_NOOP, false),
    ] {
        let mut bench = Bench::new();
        bench.feed(&FrameBuilder::request(opcode).build());
        bench.run_effects();
        assert_eq!(bench.closed, closes, "{opcode}");
        assert_eq!(bench.take(opcode).is_empty(), closes, "{opcode}: an answer or the end");
    }
}

#[test]
fn an_add_stream_with_an_unknown_flag_is_refused() {
    let mut bench = Bench::new();
    bench.node.put(0, 0, &[(1, 0)]);
    bench.add(0, 7, 0x8000);
    assert_eq!(bench.refusals(Opcode::DCP_ADD_STREAM), [Status::EINVAL]);
}
