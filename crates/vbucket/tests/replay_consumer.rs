//! The captures of real nodes, replayed: given what the real producer and the relay sent, our
//! consumer must send what the real consumer sent, byte for byte and in the same order.

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

use bytes::BytesMut;
use mcbp::dcp::FailoverEntry;
use mcbp::{Frame, Opcode, Seqno, Status, VbId, VbState, VbUuid};
use recordings::{Line, capture};
use support::text;
use vbucket::consumer::{Claim, Consumer, ConsumerOptions, Effect, Effects, Event, Part, Replicas};
use vbucket::stream_req::VbFacts;
use vbucket::{FailoverTable, Kind, Row};

/// vBuckets that carry out effects at once.
#[derive(Default)]
struct Node(RefCell<BTreeMap<VbId, VbFacts>>, RefCell<Vec<Arc<Row>>>);

impl Node {
    fn put(&self, vb: u16, state: VbState, high: u64, uuid: u64) {
        let entry = FailoverEntry { uuid: VbUuid(uuid), seqno: Seqno::ZERO };
        let facts = VbFacts {
            state,
            failover: FailoverTable::from_log(&[entry]).unwrap(),
            high_seqno: Seqno(high),
            snapshot_start: Seqno(high),
            snapshot_end: Seqno(high),
            purge_seqno: Seqno::ZERO,
            durable: Default::default(),
            history_start: Seqno::ZERO,
            collections: Default::default(),
        };
        self.0.borrow_mut().insert(VbId(vb), facts);
    }

    /// Follows rows: what is prepared, and what completes it.
    fn write(&self, vb: VbId, rows: &[Arc<Row>]) {
        for row in rows {
            self.with(vb, |facts| facts.durable.follow(row));
            let mut prepared = self.1.borrow_mut();
            prepared.retain(|it| it.document_key() != row.document_key());
            if matches!(row.kind, Kind::Prepared { .. }) {
                prepared.push(Arc::clone(row));
            }
        }
    }

    fn with(&self, vb: VbId, change: impl FnOnce(&mut VbFacts)) {
        change(self.0.borrow_mut().get_mut(&vb).unwrap());
    }
}

impl Replicas for Node {
    fn facts(&self, vb: VbId) -> Option<VbFacts> {
        self.0.borrow().get(&vb).cloned()
    }
    fn prepared(&self, _: VbId) -> Vec<Arc<Row>> {
        self.1.borrow().clone()
    }
    fn claim(&self, _: VbId) -> Claim {
        Claim::Taken
    }
    fn drains(&self, _: VbId) {}
    fn release(&self, _: VbId) {}
}

struct Replay {
    machine: Consumer,
    node: Node,
    out: BytesMut,
    /// What the machine asked for and was not done yet.
    effects: Effects,
    got: Vec<Vec<u8>>,
    closed: Option<String>,
}

impl Replay {
    fn new(window_bytes: u32, name: &str, opened: Duration, node: Node) -> Self {
        let options = ConsumerOptions { collections: true, json: true, window_bytes };
        let machine = Consumer::new(options, opened).with_name(name);
        Self {
            machine,
            node,
            out: BytesMut::new(),
            effects: Effects::new(),
            got: Vec::new(),
            closed: None,
        }
    }

    fn frame(&mut self, bytes: &[u8], now: Duration) {
        let frame = Frame::parse(bytes).unwrap();
        let (node, out) = (&self.node, &mut self.out);
        self.effects.extend(self.machine.on_frame(&frame, None, now, node, out));
    }

    fn on(&mut self, event: Event) {
        self.effects.extend(self.machine.on(event, &self.node, &mut self.out));
    }

