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
    Abort, Commit, Deletion, Expiration, FailoverEntry, MarkerBody, Mutation, Prepare,
    SnapshotMarker, change_seqno, decode_failover_log, marker_flags, open_flags,
};
use mcbp::framing::Level;
use mcbp::{Frame, Opaque, Opcode, Seqno, VbId, VbState};
use recordings::{Line, capture};
use support::text;
use vbucket::producer::{
    Chunk, DiskRead, DiskSnapshot, Effect, Effects, Event, LogRead, Producer, ProducerOptions,
    ReadEnd, Source, StreamId,
};
use vbucket::row::prepared_key;
use vbucket::stream_req::VbFacts;
use vbucket::{DurableSeqnos, FailoverTable, Kind, Row, Write};

#[derive(Debug)]
struct Copy {
    state: VbState,
    failover: Vec<FailoverEntry>,
    rows: Vec<Arc<Row>>,
    /// Rows up to here are on disk only.
    on_disk: u64,
    /// Prepares up to here are completed; their rows are not in the capture.
    completed: Seqno,
}

impl Copy {
    fn durable(&self) -> DurableSeqnos {
        let mut durable = DurableSeqnos::default();
        self.rows.iter().for_each(|row| durable.follow(row));
        durable.high_completed = durable.high_completed.max(self.completed);
        durable.high_prepared = durable.high_prepared.max(self.completed);
        durable
    }
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
            durable: copy.durable(),
            history_start: Seqno::ZERO,
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

/// The row of a change; `before` are the rows of the vBucket up to it.
fn row(frame: &Frame<'_>, before: &[Arc<Row>]) -> Row {
    let (seqno, rev, kind) = match frame.opcode() {
        Opcode::DCP_PREPARE => {
            let p = Prepare::decode(frame).unwrap();
            let write = match p.deleted {
                true => Write::Deletion { at: p.expiry },
                false => Write::Document { flags: p.flags, expiry: p.expiry },
            };
            let level = Level::from_wire(p.level).unwrap();
            (p.seqno, p.rev, Kind::Prepared { level, write })
        }
        Opcode::DCP_COMMIT => {
            let Commit { prepared, committed } = Commit::decode(frame).unwrap();
            let prepare = before.iter().find(|row| row.seqno == prepared).unwrap();
            return prepare.committed_at(committed).unwrap();
        }
        Opcode::DCP_ABORT => {
            let Abort { prepared, aborted } = Abort::decode(frame).unwrap();
            return Row::aborted(frame.key, prepared, aborted, 0);
        }
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
        key: match kind {
            Kind::Prepared { .. } => prepared_key(frame.key),
            _ => Bytes::copy_from_slice(frame.key),
        },
        seqno,
        rev,
        cas: frame.header.cas,
        datatype: frame.header.datatype,
        kind,
        prepared: Seqno::ZERO,
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
    acknowledged: Vec<Seqno>,
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
            Effect::Unwatch(_) | Effect::Joined { .. } => {}
            Effect::Acknowledged { prepared, .. } => self.acknowledged.push(prepared),
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
        let mut durable = copy.durable();
        durable.max_visible = durable.max_visible.min(high_seqno);
        let (marker_end, purge_seqno) = (high_seqno, Seqno::ZERO);
        let snapshot = DiskSnapshot {
            high_seqno,
            marker_end,
            purge_seqno,
            durable,
            out_of_order: false,
            history_start: None,
        };
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
                    let seqno = change_seqno(&frame).unwrap_or(Seqno::MAX);
                    if of_stream && is_change(&frame) && seqno.0 <= end {
                        let row = row(&frame, &self.node.0.borrow()[&vb].rows);
                        self.write(vb, row);
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
    let documents = [Opcode::DCP_MUTATION, Opcode::DCP_DELETION, Opcode::DCP_EXPIRATION];
    let durable = [Opcode::DCP_PREPARE, Opcode::DCP_COMMIT, Opcode::DCP_ABORT];
    let is_one = |of: &[Opcode]| of.contains(&frame.opcode());
    frame.header.is_request() && (is_one(&documents) || is_one(&durable))
}

/// The end of a snapshot, whichever version its marker has.
fn marker_end(frame: &Frame<'_>) -> u64 {
    SnapshotMarker::decode(frame).unwrap().end.0
}

/// The highest completed prepare of a marker.
fn completed(frame: &Frame<'_>) -> Seqno {
    match SnapshotMarker::decode(frame).unwrap().body {
        MarkerBody::V1 => Seqno::ZERO,
        MarkerBody::V2_0 { high_completed, .. } | MarkerBody::V2_2 { high_completed, .. } => {
            high_completed
        }
    }
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
                let (rows, on_disk, completed) = (Vec::new(), 0, Seqno::ZERO);
                let copy = Copy { state, failover, rows, on_disk, completed };
                copies.entry(asked[&frame.header.opaque]).or_insert(copy);
            }
            (true, Opcode::DCP_SNAPSHOT_MARKER) if frame.header.is_request() => {
                let (from_disk, end) = (is_from_disk(&frame), marker_end(&frame));
                if let std::collections::btree_map::Entry::Vacant(first) = first_end.entry(vb) {
                    first.insert(end);
                    let copy = copies.get_mut(&vb).unwrap();
                    copy.on_disk = if from_disk { end } else { 0 };
                    copy.completed = completed(&frame);
                }
            }
            (true, _) if is_change(&frame) => {
                let copy = copies.get_mut(&vb).unwrap();
                if change_seqno(&frame).unwrap().0 <= first_end[&vb] {
                    let row = row(&frame, &copy.rows);
                    copy.rows.push(Arc::new(row));
                }
            }
            _ => {}
        }
    }
    drop(copies);
    node
}

