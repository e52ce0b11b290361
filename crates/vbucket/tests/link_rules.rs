//! Both machines over one link: what a replica has of a vBucket with durable writes and
//! collections, whatever is written, trimmed from memory, read from disk, delayed and lost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "support/consumer_bench.rs"]
mod consumer_bench;
#[path = "support/producer_bench.rs"]
mod producer_bench;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use mcbp::dcp::{SeqnoAck, open_flags};
use mcbp::{Frame, Opcode, Seqno, Status, VbId};
use producer_bench::{Writing, writing};
use proptest::prelude::*;
use vbucket::producer::{Event, ProducerOptions};
use vbucket::{Kind, Row};

const VB: VbId = VbId(0);

#[derive(Clone, Copy, Debug)]
enum Happening {
    Writing(Writing),
    Trim(u8),
    /// The change history of the active copy begins so much later.
    TrimHistory(u64),
    ReadDisk(usize),
    Fill(usize),
    /// So many frames of the producer arrive.
    Deliver(usize),
    /// The replica writes the oldest batch.
    Apply,
    Reconnect,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        14 => writing().prop_map(Happening::Writing),
        1 => any::<u8>().prop_map(Happening::Trim),
        1 => (1..20_u64).prop_map(Happening::TrimHistory),
        3 => (1..4_usize).prop_map(Happening::ReadDisk),
        4 => (1..400_usize).prop_map(Happening::Fill),
        5 => (1..6_usize).prop_map(Happening::Deliver),
        4 => Just(Happening::Apply),
        1 => Just(Happening::Reconnect),
    ]
}

/// An active copy, a replica, and the link between them.
struct Link {
    producer: producer_bench::Bench,
    consumer: consumer_bench::Bench,
    /// Sent by the producer and not received.
    on_the_way: Vec<Vec<u8>>,
}

fn producer() -> producer_bench::Bench {
    producer_bench::Bench::with(ProducerOptions {
        open_flags: open_flags::REPLICATION_PRODUCER,
        collections: true,
        json: true,
        history: true,
        ..ProducerOptions::default()
    })
}

impl Link {
    fn new() -> Self {
        let (producer, consumer) = (producer(), consumer_bench::Bench::named("beta"));
        producer.node.put(0);
        consumer.node.put(0, 0, &[(1, 0)]);
        let mut link = Self { producer, consumer, on_the_way: Vec::new() };
        link.open();
        link
    }

    fn open(&mut self) {
        self.consumer.add(0, 0xadd, 0);
        for _ in 0..100 {
            self.exchange(usize::MAX);
            self.consumer.run_effects();
        }
        assert_eq!(self.consumer.answers(), [(0xadd, Status::SUCCESS)]);
    }

    /// Delivers what the consumer sent, and `frames` of the producer.
    fn exchange(&mut self, frames: usize) {
        self.consumer.settle();
        let answers = self.consumer.take(Opcode::DCP_ADD_STREAM);
        for bytes in std::mem::replace(&mut self.consumer.sent, answers) {
            self.check_acknowledgement(&bytes);
            self.producer.feed(&bytes);
        }
        self.on_the_way.append(&mut self.producer.take_frames());
        let arrived = frames.min(self.on_the_way.len());
        for bytes in self.on_the_way.drain(..arrived).collect::<Vec<_>>() {
            self.consumer.feed(&bytes);
        }
        assert!(!self.consumer.closed, "the consumer hangs up");
        assert!(self.consumer.refused.is_empty(), "{:?}", self.consumer.refused);
    }

    /// What is acknowledged is on disk, here as prepare or completed.
    fn check_acknowledgement(&self, bytes: &[u8]) {
        let frame = Frame::parse(bytes).unwrap();
        if frame.opcode() == Opcode::DCP_SEQNO_ACK {
            let acked = SeqnoAck::decode(&frame).unwrap().prepared;
            let facts = self.consumer.node.facts.borrow()[&VB].clone();
            assert!(acked <= facts.high_seqno, "{acked:?} of {:?}", facts.high_seqno);
        }
    }

