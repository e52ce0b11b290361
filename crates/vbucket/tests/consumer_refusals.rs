//! What cannot be stored ends its stream: nothing after it is written, everything before it is, and
//! the other streams go on.

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

use consumer_bench::{Bench, built, mutation};
use mcbp::dcp::{
    Abort, Commit, Deletion, MarkerBody, Mutation, OsoSnapshot, Prepare, SeqnoAdvanced,
    SetVbucketState, SnapshotMarker, SystemEvent, Target,
};
use mcbp::{
    Datatype, Frame, FrameBuilder, Opaque, Opcode, Seqno, Status, StreamEndStatus, VbId, VbState,
};
use vbucket::consumer::{Event, Failure, Refused, Replicas as _};

/// A frame that is refused as the second of its stream, and how.
struct Case {
    frame: Vec<u8>,
    status: Status,
    /// The seqno that is logged.
    seqno: Option<u64>,
}

fn case(frame: impl AsRef<[u8]>, status: Status, seqno: impl Into<Option<u64>>) -> Case {
    Case { frame: frame.as_ref().to_vec(), status, seqno: seqno.into() }
}

/// Documents that cannot be stored.
fn bad_rows(stream: Opaque) -> Vec<Case> {
    let row = |seqno, datatype, key: &[u8], value: &[u8]| {
        let to = Target { vb: VbId(0), opaque: stream, cas: 1, datatype };
        let seqno = Seqno(seqno);
        let body = Mutation { seqno, rev: 1, flags: 0, expiry: 0, lock_time: 0, nru: 4 };
        built(|out| body.write(to, key, value, out))
    };
    let deleted = |datatype, value: &[u8]| {
        let to = Target { vb: VbId(0), opaque: stream, cas: 1, datatype };
        let body = Deletion { seqno: Seqno(2), rev: 1, delete_time: Some(1) };
        built(|out| body.write(to, b"key", value, out))
    };
    let too_long = [b'k'; 251];
    let short = FrameBuilder::request(Opcode::DCP_MUTATION).opaque(stream).extras(&[0; 30]);
    vec![
        case(row(1, Datatype::RAW, b"key", b"v"), Status::ERANGE, 1),
        case(row(10, Datatype::RAW, b"key", b"v"), Status::ERANGE, 10),
        case(row(0, Datatype::RAW, b"key", b"v"), Status::EINVAL, 0),
        case(row(2, Datatype::RAW, b"", b"v"), Status::EINVAL, 2),
        case(row(2, Datatype::RAW, &too_long, b"v"), Status::EINVAL, 2),
        case(row(2, Datatype(8), b"key", b"v"), Status::EINVAL, 2),
        case(row(2, Datatype::SNAPPY, b"key", b"\xff\xff\xff\xff"), Status::EINVAL, 2),
        case(row(2, Datatype::XATTR, b"key", &[0, 0, 3, 0xe8]), Status::XATTR_EINVAL, 2),
        case(deleted(Datatype::XATTR, &[0, 0, 1]), Status::XATTR_EINVAL, 2),
        case(short.key(b"key").build(), Status::EINVAL, 0),
    ]
}

/// Frames of features that this node does not have, and others that are no documents.
fn bad_others(stream: Opaque) -> Vec<Case> {
    let to = Target { vb: VbId(0), opaque: stream, cas: 1, datatype: Datatype::RAW };
    let event = SystemEvent { seqno: Seqno(2), event: 0, version: 1 };
    let prepare = Prepare {
        seqno: Seqno(2),
        rev: 1,
        flags: 0,
        expiry: 0,
        lock_time: 0,
        nru: 4,
        deleted: false,
        level: 1,
    };
    let (prepared, committed, aborted) = (Seqno(1), Seqno(2), Seqno(2));
    let marker = |start, end| {
        let (start, end) = (Seqno(start), Seqno(end));
        let marker = SnapshotMarker { start, end, flags: 1, body: MarkerBody::V1 };
        built(|out| marker.write(VbId(0), stream, out))
    };
    let bare = |opcode| FrameBuilder::request(opcode).opaque(stream).build();
    let (vb, state) = (VbId(0), VbState::Active);
    let not = Status::NOT_SUPPORTED;
    vec![
        case(built(|out| event.write(vb, stream, b"c", b"", out)), Status::EINVAL, 2),
        case(built(|out| prepare.write(to, b"key", b"v", out)), not, 2),
        case(built(|out| Commit { prepared, committed }.write(vb, stream, b"k", out)), not, 2),
        case(built(|out| Abort { prepared, aborted }.write(vb, stream, b"k", out)), not, 2),
        case(
            built(|out| OsoSnapshot { start: false }.write(vb, stream, out)),
            Status::EINVAL,
            None,
        ),
        case(
            FrameBuilder::request(Opcode::DCP_CACHE_TRANSFER).opaque(stream).value(b"x").build(),
            Status::EINVAL,
            None,
        ),
        case(bare(Opcode::DCP_FLUSH), Status::UNKNOWN_COMMAND, None),
        case(marker(5, 3), Status::EINVAL, 3),
        case(marker(0, 0), Status::ERANGE, 0),
        case(bare(Opcode::DCP_SNAPSHOT_MARKER), Status::EINVAL, None),
        case(
            built(|out| SeqnoAdvanced { seqno: Seqno(10) }.write(vb, stream, out)),
            Status::ERANGE,
            10,
        ),
        case(bare(Opcode::DCP_SEQNO_ADVANCED), Status::EINVAL, None),
        case(built(|out| SetVbucketState { state }.write(vb, stream, out)), Status::EINVAL, None),
    ]
}

