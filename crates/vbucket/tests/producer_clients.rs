//! What clients with and without collections, filters and durable writes see of a vBucket with
//! both, whatever is written, trimmed from memory and read from disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "support/producer_bench.rs"]
mod producer_bench;

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use mcbp::dcp::{
    OsoSnapshot, SeqnoAdvanced, SnapshotMarker, StreamEnd, StreamReq, change_seqno, control_key,
    open_flags,
};
use mcbp::{Frame, Opcode, Seqno, Status, StreamEndStatus, VbId, VbUuid};
use producer_bench::{Bench, STREAM, Writing, writing};
use proptest::prelude::*;
use vbucket::producer::{Event, ProducerOptions};
use vbucket::{Kind, Row};

const VB: VbId = VbId(0);
/// The collection that a filter names.
const NAMED: u32 = 8;

#[derive(Clone, Copy, Debug)]
enum Happening {
    Writing(Writing),
    Trim(u8),
    ReadDisk(usize),
    Fill(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => writing().prop_map(Happening::Writing),
        1 => any::<u8>().prop_map(Happening::Trim),
        3 => (1..4_usize).prop_map(Happening::ReadDisk),
        4 => (1..400_usize).prop_map(Happening::Fill),
    ]
}

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    collections: bool,
    /// Of collection 8 alone.
    filter: bool,
    durable: bool,
    /// Snapshots in the order of keys, which streams with a filter and without durable writes get.
    out_of_order: bool,
}

fn asked() -> impl Strategy<Value = Asked> {
    let all = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    all.prop_map(|(collections, filter, durable, out_of_order)| Asked {
        collections,
        filter: collections && filter,
        durable: collections && durable,
        out_of_order: collections && out_of_order,
    })
}

/// What a client has.
#[derive(Default)]
struct Seen {
    /// Seqno of the newest change of each key.
    documents: BTreeMap<Bytes, u64>,
    /// Seqno of each prepare that is not completed.
    prepared: BTreeMap<Bytes, u64>,
    last: u64,
    end: u64,
    /// The highest seqno of the OSO snapshot that has begun and not ended.
    out_of_order: Option<u64>,
    in_snapshot: BTreeSet<Bytes>,
    ended: Option<StreamEndStatus>,
}

impl Seen {
    fn take(&mut self, asked: Asked, bytes: &[u8]) {
        let frame = Frame::parse(bytes).unwrap();
        if frame.header.status() != Status::SUCCESS && !frame.header.is_request() {
            panic!("{:?}", frame.header);
        }
        assert_eq!(self.ended, None, "nothing follows the end");
        match frame.opcode() {
            Opcode::DCP_STREAM_REQ | Opcode::DCP_CONTROL => {}
            Opcode::DCP_OSO_SNAPSHOT => {
                assert!(asked.out_of_order && asked.filter && !asked.durable);
                if OsoSnapshot::decode(&frame).unwrap().start {
                    assert_eq!((self.last, self.out_of_order), (0, None), "it comes first");
                    self.out_of_order = Some(0);
                } else {
                    self.last = self.out_of_order.take().unwrap();
                    self.end = self.last;
                }
            }
            Opcode::DCP_SNAPSHOT_MARKER => {
                assert_eq!(self.out_of_order, None, "the OSO snapshot before is whole");
                let marker = SnapshotMarker::decode(&frame).unwrap();
                assert_eq!(self.last, self.end, "the snapshot before is whole");
                assert!(marker.end.0 > self.last, "{marker:?}");
                self.end = marker.end.0;
                self.in_snapshot.clear();
            }
            Opcode::DCP_SEQNO_ADVANCED => {
                assert!(asked.collections, "an old client does not know it");
                let seqno = SeqnoAdvanced::decode(&frame).unwrap().seqno.0;
                let is_end = self.out_of_order.is_some() || seqno == self.end;
                assert!(is_end, "it is the end of a snapshot");
                self.advance(seqno);
            }
            Opcode::DCP_STREAM_END => {
                self.ended = Some(StreamEnd::decode(&frame).unwrap().status);
            }
            _ => self.change(asked, &frame),
        }
    }

    fn advance(&mut self, seqno: u64) {
        if let Some(highest) = &mut self.out_of_order {
            *highest = seqno.max(*highest);
            return;
        }
        assert!(seqno > self.last && seqno <= self.end, "{seqno} after {}", self.last);
        self.last = seqno;
    }

    fn change(&mut self, asked: Asked, frame: &Frame<'_>) {
        let seqno = change_seqno(frame).unwrap().0;
        self.advance(seqno);
        let key = Bytes::copy_from_slice(frame.key);
        let is_wanted = !asked.filter || frame.key.first() == Some(&(NAMED as u8));
        match frame.opcode() {
            Opcode::DCP_SYSTEM_EVENT => {
                assert!(asked.collections);
                // What was prepared in a collection goes with it, without an abort. From disk the
                // drop of one that is there again is not sent.
                let id = *frame.value.last().unwrap();
                self.prepared.retain(|key, _| key[0] != id);
                return;
            }
            Opcode::DCP_MUTATION | Opcode::DCP_DELETION => {
                self.prepared.remove(&key);
            }
            Opcode::DCP_PREPARE => {
                assert!(asked.durable && is_wanted);
                // From disk the end of an older one is not sent.
                self.prepared.insert(key, seqno);
                return;
            }
            Opcode::DCP_COMMIT => assert!(self.prepared.remove(&key).is_some(), "{frame:?}"),
            // From disk its prepare is not sent.
            Opcode::DCP_ABORT => {
                assert!(asked.durable && is_wanted);
                self.prepared.remove(&key);
                return;
            }
            opcode => panic!("unexpected {opcode}"),
        }
        assert!(is_wanted, "{frame:?}");
        assert!(self.in_snapshot.insert(key.clone()), "a key once in a snapshot: {frame:?}");
        self.documents.insert(key, seqno);
    }
}

