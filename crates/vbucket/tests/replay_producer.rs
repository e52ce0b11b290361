//! The captures of real nodes, replayed: given what the real consumer sent, our producer must send
//! what the real producer sent. The order is compared within each vBucket, because real producers
//! switch between streams at random; use counters (nru) are not stored here and left out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcbp::dcp::{
    Deletion, Expiration, FailoverEntry, Mutation, SnapshotMarker, decode_failover_log,
    marker_flags, open_flags,
};
use mcbp::{Frame, Opaque, Opcode, Seqno, VbId, VbState};
use recordings::{Line, capture};
use support::text;
use vbucket::producer::{
    Chunk, DiskRead, DiskSnapshot, Effect, Effects, Event, LogRead, Producer, ProducerOptions,
    ReadEnd, Source, StreamId,
};
use vbucket::stream_req::VbFacts;
use vbucket::{FailoverTable, Kind, Row};

#[derive(Debug)]
struct Copy {
    state: VbState,
    failover: Vec<FailoverEntry>,
    rows: Vec<Arc<Row>>,
    /// Rows up to here are on disk only.
    on_disk: u64,
}

#[derive(Default)]
struct Node(RefCell<BTreeMap<VbId, Copy>>);

impl Source for Node {
    fn facts(&self, vb: VbId) -> Option<VbFacts> {
        let copies = self.0.borrow();
        let copy = copies.get(&vb)?;
        let high = copy.rows.last().map_or(Seqno::ZERO, |row| row.seqno);
        Some(VbFacts {
            state: copy.state,
            failover: FailoverTable::from_log(&copy.failover).unwrap(),
            high_seqno: high,
            snapshot_start: high,
            snapshot_end: high,
            purge_seqno: Seqno::ZERO,
            collections: Default::default(),
        })
    }

    fn read_log(&self, vb: VbId, after: Seqno, _: usize) -> LogRead {
        let copies = self.0.borrow();
        let copy = &copies[&vb];
        if after.0 < copy.on_disk {
            return LogRead::Evicted;
        }
        let rows: Vec<_> = copy.rows.iter().filter(|row| row.seqno > after).cloned().collect();
        if rows.is_empty() { LogRead::UpToDate } else { LogRead::Rows(rows) }
    }
}

fn row(frame: &Frame<'_>) -> Row {
    let (seqno, rev, kind) = match frame.opcode() {
        Opcode::DCP_MUTATION => {
            let m = Mutation::decode(frame).unwrap();
            (m.seqno, m.rev, Kind::Document { flags: m.flags, expiry: m.expiry })
        }
        Opcode::DCP_EXPIRATION => {
            let e = Expiration::decode(frame).unwrap();
            (e.seqno, e.rev, Kind::Expired { at: e.delete_time })
        }
        _ => {
            let d = Deletion::decode(frame).unwrap();
            (d.seqno, d.rev, Kind::Deleted { at: d.delete_time.unwrap() })
        }
    };
    Row {
        key: Bytes::copy_from_slice(frame.key),
        seqno,
        rev,
        cas: frame.header.cas,
        datatype: frame.header.datatype,
        kind,
        value: Bytes::copy_from_slice(frame.value),
    }
}

struct Replay {
    machine: Producer,
    node: Node,
    out: BytesMut,
    /// What the machine asked for and was not done yet.
    effects: Effects,
    got: Vec<Vec<u8>>,
}

impl Replay {
    fn frame(&mut self, frame: &Frame<'_>, at: Duration) {
        let (node, out) = (&self.node, &mut self.out);
        self.effects.extend(self.machine.on_frame(frame, at, node, out));
    }

    fn on(&mut self, event: Event) {
        self.effects.extend(self.machine.on(event, &self.node, &mut self.out));
    }