fn opened(vbs: u16) -> (Bench, Vec<Opaque>) {
    let mut bench = Bench::new();
    (0..vbs).for_each(|vb| bench.node.put(vb, 0, &[(1, 0)]));
    let opaques = (0..vbs).map(|vb| bench.open(vb)).collect();
    (bench, opaques)
}

fn high_seqno(bench: &Bench, vb: u16) -> u64 {
    bench.node.facts(VbId(vb)).unwrap().high_seqno.0
}

#[test]
fn the_first_frame_that_is_refused_ends_its_stream_and_no_other() {
    let count = bad_rows(Opaque(0)).len() + bad_others(Opaque(0)).len();
    for at in 0..count {
        let (mut bench, opaques) = opened(2);
        let mut cases = bad_rows(opaques[0]);
        cases.extend(bad_others(opaques[0]));
        let Case { frame, status, seqno } = cases.swap_remove(at);
        let opcode = Frame::parse(&frame).unwrap().opcode();
        let what = format!("case {at}, {opcode}");
        (0..2).for_each(|vb| bench.marker(vb, opaques[usize::from(vb)], 0, 9));
        bench.mutation(0, opaques[0], 1);
        bench.feed(&frame);
        assert_eq!(bench.refusals(opcode), [status], "{what}");
        (2..=3).for_each(|seqno| bench.mutation(0, opaques[0], seqno));
        assert_eq!(bench.refusals(Opcode::DCP_MUTATION), [Status::DCP_STREAM_NOT_FOUND; 2]);
        bench.marker(0, opaques[0], 4, 9);
        assert_eq!(bench.refusals(Opcode::DCP_SNAPSHOT_MARKER), [Status::DCP_STREAM_NOT_FOUND]);
        bench.mutation(1, opaques[1], 1);
        bench.run_effects();
        assert_eq!((high_seqno(&bench, 0), high_seqno(&bench, 1)), (1, 1), "{what}");
        assert!(!bench.closed, "{what}");
        assert_eq!(bench.refused.len(), 1, "{what}: logged once");
        let (vb, refused) = &bench.refused[0];
        let expected = Refused {
            opcode,
            seqno: seqno.map(Seqno),
            last_seqno: Seqno(1),
            status,
            reason: refused.reason.clone(),
        };
        assert_eq!((*vb, refused), (VbId(0), &expected), "{what}");
        assert!(!refused.reason.is_empty(), "{what}");
        // The vBucket is free, and every byte is accounted for.
        assert_eq!(*bench.node.claimed.borrow(), [VbId(1)], "{what}");
        bench.now = Duration::from_secs(6);
        bench.settle();
        assert_eq!(bench.stat("total_acked_bytes"), bench.charged as u64, "{what}");
    }
}

#[test]
fn a_refusal_says_why_where_a_real_node_says_it() {
    let (mut bench, opaques) = opened(1);
    bench.marker(0, opaques[0], 0, 9);
    bench.mutation(0, opaques[0], 10);
    let answers = bench.take(Opcode::DCP_MUTATION);
    let frame = Frame::parse(&answers[0]).unwrap();
    let json: serde_json::Value = serde_json::from_slice(frame.value).unwrap();
    let reason = "seqno 10 of snapshot 0-9 after seqno 0";
    assert_eq!(json, serde_json::json!({ "error": { "context": reason } }));
    assert_eq!((frame.header.datatype, frame.header.opaque), (Datatype::JSON, opaques[0]));
}

