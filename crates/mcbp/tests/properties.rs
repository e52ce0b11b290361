//! Properties of the codec: what is written can be read back, whatever the bytes and wherever a
//! read ends; wrong length fields are typed errors.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use mcbp::dcp::{FailoverEntry, decode_failover_log, encode_failover_log};
use mcbp::{
    Datatype, Frame, FrameBuilder, FrameError, HEADER_BYTES, Header, MAX_BODY_BYTES, Magic, Opaque,
    Opcode, Seqno, Status, VbUuid, check, framing, key,
};
use proptest::collection::vec;
use proptest::prelude::*;

const MAGICS: [Magic; 6] = [
    Magic::ClientRequest,
    Magic::ClientResponse,
    Magic::AltClientRequest,
    Magic::AltClientResponse,
    Magic::ServerRequest,
    Magic::ServerResponse,
];

fn magic() -> impl Strategy<Value = Magic> {
    prop::sample::select(&MAGICS[..])
}

prop_compose! {
    fn any_frame()(
        magic in magic(),
        numbers in any::<(u8, u8, u16, u32, u64)>(),
        framing in vec(any::<u8>(), 0..20),
        extras in vec(any::<u8>(), 0..60),
        key in vec(any::<u8>(), 0..60),
        value in vec(any::<u8>(), 0..200),
    ) -> Vec<u8> {
        let (opcode, datatype, vb, opaque, cas) = numbers;
        let builder = FrameBuilder::new(magic, Opcode(opcode), vb)
            .datatype(Datatype(datatype))
            .opaque(Opaque(opaque))
            .cas(cas)
            .extras(&extras)
            .key(&key)
            .value(&value);
        let builder = if magic.has_framing() { builder.framing(&framing) } else { builder };
        builder.build().to_vec()
    }
}

