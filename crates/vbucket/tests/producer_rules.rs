//! The rules of the producer machine: what a consumer sees of a vBucket that is written to, trimmed
//! from memory and read from disk at random moments, through a small window.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcbp::dcp::{
    BufferAck, Control, FailoverEntry, Mutation, SnapshotMarker, StreamReq, control_key,
    marker_flags, open_flags, stream_flags,
};
use mcbp::{
    Datatype, Frame, FrameBuilder, Opaque, Opcode, Seqno, Status, VbId, VbState, VbUuid, flow,
};
use proptest::prelude::*;
use vbucket::producer::{
    Applied, BACKFILLS_MAX, Chunk, DiskRead, DiskSnapshot, Effect, Effects, Event, LARGE_BYTES_MAX,
    LogRead, Producer, ProducerOptions, ReadEnd, RowEncoder, SMALL_ROW_BYTES, Settings, Source,
    StreamId,
};
use vbucket::stream_req::VbFacts;
use vbucket::{FailoverTable, Kind, Row};

const STREAM: Opaque = Opaque(0x0100_0000);

/// A vBucket with a memory log above `floor`; the disk has the newest row of each key.
struct Copy {
    state: VbState,
    rows: Vec<Arc<Row>>,
    floor: u64,
    purge: u64,
}

#[derive(Default)]
struct Node(RefCell<BTreeMap<VbId, Copy>>);

impl Node {
    fn put(&self, vb: u16) {
        let copy = Copy { state: VbState::Active, rows: Vec::new(), floor: 0, purge: 0 };
        self.0.borrow_mut().insert(VbId(vb), copy);
    }

    fn with<T>(&self, vb: VbId, change: impl FnOnce(&mut Copy) -> T) -> T {
        change(self.0.borrow_mut().get_mut(&vb).unwrap())
    }

    fn write(&self, vb: u16, key: u8) {
        self.with(VbId(vb), |copy| {
            let seqno = Seqno(copy.rows.len() as u64 + 1);
            copy.rows.push(Arc::new(row(key, seqno)));
        });
    }
}

fn row(key: u8, seqno: Seqno) -> Row {
    Row {
        key: Bytes::from(format!("key-{key}")),
        seqno,
        rev: 1,
        cas: seqno.0,
        datatype: Datatype::RAW,
        kind: Kind::Document { flags: 0, expiry: 0 },
        value: Bytes::from(vec![b'x'; usize::from(key)]),
    }
}

impl Source for Node {
    fn facts(&self, vb: VbId) -> Option<VbFacts> {
        let copies = self.0.borrow();
        let copy = copies.get(&vb)?;
        let high = Seqno(copy.rows.len() as u64);
        let entry = FailoverEntry { uuid: VbUuid(1), seqno: Seqno::ZERO };
        Some(VbFacts {
            state: copy.state,
            failover: FailoverTable::from_log(&[entry]).unwrap(),
            high_seqno: high,
            snapshot_start: high,
            snapshot_end: high,
            purge_seqno: Seqno(copy.purge),
        })
    }

    fn read_log(&self, vb: VbId, after: Seqno, bytes_max: usize) -> LogRead {
        self.with(vb, |copy| {
            if after.0 < copy.floor {
                return LogRead::Evicted;
            }
            let rows = &copy.rows[after.0 as usize..];
            // Small reads, so that there are many snapshots.
            let rows = &rows[..rows.len().min(bytes_max.min(7))];
            if rows.is_empty() { LogRead::UpToDate } else { LogRead::Rows(rows.to_vec()) }
        })
    }
}

/// A scan of the disk, over the state at its start.
struct Scan {
    rows: Vec<Arc<Row>>,
    snapshot: Option<DiskSnapshot>,
}

impl Scan {
    fn open(copy: &Copy, start: Seqno, end: Seqno) -> Self {
        let newest: BTreeMap<_, _> = copy.rows.iter().map(|row| (&row.key, row)).collect();
        let within = |row: &&&Arc<Row>| row.seqno >= start && row.seqno <= end;
        let mut rows: Vec<_> = newest.values().filter(within).map(|row| Arc::clone(row)).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.seqno));
        let high_seqno = Seqno(copy.rows.len() as u64);
        Self { rows, snapshot: Some(DiskSnapshot { high_seqno, purge_seqno: Seqno(copy.purge) }) }
    }

    fn read(&mut self, encoder: RowEncoder, read: Read, count: usize) -> DiskRead {
        let Read { vb, stream, row_bytes_max } = read;
        let mut chunk = Chunk::default();
        for _ in 0..count {
            let Some(row) = self.rows.pop() else { break };
            let bytes = encoder.frame_bytes_max(&row);
            if bytes > row_bytes_max {
                self.rows.push(row);
                let end = ReadEnd::Large(bytes);
                return DiskRead { snapshot: self.snapshot.take(), chunk, end };
            }
            encoder.write(&row, vb, stream.opaque, &mut chunk.frames).unwrap();
            chunk.last_seqno = row.seqno;
            if chunk.is_full() {
                break;
            }
        }
        let end = if self.rows.is_empty() { ReadEnd::Finished } else { ReadEnd::More };
        DiskRead { snapshot: self.snapshot.take(), chunk, end }
    }
}

