//! Every DCP body: the fields that go in come out, and header, key and value are where they belong;
//! a body of another form is an error.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use bytes::BytesMut;
use mcbp::dcp::{
    Abort, AddStream, BufferAck, CacheRecord, Commit, Control, Deletion, Expiration, MarkerBody,
    Mutation, Open, OsoSnapshot, Prepare, SeqnoAck, SeqnoAdvanced, SetVbucketState, SnapshotMarker,
    StreamEnd, StreamReq, SystemEvent, Target, decode_rollback,
};
use mcbp::kv::{CounterExtras, StoreExtras};
use mcbp::{
    Datatype, Frame, FrameBuilder, FrameError, Opaque, Opcode, Seqno, Status, StreamEndStatus,
    VbId, VbState, VbUuid, check,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Writes a body, reads it back, and hands out the frame's bytes.
macro_rules! reads_back {
    ($opcode:ident, $type:ident { $($fields:tt)* }, |$body:ident, $out:ident| $write:expr) => {{
        let $body = $type { $($fields)* };
        let mut $out = BytesMut::new();
        $write;
        let frame = Frame::parse(&$out).unwrap();
        assert_eq!(frame.opcode(), Opcode::$opcode);
        assert!(frame.header.is_request());
        assert_eq!($type::decode(&frame), Ok($body));
        $out
    }};
}

#[derive(Debug, Clone)]
struct Given {
    to: Target,
    key: Vec<u8>,
    value: Vec<u8>,
    n: [u64; 6],
    small: [u32; 3],
    byte: u8,
}

prop_compose! {
    fn given()(
        vb in any::<u16>(), opaque in any::<u32>(), cas in any::<u64>(), datatype in any::<u8>(),
        key in vec(any::<u8>(), 1..30), value in vec(any::<u8>(), 1..60),
        n in any::<[u64; 6]>(), small in any::<[u32; 3]>(), byte in any::<u8>(),
    ) -> Given {
        let to = Target { vb: VbId(vb), opaque: Opaque(opaque), cas, datatype: Datatype(datatype) };
        Given { to, key, value, n, small, byte }
    }
}

/// vBucket, opaque, CAS and datatype, key and value are as given.
fn check_document(bytes: &[u8], given: &Given) {
    let frame = Frame::parse(bytes).unwrap();
    let (header, to) = (frame.header, given.to);
    assert_eq!((header.vbucket(), header.opaque), (to.vb, to.opaque));
    assert_eq!((header.cas, header.datatype), (to.cas, to.datatype));
    assert_eq!((frame.key, frame.value), (&given.key[..], &given.value[..]));
}

/// vBucket, opaque and key are as given; CAS and datatype are not used.
fn check_control(bytes: &[u8], given: &Given, key: &[u8]) {
    let frame = Frame::parse(bytes).unwrap();
    let header = frame.header;
    assert_eq!((header.vbucket(), header.opaque), (given.to.vb, given.to.opaque));
    assert_eq!((header.cas, header.datatype, frame.key), (0, Datatype::RAW, key));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn documents_read_back(g in given()) {
        let (to, [flags, expiry, lock_time]) = (g.to, g.small);
        let (seqno, rev, nru) = (Seqno(g.n[0]), g.n[1], g.byte);
        let (deleted, level) = (g.byte.is_multiple_of(2), g.byte);
        let frames = [
            reads_back!(DCP_MUTATION, Mutation { seqno, rev, flags, expiry, lock_time, nru },
                |body, out| body.write(to, &g.key, &g.value, &mut out)),
            reads_back!(DCP_DELETION, Deletion { seqno, rev, delete_time: None },
                |body, out| body.write(to, &g.key, &g.value, &mut out)),
            reads_back!(DCP_DELETION, Deletion { seqno, rev, delete_time: Some(expiry) },
                |body, out| body.write(to, &g.key, &g.value, &mut out)),
            reads_back!(DCP_EXPIRATION, Expiration { seqno, rev, delete_time: expiry },
                |body, out| body.write(to, &g.key, &g.value, &mut out)),
            reads_back!(DCP_PREPARE,
                Prepare { seqno, rev, flags, expiry, lock_time, nru, deleted, level },
                |body, out| body.write(to, &g.key, &g.value, &mut out)),
        ];
        for bytes in &frames {
            check_document(bytes, &g);
        }
    }

    #[test]
    fn completions_and_events_read_back(g in given()) {
        let (vb, opaque, key) = (g.to.vb, g.to.opaque, &g.key);
        let (prepared, at) = (Seqno(g.n[0]), Seqno(g.n[1]));
        let with_key = [
            reads_back!(DCP_COMMIT, Commit { prepared, committed: at },
                |body, out| body.write(vb, opaque, key, &mut out)),
            reads_back!(DCP_ABORT, Abort { prepared, aborted: at },
                |body, out| body.write(vb, opaque, key, &mut out)),
            reads_back!(DCP_SYSTEM_EVENT,
                SystemEvent { seqno: at, event: g.small[0], version: g.byte },
                |body, out| body.write(vb, opaque, key, &g.value, &mut out)),
        ];
        let without_key = [
            reads_back!(DCP_SEQNO_ACK, SeqnoAck { prepared },
                |body, out| body.write(vb, opaque, &mut out)),
            reads_back!(DCP_SEQNO_ADVANCED, SeqnoAdvanced { seqno: at },
                |body, out| body.write(vb, opaque, &mut out)),
            reads_back!(DCP_OSO_SNAPSHOT, OsoSnapshot { start: g.byte.is_multiple_of(2) },
                |body, out| body.write(vb, opaque, &mut out)),
            reads_back!(DCP_BUFFER_ACK, BufferAck { bytes: g.small[0] },
                |body, out| body.write(vb, opaque, &mut out)),
        ];
        with_key.iter().for_each(|bytes| check_control(bytes, &g, key));
        without_key.iter().for_each(|bytes| check_control(bytes, &g, &[]));
    }

    #[test]
    fn stream_frames_read_back(g in given()) {
        let (vb, opaque, flags) = (g.to.vb, g.to.opaque, g.small[0]);
        let [start, end, max_visible, high_completed, purge, high_prepared] = g.n.map(Seqno);
        let states = [VbState::Active, VbState::Replica, VbState::Pending, VbState::Dead];
        let state = states[usize::from(g.byte) % 4];
        let frames = [
            reads_back!(DCP_ADD_STREAM, AddStream { flags },
                |body, out| body.write(vb, opaque, &mut out)),
            reads_back!(DCP_STREAM_REQ,
                StreamReq { flags, start, end, uuid: VbUuid(g.n[5]), snapshot_start: max_visible,
                            snapshot_end: high_completed, value: &g.value },
                |body, out| body.write(vb, opaque, &mut out)),
            reads_back!(DCP_STREAM_END, StreamEnd { status: StreamEndStatus(flags) },
                |body, out| body.write(vb, opaque, &mut out)),
            reads_back!(DCP_SET_VBUCKET_STATE, SetVbucketState { state },
                |body, out| body.write(vb, opaque, &mut out)),
            reads_back!(DCP_SNAPSHOT_MARKER,
                SnapshotMarker { start, end, flags, body: MarkerBody::V1 },
                |body, out| body.write(vb, opaque, &mut out)),
            reads_back!(DCP_SNAPSHOT_MARKER,
                SnapshotMarker { start, end, flags,
                                 body: MarkerBody::V2_0 { max_visible, high_completed } },
                |body, out| body.write(vb, opaque, &mut out)),
            reads_back!(DCP_SNAPSHOT_MARKER,
                SnapshotMarker { start, end, flags, body: MarkerBody::V2_2 {
                    max_visible, high_completed, purge, high_prepared } },
                |body, out| body.write(vb, opaque, &mut out)),
        ];
        frames.iter().for_each(|bytes| check_control(bytes, &g, &[]));
    }

    #[test]
    fn connection_frames_read_back(g in given()) {
        let opaque = g.to.opaque;
        reads_back!(DCP_CONTROL, Control { key: &g.key, value: &g.value },
            |body, out| body.write(opaque, &mut out));
        reads_back!(DCP_OPEN, Open { flags: g.small[0], name: &g.key, value: &g.value },
            |body, out| out.extend_from_slice(&body.build(opaque)));
    }

    #[test]
    fn cache_records_read_back(given in vec(given(), 1..5), cut in any::<prop::sample::Index>()) {
        let records: Vec<CacheRecord<'_>> = given.iter().map(cache_record).collect();
        let mut value = Vec::new();
        records.iter().for_each(|record| record.push(&mut value));
        let read = |value: &[u8]| {
            let bytes = FrameBuilder::request(Opcode::DCP_CACHE_TRANSFER).value(value).build();
            let frame = Frame::parse(&bytes).unwrap();
            let seqnos = CacheRecord::iter(&frame).map(|record| record.map(|r| r.seqno));
            seqnos.collect::<Result<Vec<_>, _>>()
        };
        prop_assert_eq!(read(&value).unwrap().len(), records.len());
        let bytes = FrameBuilder::request(Opcode::DCP_CACHE_TRANSFER).value(&value).build();
        let frame = Frame::parse(&bytes).unwrap();
        prop_assert_eq!(CacheRecord::iter(&frame).collect::<Result<Vec<_>, _>>(), Ok(records));
        let cut = cut.index(value.len());
        if let Ok(seqnos) = read(&value[..cut]) {
            let record_bytes = |g: &Given| 40 + g.key.len() + g.value.len();
            let whole: usize = given.iter().take(seqnos.len()).map(record_bytes).sum();
            prop_assert_eq!(whole, cut, "a record that is cut off must not be dropped silently");
        }
    }

    #[test]
    fn key_value_extras_read_back(
        flags in any::<u32>(), expiry in any::<u32>(), n in any::<[u64; 2]>(),
    ) {
        let extras = StoreExtras { flags, expiry };
        let bytes = FrameBuilder::request(Opcode::SET).extras(&extras.encode()).build();
        prop_assert_eq!(StoreExtras::decode(&Frame::parse(&bytes).unwrap()), Ok(extras));
        let counter = CounterExtras { delta: n[0], initial: n[1], expiry };
        let wire = [&n[0].to_be_bytes()[..], &n[1].to_be_bytes(), &expiry.to_be_bytes()].concat();
        let bytes = FrameBuilder::request(Opcode::INCREMENT).extras(&wire).build();
        prop_assert_eq!(CounterExtras::decode(&Frame::parse(&bytes).unwrap()), Ok(counter));
    }
}

fn cache_record(g: &Given) -> CacheRecord<'_> {
    CacheRecord {
        cas: g.to.cas,
        seqno: Seqno(g.n[0]),
        rev: g.n[1],
        flags: g.small[0],
        expiry: g.small[1],
        datatype: g.to.datatype,
        hint: g.byte,
        key: &g.key,
        value: &g.value,
    }
}