/// Frames without what cannot be equal: use counters. A real producer also begins a checkpoint when
/// a key with a durable write comes again; a consumer does nothing with that.
fn without_chance(frames: &mut [Vec<u8>]) {
    let is_durable = frames.iter().any(|bytes| bytes[1] == Opcode::DCP_PREPARE.0);
    for bytes in frames {
        if is_durable && bytes[..2] == [0x80, Opcode::DCP_SNAPSHOT_MARKER.0] {
            let frame = Frame::parse(bytes).unwrap();
            let is_memory =
                SnapshotMarker::decode(&frame).unwrap().flags & marker_flags::MEMORY != 0;
            let flags = 24 + if frame.extras.len() == 20 { 16 + 3 } else { 1 + 16 + 3 };
            if is_memory {
                bytes[flags] &= !(marker_flags::CHECKPOINT as u8);
            }
        }
        if bytes[..2] == [0x80, Opcode::DCP_MUTATION.0] {
            bytes[24 + 30] = 0;
        }
        if bytes[..2] == [0x80, Opcode::DCP_PREPARE.0] {
            bytes[24 + 28] = 0;
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
        ..ProducerOptions::default()
    };
    let machine = Producer::new(options, Duration::ZERO);
    let mut replay = Replay {
        machine,
        node,
        out: BytesMut::new(),
        effects: Effects::new(),
        got: Vec::new(),
        acknowledged: Vec::new(),
    };
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
    let (ours, real) = (by_vbucket(ours, &asked), by_vbucket(real, &asked));
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
    for session in sessions {
        check_lines(session, |_| (), &Differences::default());
    }
}

#[test]
fn an_older_producers_set_up_with_a_newer_consumer() {
    let lines = capture("22b-setup-7.6-producer-8.0-consumer");
    let unknown_to_real = &["max_marker_version"];
    let differences = Differences { unknown_to_real };
    // The second session is read from disk, with the older marker.
    check_lines(sessions(&lines)[0], |_| (), &differences);
}

/// The frames of the `nth` link of a capture, from its last DCP_OPEN on.
fn link(file: &str, nth: usize) -> Vec<Line> {
    let of_link = |line: &Line| {
        let is = |name: &str| ["consumer", "producer", "proxy"].contains(&name);
        is(&line.from) && is(&line.to)
    };
    let lines: Vec<Line> = capture(file).into_iter().filter(of_link).collect();
    sessions(&lines)[nth].to_vec()
}

#[test]
fn a_durable_write_is_prepared_and_committed() {
    check_lines(&link("07-durable-writes", 0), |_| (), &Differences::default());
}

#[test]
fn durable_writes_of_every_level_and_command() {
    check_lines(&link("14a-durable-levels", 0), |_| (), &Differences::default());
}

#[test]
fn aborts_from_memory_and_from_disk() {
    for nth in [0, 1] {
        check_lines(&link("14b-durable-failures", nth), |_| (), &Differences::default());
    }
}

#[test]
fn prepares_that_are_acknowledged_late() {
    check_lines(&link("14c-durable-failover", 0), |_| (), &Differences::default());
}

#[test]
fn a_pending_prepare_from_disk() {
    check_lines(&link("14d-durable-disk", 0), |_| (), &Differences::default());
}
