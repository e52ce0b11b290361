//! A producer that sends extreme and inconsistent values to one vBucket. One oracle: the streams of
//! the other vBuckets are served as before, and the connection stays.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "support/consumer_bench.rs"]
mod consumer_bench;

use std::time::Duration;

use consumer_bench::{Bench, built};
use mcbp::dcp::{
    Deletion, Expiration, MarkerBody, Mutation, SeqnoAdvanced, SnapshotMarker, StreamEnd, Target,
};
use mcbp::{Datatype, Frame, FrameBuilder, Opaque, Opcode, Seqno, Status, StreamEndStatus, VbId};
use proptest::prelude::*;
use vbucket::FailoverTable;
use vbucket::consumer::{Effect, Event, Failure, Replicas as _};
use vbucket::hlc::DriftLimits;

/// A frame for the stream that is attacked.
#[derive(Clone, Debug)]
enum Hostile {
    Marker {
        start: u64,
        end: u64,
        flags: u32,
        version: u8,
    },
    Row {
        opcode: u8,
        numbers: [u64; 3],
        words: [u32; 2],
        datatype: u8,
        key: usize,
        value: Vec<u8>,
    },
    Advance(u64),
    End(u32),
    /// Any opcode of a stream, with any bytes.
    Raw {
        opcode: u8,
        extras: Vec<u8>,
        key: Vec<u8>,
        value: Vec<u8>,
        datatype: u8,
    },
}

fn number() -> impl Strategy<Value = u64> {
    let ends = [0, 1, 2, 5, 9, 1 << 31, 1 << 48, i64::MAX as u64, 1 << 63, u64::MAX - 1, u64::MAX];
    prop_oneof![3 => prop::sample::select(ends.to_vec()), 3 => 0..20u64, 1 => any::<u64>()]
}

fn word() -> impl Strategy<Value = u32> {
    prop_oneof![prop::sample::select(vec![0, 1, 2, 0xff, u32::MAX - 1, u32::MAX]), any::<u32>()]
}

/// Values that do not fit their datatype, among others.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let fixed: [&[u8]; 6] =
        [b"", b"v", b"\xff\xff\xff\xff\x0f", b"\0\0\x03\xe8", b"\xff\xff\xff\xff", b"{\"a\":1"];
    let fixed = prop::sample::select(fixed.map(<[u8]>::to_vec).to_vec());
    prop_oneof![fixed, prop::collection::vec(any::<u8>(), 0..40)]
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let marker = (number(), number(), word(), 0..3u8)
        .prop_map(|(start, end, flags, version)| Hostile::Marker { start, end, flags, version });
    let key = prop::sample::select(vec![0, 1, 250, 251, 300, 4000]);
    let row = (0..3u8, [number(), number(), number()], [word(), word()], any::<u8>(), key, value());
    let row = row.prop_map(|(opcode, numbers, words, datatype, key, value)| {
        // Most rows have a datatype that exists.
        let datatype = if datatype < 200 { datatype % 8 } else { datatype };
        Hostile::Row { opcode, numbers, words, datatype, key, value }
    });
    let bytes = || prop::collection::vec(any::<u8>(), 0..60);
    let raw = (0x55..=0x6f_u8, bytes(), bytes(), value(), any::<u8>());
    // What only a consumer sends closes the connection, as with a real node.
    let of_consumer = [0x5d, 0x5e, 0x61];
    let raw = raw.prop_filter("wrong role", move |(opcode, ..)| !of_consumer.contains(opcode));
    let raw = raw.prop_map(|(opcode, extras, key, value, datatype)| Hostile::Raw {
        opcode,
        extras,
        key,
        value,
        datatype,
    });
    prop_oneof![
        3 => marker,
        5 => row,
        1 => number().prop_map(Hostile::Advance),
        1 => word().prop_map(Hostile::End),
        2 => raw,
    ]
}

