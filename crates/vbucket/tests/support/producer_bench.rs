//! A bench for the producer machine: it carries out effects, and sees what a consumer would see.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test uses a part")]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcbp::dcp::{Control, Mutation, SnapshotMarker, StreamReq, open_flags};
use mcbp::{Frame, Opaque, Opcode, Seqno, Status, VbId, VbUuid, flow};
use vbucket::producer::{Effect, Effects, Event, Producer, ProducerOptions, ReadEnd};

#[path = "producer_node.rs"]
mod producer_node;
#[path = "producer_writes.rs"]
mod producer_writes;

pub(crate) use producer_node::*;
pub(crate) use producer_writes::*;

pub(crate) const STREAM: Opaque = Opaque(0x0100_0000);

pub(crate) struct Bench {
    pub(crate) machine: Producer,
    pub(crate) node: Node,
    pub(crate) out: BytesMut,
    pub(crate) scans: BTreeMap<VbId, Scan>,
    pub(crate) reads: Vec<Read>,
    /// What the machine asked for and was not done yet.
    pub(crate) asked: Effects,
    /// What was asked for and is nothing to do here.
    pub(crate) effects: Vec<Effect>,
}

impl Bench {
    pub(crate) fn new(flags: u32) -> Self {
        let open_flags = flags | open_flags::PRODUCER;
        Self::with(ProducerOptions { open_flags, ..ProducerOptions::default() })
    }

    pub(crate) fn with(options: ProducerOptions) -> Self {
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

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let frame = Frame::parse(bytes).unwrap();
        let (node, out) = (&self.node, &mut self.out);
        self.asked.extend(self.machine.on_frame(&frame, Duration::ZERO, node, out));
    }

    pub(crate) fn on(&mut self, event: Event) {
        self.asked.extend(self.machine.on(event, &self.node, &mut self.out));
    }

    pub(crate) fn control(&mut self, key: &str, value: &str) {
        let mut out = BytesMut::new();
        let control = Control { key: key.as_bytes(), value: value.as_bytes() };
        control.write(Opaque(0xc0), &mut out);
        self.feed(&out);
    }

    pub(crate) fn request(&mut self, vb: u16, flags: u32, start: u64) {
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
    pub(crate) fn fill(&mut self, bytes_max: usize) {
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

    pub(crate) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Watch(key) => self.on(Event::Changed(key.vb)),
            Effect::Unwatch(key) => drop(self.scans.remove(&key.vb)),
            Effect::ReadDisk { vb, stream, start, row_bytes_max } => {
                let (node, encoder) = (&self.node, self.machine.encoder());
                let Some(filter) = self.machine.filter(vb, stream).cloned() else { return };
                let open = || node.with(vb, |copy| Scan::open(copy, start, encoder, filter));
                self.scans.entry(vb).or_insert_with(open);
                let twice = |read: &Read| (read.vb, read.stream) == (vb, stream);
                assert!(!self.reads.iter().any(twice), "one read at a time");
                self.reads.push(Read { vb, stream, row_bytes_max });
            }
            other => self.effects.push(other),
        }
    }

    /// Performs the oldest read; returns how many bytes it brought.
    pub(crate) fn read_disk(&mut self, count: usize) -> usize {
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

    pub(crate) fn take_frames(&mut self) -> Vec<Vec<u8>> {
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
pub(crate) struct Seen {
    pub(crate) newest: BTreeMap<Bytes, u64>,
    pub(crate) last: u64,
    pub(crate) end: u64,
    pub(crate) in_snapshot: Vec<Bytes>,
    pub(crate) out_bytes: usize,
}

impl Seen {
    pub(crate) fn take(&mut self, bytes: &[u8]) {
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