    fn settle(&mut self) {
        loop {
            if self.effects.is_empty() {
                self.effects = self.machine.fill(&self.node, &mut self.out, usize::MAX);
            }
            if self.effects.is_empty() {
                break;
            }
            let effects = std::mem::take(&mut self.effects);
            effects.into_iter().for_each(|effect| self.carry_out(effect));
        }
        while !self.out.is_empty() {
            let length = Frame::parse(&self.out).unwrap().header.frame_bytes();
            self.got.push(self.out.split_to(length).to_vec());
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Watch(key) => self.on(Event::Changed(key.vb)),
            Effect::SetDead { vb, stream } => {
                self.node.0.borrow_mut().get_mut(&vb).unwrap().state = VbState::Dead;
                self.on(Event::Changed(vb));
                self.on(Event::Dead(vb, stream, Ok(())));
            }
            Effect::ReadDisk { vb, stream, start, .. } => {
                let read = self.read_disk(vb, stream, start);
                self.on(Event::DiskRead(vb, stream, read));
            }
            Effect::Unwatch(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }

    fn read_disk(&self, vb: VbId, stream: StreamId, start: Seqno) -> DiskRead {
        let encoder = self.machine.encoder();
        let copies = self.node.0.borrow();
        let copy = &copies[&vb];
        let mut chunk = Chunk::default();
        let within =
            copy.rows.iter().filter(|row| row.seqno >= start && row.seqno.0 <= copy.on_disk);
        for row in within {
            encoder.write(row, vb, stream.opaque, &mut chunk.frames).unwrap();
            chunk.add(row);
        }
        let high_seqno = Seqno(copy.on_disk);
        let snapshot =
            DiskSnapshot { high_seqno, marker_end: high_seqno, purge_seqno: Seqno::ZERO };
        DiskRead { snapshot: Some(snapshot), chunk, end: ReadEnd::Finished }
    }

    /// What the real producer sends next has just happened on it: writes, a state change. `later`
    /// is the rest of the capture: all of a snapshot was there when its marker was sent.
    fn happen(&mut self, frame: &Frame<'_>, later: &[Line]) {
        let vb = frame.header.vbucket();
        match frame.opcode() {
            Opcode::DCP_SNAPSHOT_MARKER if frame.header.is_request() => {
                let end = marker_end(frame);
                for line in later.iter().filter(|line| line.from == "producer") {
                    let frame = Frame::parse(&line.bytes).unwrap();
                    let of_stream = frame.header.is_request() && frame.header.vbucket() == vb;
                    if of_stream && is_change(&frame) && row(&frame).seqno.0 <= end {
                        self.write(vb, row(&frame));
                    }
                }
            }
            Opcode::DCP_STREAM_END if frame.extras == [0, 0, 0, 2] => {
                self.node.0.borrow_mut().get_mut(&vb).unwrap().state = VbState::Dead;
                self.on(Event::Changed(vb));
            }
            _ => {}
        }
    }

    fn write(&mut self, vb: VbId, row: Row) {
        let mut copies = self.node.0.borrow_mut();
        let copy = copies.get_mut(&vb).unwrap();
        if copy.rows.last().is_none_or(|last| last.seqno < row.seqno) {
            copy.rows.push(Arc::new(row));
            drop(copies);
            self.on(Event::Committed(vb));
        }
    }
}

fn is_change(frame: &Frame<'_>) -> bool {
    let changes = [Opcode::DCP_MUTATION, Opcode::DCP_DELETION, Opcode::DCP_EXPIRATION];
    frame.header.is_request() && changes.contains(&frame.opcode())
}

/// The end of a snapshot, whichever version its marker has.
fn marker_end(frame: &Frame<'_>) -> u64 {
    SnapshotMarker::decode(frame).unwrap().end.0
}

/// Whether a snapshot is read from the producer's disk.
fn is_from_disk(frame: &Frame<'_>) -> bool {
    SnapshotMarker::decode(frame).unwrap().flags & marker_flags::DISK != 0
}

/// The vBuckets as the capture shows them: histories from the answers, rows up to the end of the
/// first snapshot.
fn node(lines: &[Line]) -> Node {
    let node = Node::default();
    let mut asked: BTreeMap<Opaque, VbId> = BTreeMap::new();
    let mut first_end: BTreeMap<VbId, u64> = BTreeMap::new();
    let mut copies = node.0.borrow_mut();
    for line in lines {
        let frame = Frame::parse(&line.bytes).unwrap();
        let vb = frame.header.vbucket();
        let from_producer = line.from == "producer";
        match (from_producer, frame.opcode()) {
            (false, Opcode::DCP_STREAM_REQ) => {
                asked.insert(frame.header.opaque, vb);
            }
            (true, Opcode::DCP_STREAM_REQ) if frame.header.status().is_success() => {
                let failover = decode_failover_log(&frame).unwrap();
                let state = VbState::Active;
                let copy = Copy { state, failover, rows: Vec::new(), on_disk: 0 };
                copies.entry(asked[&frame.header.opaque]).or_insert(copy);
            }
            (true, Opcode::DCP_SNAPSHOT_MARKER) if frame.header.is_request() => {
                let (from_disk, end) = (is_from_disk(&frame), marker_end(&frame));
                if let std::collections::btree_map::Entry::Vacant(first) = first_end.entry(vb) {
                    first.insert(end);
                    copies.get_mut(&vb).unwrap().on_disk = if from_disk { end } else { 0 };
                }
            }
            (true, _) if is_change(&frame) => {
                let row = row(&frame);
                if row.seqno.0 <= first_end[&vb] {
                    copies.get_mut(&vb).unwrap().rows.push(Arc::new(row));
                }
            }
            _ => {}
        }
    }
    drop(copies);
    node
}

/// Frames without what cannot be equal: use counters.
fn without_chance(frames: &mut [Vec<u8>]) {
    for bytes in frames {
        if bytes[..2] == [0x80, Opcode::DCP_MUTATION.0] {
            bytes[24 + 30] = 0;
        }
    }
}

/// The frames by vBucket; answers by the vBucket of their request, what is about none under 0xffff.
fn by_vbucket(frames: Vec<Vec<u8>>, asked: &BTreeMap<u32, u16>) -> BTreeMap<u16, Vec<String>> {
    let mut sorted: BTreeMap<u16, Vec<Vec<u8>>> = BTreeMap::new();
    for bytes in frames {
        let header = Frame::parse(&bytes).unwrap().header;
        let vb = match header.is_request() {
            true => header.vbucket().0,
            false => asked.get(&header.opaque.0).copied().unwrap_or(0xffff),
        };
        sorted.entry(vb).or_default().push(bytes);
    }
    sorted.into_iter().map(|(vb, frames)| (vb, text(&frames))).collect()
}

/// What a replay leaves out or changes, because only one of the two producers can do it.
#[derive(Default)]
struct Differences {
    /// vBuckets with durable writes, which are not kept here.
    durable: &'static [u16],
    /// Controls that the real producer of an older version refuses.
    unknown_to_real: &'static [&'static str],
}

#[track_caller]
fn check(file: &str, prepare: impl FnOnce(&Node)) {
    let lines = capture(file);
    let opened = lines.iter().rposition(|line| line.what == "DCP_OPEN").unwrap();
    check_lines(&lines[opened + 1..], prepare, &Differences::default());
}

/// The parts of a capture after each set-up of both connections, up to the next one.
fn sessions(lines: &[Line]) -> Vec<&[Line]> {
    let sessions = lines.split(|line| line.what == "SASL_AUTH" && line.to == "consumer");
    let after_open = |session| {
        let session: &[Line] = session;
        let opened = session.iter().rposition(|line| line.what.starts_with("DCP_OPEN"))?;
        session.get(opened + 1..)
    };
    sessions.filter_map(after_open).collect()
}

#[track_caller]
fn check_lines(lines: &[Line], prepare: impl FnOnce(&Node), differences: &Differences) {
    let node = node(lines);
    prepare(&node);
    let options = ProducerOptions {
        open_flags: open_flags::REPLICATION_PRODUCER,
        collections: true,
        snappy: true,
        json: true,
        xattr: true,
        xerror: false,
    };
    let machine = Producer::new(options, Duration::ZERO);
    let mut replay =
        Replay { machine, node, out: BytesMut::new(), effects: Effects::new(), got: Vec::new() };
    let (mut real, mut asked) = (Vec::new(), BTreeMap::new());
    let mut unknown_to_real = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let frame = Frame::parse(&line.bytes).unwrap();
        if frame.opcode() == Opcode::DCP_NOOP {
            continue;
        }
        if line.from == "producer" {
            // What was received together was read together: nothing is sent before its last frame.
            replay.settle();
            replay.happen(&frame, &lines[at..]);
            let mut bytes = line.bytes.clone();
            if !frame.header.is_request() && unknown_to_real.contains(&frame.header.opaque) {
                bytes[6..8].fill(0);
            }
            real.push(bytes);
        } else if line.from == "consumer" && frame.opcode() != Opcode::DCP_ADD_STREAM
            || line.to == "producer"
        {
            if frame.header.is_request() {
                asked.insert(frame.header.opaque.0, frame.header.vbucket().0);
                let key = std::str::from_utf8(frame.key).unwrap_or_default();
                if differences.unknown_to_real.contains(&key) {
                    unknown_to_real.push(frame.header.opaque);
                }
            }
            if frame.opcode() == Opcode::DCP_CLOSE_STREAM && !frame.header.is_request() {
                continue;
            }
            replay.frame(&frame, line.at);
        }
    }
    replay.settle();
    let mut ours = replay.got;
    without_chance(&mut ours);
    without_chance(&mut real);
    let (mut ours, mut real) = (by_vbucket(ours, &asked), by_vbucket(real, &asked));
    for vb in differences.durable {
        ours.remove(vb);
        real.remove(vb);
    }
    for (vb, real) in &real {
        assert_eq!(ours.get(vb), Some(real), "vb:{vb}");
    }
    assert_eq!(ours.len(), real.len());
    assert_eq!(unknown_to_real.len(), differences.unknown_to_real.len());
}