/// Requests of DCP, whose bodies are therefore decoded by type.
fn dcp_frame() -> impl Strategy<Value = Vec<u8>> {
    (
        any_frame(),
        0x50_u8..=0x67,
        prop::sample::select(vec![0_u8, 1, 4, 8, 13, 16, 18, 20, 21, 31, 48]),
    )
        .prop_map(|(bytes, opcode, extras_bytes)| {
            let frame = Frame::parse(&bytes).unwrap();
            let extras = vec![bytes[bytes.len() / 2]; usize::from(extras_bytes)];
            let builder = FrameBuilder::request(Opcode(opcode)).extras(&extras).key(frame.key);
            builder.value(frame.value).build().to_vec()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_frame_or_an_error(bytes in vec(any::<u8>(), 0..100)) {
        check::frame(&bytes);
    }

    /// As above, but most inputs get past the first byte.
    #[test]
    fn any_bytes_behind_a_magic_are_a_frame_or_an_error(
        magic in magic(), body_bytes in 0_u32..100, mut bytes in vec(any::<u8>(), 24..124),
    ) {
        bytes[0] = magic as u8;
        bytes[8..12].copy_from_slice(&body_bytes.to_be_bytes());
        check::frame(&bytes);
    }

    #[test]
    fn frames_read_back(bytes in any_frame()) {
        check::frame(&bytes);
        prop_assert_eq!(Frame::parse(&bytes).unwrap().header.frame_bytes(), bytes.len());
    }

    #[test]
    fn dcp_bodies_read_back(bytes in dcp_frame()) {
        check::frame(&bytes);
    }

    #[test]
    fn a_cut_off_frame_says_what_it_needs(
        bytes in any_frame(), cut in any::<prop::sample::Index>(),
    ) {
        let have_bytes = cut.index(bytes.len());
        let need_bytes = if have_bytes < HEADER_BYTES { HEADER_BYTES } else { bytes.len() };
        let error = FrameError::Truncated { need_bytes, have_bytes };
        prop_assert_eq!(Frame::parse(&bytes[..have_bytes]), Err(error));
    }

    #[test]
    fn headers_read_back(bytes in any_frame()) {
        let header = Header::peek(&bytes).unwrap().unwrap();
        prop_assert_eq!(&header.encode()[..], &bytes[..HEADER_BYTES]);
    }

    #[test]
    fn a_stream_scans_alike_at_every_split_point(
        stream in vec(prop_oneof![any_frame(), dcp_frame()], 1..4),
        tail in vec(any::<u8>(), 0..30),
    ) {
        let lengths: Vec<usize> = stream.iter().map(Vec::len).collect();
        let stream = [stream.concat(), tail].concat();
        for cut in 0..=stream.len() {
            check::split(&stream, cut);
        }
        let (found, _) = check::frames(&[stream.len()], &stream);
        let found: Vec<usize> = found.iter().map(ExactSizeIterator::len).collect();
        prop_assert_eq!(&found[..lengths.len()], &lengths[..]);
    }

    #[test]
    fn a_stream_scans_alike_byte_by_byte(stream in vec(any_frame(), 1..4)) {
        let stream = stream.concat();
        let arrivals: Vec<usize> = (0..=stream.len()).collect();
        let at_once = check::frames(&[stream.len()], &stream);
        prop_assert_eq!(check::frames(&arrivals, &stream), at_once);
    }

    #[test]
    fn a_body_above_the_limit_is_refused(bytes in any_frame(), claim in MAX_BODY_BYTES + 1..) {
        let mut bytes = bytes;
        bytes[8..12].copy_from_slice(&claim.to_be_bytes());
        let error = FrameError::TooLarge { opcode: Opcode(bytes[1]), body_bytes: claim };
        prop_assert_eq!(Frame::parse(&bytes), Err(error));
    }

    #[test]
    fn a_body_shorter_than_its_parts_is_refused(
        magic in magic(), parts in any::<[u8; 3]>(), short in any::<prop::sample::Index>(),
    ) {
        let [b2, b3, extras_bytes] = parts;
        let key_and_framing = match magic.has_framing() {
            true => u32::from(b2) + u32::from(b3),
            false => u32::from_be_bytes([0, 0, b2, b3]),
        };
        let parts_bytes = key_and_framing + u32::from(extras_bytes);
        prop_assume!(parts_bytes > 0);
        let body_bytes = short.index(parts_bytes as usize) as u32;
        let mut bytes = [0; HEADER_BYTES];
        bytes[..5].copy_from_slice(&[magic as u8, 0x57, b2, b3, extras_bytes]);
        bytes[8..12].copy_from_slice(&body_bytes.to_be_bytes());
        let error = FrameError::Lengths { opcode: Opcode::DCP_MUTATION, parts_bytes, body_bytes };
        prop_assert_eq!(Header::decode(&bytes), Err(error));
    }

    #[test]
    fn any_other_first_byte_is_refused(bytes in vec(any::<u8>(), 1..40)) {
        prop_assume!(MAGICS.iter().all(|&magic| magic as u8 != bytes[0]));
        let error = FrameError::UnknownMagic { magic: bytes[0] };
        prop_assert_eq!(Header::peek(&bytes), Err(error));
        prop_assert_eq!(Frame::parse(&bytes), Err(error));
    }

    #[test]
    fn frame_information_reads_back(
        infos in vec((0_u16..=270, vec(any::<u8>(), 0..=270)), 0..5),
    ) {
        let mut bytes = Vec::new();
        for (id, value) in &infos {
            framing::push(&mut bytes, framing::FrameInfo { id: *id, value });
        }
        let read: Result<Vec<_>, _> = framing::iter(&bytes).collect();
        let read = read.unwrap();
        let read: Vec<_> = read.iter().map(|info| (info.id, info.value.to_vec())).collect();
        prop_assert_eq!(read, infos);
    }

    #[test]
    fn collection_prefixes_read_back(id in any::<u32>(), rest in vec(any::<u8>(), 0..20)) {
        let mut bytes = Vec::new();
        key::push_prefix(&mut bytes, id);
        prop_assert!(bytes.len() <= 5);
        for cut in 0..bytes.len() {
            prop_assert_eq!(key::split(&bytes[..cut]), None, "cut at {}", cut);
        }
        bytes.extend(&rest);
        prop_assert_eq!(key::split(&bytes), Some((id, &rest[..])));
    }

    #[test]
    fn a_prefix_has_one_spelling(bytes in vec(any::<u8>(), 0..8)) {
        if let Some((id, rest)) = key::split(&bytes) {
            let mut again = Vec::new();
            key::push_prefix(&mut again, id);
            again.extend(rest);
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn failover_logs_read_back(log in vec(any::<(u64, u64)>(), 1..30)) {
        let entry = |(uuid, seqno)| FailoverEntry { uuid: VbUuid(uuid), seqno: Seqno(seqno) };
        let log: Vec<FailoverEntry> = log.into_iter().map(entry).collect();
        let value = encode_failover_log(&log);
        let answer = FrameBuilder::response(Opcode::DCP_STREAM_REQ, Status::SUCCESS);
        let bytes = answer.value(&value).build();
        prop_assert_eq!(decode_failover_log(&Frame::parse(&bytes).unwrap()), Ok(log));
        let cut = FrameBuilder::request(Opcode::DCP_STREAM_REQ).value(&value[1..]).build();
        prop_assert!(decode_failover_log(&Frame::parse(&cut).unwrap()).is_err());
    }
}
