//! A consumer whose effects a test carries out one by one, and its vBuckets.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcbp::dcp::{
    AddStream, FailoverEntry, MarkerBody, Mutation, SnapshotMarker, StreamEnd, StreamReq, Target,
    encode_failover_log,
};
use mcbp::{
    Datatype, Frame, FrameBuilder, Opaque, Opcode, Seqno, Status, StreamEndStatus, VbId, VbState,
    VbUuid, flow,
};
use vbucket::collections::SystemEvent;
use vbucket::consumer::{
    Claim, Consumer, ConsumerOptions, Effect, Effects, Event, Failure, Part, Refused, Replicas,
};
use vbucket::row::prepared_key;
use vbucket::stats::Stats;
use vbucket::stream_req::VbFacts;
use vbucket::{FailoverTable, Kind, Row};

#[derive(Default)]
pub(crate) struct Node {
    pub(crate) facts: RefCell<BTreeMap<VbId, VbFacts>>,
    /// The newest row of each key, without prepares that are completed.
    pub(crate) rows: RefCell<BTreeMap<VbId, BTreeMap<Bytes, Arc<Row>>>>,
    /// Every row that was written, by seqno.
    pub(crate) written: RefCell<BTreeMap<(VbId, Seqno), Arc<Row>>>,
    pub(crate) claimed: RefCell<Vec<VbId>>,
    /// vBuckets that another connection has, and whether it only drains.
    pub(crate) elsewhere: RefCell<BTreeMap<VbId, bool>>,
    /// vBuckets of which other connections know that they drain.
    pub(crate) draining: RefCell<BTreeSet<VbId>>,
}

impl Node {
    pub(crate) fn put(&self, vb: u16, high: u64, history: &[(u64, u64)]) {
        let entry =
            |&(uuid, seqno): &(u64, u64)| FailoverEntry { uuid: VbUuid(uuid), seqno: Seqno(seqno) };
        let entries: Vec<_> = history.iter().map(entry).collect();
        let facts = VbFacts {
            state: VbState::Replica,
            failover: FailoverTable::from_log(&entries).unwrap(),
            high_seqno: Seqno(high),
            snapshot_start: Seqno(high),
            snapshot_end: Seqno(high),
            purge_seqno: Seqno::ZERO,
            durable: Default::default(),
            history_start: Seqno::ZERO,
            collections: Default::default(),
        };
        self.facts.borrow_mut().insert(VbId(vb), facts);
    }

    pub(crate) fn with(&self, vb: u16, change: impl FnOnce(&mut VbFacts)) {
        change(self.facts.borrow_mut().get_mut(&VbId(vb)).unwrap());
    }

    fn write(&self, vb: VbId, rows: &[Arc<Row>]) {
        let mut all = self.rows.borrow_mut();
        let newest = all.entry(vb).or_default();
        for row in rows {
            self.written.borrow_mut().insert((vb, row.seqno), Arc::clone(row));
            self.with(vb.0, |facts| {
                facts.durable.follow(row);
                if let Kind::Event { is_end } = row.kind {
                    let event = SystemEvent::from_row(&row.key, is_end, &row.value).unwrap();
                    Arc::make_mut(&mut facts.collections).follow(row.seqno, &event);
                }
            });
            let mut stored = Arc::clone(row);
            if row.is_visible() {
                // Any change of the document completes its write: a commit comes as one from disk.
                let step = newest.remove(&prepared_key(&row.key));
                if let Some(Kind::Prepared { .. }) = step.as_ref().map(|row| row.kind) {
                    let prepare = step.unwrap().seqno;
                    self.with(vb.0, |facts| facts.durable.complete(prepare));
                }
                Arc::make_mut(&mut stored).prepared = Seqno::ZERO;
            }
            newest.insert(row.key.clone(), stored);
        }
        let there = Arc::clone(&self.facts.borrow()[&vb].collections);
        newest.retain(|_, row| {
            matches!(row.kind, Kind::Event { .. }) || there.shows(row.document_key(), row.seqno)
        });
    }
}