impl Hostile {
    fn bytes(&self, stream: Opaque) -> Vec<u8> {
        let vb = VbId(0);
        let frame = match self {
            Self::Marker { start, end, flags, version } => {
                let (max_visible, purge) = (Seqno(u64::MAX), Seqno(*end));
                let (high_completed, high_prepared) = (Seqno(*start), Seqno(u64::MAX));
                let body = match version {
                    0 => MarkerBody::V1,
                    1 => MarkerBody::V2_0 { max_visible, high_completed },
                    _ => MarkerBody::V2_2 { max_visible, high_completed, purge, high_prepared },
                };
                let (start, end, flags) = (Seqno(*start), Seqno(*end), *flags);
                built(|out| SnapshotMarker { start, end, flags, body }.write(vb, stream, out))
            }
            Self::Row { opcode, numbers: [seqno, rev, cas], words, datatype, key, value } => {
                let to = Target { vb, opaque: stream, cas: *cas, datatype: Datatype(*datatype) };
                let key = vec![b'k'; *key];
                let (seqno, rev, [flags, expiry]) = (Seqno(*seqno), *rev, *words);
                built(|out| match opcode {
                    0 => Mutation { seqno, rev, flags, expiry, lock_time: 0, nru: 4 }
                        .write(to, &key, value, out),
                    1 => Deletion { seqno, rev, delete_time: Some(flags) }
                        .write(to, &key, value, out),
                    _ => Expiration { seqno, rev, delete_time: expiry }.write(to, &key, value, out),
                })
            }
            Self::Advance(seqno) => {
                built(|out| SeqnoAdvanced { seqno: Seqno(*seqno) }.write(vb, stream, out))
            }
            Self::End(status) => {
                built(|out| StreamEnd { status: StreamEndStatus(*status) }.write(vb, stream, out))
            }
            Self::Raw { opcode, extras, key, value, datatype } => {
                let frame = FrameBuilder::request(Opcode(*opcode)).opaque(stream);
                let frame = frame.extras(extras).key(key).value(value);
                return frame.datatype(Datatype(*datatype)).build().to_vec();
            }
        };
        frame.to_vec()
    }
}

fn high_seqno(bench: &Bench, vb: u16) -> u64 {
    bench.node.facts(VbId(vb)).unwrap().high_seqno.0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn one_hostile_stream_harms_no_other(
        frames in prop::collection::vec(hostile(), 1..40),
        snapshot in any::<bool>(),
    ) {
        let mut bench = Bench::new();
        (0..3).for_each(|vb| bench.node.put(vb, 0, &[(1, 0)]));
        let opaques: Vec<_> = (0..3).map(|vb| bench.open(vb)).collect();
        (1..3).for_each(|vb| bench.marker(vb, opaques[usize::from(vb)], 0, 1000));
        if snapshot {
            // Otherwise few rows get as far as their numbers.
            bench.marker(0, opaques[0], 0, 20);
        }
        for (seqno, frame) in (1..).zip(&frames) {
            bench.feed(&frame.bytes(opaques[0]));
            prop_assert!(!bench.closed, "the connection ends at {frame:?}");
            (1..3).for_each(|vb| bench.mutation(vb, opaques[usize::from(vb)], seqno));
        }
        bench.run_effects();
        let count = frames.len() as u64;
        prop_assert_eq!((high_seqno(&bench, 1), high_seqno(&bench, 2)), (count, count));
        prop_assert!(bench.refused.len() <= 1, "{:?}", bench.refused);
        for (vb, refused) in &bench.refused {
            prop_assert_eq!(vb.0, 0);
            prop_assert!(!refused.status.is_success() && !refused.reason.is_empty());
        }
        prop_assert!(high_seqno(&bench, 0) <= Seqno::TAKEN_MAX.0, "the vBucket can go on");
        bench.now = Duration::from_secs(6);
        bench.settle();
        prop_assert_eq!(bench.stat("total_acked_bytes"), bench.charged as u64);
    }
}

/// An answer to STREAM_REQ: a status, and a value that may be a failover log or a seqno.
fn answer() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let status = prop_oneof![
        3 => Just(Status::SUCCESS.0),
        3 => Just(Status::ROLLBACK.0),
        1 => any::<u16>(),
    ];
    let numbers = prop::collection::vec(number(), 0..8);
    let numbers = numbers.prop_map(|all| all.into_iter().flat_map(u64::to_be_bytes).collect());
    (status, prop_oneof![4 => numbers, 1 => value()])
}