fn refused(opcode: Opcode, extras: &[u8], key: &[u8], value: &[u8]) -> String {
    let bytes = FrameBuilder::request(opcode).extras(extras).key(key).value(value).build();
    let error = check::rewrite(&Frame::parse(&bytes).unwrap()).expect_err("must be refused");
    assert!(matches!(error, FrameError::Malformed { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn extras_of_another_length_are_refused() {
    for (opcode, good) in [
        (Opcode::DCP_OPEN, &[8][..]),
        (Opcode::DCP_ADD_STREAM, &[4]),
        (Opcode::DCP_STREAM_REQ, &[48]),
        (Opcode::DCP_STREAM_END, &[4]),
        (Opcode::DCP_SNAPSHOT_MARKER, &[20]),
        (Opcode::DCP_MUTATION, &[31]),
        (Opcode::DCP_DELETION, &[18, 21]),
        (Opcode::DCP_EXPIRATION, &[20]),
        (Opcode::DCP_SET_VBUCKET_STATE, &[]),
        (Opcode::DCP_BUFFER_ACK, &[4]),
        (Opcode::DCP_CONTROL, &[]),
        (Opcode::DCP_SYSTEM_EVENT, &[13]),
        (Opcode::DCP_PREPARE, &[31]),
        (Opcode::DCP_SEQNO_ACK, &[8]),
        (Opcode::DCP_COMMIT, &[16]),
        (Opcode::DCP_ABORT, &[16]),
        (Opcode::DCP_SEQNO_ADVANCED, &[8]),
        (Opcode::DCP_OSO_SNAPSHOT, &[]),
    ] {
        for length in (0..=255).filter(|length| !good.contains(length)) {
            refused(opcode, &vec![0; length], &[], &[]);
        }
        for &length in good {
            let extras = vec![0; length];
            let bytes = FrameBuilder::request(opcode).extras(&extras).build();
            assert!(check::rewrite(&Frame::parse(&bytes).unwrap()).is_ok(), "{opcode} {length}");
        }
    }
}

#[test]
fn a_refusal_says_what_was_found_and_what_would_do() {
    assert_eq!(
        refused(Opcode::DCP_MUTATION, &[0; 30], b"key", b"value"),
        "DCP_MUTATION: extras must be 31 bytes; found 30 bytes of extras, 3 of key, 5 of value"
    );
    assert_eq!(
        refused(Opcode::DCP_SET_VBUCKET_STATE, &[5], &[], &[]),
        "DCP_SET_VBUCKET_STATE: a vBucket state is 1 to 4; found 1 bytes of extras, 0 of key, \
         0 of value"
    );
    let metadata_of_one_byte = [[0; 28].as_slice(), &[0, 1, 0]].concat();
    assert_eq!(
        refused(Opcode::DCP_MUTATION, &metadata_of_one_byte, b"k", b"v"),
        "DCP_MUTATION: extended metadata (nmeta) must be 0 bytes; found 31 bytes of extras, \
         1 of key, 1 of value"
    );
    refused(Opcode::DCP_DELETION, &[[0; 16].as_slice(), &[1, 0]].concat(), b"k", b"");
    refused(Opcode::DCP_CONTROL, &[], b"key without a value", &[]);
    refused(Opcode::DCP_CONTROL, &[], &[], b"value without a key");
    refused(Opcode::DCP_OSO_SNAPSHOT, &[0, 0, 0, 3], &[], &[]);
    refused(Opcode::DCP_SNAPSHOT_MARKER, &[0], &[], &[0; 52]);
    refused(Opcode::DCP_SNAPSHOT_MARKER, &[2], &[], &[0; 36]);
    refused(Opcode::DCP_SNAPSHOT_MARKER, &[1], &[], &[0; 36]);
    refused(Opcode::DCP_SNAPSHOT_MARKER, &[0; 20], &[], &[0; 36]);
}

#[test]
fn a_rollback_answer_holds_eight_bytes() {
    let read = |value: &[u8]| {
        let bytes =
            FrameBuilder::response(Opcode::DCP_STREAM_REQ, Status::ROLLBACK).value(value).build();
        decode_rollback(&Frame::parse(&bytes).unwrap())
    };
    assert_eq!(read(&5_u64.to_be_bytes()), Ok(Seqno(5)));
    assert!(read(&[0; 7]).is_err() && read(&[0; 9]).is_err() && read(&[]).is_err());
}