impl Replicas for Node {
    fn facts(&self, vb: VbId) -> Option<VbFacts> {
        self.facts.borrow().get(&vb).cloned()
    }
    fn prepared(&self, vb: VbId) -> Vec<Arc<Row>> {
        let rows = self.rows.borrow();
        let rows = rows.get(&vb).into_iter().flat_map(BTreeMap::values);
        let mut prepared: Vec<_> =
            rows.filter(|row| matches!(row.kind, Kind::Prepared { .. })).cloned().collect();
        prepared.sort_by_key(|row| row.seqno);
        prepared
    }
    fn claim(&self, vb: VbId) -> Claim {
        match self.elsewhere.borrow().get(&vb) {
            Some(true) => return Claim::Draining,
            Some(false) => return Claim::Streamed,
            None => {}
        }
        let mut claimed = self.claimed.borrow_mut();
        assert!(!claimed.contains(&vb), "claimed twice");
        claimed.push(vb);
        Claim::Taken
    }
    fn drains(&self, vb: VbId) {
        assert!(self.claimed.borrow().contains(&vb), "only what was claimed can drain");
        self.draining.borrow_mut().insert(vb);
    }
    fn release(&self, vb: VbId) {
        self.draining.borrow_mut().remove(&vb);
        self.claimed.borrow_mut().retain(|claimed| *claimed != vb);
    }
}