/// Carries out the effects as a data node does, which takes no malformed failover table.
fn run_effects(bench: &mut Bench) {
    while !bench.effects.is_empty() {
        let effect = bench.effects.remove(0);
        let outcome = match &effect {
            Effect::TakeHistory(_, _, log) => FailoverTable::from_log(log).map(drop),
            _ => Ok(()),
        };
        bench.outcome(effect, outcome.map_err(|error| Failure::Other(error.to_string())));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn hostile_answers_to_one_stream_req_harm_no_other_stream(
        answers in prop::collection::vec(answer(), 1..40),
        high in 0..50u64,
    ) {
        let mut bench = Bench::new();
        bench.node.put(0, high, &[(5, 3), (1, 0)]);
        bench.node.put(1, 0, &[(1, 0)]);
        let other = bench.open(1);
        bench.marker(1, other, 0, 1000);
        bench.add(0, 7, 0);
        let mut answered = 0;
        for (seqno, (status, value)) in (1..).zip(&answers) {
            let requests = bench.take(Opcode::DCP_STREAM_REQ);
            prop_assert!(requests.len() <= 1);
            if let Some(bytes) = requests.first() {
                let opaque = Frame::parse(bytes).unwrap().header.opaque;
                bench.answer_request(opaque, Status(*status), value);
            }
            run_effects(&mut bench);
            bench.mutation(1, other, seqno);
            run_effects(&mut bench);
            prop_assert!(!bench.closed, "the connection ends at {status:#x} {value:x?}");
            answered += bench.answers().len();
        }
        prop_assert_eq!(high_seqno(&bench, 1), answers.len() as u64);
        prop_assert!(answered <= 1, "one answer to one ADD_STREAM");
    }
}

/// A row of vBucket 0.
fn row(
    stream: Opaque,
    seqno: u64,
    rev: u64,
    cas: u64,
    datatype: Datatype,
    value: &[u8],
) -> Vec<u8> {
    let to = Target { vb: VbId(0), opaque: stream, cas, datatype };
    let seqno = Seqno(seqno);
    let body = Mutation { seqno, rev, flags: 0, expiry: 0, lock_time: 0, nru: 4 };
    built(|out| body.write(to, b"key", value, out)).to_vec()
}

/// Feeds one frame to a new stream; returns the status of its refusal.
#[track_caller]
fn refused(frame: impl Fn(Opaque) -> Vec<u8>) -> Option<Status> {
    let mut bench = Bench::new();
    bench.machine = std::mem::replace(
        &mut bench.machine,
        vbucket::consumer::Consumer::new(Default::default(), Duration::ZERO),
    )
    .with_clock(1_790_000_000, DriftLimits::default());
    bench.node.put(0, 0, &[(1, 0)]);
    let stream = bench.open(0);
    bench.marker(0, stream, 0, 1000);
    bench.feed(&frame(stream));
    assert!(!bench.closed);
    bench.refused.first().map(|(_, refused)| refused.status)
}

#[test]
fn numbers_that_leave_no_room_for_more_are_refused_with_the_status_that_names_them() {
    const NOW: u64 = 1_790_000_000_000_000_000;
    let hour = 3_600_000_000_000;
    let taken = |seqno, rev, cas| refused(|s| row(s, seqno, rev, cas, Datatype::RAW, b"v"));
    assert_eq!(taken(1, 1, NOW + hour), None);
    assert_eq!(taken(1, 1, NOW + 2 * hour), Some(Status::CAS_VALUE_INVALID));
    assert_eq!(taken(1, 1, u64::MAX), Some(Status::CAS_VALUE_INVALID));
    assert_eq!(taken(u64::MAX, 1, 1), Some(Status::ERANGE));
    assert_eq!(taken(1 << 63, 1, 1), Some(Status::ERANGE));
    assert_eq!(taken(1, u64::MAX, 1), Some(Status::ERANGE));
    assert_eq!(taken(1, (1 << 63) - 1, 1), None);
    let marker = |end: u64| {
        let marker =
            SnapshotMarker { start: Seqno(0), end: Seqno(end), flags: 1, body: MarkerBody::V1 };
        refused(|s| built(|out| marker.write(VbId(0), s, out)).to_vec())
    };
    assert_eq!((marker(u64::MAX), marker((1 << 63) - 1)), (Some(Status::ERANGE), None));
}

#[test]
fn the_limit_of_a_cas_moves_with_the_clock() {
    let mut bench = Bench::new();
    let machine = std::mem::replace(
        &mut bench.machine,
        vbucket::consumer::Consumer::new(Default::default(), Duration::ZERO),
    );
    bench.machine = machine.with_clock(1_000_000_000, DriftLimits::default());
    bench.node.put(0, 0, &[(1, 0)]);
    let stream = bench.open(0);
    bench.marker(0, stream, 0, 9);
    bench.on(Event::Tick { now: Duration::ZERO, unix_s: 1_790_000_000 });
    bench.feed(&row(stream, 1, 1, 1_790_000_000_000_000_000, Datatype::RAW, b"v"));
    bench.run_effects();
    assert_eq!((high_seqno(&bench, 0), bench.refused.len()), (1, 0));
}

#[test]
fn a_value_that_does_not_fit_its_datatype_or_is_too_large_is_refused() {
    let value = |datatype, value: &[u8]| refused(|s| row(s, 1, 1, 1, datatype, value));
    assert_eq!(value(Datatype::XATTR, b""), Some(Status::XATTR_EINVAL));
    assert_eq!(value(Datatype::XATTR, b"\xff\xff\xff\xff"), Some(Status::XATTR_EINVAL));
    assert_eq!(value(Datatype(0x10), b"v"), Some(Status::EINVAL));
    assert_eq!(value(Datatype::SNAPPY, b"\xff\xff\xff\xff\x0f"), Some(Status::EINVAL));
    let large = vec![b'x'; 20 * 1024 * 1024 + 1];
    assert_eq!(value(Datatype::RAW, &large), Some(Status::E2BIG));
    assert_eq!(value(Datatype::RAW, &large[1..]), None);
}
