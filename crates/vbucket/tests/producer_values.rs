//! The rows of a producer as the connection can take them: values, attributes, opcodes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

#[path = "support/producer_bench.rs"]
mod producer_bench;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mcbp::dcp::{Control, control_key, open_flags};
use mcbp::{Datatype, Frame, Opaque, Opcode, Seqno, Status, VbId};
use producer_bench::*;
use vbucket::producer::{Applied, Producer, ProducerOptions, RowEncoder, Settings};
use vbucket::{Kind, Row};

#[test]
fn values_are_what_the_connection_can_take() {
    let xattrs = b"\0\0\0\x03abcbody";
    let squeezed = snap::raw::Encoder::new().compress_vec(xattrs).unwrap();
    let datatype = Datatype::JSON.with(Datatype::SNAPPY).with(Datatype::XATTR);
    let row = Row { value: squeezed.clone().into(), datatype, ..row(1, Seqno(1)) };
    let all = ProducerOptions {
        open_flags: open_flags::PRODUCER | open_flags::INCLUDE_XATTRS,
        collections: true,
        snappy: true,
        json: true,
        xattr: true,
        xerror: false,
        history: false,
    };
    let no_value = open_flags::NO_VALUE;
    let keeps = open_flags::NO_VALUE_WITH_DATATYPE;
    let cases: [(ProducerOptions, u8, &[u8]); 6] = [
        (all, 7, &squeezed),
        (ProducerOptions { snappy: false, ..all }, 5, xattrs),
        (ProducerOptions { json: false, ..all }, 6, &squeezed),
        (ProducerOptions { open_flags: open_flags::PRODUCER, ..all }, 1, b"body"),
        (ProducerOptions { open_flags: all.open_flags | no_value, ..all }, 0, b""),
        (ProducerOptions { open_flags: all.open_flags | keeps, ..all }, 7, b""),
    ];
    for (options, datatype, value) in cases {
        let encoder = Producer::new(options, Duration::ZERO).encoder();
        let mut out = BytesMut::new();
        encoder.write(&row, VbId(0), Opaque(0), &mut out).unwrap();
        let frame = Frame::parse(&out).unwrap();
        assert_eq!((frame.header.datatype.0, frame.value), (datatype, value), "{options:?}");
        assert_eq!(frame.key, b"\0key-1");
    }
    let damaged = Row { value: Bytes::from_static(b"\xff\xff\xff\xff\x0f"), ..row };
    let plain = ProducerOptions { snappy: false, ..all };
    let encoder = Producer::new(plain, Duration::ZERO).encoder();
    assert!(encoder.write(&damaged, VbId(0), Opaque(0), &mut BytesMut::new()).is_err());
}

#[test]
fn the_users_attributes_of_a_deletion_are_sent_where_that_was_agreed() {
    let (system, user) = (b"\0\0\0\x05_s\x001\0", b"\0\0\0\x04u\x001\0");
    let both = [b"\0\0\0\x11".as_slice(), user, system].concat();
    let datatype = Datatype::XATTR;
    let deleted = Kind::Deleted { at: 9 };
    let row = Row { kind: deleted, value: both.clone().into(), datatype, ..row(1, Seqno(1)) };
    let (xattrs, users) = (open_flags::INCLUDE_XATTRS, open_flags::INCLUDE_DELETED_USER_XATTRS);
    let systems = [b"\0\0\0\x09".as_slice(), system].concat();
    let cases = [(xattrs | users, 4, both), (xattrs, 4, systems), (0, 0, Vec::new())];
    for (open_flags, datatype, value) in cases {
        let options = ProducerOptions { open_flags, snappy: true, ..ProducerOptions::default() };
        let mut out = BytesMut::new();
        let encoder = Producer::new(options, Duration::ZERO).encoder();
        encoder.write(&row, VbId(0), Opaque(0), &mut out).unwrap();
        let frame = Frame::parse(&out).unwrap();
        assert_eq!((frame.header.datatype.0, frame.value), (datatype, value.as_slice()));
    }
}

