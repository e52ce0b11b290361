//! The tables of the protocol: the charge of a frame in flow control, names of numbers, texts of
//! errors.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use mcbp::{
    Datatype, Feature, Frame, FrameBuilder, FrameError, Header, MAX_BODY_BYTES, Magic, Opaque,
    Opcode, Seqno, Status, StreamEndStatus, VbId, VbState, VbUuid, flow, framing, kv,
};

const KEY: &[u8] = b"a key";
const VALUE: &[u8] = b"the value";
const DOCUMENT_BYTES: usize = KEY.len() + VALUE.len();

fn charge(builder: FrameBuilder<'_>) -> usize {
    flow::charge(&Frame::parse(&builder.build()).unwrap().header)
}

#[test]
fn flow_control_charges_are_those_of_the_protocol() {
    let key_and_value = (KEY, VALUE);
    let key_only = (KEY, &[][..]);
    let value = |bytes: &'static [u8]| (&[][..], bytes);
    let nothing = (&[][..], &[][..]);
    for (opcode, extras_bytes, (key, value), want) in [
        (Opcode::DCP_OPEN, 8, key_only, 0),
        (Opcode::DCP_ADD_STREAM, 4, nothing, 0),
        (Opcode::DCP_CLOSE_STREAM, 0, nothing, 0),
        (Opcode::DCP_STREAM_REQ, 48, nothing, 0),
        (Opcode::DCP_GET_FAILOVER_LOG, 0, nothing, 0),
        (Opcode::DCP_STREAM_END, 4, nothing, 28),
        (Opcode::DCP_SNAPSHOT_MARKER, 20, nothing, 44),
        (Opcode::DCP_SNAPSHOT_MARKER, 1, value(&[0; 36]), 61),
        (Opcode::DCP_SNAPSHOT_MARKER, 1, value(&[0; 52]), 77),
        (Opcode::DCP_MUTATION, 31, key_and_value, 55 + DOCUMENT_BYTES),
        (Opcode::DCP_DELETION, 18, nothing, 42),
        (Opcode::DCP_DELETION, 21, nothing, 45),
        (Opcode::DCP_EXPIRATION, 20, nothing, 44),
        (Opcode::DCP_SET_VBUCKET_STATE, 1, nothing, 25),
        (Opcode::DCP_NOOP, 0, nothing, 0),
        (Opcode::DCP_BUFFER_ACK, 4, nothing, 0),
        (Opcode::DCP_CONTROL, 0, key_and_value, 0),
        (Opcode::DCP_SYSTEM_EVENT, 13, key_and_value, 37 + DOCUMENT_BYTES),
        (Opcode::DCP_PREPARE, 31, key_and_value, 57 + DOCUMENT_BYTES),
        (Opcode::DCP_SEQNO_ACK, 8, nothing, 0),
        (Opcode::DCP_COMMIT, 16, key_only, 40 + KEY.len()),
        (Opcode::DCP_ABORT, 16, key_only, 40 + KEY.len()),
        (Opcode::DCP_SEQNO_ADVANCED, 8, nothing, 32),
        (Opcode::DCP_OSO_SNAPSHOT, 4, nothing, 28),
        (Opcode::DCP_CACHE_TRANSFER, 0, value(&[0; 43]), 24 + 43),
        (Opcode::DCP_CACHE_TRANSFER_END, 0, nothing, 24),
        (Opcode::GET_ERROR_MAP, 0, value(&[0; 2]), 0),
    ] {
        let extras = vec![0; extras_bytes];
        let request = FrameBuilder::request(opcode).extras(&extras).key(key).value(value);
        assert_eq!(charge(request), want, "{opcode}");

        let mut stream_id = Vec::new();
        let id = framing::FrameInfo { id: framing::DCP_STREAM_ID, value: &[0, 7] };
        framing::push(&mut stream_id, id);
        let with_id = if want == 0 { 0 } else { want + 3 };
        assert_eq!(charge(request.framing(&stream_id)), with_id, "{opcode} with a stream id");

        let response = FrameBuilder::response(opcode, Status::SUCCESS).value(value);
        assert_eq!(charge(response), 0, "the response to {opcode}");
    }
}

#[test]
fn framing_extras_need_a_magic_that_has_them() {
    for (magic, want) in [
        (Magic::ClientRequest, (Magic::AltClientRequest, &b"\x01\xff"[..])),
        (Magic::AltClientResponse, (Magic::AltClientResponse, &b"\x01\xff"[..])),
        (Magic::ServerRequest, (Magic::ServerRequest, &b""[..])),
    ] {
        let builder = FrameBuilder::new(magic, Opcode::GET, 0).framing(b"\x01\xff").extras(b"ex");
        let bytes = builder.key(b"key").build();
        let frame = Frame::parse(&bytes).unwrap();
        assert_eq!((frame.header.magic, frame.framing), want);
        assert_eq!((frame.extras, frame.key, frame.value), (&b"ex"[..], &b"key"[..], &b""[..]));
    }
}