fn open(asked: Asked) -> Bench {
    let Asked { collections, durable, filter, out_of_order } = asked;
    let open_flags = open_flags::PRODUCER;
    let options = ProducerOptions { open_flags, collections, json: true, ..Default::default() };
    let mut bench = Bench::with(options);
    bench.node.put(0);
    bench.control(control_key::ENABLE_NOOP, "true");
    if durable {
        bench.control(control_key::ENABLE_SYNC_WRITES, "true");
    }
    if out_of_order {
        bench.control("enable_out_of_order_snapshots", "true_with_seqno_advanced");
    }
    if filter {
        // What a filter names has to be there.
        bench.node.happens(VB, Writing::Collection { id: NAMED as u8, begins: true });
    }
    let (start, uuid) = (Seqno::ZERO, VbUuid(0));
    let request = StreamReq {
        flags: 0,
        start,
        end: Seqno::MAX,
        uuid,
        snapshot_start: start,
        snapshot_end: start,
        value: if filter { br#"{"collections":["8"]}"# } else { b"" },
    };
    let mut out = BytesMut::new();
    request.write(VB, STREAM, &mut out);
    bench.feed(&out);
    bench
}

/// The documents that such a client should have, and what it should know as prepared.
fn expected(bench: &Bench, asked: Asked) -> [BTreeMap<Bytes, u64>; 2] {
    let is_wanted = |row: &Row| match asked {
        Asked { collections: false, .. } => row.document_key()[0] == 0,
        Asked { filter, .. } => !filter || row.document_key()[0] == NAMED as u8,
    };
    let key = |row: &Row| match asked.collections {
        true => Bytes::copy_from_slice(row.document_key()),
        false => Bytes::copy_from_slice(&row.document_key()[1..]),
    };
    let rows = bench.node.with(VB, |copy| copy.newest());
    let rows: Vec<_> = rows.into_values().filter(|row| is_wanted(row)).collect();
    let of = |is: &dyn Fn(&Kind) -> bool| {
        let rows = rows.iter().filter(|row| is(&row.kind));
        rows.map(|row| (key(row), row.seqno.0)).collect()
    };
    let is_prepare = |kind: &Kind| matches!(kind, Kind::Prepared { .. });
    let is_document = |kind: &Kind| matches!(kind, Kind::Document { .. } | Kind::Deleted { .. });
    [of(&is_document), if asked.durable { of(&is_prepare) } else { BTreeMap::new() }]
}

/// What the client has of collections that are there.
fn shown(bench: &Bench, asked: Asked, all: BTreeMap<Bytes, u64>) -> BTreeMap<Bytes, u64> {
    let there = bench.node.with(VB, |copy| copy.collections());
    let is_shown = |key: &Bytes, seqno: u64| !asked.collections || there.shows(key, Seqno(seqno));
    all.into_iter().filter(|(key, seqno)| is_shown(key, *seqno)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// A client ends with the newest committed change of every document that it asked for, in whole
    /// snapshots, hears of durable writes only if it asked for them, and its stream ends where its
    /// collection does.
    #[test]
    fn a_client_gets_what_it_asked_for_and_no_more(
        asked in asked(),
        before in prop::collection::vec(writing(), 0..30),
        happenings in prop::collection::vec(happening(), 1..150),
    ) {
        let mut bench = open(asked);
        before.into_iter().for_each(|writing| _ = bench.node.happens(VB, writing));
        bench.on(Event::Committed(VB));
        let mut seen = Seen::default();
        for happening in happenings {
            match happening {
                Happening::Writing(writing) if bench.node.happens(VB, writing) => {
                    bench.on(Event::Committed(VB));
                }
                Happening::Writing(_) => {}
                Happening::Trim(part) => bench.node.with(VB, |copy| {
                    let to = copy.rows.len() as u64 * u64::from(part) / 255;
                    copy.floor = copy.floor.max(to);
                }),
                Happening::ReadDisk(count) => drop(bench.read_disk(count)),
                Happening::Fill(bytes) => bench.fill(bytes),
            }
            bench.take_frames().iter().for_each(|frame| seen.take(asked, frame));
        }
        for _ in 0..500 {
            bench.fill(usize::MAX);
            bench.read_disk(3);
        }
        bench.take_frames().iter().for_each(|frame| seen.take(asked, frame));
        if asked.filter && seen.ended.is_some() {
            prop_assert_eq!(seen.ended, Some(StreamEndStatus::FILTER_EMPTY));
            return Ok(());
        }
        prop_assert_eq!(seen.ended, None);
        prop_assert_eq!(seen.last, seen.end, "the last snapshot is whole");
        let [documents, prepared] = expected(&bench, asked);
        prop_assert_eq!(shown(&bench, asked, seen.documents), documents);
        prop_assert_eq!(shown(&bench, asked, seen.prepared), prepared);
    }
}