#[test]
fn a_compressed_tombstone_is_sent_as_it_came_to_whoever_can_read_it() {
    let system = b"\0\0\0\x09\0\0\0\x05_s\x001\0";
    let squeezed = snap::raw::Encoder::new().compress_vec(system).unwrap();
    let datatype = Datatype::XATTR.with(Datatype::SNAPPY);
    let kind = Kind::Deleted { at: 9 };
    let row = Row { kind, value: squeezed.clone().into(), datatype, ..row(1, Seqno(1)) };
    let (xattrs, users) = (open_flags::INCLUDE_XATTRS, open_flags::INCLUDE_DELETED_USER_XATTRS);
    let keys = open_flags::NO_VALUE_WITH_DATATYPE;
    let cases: [(u32, bool, u8, &[u8]); 6] = [
        (xattrs | users, true, 6, &squeezed),
        (xattrs | users, false, 4, system),
        (xattrs, true, 6, &squeezed),
        (xattrs, false, 4, system),
        (xattrs | users | keys, true, 6, b""),
        (xattrs | users | keys, false, 4, b""),
    ];
    for (open_flags, snappy, datatype, value) in cases {
        let options = ProducerOptions { open_flags, snappy, ..ProducerOptions::default() };
        let encoder = Producer::new(options, Duration::ZERO).encoder();
        let mut out = BytesMut::new();
        encoder.write(&row, VbId(0), Opaque(0), &mut out).unwrap();
        let frame = Frame::parse(&out).unwrap();
        assert_eq!((frame.header.datatype.0, frame.value), (datatype, value), "{options:?}");
        assert!(out.len() <= encoder.frame_bytes_max(&row), "{options:?}");
    }
}

#[test]
fn forced_compression_compresses_what_gets_shorter() {
    let (long, short) = ([b'x'; 500].as_slice(), b"x".as_slice());
    let options = ProducerOptions { snappy: true, ..ProducerOptions::default() };
    for (value, forced, datatype) in [(long, true, 2), (short, true, 0), (long, false, 0)] {
        let mut settings = Settings::default();
        let text = if forced { "true" } else { "false" };
        let control = Control { key: b"force_value_compression", value: text.as_bytes() };
        assert_eq!(settings.apply(&control, &options), Applied::Answer(Status::SUCCESS));
        let row = Row { value: Bytes::copy_from_slice(value), ..row(1, Seqno(1)) };
        let mut out = BytesMut::new();
        let encoder = RowEncoder::new(options, &settings);
        encoder.write(&row, VbId(0), Opaque(0), &mut out).unwrap();
        let frame = Frame::parse(&out).unwrap();
        assert_eq!(frame.header.datatype.0, datatype);
        let compressed = datatype == 2;
        let inflated = |value| snap::raw::Decoder::new().decompress_vec(value).unwrap();
        let sent = if compressed { inflated(frame.value) } else { frame.value.to_vec() };
        assert_eq!(sent, value);
    }
    let plain = ProducerOptions { snappy: false, ..options };
    let control = Control { key: b"force_value_compression", value: b"true" };
    let refused = Settings::default().apply(&control, &plain);
    assert_eq!(refused, Applied::Answer(Status::EINVAL));
}

#[test]
fn expirations_have_their_own_opcode_only_where_it_was_agreed() {
    let expired = Row { kind: Kind::Expired { at: 9 }, value: Bytes::new(), ..row(1, Seqno(1)) };
    for (flags, control, opcode, extras_bytes) in [
        (open_flags::INCLUDE_DELETE_TIMES, true, Opcode::DCP_EXPIRATION, 20),
        (open_flags::INCLUDE_DELETE_TIMES, false, Opcode::DCP_DELETION, 21),
        (0, true, Opcode::DCP_DELETION, 18),
    ] {
        let mut bench = Bench::new(flags);
        if control {
            bench.control(control_key::ENABLE_EXPIRY_OPCODE, "true");
        }
        let mut out = BytesMut::new();
        bench.machine.encoder().write(&expired, VbId(0), STREAM, &mut out).unwrap();
        let frame = Frame::parse(&out).unwrap();
        assert_eq!((frame.opcode(), frame.extras.len()), (opcode, extras_bytes));
    }
}
