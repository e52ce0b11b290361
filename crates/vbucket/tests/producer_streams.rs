//! Streams of the producer machine one by one: reads for older streams, takeovers, complaints.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "support/producer_bench.rs"]
mod producer_bench;

use std::time::Duration;

use bytes::BytesMut;
use mcbp::dcp::{SnapshotMarker, StreamReq, marker_flags, stream_flags};
use mcbp::{Frame, FrameBuilder, Opaque, Opcode, Seqno, Status, VbId, VbUuid};
use producer_bench::*;
use vbucket::producer::{DiskRead, Effect, Event, StreamId, StreamKey};

/// A stream of vBucket 0 that was closed while it read the disk; its read has not been reported.
fn closed_while_it_reads() -> (Bench, VbId, StreamId, DiskRead) {
    let mut bench = Bench::new(0);
    bench.node.put(0);
    (0..3).for_each(|key| bench.node.write(0, key));
    bench.node.with(VbId(0), |copy| copy.floor = 3);
    bench.request(0, 0, 0);
    bench.fill(usize::MAX);
    let asked = bench.reads.remove(0);
    let (vb, old) = (asked.vb, asked.stream);
    let encoder = bench.machine.encoder();
    let read = bench.scans.get_mut(&vb).unwrap().read(encoder, asked, 9);
    bench.feed(&FrameBuilder::request(Opcode::DCP_CLOSE_STREAM).vbucket(vb).build());
    (bench, vb, old, read)
}

#[test]
fn mb_26979_a_read_for_an_older_stream_is_dropped() {
    let (mut bench, vb, old, read) = closed_while_it_reads();
    let mut out = BytesMut::new();
    let start = Seqno::ZERO;
    let req = StreamReq {
        flags: 0,
        start,
        end: Seqno::MAX,
        uuid: VbUuid(0),
        snapshot_start: start,
        snapshot_end: start,
        value: &[],
    };
    req.write(vb, Opaque(2), &mut out);
    bench.feed(&out);
    bench.fill(usize::MAX);
    bench.take_frames();
    bench.on(Event::DiskRead(vb, old, read));
    bench.fill(usize::MAX);
    let of_old = |bytes: &Vec<u8>| bytes[12..16] == old.opaque.0.to_be_bytes();
    assert!(!bench.take_frames().iter().any(of_old));
}

#[test]
fn a_read_for_an_older_stream_with_the_same_opaque_is_dropped() {
    let (mut bench, vb, old, read) = closed_while_it_reads();
    bench.request(0, 0, 0);
    bench.fill(usize::MAX);
    bench.take_frames();
    let new = bench.reads[0].stream;
    assert_eq!(new.opaque, old.opaque);
    assert_ne!(new, old);
    bench.on(Event::DiskRead(vb, old, read));
    bench.fill(usize::MAX);
    assert!(bench.take_frames().is_empty(), "rows of the older stream");
    bench.read_disk(9);
    bench.fill(usize::MAX);
    let opcodes: Vec<_> =
        bench.take_frames().iter().map(|bytes| Frame::parse(bytes).unwrap().opcode()).collect();
    assert_eq!(opcodes[0], Opcode::DCP_SNAPSHOT_MARKER, "{opcodes:?}");
}

#[test]
fn a_stream_of_the_disk_alone_is_its_whole_snapshot_however_old_the_request() {
    let mut bench = Bench::new(0);
    bench.node.put(0);
    (0..3).for_each(|key| bench.node.write(0, key));
    bench.request(0, stream_flags::DISK_ONLY, 0);
    // Before the disk is read: the row of seqno 1 is gone.
    bench.node.write(0, 0);
    bench.node.write(0, 4);
    let mut seen = Seen::default();
    let mut frames = Vec::new();
    for _ in 0..4 {
        bench.fill(usize::MAX);
        bench.read_disk(2);
        frames.extend(bench.take_frames());
    }
    let end = Frame::parse(frames.last().unwrap()).unwrap();
    assert_eq!((end.opcode(), end.extras), (Opcode::DCP_STREAM_END, &[0, 0, 0, 0][..]));
    let marker = SnapshotMarker::decode(&Frame::parse(&frames[1]).unwrap()).unwrap();
    assert_eq!((marker.start, marker.end), (Seqno(0), Seqno(5)));
    frames.pop();
    frames.iter().for_each(|frame| seen.take(frame));
    assert_eq!(
        (seen.newest.values().copied().collect::<Vec<_>>(), seen.last),
        (vec![4, 2, 3, 5], 5)
    );
}

#[test]
fn mb_29541_a_takeover_all_from_disk_goes_on() {
    let mut bench = Bench::new(0);
    bench.node.put(0);
    (0..3).for_each(|key| bench.node.write(0, key));
    bench.node.with(VbId(0), |copy| copy.floor = 3);
    bench.request(0, stream_flags::TAKEOVER, 0);
    bench.fill(usize::MAX);
    bench.read_disk(9);
    bench.fill(usize::MAX);
    let frames = bench.take_frames();
    let marker = Frame::parse(&frames[1]).unwrap();
    let flags = SnapshotMarker::decode(&marker).unwrap().flags;
    assert_eq!(flags, marker_flags::DISK | marker_flags::CHECKPOINT);
    let last = Frame::parse(frames.last().unwrap()).unwrap();
    assert_eq!((last.opcode(), last.extras), (Opcode::DCP_SET_VBUCKET_STATE, &[3][..]));
}

#[test]
fn mb_15166_a_takeover_that_does_not_get_ahead_holds_up_clients_once() {
    let mut bench = Bench::new(0);
    bench.node.put(0);
    bench.node.write(0, 1);
    bench.request(0, stream_flags::TAKEOVER, 0);
    bench.fill(usize::MAX);
    // The marker is not answered.
    for seconds in [59, 60, 61] {
        bench.on(Event::Tick(Duration::from_secs(seconds)));
        bench.fill(usize::MAX);
        let held = usize::from(seconds >= 60);
        assert_eq!(bench.effects.len(), held, "after {seconds} s");
    }
    assert_eq!(bench.effects, [Effect::HoldWrites(StreamKey { vb: VbId(0), sid: 0 })]);
}

#[test]
fn mb_37009_a_complaint_about_one_stream_leaves_the_others_alone() {
    for (status, closes) in [
        (Status::NOT_MY_VBUCKET, false),
        (Status::KEY_ENOENT, false),
        (Status::ERANGE, true),
        (Status::EINVAL, true),
    ] {
        let mut bench = Bench::new(0);
        bench.feed(&FrameBuilder::response(Opcode::DCP_MUTATION, status).build());
        bench.fill(usize::MAX);
        let closed = bench.effects.iter().any(|effect| matches!(effect, Effect::Close(_)));
        assert_eq!(closed, closes, "{status}");
    }
}