/// A read that the machine asked for.
#[derive(Clone, Copy)]
struct Read {
    vb: VbId,
    stream: StreamId,
    row_bytes_max: usize,
}

struct Bench {
    machine: Producer,
    node: Node,
    out: BytesMut,
    scans: BTreeMap<VbId, Scan>,
    reads: Vec<Read>,
    /// What the machine asked for and was not done yet.
    asked: Effects,
    /// What was asked for and is nothing to do here.
    effects: Vec<Effect>,
}

impl Bench {
    fn new(flags: u32) -> Self {
        let options = ProducerOptions {
            open_flags: flags | open_flags::PRODUCER,
            ..ProducerOptions::default()
        };
        Self {
            machine: Producer::new(options, Duration::ZERO),
            node: Node::default(),
            out: BytesMut::new(),
            scans: BTreeMap::new(),
            reads: Vec::new(),
            asked: Effects::new(),
            effects: Vec::new(),
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let frame = Frame::parse(bytes).unwrap();
        let (node, out) = (&self.node, &mut self.out);
        self.asked.extend(self.machine.on_frame(&frame, Duration::ZERO, node, out));
    }

    fn on(&mut self, event: Event) {
        self.asked.extend(self.machine.on(event, &self.node, &mut self.out));
    }

    fn control(&mut self, key: &str, value: &str) {
        let mut out = BytesMut::new();
        let control = Control { key: key.as_bytes(), value: value.as_bytes() };
        control.write(Opaque(0xc0), &mut out);
        self.feed(&out);
    }

    fn request(&mut self, vb: u16, flags: u32, start: u64) {
        let start = Seqno(start);
        let uuid = VbUuid(u64::from(start > Seqno::ZERO));
        let (snapshot_start, snapshot_end) = (start, start);
        let end = Seqno::MAX;
        let req = StreamReq { flags, start, end, uuid, snapshot_start, snapshot_end, value: &[] };
        let mut out = BytesMut::new();
        req.write(VbId(vb), Opaque(STREAM.0 + u32::from(vb)), &mut out);
        self.feed(&out);
    }

    /// Carries out effects but for reads of the disk, and lets the streams write.
    fn fill(&mut self, bytes_max: usize) {
        loop {
            if self.asked.is_empty() {
                self.asked = self.machine.fill(&self.node, &mut self.out, bytes_max);
            }
            if self.asked.is_empty() {
                return;
            }
            let effects = std::mem::take(&mut self.asked);
            effects.into_iter().for_each(|effect| self.carry_out(effect));
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Watch(vb) => self.on(Event::Changed(vb)),
            Effect::Unwatch(vb) => drop(self.scans.remove(&vb)),
            Effect::ReadDisk { vb, stream, start, end, row_bytes_max } => {
                let node = &self.node;
                let open = || node.with(vb, |copy| Scan::open(copy, start, end));
                self.scans.entry(vb).or_insert_with(open);
                let twice = |read: &Read| (read.vb, read.stream) == (vb, stream);
                assert!(!self.reads.iter().any(twice), "one read at a time");
                self.reads.push(Read { vb, stream, row_bytes_max });
            }
            other => self.effects.push(other),
        }
    }

    /// Performs the oldest read; returns how many bytes it brought.
    fn read_disk(&mut self, count: usize) -> usize {
        if self.reads.is_empty() {
            return 0;
        }
        let read = self.reads.remove(0);
        let Read { vb, stream, .. } = read;
        let encoder = self.machine.encoder();
        let Some(scan) = self.scans.get_mut(&vb) else { return 0 };
        let read = scan.read(encoder, read, count);
        let bytes = read.chunk.frames.len();
        if !matches!(read.end, ReadEnd::More | ReadEnd::Large(_)) {
            self.scans.remove(&vb);
        }
        self.on(Event::DiskRead(vb, stream, read));
        bytes
    }

    fn take_frames(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while !self.out.is_empty() {
            let length = Frame::parse(&self.out).unwrap().header.frame_bytes();
            frames.push(self.out.split_to(length).to_vec());
        }
        frames
    }
}

/// What a consumer has of one vBucket.
#[derive(Default)]
struct Seen {
    newest: BTreeMap<Bytes, u64>,
    last: u64,
    end: u64,
    in_snapshot: Vec<Bytes>,
    out_bytes: usize,
}

impl Seen {
    fn take(&mut self, bytes: &[u8]) {
        let frame = Frame::parse(bytes).unwrap();
        self.out_bytes += flow::charge(&frame.header);
        match frame.opcode() {
            Opcode::DCP_SNAPSHOT_MARKER => {
                let marker = SnapshotMarker::decode(&frame).unwrap();
                assert_eq!(self.last, self.end, "the snapshot before is whole");
                assert!(marker.start.0 <= self.last + 1 && marker.end.0 > self.last, "{marker:?}");
                self.end = marker.end.0;
                self.in_snapshot.clear();
            }
            Opcode::DCP_MUTATION => {
                let seqno = Mutation::decode(&frame).unwrap().seqno.0;
                let key = Bytes::copy_from_slice(frame.key);
                assert!(seqno > self.last && seqno <= self.end, "{seqno} after {}", self.last);
                assert!(!self.in_snapshot.contains(&key), "a key once in a snapshot");
                self.in_snapshot.push(key.clone());
                self.newest.insert(key, seqno);
                self.last = seqno;
            }
            Opcode::DCP_STREAM_REQ | Opcode::DCP_CONTROL => {
                assert_eq!(frame.header.status(), Status::SUCCESS);
            }
            opcode => panic!("unexpected {opcode}"),
        }
    }
}

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
            copy.rows.iter().map(|row| (row.key.clone(), row.seqno.0)).collect()
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
    assert_eq!((first.start, first.end, seen.last), (start, snapshot_end, 20));
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
    assert_eq!(bench.effects, [Effect::HoldWrites(VbId(0))]);
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
fn values_are_what_the_connection_can_take() {
    let xattrs = b"\0\0\0\x03abcbody";
    let squeezed = snap::raw::Encoder::new().compress_vec(xattrs).unwrap();
    let datatype = Datatype::JSON.with(Datatype::SNAPPY).with(Datatype::XATTR);
    let row = Row { value: squeezed.clone().into(), datatype, ..row(1, Seqno(1)) };
    let all = ProducerOptions {
        open_flags: open_flags::PRODUCER | open_flags::INCLUDE_XATTRS,
        collections: true,
        snappy: true,
        json: true,
        xattr: true,
    };
    let no_value = open_flags::NO_VALUE;
    let keeps = open_flags::NO_VALUE_WITH_DATATYPE;
    let cases: [(ProducerOptions, u8, &[u8]); 6] = [
        (all, 7, &squeezed),
        (ProducerOptions { snappy: false, ..all }, 5, xattrs),
        (ProducerOptions { json: false, ..all }, 6, &squeezed),
        (ProducerOptions { open_flags: open_flags::PRODUCER, ..all }, 1, b"body"),
        (ProducerOptions { open_flags: all.open_flags | no_value, ..all }, 0, b""),
        (ProducerOptions { open_flags: all.open_flags | keeps, ..all }, 7, b""),
    ];
    for (options, datatype, value) in cases {
        let encoder = Producer::new(options, Duration::ZERO).encoder();
        let mut out = BytesMut::new();
        encoder.write(&row, VbId(0), Opaque(0), &mut out).unwrap();
        let frame = Frame::parse(&out).unwrap();
        assert_eq!((frame.header.datatype.0, frame.value), (datatype, value), "{options:?}");
        assert_eq!(frame.key, b"\0key-1");
    }
    let damaged = Row { value: Bytes::from_static(b"\xff\xff\xff\xff\x0f"), ..row };
    let plain = ProducerOptions { snappy: false, ..all };
    let encoder = Producer::new(plain, Duration::ZERO).encoder();
    assert!(encoder.write(&damaged, VbId(0), Opaque(0), &mut BytesMut::new()).is_err());
}

#[test]
fn the_users_attributes_of_a_deletion_are_sent_where_that_was_agreed() {
    let (system, user) = (b"\0\0\0\x05_s\x001\0", b"\0\0\0\x04u\x001\0");
    let both = [b"\0\0\0\x11".as_slice(), user, system].concat();
    let datatype = Datatype::XATTR;
    let deleted = Kind::Deleted { at: 9 };
    let row = Row { kind: deleted, value: both.clone().into(), datatype, ..row(1, Seqno(1)) };
    let (xattrs, users) = (open_flags::INCLUDE_XATTRS, open_flags::INCLUDE_DELETED_USER_XATTRS);
    let systems = [b"\0\0\0\x09".as_slice(), system].concat();
    let cases = [(xattrs | users, 4, both), (xattrs, 4, systems), (0, 0, Vec::new())];
    for (open_flags, datatype, value) in cases {
        let options = ProducerOptions { open_flags, snappy: true, ..ProducerOptions::default() };
        let mut out = BytesMut::new();
        let encoder = Producer::new(options, Duration::ZERO).encoder();
        encoder.write(&row, VbId(0), Opaque(0), &mut out).unwrap();
        let frame = Frame::parse(&out).unwrap();
        assert_eq!((frame.header.datatype.0, frame.value), (datatype, value.as_slice()));
    }
}

#[test]
fn a_compressed_tombstone_is_sent_as_it_came_to_whoever_can_read_it() {
    let system = b"\0\0\0\x09\0\0\0\x05_s\x001\0";
    let squeezed = snap::raw::Encoder::new().compress_vec(system).unwrap();
    let datatype = Datatype::XATTR.with(Datatype::SNAPPY);
    let kind = Kind::Deleted { at: 9 };
    let row = Row { kind, value: squeezed.clone().into(), datatype, ..row(1, Seqno(1)) };
    let (xattrs, users) = (open_flags::INCLUDE_XATTRS, open_flags::INCLUDE_DELETED_USER_XATTRS);
    let keys = open_flags::NO_VALUE_WITH_DATATYPE;
    let cases: [(u32, bool, u8, &[u8]); 6] = [
        (xattrs | users, true, 6, &squeezed),
        (xattrs | users, false, 4, system),
        (xattrs, true, 6, &squeezed),
        (xattrs, false, 4, system),
        (xattrs | users | keys, true, 6, b""),
        (xattrs | users | keys, false, 4, b""),
    ];
    for (open_flags, snappy, datatype, value) in cases {
        let options = ProducerOptions { open_flags, snappy, ..ProducerOptions::default() };
        let encoder = Producer::new(options, Duration::ZERO).encoder();
        let mut out = BytesMut::new();
        encoder.write(&row, VbId(0), Opaque(0), &mut out).unwrap();
        let frame = Frame::parse(&out).unwrap();
        assert_eq!((frame.header.datatype.0, frame.value), (datatype, value), "{options:?}");
        assert!(out.len() <= encoder.frame_bytes_max(&row), "{options:?}");
    }
}

#[test]
fn forced_compression_compresses_what_gets_shorter() {
    let (long, short) = ([b'x'; 500].as_slice(), b"x".as_slice());
    let options = ProducerOptions { snappy: true, ..ProducerOptions::default() };
    for (value, forced, datatype) in [(long, true, 2), (short, true, 0), (long, false, 0)] {
        let mut settings = Settings::default();
        let text = if forced { "true" } else { "false" };
        let control = Control { key: b"force_value_compression", value: text.as_bytes() };
        assert_eq!(settings.apply(&control, &options), Applied::Answer(Status::SUCCESS));
        let row = Row { value: Bytes::copy_from_slice(value), ..row(1, Seqno(1)) };
        let mut out = BytesMut::new();
        let encoder = RowEncoder::new(options, &settings);
        encoder.write(&row, VbId(0), Opaque(0), &mut out).unwrap();
        let frame = Frame::parse(&out).unwrap();
        assert_eq!(frame.header.datatype.0, datatype);
        let compressed = datatype == 2;
        let inflated = |value| snap::raw::Decoder::new().decompress_vec(value).unwrap();
        let sent = if compressed { inflated(frame.value) } else { frame.value.to_vec() };
        assert_eq!(sent, value);
    }
    let plain = ProducerOptions { snappy: false, ..options };
    let control = Control { key: b"force_value_compression", value: b"true" };
    let refused = Settings::default().apply(&control, &plain);
    assert_eq!(refused, Applied::Answer(Status::EINVAL));
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

#[test]
fn expirations_have_their_own_opcode_only_where_it_was_agreed() {
    let expired = Row { kind: Kind::Expired { at: 9 }, value: Bytes::new(), ..row(1, Seqno(1)) };
    for (flags, control, opcode, extras_bytes) in [
        (open_flags::INCLUDE_DELETE_TIMES, true, Opcode::DCP_EXPIRATION, 20),
        (open_flags::INCLUDE_DELETE_TIMES, false, Opcode::DCP_DELETION, 21),
        (0, true, Opcode::DCP_DELETION, 18),
    ] {
        let mut bench = Bench::new(flags);
        if control {
            bench.control(control_key::ENABLE_EXPIRY_OPCODE, "true");
        }
        let mut out = BytesMut::new();
        bench.machine.encoder().write(&expired, VbId(0), STREAM, &mut out).unwrap();
        let frame = Frame::parse(&out).unwrap();
        assert_eq!((frame.opcode(), frame.extras.len()), (opcode, extras_bytes));
    }
}