#[test]
fn a_refusal_answers_the_add_stream_that_waits() {
    let mut bench = Bench::new();
    bench.node.put(0, 0, &[(1, 0)]);
    bench.add(0, 7, 0);
    bench.negotiate();
    let (opaque, _) = bench.request();
    bench.accept(opaque);
    // The history is not on disk yet.
    bench.marker(0, opaque, 0, 9);
    bench.mutation(0, opaque, 1);
    let frame = FrameBuilder::request(Opcode::DCP_PREPARE).opaque(opaque).build();
    bench.feed(&frame);
    assert_eq!(bench.answers(), [(7, Status::NOT_SUPPORTED)]);
    bench.mutation(0, opaque, 2);
    bench.run_effects();
    assert_eq!(high_seqno(&bench, 0), 1);
    assert!(bench.answers().is_empty(), "one answer");
    assert!(bench.node.claimed.borrow().is_empty());
}

#[test]
fn a_stream_added_after_a_refusal_asks_from_what_was_written() {
    let (mut bench, opaques) = opened(1);
    bench.marker(0, opaques[0], 0, 9);
    bench.mutation(0, opaques[0], 1); // in flight
    bench.mutation(0, opaques[0], 2); // waits
    bench.mutation(0, opaques[0], 2); // refused
    bench.add(0, 8, 0);
    assert!(bench.take(Opcode::DCP_STREAM_REQ).is_empty(), "1 and 2 are not on disk");
    bench.run_effects();
    assert_eq!(bench.request().1[0], 2);
}

#[test]
fn what_could_not_be_written_ends_its_stream_and_nothing_after_it_is_written() {
    let (mut bench, opaques) = opened(2);
    bench.marker(0, opaques[0], 0, 9);
    bench.mutation(0, opaques[0], 1); // in flight
    bench.mutation(0, opaques[0], 2); // waits
    let effect = bench.effects.remove(0);
    bench.outcome(effect, Err(Failure::Other("the disk is full".to_owned())));
    let answers = bench.take(Opcode::DCP_MUTATION);
    let frame = Frame::parse(&answers[0]).unwrap();
    assert_eq!((answers.len(), frame.header.opaque), (1, opaques[0]));
    assert_eq!(frame.header.status(), Status::EINTERNAL);
    assert!(String::from_utf8_lossy(frame.value).contains("the disk is full"));
    bench.mutation(0, opaques[0], 3);
    assert_eq!(bench.refusals(Opcode::DCP_MUTATION), [Status::DCP_STREAM_NOT_FOUND]);
    assert!(bench.effects.is_empty(), "nothing is written");
    assert!(!bench.closed, "the other stream continues");
    bench.marker(1, opaques[1], 0, 9);
    bench.mutation(1, opaques[1], 1);
    bench.run_effects();
    assert_eq!(high_seqno(&bench, 1), 1);
    bench.now = Duration::from_secs(6);
    bench.settle();
    assert_eq!(bench.stat("total_acked_bytes"), bench.charged as u64);
}

#[test]
fn a_replica_that_was_active_in_between_takes_nothing_more_of_its_stream() {
    let (mut bench, opaques) = opened(1);
    bench.marker(0, opaques[0], 0, 9);
    bench.mutation(0, opaques[0], 1);
    bench.run_effects();
    // Active and replica again before the change was noticed: only its own branch shows it.
    bench.node.put(0, 1, &[(88, 1), (77, 0)]);
    bench.on(Event::Changed(VbId(0)));
    bench.settle();
    bench.mutation(0, opaques[0], 2);
    assert_eq!(bench.refusals(Opcode::DCP_MUTATION), [Status::DCP_STREAM_NOT_FOUND]);
    assert!(bench.effects.is_empty());
}

#[test]
fn an_end_of_a_refused_stream_is_stale() {
    let (mut bench, opaques) = opened(1);
    bench.marker(0, opaques[0], 0, 9);
    bench.mutation(0, opaques[0], 10);
    bench.end(0, opaques[0], StreamEndStatus::CLOSED);
    assert!(bench.take(Opcode::DCP_STREAM_END).is_empty());
    bench.feed(&mutation(0, opaques[0], 1));
    bench.run_effects();
    assert_eq!(high_seqno(&bench, 0), 0);
    assert!(!bench.closed);
}