    /// Carries out every effect until nothing is left to do.
    fn settle(&mut self, now: Duration) {
        loop {
            self.effects.extend(self.machine.settle(now, &self.node, &mut self.out));
            if self.effects.is_empty() {
                break;
            }
            for effect in std::mem::take(&mut self.effects) {
                self.carry_out(effect);
            }
        }
        while !self.out.is_empty() {
            let length = Frame::parse(&self.out).unwrap().header.frame_bytes();
            self.got.push(self.out.split_to(length).to_vec());
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        let node = &self.node;
        match effect {
            Effect::Rollback(vb, stream, _) => {
                // The real node rolls back to zero by itself (capture 04).
                node.with(vb, |facts| {
                    (facts.high_seqno, facts.snapshot_start, facts.snapshot_end) =
                        Default::default();
                });
                self.on(Event::RolledBack(vb, stream, Ok(())));
            }
            Effect::TakeHistory(vb, stream, log) => {
                node.with(vb, |facts| facts.failover = FailoverTable::from_log(&log).unwrap());
                self.on(Event::HistoryTaken(vb, stream, Ok(())));
            }
            Effect::Apply(vb, stream, _, parts) => {
                for part in parts {
                    let (seqno, snapshot) = match part {
                        Part::Rows { rows, snapshot, .. } => {
                            node.write(vb, &rows);
                            (rows.last().unwrap().seqno, snapshot)
                        }
                        Part::Advance { seqno, snapshot, .. } => (seqno, snapshot),
                    };
                    node.with(vb, |facts| {
                        assert!(facts.high_seqno < seqno, "{vb} goes on");
                        facts.high_seqno = seqno;
                        (facts.snapshot_start, facts.snapshot_end) = snapshot;
                    });
                }
                self.on(Event::Applied(vb, stream, Ok(())));
            }
            Effect::SetState(vb, stream, state) => {
                node.with(vb, |facts| facts.state = state);
                self.on(Event::Changed(vb));
                self.on(Event::StateSet(vb, stream, Ok(())));
            }
            Effect::Close(reason) => self.closed = Some(reason),
            Effect::Refused(vb, refused) => panic!("{vb} {refused:?}"),
            Effect::Watch(_) | Effect::Unwatch(_) | Effect::Note(..) => {}
        }
    }
}

fn is_for_consumer(line: &Line) -> bool {
    line.from == "producer" || line.to == "consumer"
}

fn is_noop(bytes: &[u8]) -> bool {
    bytes[1] == Opcode::DCP_NOOP.0
}

/// The values that the consumer of the capture asked for in a control, in their order.
fn values(lines: &[Line], key: &str) -> Vec<String> {
    let of_consumer = lines.iter().filter(|line| line.from == "consumer");
    let values = of_consumer.filter_map(|line| {
        let frame = Frame::parse(&line.bytes).unwrap();
        let is_it = frame.key == key.as_bytes();
        is_it.then(|| String::from_utf8(frame.value.to_vec()).unwrap())
    });
    values.collect()
}

/// Which frames the consumer received in one read.
#[derive(Clone, Copy, PartialEq)]
enum Reads {
    /// Each alone.
    Each,
    /// One frame each, but for the ADD_STREAMs, which were received together.
    AddsTogether,
    /// All that are adjacent in the capture.
    Together,
}

/// Feeds the capture; returns what our consumer sent, and what the real one sent, without noops.
fn replay(file: &str, node: Node, reads: Reads) -> [Vec<Vec<u8>>; 2] {
    replay_of(&link(file, 0), node, reads)
}

/// The frames of the `nth` link of a capture, between the consumer, the producer and the proxy,
/// from the last DCP_OPEN on.
fn link(file: &str, nth: usize) -> Vec<Line> {
    let of_link = |line: &Line| {
        let is = |name: &str| ["consumer", "producer", "proxy"].contains(&name);
        is(&line.from) && is(&line.to)
    };
    let lines: Vec<Line> = capture(file).into_iter().filter(of_link).collect();
    let opens = |line: &Line| line.what == "DCP_OPEN" && line.to == "producer";
    let mut links = lines.split_inclusive(opens).skip(1 + nth);
    let mut lines = links.next().unwrap().to_vec();
    // What leads to the next link.
    if let Some(next) = lines.iter().position(|line| line.what == "SASL_AUTH") {
        lines.truncate(next);
    }
    lines
}

fn replay_of(lines: &[Line], node: Node, reads: Reads) -> [Vec<Vec<u8>>; 2] {
    let windows: Vec<u32> = values(lines, "connection_buffer_size")
        .iter()
        .map(|value| value.parse().unwrap())
        .collect();
    let mut replay = Replay::new(windows[0], &values(lines, "consumer_name")[0], lines[0].at, node);
    let mut real = Vec::new();
    let mut last_at = Duration::ZERO;
    let mut windows_seen = 0;
    for line in lines {
        let alone = match reads {
            Reads::Each => true,
            Reads::AddsTogether => line.what != "DCP_ADD_STREAM",
            Reads::Together => false,
        };
        let settle_first = line.from == "consumer" || alone;
        if settle_first {
            replay.settle(last_at);
        }
        last_at = line.at;
        if is_for_consumer(line) {
            replay.frame(&line.bytes, line.at);
        } else if line.from == "consumer" {
            let frame = Frame::parse(&line.bytes).unwrap();
            if frame.key == b"connection_buffer_size" {
                windows_seen += 1;
                if windows_seen > 1 {
                    replay.on(Event::Window(windows[1]));
                }
            }
            real.push(line.bytes.clone());
        }
    }
    replay.on(Event::Tick { now: last_at, unix_s: 0 });
    replay.settle(last_at);
    assert_eq!(replay.closed, None);
    real.retain(|bytes| !is_noop(bytes));
    replay.got.retain(|bytes| !is_noop(bytes));
    [replay.got, real]
}

#[track_caller]
fn check(file: &str, node: Node, reads: Reads) {
    check_link(&link(file, 0), node, reads);
}

#[track_caller]
fn check_link(lines: &[Line], node: Node, reads: Reads) {
    let [mut ours, mut real] = replay_of(lines, node, reads);
    if real.iter().any(|bytes| bytes[1] == Opcode::DCP_SEQNO_ACK.0) {
        // They depend on how long nothing came, and a real node's timer is another one.
        let other = |bytes: &Vec<u8>| bytes[1] != Opcode::DCP_BUFFER_ACK.0;
        ours.retain(other);
        real.retain(other);
    }
    let (ours, real) = (text(&ours), text(&real));
    for (at, (ours, real)) in ours.iter().zip(&real).enumerate() {
        assert_eq!(ours, real, "frame {at}");
    }
    assert_eq!(ours.len(), real.len(), "more or fewer frames: {:?}", ours.last());
}

#[test]
fn setup_of_four_vbuckets_with_refusals_closes_and_an_acknowledgement() {
    let node = Node::default();
    (0..4).for_each(|vb| node.put(vb, VbState::Replica, 0, 1));
    node.put(5, VbState::Active, 0, 1);
    check("01-setup-four-vbuckets", node, Reads::Each);
}

#[test]
fn a_refused_stream_request_is_the_answer_to_its_add_stream() {
    let node = Node::default();
    node.put(10, VbState::Replica, 0, 1);
    node.put(11, VbState::Replica, 0, 1);
    check("02-producer-has-no-vbucket", node, Reads::AddsTogether);
}

#[test]
fn a_rollback_to_zero_asks_again_with_the_same_opaque() {
    let node = Node::default();
    node.put(20, VbState::Replica, 10, 0x0000_9582_4aeb_c18d);
    check("03-rollback-to-zero", node, Reads::Together);
}

#[test]
fn a_partial_rollback_asks_again_for_where_the_store_came_to() {
    let node = Node::default();
    node.put(21, VbState::Replica, 9, 0x0000_3137_ecd1_bb54);
    check("04-rollback-partial", node, Reads::Together);
}

#[test]
fn a_takeover_ends_with_the_vbucket_active() {
    let node = Node::default();
    node.put(30, VbState::Replica, 0, 1);
    check("05-takeover", node, Reads::Together);
}

#[test]
fn a_disk_snapshot_and_what_follows_it() {
    let node = Node::default();
    node.put(40, VbState::Replica, 0, 1);
    check("06-disk-backfill-after-restart", node, Reads::Together);
}

#[test]
fn mb_53445_the_add_stream_that_a_real_node_never_answers_is_answered() {
    let node = Node::default();
    node.put(0, VbState::Replica, 0, 1);
    node.put(1, VbState::Replica, 0, 1);
    let file = "08-stream-end-before-add-stream-answer";
    let [mut ours, real] = replay(file, node, Reads::Together);
    let second = |bytes: &Vec<u8>| {
        let frame = Frame::parse(bytes).unwrap();
        frame.opcode() == Opcode::DCP_ADD_STREAM && frame.header.opaque.0 == 0xadd0_0001
    };
    let at = ours.iter().position(second).expect("an answer to the second ADD_STREAM");
    let answer = ours.remove(at);
    assert_eq!(Frame::parse(&answer).unwrap().header.status(), Status::NOT_MY_VBUCKET);
    assert!(!ours.iter().any(second), "one answer only");
    assert_eq!(text(&ours), text(&real), "everything else is as the real node does it");
}

#[test]
fn a_durable_write_is_acknowledged_and_committed() {
    let node = Node::default();
    node.put(50, VbState::Replica, 0, 1);
    check("07-durable-writes", node, Reads::Together);
}

#[test]
fn durable_writes_of_every_level_and_command() {
    let node = Node::default();
    node.put(0, VbState::Replica, 0, 1);
    node.put(1, VbState::Replica, 0, 1);
    check("14a-durable-levels", node, Reads::Together);
}

#[test]
fn aborts_whose_prepares_never_came_are_taken_from_disk() {
    let node = Node::default();
    node.put(0, VbState::Replica, 1, 0x0000_cacb_8905_4fc4);
    check_link(&link("14b-durable-failures", 1), node, Reads::Together);
}

#[test]
fn prepares_are_acknowledged_again_once_the_stream_is_open() {
    let node = Node::default();
    node.put(0, VbState::Replica, 0, 1);
    check("14c-durable-failover", node, Reads::Together);
    let node = Node::default();
    node.put(0, VbState::Replica, 5, 0x0000_f8fc_86db_1db2);
    node.with(VbId(0), |facts| facts.durable.high_prepared = Seqno(5));
    check_link(&link("14c-durable-failover", 1), node, Reads::Together);
}

#[test]
fn a_prepare_from_disk_is_acknowledged_and_committed_later() {
    let node = Node::default();
    node.put(0, VbState::Replica, 0, 1);
    check("14d-durable-disk", node, Reads::Together);
}