/// A consumer whose effects a test carries out one by one.
pub(crate) struct Bench {
    pub(crate) machine: Consumer,
    pub(crate) node: Node,
    pub(crate) out: BytesMut,
    /// What was sent and not looked at.
    pub(crate) sent: Vec<Vec<u8>>,
    /// What the machine asked for since the last [`Bench::settle`].
    asked: Effects,
    /// What has an outcome and got none yet.
    pub(crate) effects: Vec<Effect>,
    pub(crate) now: Duration,
    pub(crate) charged: usize,
    pub(crate) closed: bool,
    pub(crate) refused: Vec<(VbId, Refused)>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_window(1_000_000)
    }

    pub(crate) fn with_window(window_bytes: u32) -> Self {
        Self::of(ConsumerOptions { collections: false, json: true, window_bytes })
    }

    pub(crate) fn with_collections() -> Self {
        Self::of(ConsumerOptions { collections: true, json: true, window_bytes: 1_000_000 })
    }

    /// As a node of this name, which takes durable writes.
    pub(crate) fn named(name: &str) -> Self {
        let mut bench = Self::with_collections();
        let options = ConsumerOptions { collections: true, json: true, window_bytes: 1_000_000 };
        bench.machine = Consumer::new(options, Duration::ZERO).with_name(name);
        bench
    }

    fn of(options: ConsumerOptions) -> Self {
        Self {
            machine: Consumer::new(options, Duration::ZERO),
            node: Node::default(),
            out: BytesMut::new(),
            sent: Vec::new(),
            asked: Effects::new(),
            effects: Vec::new(),
            now: Duration::ZERO,
            charged: 0,
            closed: false,
            refused: Vec::new(),
        }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let memory = Bytes::copy_from_slice(bytes);
        let frame = Frame::parse(&memory).unwrap();
        if !self.closed {
            self.charged += flow::charge(&frame.header);
        }
        let (node, out) = (&self.node, &mut self.out);
        self.asked.extend(self.machine.on_frame(&frame, Some(&memory), self.now, node, out));
        self.settle();
    }

    /// Gives the machine an event.
    pub(crate) fn on(&mut self, event: Event) {
        self.asked.extend(self.machine.on(event, &self.node, &mut self.out));
    }

    pub(crate) fn settle(&mut self) {
        self.asked.extend(self.machine.settle(self.now, &self.node, &mut self.out));
        for effect in std::mem::take(&mut self.asked) {
            match effect {
                Effect::Close(_) => self.closed = true,
                Effect::Refused(vb, refused) => self.refused.push((vb, refused)),
                Effect::Watch(_) | Effect::Unwatch(_) | Effect::Note(..) => {}
                other => self.effects.push(other),
            }
        }
        while !self.out.is_empty() {
            let length = Frame::parse(&self.out).unwrap().header.frame_bytes();
            self.sent.push(self.out.split_to(length).to_vec());
        }
    }

    /// Ends an effect with this outcome; a success changes the vBucket.
    pub(crate) fn outcome(&mut self, effect: Effect, outcome: Result<(), Failure>) {
        let node = &self.node;
        let good = outcome.is_ok();
        let event = match effect {
            Effect::Rollback(vb, stream, to) => {
                if good {
                    node.with(vb.0, |facts| {
                        facts.high_seqno = facts.high_seqno.min(to);
                        (facts.snapshot_start, facts.snapshot_end) =
                            (facts.high_seqno, facts.high_seqno);
                    });
                }
                Event::RolledBack(vb, stream, outcome)
            }
            Effect::TakeHistory(vb, stream, log) => {
                if good {
                    let table = FailoverTable::from_log(&log).unwrap();
                    node.with(vb.0, |facts| facts.failover = table);
                }
                Event::HistoryTaken(vb, stream, outcome)
            }
            Effect::Apply(vb, stream, after, parts) => {
                if good {
                    assert_eq!(node.facts(vb).unwrap().high_seqno, after, "no gap");
                }
                for part in parts.iter().filter(|_| good) {
                    node.with(vb.0, |facts| {
                        part.follow_history(&mut facts.history_start, facts.high_seqno);
                    });
                    let (seqno, snapshot, ends) = match part {
                        Part::Rows { rows, snapshot, ends, .. } => {
                            node.write(vb, rows);
                            (rows.last().unwrap().seqno, snapshot, ends)
                        }
                        Part::Advance { seqno, snapshot, ends, .. } => (*seqno, snapshot, ends),
                    };
                    node.with(vb.0, |facts| {
                        assert!(facts.high_seqno < seqno);
                        facts.high_seqno = seqno;
                        (facts.snapshot_start, facts.snapshot_end) = *snapshot;
                        if let Some(end) = ends {
                            end.follow(&mut facts.durable);
                        }
                    });
                }
                Event::Applied(vb, stream, outcome)
            }
            Effect::SetState(vb, stream, state) => {
                if good {
                    node.with(vb.0, |facts| facts.state = state);
                }
                Event::StateSet(vb, stream, outcome)
            }
            other => panic!("{other:?} has no outcome"),
        };
        self.on(event);
        self.settle();
    }

    pub(crate) fn run_effects(&mut self) {
        while !self.effects.is_empty() {
            let effect = self.effects.remove(0);
            self.outcome(effect, Ok(()));
        }
    }

    /// Takes what was sent with this opcode.
    pub(crate) fn take(&mut self, opcode: Opcode) -> Vec<Vec<u8>> {
        let all = std::mem::take(&mut self.sent);
        let of = |bytes: &Vec<u8>| Frame::parse(bytes).unwrap().opcode() == opcode;
        let (taken, kept) = all.into_iter().partition(of);
        self.sent = kept;
        taken
    }

    /// Answers GET_ERROR_MAP and every control as a real producer does.
    pub(crate) fn negotiate(&mut self) {
        self.answer_questions(|key| match key {
            b"change_streams" => Status::NOT_SUPPORTED,
            _ => Status::SUCCESS,
        });
    }

    pub(crate) fn answer_questions(&mut self, status: impl Fn(&[u8]) -> Status) -> Vec<String> {
        let mut keys = Vec::new();
        loop {
            let mut questions = self.take(Opcode::GET_ERROR_MAP);
            questions.extend(self.take(Opcode::DCP_CONTROL));
            assert!(questions.len() < 2, "one at a time");
            let Some(question) = questions.pop() else { return keys };
            let frame = Frame::parse(&question).unwrap();
            keys.push(format!(
                "{}={}",
                String::from_utf8_lossy(frame.key),
                String::from_utf8_lossy(frame.value)
            ));
            let answer = FrameBuilder::response(frame.opcode(), status(frame.key));
            self.feed(&answer.opaque(frame.header.opaque).build());
        }
    }

    pub(crate) fn add(&mut self, vb: u16, opaque: u32, flags: u32) {
        self.feed(&built(|out| AddStream { flags }.write(VbId(vb), Opaque(opaque), out)));
    }

    pub(crate) fn close(&mut self, vb: u16, opaque: u32) {
        let close = FrameBuilder::request(Opcode::DCP_CLOSE_STREAM).vbucket(VbId(vb));
        self.feed(&close.opaque(Opaque(opaque)).build());
    }

    /// The only STREAM_REQ that was sent since the last one was taken.
    pub(crate) fn request(&mut self) -> (Opaque, [u64; 5]) {
        let requests = self.take(Opcode::DCP_STREAM_REQ);
        assert_eq!(requests.len(), 1);
        let frame = Frame::parse(&requests[0]).unwrap();
        let req = StreamReq::decode(&frame).unwrap();
        let StreamReq { start, uuid, snapshot_start, snapshot_end, flags, .. } = req;
        let fields = [start.0, uuid.0, snapshot_start.0, snapshot_end.0, u64::from(flags)];
        (frame.header.opaque, fields)
    }

    pub(crate) fn answer_request(&mut self, opaque: Opaque, status: Status, value: &[u8]) {
        let answer = FrameBuilder::response(Opcode::DCP_STREAM_REQ, status).opaque(opaque);
        self.feed(&answer.value(value).build());
    }

    pub(crate) fn accept(&mut self, opaque: Opaque) {
        let entry = FailoverEntry { uuid: VbUuid(77), seqno: Seqno::ZERO };
        self.answer_request(opaque, Status::SUCCESS, &encode_failover_log(&[entry]));
    }

    /// The statuses of the ADD_STREAM answers since the last time, by opaque.
    pub(crate) fn answers(&mut self) -> Vec<(u32, Status)> {
        let answers = self.take(Opcode::DCP_ADD_STREAM);
        let header = |bytes: &Vec<u8>| Frame::parse(bytes).unwrap().header;
        answers.iter().map(|bytes| (header(bytes).opaque.0, header(bytes).status())).collect()
    }

    /// What another connection does with a vBucket: takes it (0), ends its stream (1), gives it
    /// back (2).
    pub(crate) fn elsewhere(&mut self, vb: u16, how: u8) {
        let vb = VbId(vb);
        let here = self.node.claimed.borrow().contains(&vb);
        let known = self.node.elsewhere.borrow().contains_key(&vb);
        match how {
            0 if !here && !known => drop(self.node.elsewhere.borrow_mut().insert(vb, false)),
            1 if known => drop(self.node.elsewhere.borrow_mut().insert(vb, true)),
            2 if known => {
                let drained = self.node.elsewhere.borrow_mut().remove(&vb);
                if drained == Some(true) {
                    self.on(Event::Freed(vb));
                }
                self.settle();
            }
            _ => {}
        }
    }

    /// The statuses with which frames of this opcode were answered since the last time.
    pub(crate) fn refusals(&mut self, opcode: Opcode) -> Vec<Status> {
        let answers = self.take(opcode);
        answers.iter().map(|bytes| Frame::parse(bytes).unwrap().header.status()).collect()
    }

    /// Opens a stream from the seqno of the vBucket.
    pub(crate) fn open(&mut self, vb: u16) -> Opaque {
        self.add(vb, 0xadd, 0);
        self.negotiate();
        let (opaque, _) = self.request();
        self.accept(opaque);
        self.run_effects();
        assert_eq!(self.answers(), [(0xadd, Status::SUCCESS)]);
        opaque
    }

    pub(crate) fn marker(&mut self, vb: u16, opaque: Opaque, start: u64, end: u64) {
        let (start, end) = (Seqno(start), Seqno(end));
        let marker = SnapshotMarker { start, end, flags: 1, body: MarkerBody::V1 };
        self.feed(&built(|out| marker.write(VbId(vb), opaque, out)));
    }

    pub(crate) fn mutation(&mut self, vb: u16, opaque: Opaque, seqno: u64) {
        self.feed(&mutation(vb, opaque, seqno));
    }

    pub(crate) fn end(&mut self, vb: u16, opaque: Opaque, status: StreamEndStatus) {
        self.feed(&built(|out| StreamEnd { status }.write(VbId(vb), opaque, out)));
    }

    pub(crate) fn stat(&self, name: &str) -> u64 {
        let mut lines = Vec::new();
        self.machine.stats(&mut Stats::new("", &mut lines));
        lines.iter().find(|(line, _)| line == name).unwrap().1.parse().unwrap()
    }
}

pub(crate) fn built(write: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut out = BytesMut::new();
    write(&mut out);
    out
}

pub(crate) fn mutation(vb: u16, opaque: Opaque, seqno: u64) -> BytesMut {
    mutation_of(b"key", vb, opaque, seqno)
}

pub(crate) fn mutation_of(key: &[u8], vb: u16, opaque: Opaque, seqno: u64) -> BytesMut {
    let to = Target { vb: VbId(vb), opaque, cas: seqno, datatype: Datatype::RAW };
    let seqno = Seqno(seqno);
    let body = Mutation { seqno, rev: 1, flags: 0, expiry: 0, lock_time: 0, nru: 4 };
    built(|out| body.write(to, key, b"value", out))
}
