//! The rules of the producer machine: what a consumer sees of a vBucket that is written to, trimmed
//! from memory and read from disk at random moments, through a small window.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "support/producer_bench.rs"]
mod producer_bench;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcbp::dcp::{BufferAck, Mutation, SnapshotMarker, StreamReq, control_key};
use mcbp::{Frame, FrameBuilder, Opaque, Opcode, Seqno, Status, VbId, VbUuid};
use producer_bench::*;
use proptest::prelude::*;
use vbucket::producer::{BACKFILLS_MAX, Effect, Event, LARGE_BYTES_MAX, SMALL_ROW_BYTES};

#[derive(Clone, Debug)]
enum Happening {
    Write(u8),
    Trim(u8),
    ReadDisk(usize),
    Fill(usize),
    Acknowledge(u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => (0..12_u8).prop_map(Happening::Write),
        2 => any::<u8>().prop_map(Happening::Trim),
        3 => (1..4_usize).prop_map(Happening::ReadDisk),
        4 => (1..400_usize).prop_map(Happening::Fill),
        3 => any::<u8>().prop_map(Happening::Acknowledge),
    ]
}

const LARGEST_FRAME: usize = 24 + 31 + 6 + 12;

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// The consumer ends with the newest row of every key, in order, in whole snapshots, and never
    /// gets more than its window and one frame.
    #[test]
    fn a_consumer_gets_everything_once_in_order_within_its_window(
        before in prop::collection::vec(0..12_u8, 0..30),
        happenings in prop::collection::vec(happening(), 1..120),
        window in 50..600_usize,
    ) {
        let mut bench = Bench::new(0);
        bench.node.put(0);
        before.iter().for_each(|key| bench.node.write(0, *key));
        bench.control(control_key::CONNECTION_BUFFER_SIZE, &window.to_string());
        bench.request(0, 0, 0);
        let mut seen = Seen::default();
        let mut acked = 0;
        for happening in happenings {
            match happening {
                Happening::Write(key) => {
                    bench.node.write(0, key);
                    bench.on(Event::Committed(VbId(0)));
                }
                Happening::Trim(part) => bench.node.with(VbId(0), |copy| {
                    let to = copy.rows.len() as u64 * u64::from(part) / 255;
                    copy.floor = copy.floor.max(to);
                }),
                Happening::ReadDisk(count) => drop(bench.read_disk(count)),
                Happening::Fill(bytes) => bench.fill(bytes),
                Happening::Acknowledge(part) => {
                    let bytes = (seen.out_bytes - acked) * usize::from(part) / 255;
                    acked += bytes;
                    let mut out = BytesMut::new();
                    BufferAck { bytes: bytes as u32 }.write(VbId(0), Opaque(1), &mut out);
                    bench.feed(&out);
                }
            }
            bench.take_frames().iter().for_each(|frame| seen.take(frame));
            prop_assert!(seen.out_bytes - acked < window + LARGEST_FRAME);
        }
        // Everything that can go on does.
        bench.control(control_key::CONNECTION_BUFFER_SIZE, "0");
        for _ in 0..500 {
            bench.fill(usize::MAX);
            bench.read_disk(3);
        }
        bench.take_frames().iter().for_each(|frame| seen.take(frame));
        prop_assert!(bench.effects.is_empty(), "{:?}", bench.effects);
        let newest: BTreeMap<_, _> = bench.node.with(VbId(0), |copy| {
            copy.rows.iter().map(|row| (sent_key(row), row.seqno.0)).collect()
        });
        prop_assert_eq!(seen.newest, newest);
    }
}

#[test]
fn a_few_streams_read_the_disk_at_a_time_and_the_others_follow() {
    const STREAMS: u16 = 100;
    let mut bench = Bench::new(0);
    for vb in 0..STREAMS {
        bench.node.put(vb);
        bench.node.write(vb, 1);
        bench.node.with(VbId(vb), |copy| copy.floor = 1);
        bench.request(vb, 0, 0);
    }
    bench.take_frames();
    let mut changes = 0;
    while changes < STREAMS {
        bench.fill(usize::MAX);
        assert!(bench.scans.len() <= BACKFILLS_MAX, "{}", bench.scans.len());
        assert!(!bench.reads.is_empty() || changes + 8 >= STREAMS);
        bench.read_disk(1);
        bench.fill(usize::MAX);
        let frames = bench.take_frames();
        let is_change = |bytes: &&Vec<u8>| bytes[1] == Opcode::DCP_MUTATION.0;
        changes += frames.iter().filter(is_change).count() as u16;
    }
}

#[test]
fn streams_of_large_documents_share_one_budget_and_all_get_through() {
    const STREAMS: u16 = 12;
    const MIB: usize = 1 << 20;
    const ROUNDS: u64 = 3;
    let mut bench = Bench::new(0);
    let value = Bytes::from(vec![b'x'; 21 * MIB]);
    for vb in 0..STREAMS {
        bench.node.put(vb);
        for key in 0..ROUNDS as u8 {
            bench.node.write(vb, key);
            let mebibytes = [3, 21, 9, 0][usize::from(vb + u16::from(key)) % 4];
            bench.node.with(VbId(vb), |copy| {
                let row = Arc::make_mut(copy.rows.last_mut().unwrap());
                row.value = value.slice(..mebibytes * MIB);
            });
        }
        bench.node.with(VbId(vb), |copy| copy.floor = ROUNDS);
        bench.request(vb, 0, 0);
    }
    // A consumer that takes a frame and then nothing for as long as there is something to read.
    let (mut last, mut read, mut sent, mut turns) = (BTreeMap::new(), 0, 0, 0);
    while last.values().filter(|seqno| **seqno == ROUNDS).count() < usize::from(STREAMS) {
        bench.fill(1);
        turns += 1;
        assert!(turns < 1000, "stuck at {last:?}");
        for frame in bench.take_frames() {
            let frame = Frame::parse(&frame).unwrap();
            if frame.opcode() == Opcode::DCP_MUTATION {
                sent += frame.header.frame_bytes();
                let seqno = Mutation::decode(&frame).unwrap().seqno.0;
                let before = last.insert(frame.header.vbucket(), seqno).unwrap_or(0);
                assert_eq!(seqno, before + 1);
            }
        }
        while let Some(asked) = bench.reads.first().copied() {
            let (allowed, held) = (asked.row_bytes_max.min(LARGE_BYTES_MAX), read - sent);
            let alone = held < BACKFILLS_MAX * 3 * SMALL_ROW_BYTES;
            let has_room = alone || held + allowed <= LARGE_BYTES_MAX + 2 * MIB;
            assert!(allowed <= SMALL_ROW_BYTES || has_room);
            read += bench.read_disk(9);
        }
    }
    assert_eq!(read, sent);
}