#[test]
fn what_does_not_fit_a_header_is_cut_off_and_still_a_frame() {
    let long = vec![7; 70_000];
    for magic in [Magic::ClientRequest, Magic::AltClientRequest] {
        let builder = FrameBuilder::new(magic, Opcode::GET, 0).extras(&long).key(&long);
        let bytes = builder.value(b"value").build();
        assert_eq!(bytes.len(), builder.value(b"value").frame_bytes());
        let frame = Frame::parse(&bytes).unwrap();
        assert_eq!((frame.extras.len(), frame.value), (255, &b"value"[..]));
        assert_eq!(frame.key.len(), if magic.has_framing() { 255 } else { 65_535 });
    }
}

#[test]
fn a_claim_of_four_gigabytes_is_refused_by_its_header() {
    let mut bytes = [0; 24];
    bytes[0] = 0x80;
    bytes[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(matches!(Header::decode(&bytes), Err(FrameError::TooLarge { .. })));
    bytes[8..12].copy_from_slice(&MAX_BODY_BYTES.to_be_bytes());
    assert_eq!(Header::decode(&bytes).unwrap().frame_bytes(), 24 + 30 * 1024 * 1024);
}

#[test]
fn errors_say_what_was_found_and_what_would_do() {
    for (error, text) in [
        (
            FrameError::UnknownMagic { magic: 0x47 },
            "unknown magic 0x47, expected 0x80, 0x81, 0x08, 0x18, 0x82 or 0x83",
        ),
        (
            FrameError::TooLarge { opcode: Opcode::SET, body_bytes: u32::MAX },
            "SET claims a body of 4294967295 bytes, the limit is 31457280",
        ),
        (
            FrameError::Lengths { opcode: Opcode(0xf9), parts_bytes: 40, body_bytes: 39 },
            "0xf9: 40 bytes of extras and key do not fit a body of 39",
        ),
        (
            FrameError::Truncated { need_bytes: 24, have_bytes: 3 },
            "a frame of 24 bytes was cut off after 3",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
    assert_eq!(framing::BadFraming.to_string(), "framing extras are cut off");
}

#[test]
fn numbers_have_the_names_that_operators_know() {
    assert_eq!(Status::NOT_MY_VBUCKET.to_string(), "NotMyVbucket");
    assert_eq!(Status(0xbeef).to_string(), "0xbeef");
    assert_eq!(Opcode::DCP_ADD_STREAM.to_string(), "DCP_ADD_STREAM");
    assert_eq!(StreamEndStatus::BACKFILL_FAIL.to_string(), "BackfillFail");
    assert_eq!(StreamEndStatus(9).to_string(), "0x09");
    assert_eq!(format!("{:?} {:?}", VbId(7), Opaque(0x0100_0000)), "vb:7 0x01000000");
    assert_eq!(format!("{} {:?}", Seqno(9), VbUuid(8)), "9 8");
    assert_eq!(VbState::from_wire(3).map(VbState::name), Some("pending"));
    assert_eq!((VbState::from_wire(0), VbState::from_wire(5)), (None, None));
}

#[test]
fn tables_are_in_order_and_name_each_number_once() {
    assert!(Opcode::NAMED.is_sorted_by(|a, b| a < b));
    assert!(Status::NAMED.is_sorted_by(|a, b| a < b));
    assert!(Feature::NAMED.is_sorted_by(|a, b| a < b));
    assert!(StreamEndStatus::NAMED.is_sorted_by(|a, b| a < b));
    assert!(Opcode::NAMED.iter().filter(|opcode| opcode.is_dcp()).count() == 24);
}

#[test]
fn datatype_bits_add_up() {
    let both = Datatype::JSON.with(Datatype::SNAPPY);
    assert!(both.contains(Datatype::JSON) && !both.contains(Datatype::XATTR));
    assert_eq!(both.without(Datatype::SNAPPY), Datatype::JSON);
    assert!(both.is_known() && !Datatype(0x08).is_known());
}

#[test]
fn a_mutation_token_is_uuid_then_seqno() {
    let token = kv::mutation_token(VbUuid(1), Seqno(2));
    assert_eq!(token, [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
}

#[test]
fn the_seqno_after_the_last_is_the_last() {
    assert_eq!((Seqno::ZERO.next(), Seqno::MAX.next()), (Seqno(1), Seqno::MAX));
}