    /// Both connections are lost; what the replica was writing is written.
    fn reconnect(&mut self) {
        self.consumer.run_effects();
        let active = std::mem::take(&mut self.producer.node);
        let replica = std::mem::take(&mut self.consumer.node);
        replica.claimed.borrow_mut().clear();
        (self.producer, self.consumer) = (producer(), consumer_bench::Bench::named("beta"));
        (self.producer.node, self.consumer.node) = (active, replica);
        self.on_the_way.clear();
        self.open();
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Writing(writing) => {
                if self.producer.node.happens(VB, writing) {
                    self.producer.on(Event::Committed(VB));
                }
            }
            Happening::Trim(part) => self.producer.node.with(VB, |copy| {
                let to = copy.rows.len() as u64 * u64::from(part) / 255;
                copy.floor = copy.floor.max(to);
            }),
            Happening::TrimHistory(count) => self.producer.node.with(VB, |copy| {
                let to = (copy.history_start + count).min(copy.rows.len() as u64 + 1);
                copy.history_start = copy.history_start.max(to);
            }),
            Happening::ReadDisk(count) => drop(self.producer.read_disk(count)),
            Happening::Fill(bytes) => self.producer.fill(bytes),
            Happening::Deliver(frames) => self.exchange(frames),
            Happening::Apply if self.consumer.effects.is_empty() => {}
            Happening::Apply => {
                let effect = self.consumer.effects.remove(0);
                self.consumer.outcome(effect, Ok(()));
            }
            Happening::Reconnect => self.reconnect(),
        }
    }

    /// The replica has every version from the start of its change history on, if there is one.
    fn check_history(&self) {
        let facts = self.consumer.node.facts.borrow()[&VB].clone();
        let start = facts.history_start;
        if start == Seqno::ZERO {
            return;
        }
        let written = self.consumer.node.written.borrow();
        let is_kept = |row: &&Arc<Row>| {
            let is_shown = facts.collections.shows(row.document_key(), row.seqno);
            let is_event = matches!(row.kind, Kind::Event { .. });
            row.seqno >= start
                && !is_event
                && is_shown
                && facts.collections.keeps_before(row) > row.seqno
        };
        let ours = written.values().filter(is_kept).map(|row| row.seqno);
        let theirs = self.producer.node.with(VB, |copy| copy.versions(start));
        let theirs = theirs.into_iter().map(|row| row.seqno);
        assert_eq!(ours.collect::<Vec<_>>(), theirs.collect::<Vec<_>>(), "from {start} on");
    }

    /// Everything that can go on does.
    fn settle(&mut self) {
        for _ in 0..300 {
            self.producer.fill(usize::MAX);
            self.producer.read_disk(3);
            self.exchange(usize::MAX);
            self.consumer.run_effects();
        }
    }
}

/// What readers may see of a copy, and what is prepared: an abort is neither.
fn comparable(rows: BTreeMap<Bytes, Arc<Row>>) -> Vec<Row> {
    let rows = rows.into_values().filter(|row| !matches!(row.kind, Kind::Aborted { .. }));
    rows.map(|row| Row { prepared: Seqno::ZERO, ..Row::clone(&row) }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// The replica ends with the rows of the active copy, the prepares among them, and has
    /// acknowledged those; it never acknowledges what it does not have.
    #[test]
    fn a_replica_follows_durable_writes_and_collections(
        happenings in prop::collection::vec(happening(), 1..150),
    ) {
        let mut link = Link::new();
        happenings.into_iter().for_each(|happening| link.happens(happening));
        link.settle();
        let active = link.producer.node.with(VB, |copy| copy.newest());
        let replica = link.consumer.node.rows.borrow().get(&VB).cloned().unwrap_or_default();
        prop_assert_eq!(comparable(replica), comparable(active));
        let (theirs, ours) = (
            link.producer.node.with(VB, |copy| copy.durable()),
            link.consumer.node.facts.borrow()[&VB].durable,
        );
        prop_assert_eq!(ours, theirs);
        link.check_history();
    }
}

/// The COMMIT was in the memory log, and its prepare in no snapshot that the replica got.
#[test]
fn a_replica_that_lost_its_link_within_a_disk_snapshot_gets_no_commit_that_it_would_refuse() {
    let mut link = Link::new();
    let happenings = [
        Happening::Writing(Writing::Collection { id: 8, begins: true }),
        Happening::Writing(Writing::Write { key: 2, deletes: false }),
        Happening::Writing(Writing::Prepare { key: 0, deletes: false }),
        Happening::Writing(Writing::Write { key: 1, deletes: false }),
        Happening::Writing(Writing::Complete { commits: true }),
        Happening::Trim(51),
        Happening::Fill(1),
        Happening::ReadDisk(3),
        Happening::Fill(1),
        Happening::Deliver(4),
        Happening::Reconnect,
    ];
    happenings.into_iter().for_each(|happening| link.happens(happening));
    link.settle();
    let rows = link.consumer.node.rows.borrow()[&VB].clone();
    assert_eq!(comparable(rows), comparable(link.producer.node.with(VB, |copy| copy.newest())));
}