#[test]
fn a_consumer_inside_a_snapshot_is_first_led_to_its_end() {
    let mut bench = Bench::new(0);
    bench.node.put(0);
    (0..20).for_each(|key| bench.node.write(0, key));
    let (start, snapshot_start, snapshot_end) = (Seqno(3), Seqno(2), Seqno(15));
    let (flags, end, uuid) = (0, Seqno::MAX, VbUuid(1));
    let req = StreamReq { flags, start, end, uuid, snapshot_start, snapshot_end, value: &[] };
    let mut out = BytesMut::new();
    req.write(VbId(0), STREAM, &mut out);
    bench.feed(&out);
    bench.fill(usize::MAX);
    let mut seen = Seen { last: 3, end: 3, ..Seen::default() };
    let frames = bench.take_frames();
    frames.iter().for_each(|frame| seen.take(frame));
    let first = SnapshotMarker::decode(&Frame::parse(&frames[1]).unwrap()).unwrap();
    assert_eq!((first.start, first.end, seen.last), (snapshot_start, snapshot_end, 20));
}

#[test]
fn mb_29512_a_start_below_the_purge_seqno_ends_with_rollback() {
    let mut bench = Bench::new(0);
    bench.node.put(0);
    (0..10).for_each(|key| bench.node.write(0, key));
    bench.request(0, 0, 3);
    // Purged between the check of the request and the opening of the scan.
    bench.node.with(VbId(0), |copy| (copy.floor, copy.purge) = (10, 6));
    bench.fill(usize::MAX);
    bench.read_disk(100);
    bench.fill(usize::MAX);
    let last = bench.take_frames().pop().unwrap();
    let frame = Frame::parse(&last).unwrap();
    assert_eq!((frame.opcode(), frame.extras), (Opcode::DCP_STREAM_END, &[0, 0, 0, 6][..]));
}

#[test]
fn a_noop_is_sent_at_each_interval_once_the_last_was_answered() {
    let mut bench = Bench::new(0);
    bench.control(control_key::ENABLE_NOOP, "true");
    bench.control(control_key::SET_NOOP_INTERVAL, "0.100000");
    bench.take_frames();
    let tick = |bench: &mut Bench, ms| {
        bench.on(Event::Tick(Duration::from_millis(ms)));
        bench.take_frames()
    };
    assert!(tick(&mut bench, 99).is_empty());
    let first = tick(&mut bench, 100);
    assert_eq!(first[0][12..16], [0x81, 0x96, 0x98, 0x00], "as a real node counts");
    assert!(tick(&mut bench, 5_000).is_empty(), "the first is not answered");
    let opaque = Frame::parse(&first[0]).unwrap().header.opaque;
    bench.feed(&FrameBuilder::response(Opcode::DCP_NOOP, Status::SUCCESS).opaque(opaque).build());
    assert_eq!(tick(&mut bench, 5_001)[0][12..16], [0x82, 0x96, 0x98, 0x00]);
}

#[test]
fn mb_65403_a_consumer_that_acknowledges_nothing_is_reported_once() {
    let mut bench = Bench::new(0);
    bench.node.put(0);
    (0..12).for_each(|key| bench.node.write(0, key));
    bench.control(control_key::CONNECTION_BUFFER_SIZE, "200");
    bench.request(0, 0, 0);
    bench.fill(usize::MAX);
    assert!(!bench.machine.has_work(), "the window is full");
    let silences = |bench: &mut Bench, seconds: std::ops::Range<u64>| {
        for second in seconds {
            bench.on(Event::Tick(Duration::from_secs(second)));
        }
        let effects = std::mem::take(&mut bench.asked);
        effects.iter().filter(|effect| matches!(effect, Effect::Silent(_))).count()
    };
    assert_eq!(silences(&mut bench, 0..60), 0);
    assert_eq!(silences(&mut bench, 60..200), 1, "said once");
    assert!(bench.machine.totals().silent);
    let mut out = BytesMut::new();
    BufferAck { bytes: 1 }.write(VbId(0), Opaque(1), &mut out);
    bench.feed(&out);
    assert_eq!(silences(&mut bench, 200..259), 0, "something was acknowledged");
    assert!(!bench.machine.totals().silent);
    bench.control(control_key::CONNECTION_BUFFER_SIZE, "0");
    assert_eq!(silences(&mut bench, 259..350), 0, "no window, nothing to acknowledge");
}

/// The key as a connection without collections has it.
fn sent_key(row: &vbucket::Row) -> Bytes {
    Bytes::copy_from_slice(mcbp::key::without_prefix(&row.key))
}