#[test]
fn setup_of_four_vbuckets_live_writes_and_closes() {
    check("01-setup-four-vbuckets", |_| ());
}

#[test]
fn a_missing_vbucket_and_one_that_is_set_dead() {
    check("02-producer-has-no-vbucket", |_| ());
}

#[test]
fn a_rollback_to_zero() {
    check("03-rollback-to-zero", |_| ());
}

#[test]
fn a_partial_rollback_and_a_history_of_two_branches() {
    check("04-rollback-partial", |_| ());
}

#[test]
fn a_takeover() {
    check("05-takeover", |_| ());
}

#[test]
fn a_disk_snapshot_and_then_memory() {
    check("06-disk-backfill-after-restart", |_| ());
}

#[test]
fn the_controls_of_an_older_consumer_come_in_groups() {
    let lines = capture("22-setup-7.6");
    let sessions = sessions(&lines);
    assert_eq!(sessions.len(), 2, "from memory, and from disk after a restart");
    let differences = Differences { durable: &[2], ..Differences::default() };
    for session in sessions {
        check_lines(session, |_| (), &differences);
    }
}

#[test]
fn an_older_producers_set_up_with_a_newer_consumer() {
    let lines = capture("22b-setup-7.6-producer-8.0-consumer");
    let unknown_to_real = &["max_marker_version"];
    let differences = Differences { durable: &[2], unknown_to_real };
    // The second session is read from disk, with the older marker.
    check_lines(sessions(&lines)[0], |_| (), &differences);
}
