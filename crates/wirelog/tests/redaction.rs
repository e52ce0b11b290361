//! Redaction: lengths, headers and extras stay, nothing of a document survives, equal inputs give
//! equal outputs, and what was JSON, attributes or compressed still is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use mcbp::{Datatype, Frame, FrameBuilder, Magic, Opcode, Status, xattr};
use proptest::collection::vec;
use proptest::prelude::*;
use wirelog::{Redaction, Salt, redact};

const KEPT: Redaction = Redaction { keys: false };
const ANONYMOUS: Redaction = Redaction { keys: true };

fn salt() -> Salt {
    Salt::new(*b"0123456789abcdef")
}

fn document(key: &[u8], value: &[u8], datatype: u8) -> Vec<u8> {
    let frame = FrameBuilder::request(Opcode::DCP_MUTATION).datatype(Datatype(datatype));
    frame.extras(&[7; 31]).key(key).value(value).build().to_vec()
}

fn redacted_value(value: &[u8], datatype: u8) -> Vec<u8> {
    let redacted = redact(&document(b"\0k", value, datatype), &KEPT, &salt());
    Frame::parse(&redacted).unwrap().value.to_vec()
}

fn redacted_key(key: &[u8]) -> Vec<u8> {
    let redacted = redact(&document(key, b"", 0), &ANONYMOUS, &salt());
    Frame::parse(&redacted).unwrap().key.to_vec()
}

/// Whether 8 bytes in a row of `original` are in `text`.
fn survives(original: &[u8], text: &[u8]) -> bool {
    let runs: BTreeSet<&[u8]> = original.windows(8).collect();
    text.windows(8).any(|run| runs.contains(run))
}

fn attributes(pairs: &[(String, String)], body: &str) -> Vec<u8> {
    let pair = |(name, value): &(String, String)| {
        let length = u32::try_from(name.len() + value.len() + 2).unwrap();
        [&length.to_be_bytes()[..], name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat()
    };
    let all: Vec<u8> = pairs.iter().flat_map(pair).collect();
    [&u32::try_from(all.len()).unwrap().to_be_bytes()[..], &all, body.as_bytes()].concat()
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

#[test]
fn json_of_every_length_stays_json_of_that_length() {
    for length in 1..400 {
        let original = vec![b'1'; length];
        let value = redacted_value(&original, 1);
        assert!(value.len() == length && is_json(&value), "{length}: {value:?}");
    }
    assert_eq!(redacted_value(b"", 1), b"");
}

/// A compressed value made of literals: one of each length.
fn literals(lengths: &[usize]) -> Vec<u8> {
    let mut length = lengths.iter().sum::<usize>();
    let mut out = Vec::new();
    while length > 0x7f {
        out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap());
    for length in lengths {
        out.push(u8::try_from(length - 1).unwrap() << 2);
        out.extend(vec![b'x'; *length]);
    }
    out
}

#[test]
fn a_compressed_value_of_every_length_inflates() {
    let mut lengths = BTreeSet::new();
    for size in (0..8).chain(55..70).chain(110..320).chain(16_080..16_160).chain(64_458..64_468) {
        for split in 0..4 {
            // Up to three literals of one byte, and the rest in long ones.
            let ones = split.min(size);
            let long = (size - ones) / 60;
            let mut parts = vec![60; long];
            parts.extend(vec![1; ones]);
            parts.extend(Some(size - ones - 60 * long).filter(|rest| *rest > 0));
            let squeezed = literals(&parts);
            assert_eq!(snap::raw::Decoder::new().decompress_vec(&squeezed).unwrap().len(), size);
            let value = redacted_value(&squeezed, 2);
            assert_eq!(value.len(), squeezed.len());
            let inflated = snap::raw::Decoder::new().decompress_vec(&value);
            assert!(inflated.is_ok(), "{} bytes: {inflated:?}", squeezed.len());
            let json = redacted_value(&squeezed, 3);
            let inflated = snap::raw::Decoder::new().decompress_vec(&json).unwrap();
            assert!(inflated.is_empty() || is_json(&inflated), "{size}: {inflated:?}");
            lengths.insert(squeezed.len());
        }
    }
    // The lengths at which a tag or the length itself grows by a byte are among them.
    let edges = [62, 63, 64, 65, 130, 131, 132, 259, 260, 261, 262];
    assert!(edges.iter().all(|edge| lengths.contains(edge)), "{lengths:?}");
    assert!(
        [16_388, 16_389, 16_390, 65_541, 65_542].iter().all(|it| lengths.contains(it)),
        "{lengths:?}"
    );
}

#[test]
fn attributes_within_compression_become_an_empty_list_and_json() {
    let pairs = [("_sync".to_owned(), "{\"secret\":12345678}".to_owned())];
    let plain = attributes(&pairs, "{\"name\":\"somebody\"}");
    let squeezed = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    let value = redacted_value(&squeezed, 7);
    let inflated = snap::raw::Decoder::new().decompress_vec(&value).unwrap();
    let (list, body) = xattr::split(&inflated).unwrap();
    assert!(list.is_empty() && is_json(body), "{inflated:?}");
}

#[test]
fn what_does_not_inflate_still_does_not() {
    for value in [&b""[..], b"\x05", b"\x05\x04a", b"not snappy at all", &[0xff; 40]] {
        let redacted = redacted_value(value, 2);
        assert_eq!(redacted.len(), value.len());
        assert!(snap::raw::Decoder::new().decompress_vec(&redacted).is_err() || value.is_empty());
    }
}

#[test]
fn damaged_attributes_stay_damaged() {
    let beyond = redacted_value(b"\0\0\xff\xffabcdefgh", 4);
    assert_eq!((&beyond[..4], xattr::split(&beyond)), (&b"\0\0\xff\xff"[..], None));
    assert!(!survives(b"abcdefgh", &beyond));
    let good = attributes(&[("a".into(), "1".into())], "");
    let cut = [&u32::try_from(good.len() - 5).unwrap().to_be_bytes()[..], &good[4..]].concat();
    let redacted = redacted_value(&cut, 4);
    let (list, _) = xattr::split(&redacted).unwrap();
    assert_eq!(xattr::each(list).last(), Some(None));
}

#[test]
fn passwords_and_proofs_are_masked_and_masking_again_changes_nothing() {
    for opcode in [Opcode::SASL_AUTH, Opcode::SASL_STEP] {
        let request = FrameBuilder::request(opcode).key(b"PLAIN").value(b"\0proxy\0secret").build();
        let answer = FrameBuilder::new(Magic::ClientResponse, opcode, Status::AUTH_CONTINUE.0);
        let answer = answer.value(b"r=nonce,s=c2FsdA==,i=4000").build();
        for frame in [request, answer] {
            let once = redact(&frame, &KEPT, &salt());
            let parsed = Frame::parse(&once).unwrap();
            assert!(parsed.value.iter().all(|byte| *byte == b'*'), "{parsed:?}");
            assert_eq!(parsed.key, Frame::parse(&frame).unwrap().key);
            assert_eq!(redact(&once, &ANONYMOUS, &salt()), once);
        }
    }
}

#[test]
fn no_handshake_or_control_of_a_recording_changes() {
    let mut changed: BTreeMap<Opcode, usize> = BTreeMap::new();
    for line in recordings::captures().iter().flat_map(|capture| &capture.lines) {
        let redacted = redact(&line.bytes, &ANONYMOUS, &salt());
        let (old, new) = (Frame::parse(&line.bytes).unwrap(), Frame::parse(&redacted).unwrap());
        assert_eq!((old.header, old.framing, old.extras), (new.header, new.framing, new.extras));
        let is_link = line.from != "client" && line.to != "client";
        if is_link && old.opcode().is_dcp() && redacted != line.bytes {
            *changed.entry(old.opcode()).or_default() += 1;
        }
    }
    let documents = [
        Opcode::DCP_MUTATION,
        Opcode::DCP_DELETION,
        Opcode::DCP_EXPIRATION,
        Opcode::DCP_SYSTEM_EVENT,
        Opcode::DCP_PREPARE,
        Opcode::DCP_COMMIT,
        Opcode::DCP_ABORT,
    ];
    assert_eq!(changed.keys().copied().collect::<Vec<_>>(), documents);
}

#[test]
fn short_keys_stay_apart() {
    let keys: BTreeSet<Vec<u8>> =
        (0..100).map(|at| redacted_key(format!("\0k{at}").as_bytes())).collect();
    assert_eq!(keys.len(), 100);
    let one: BTreeSet<Vec<u8>> = (b' '..=b'~').map(|byte| redacted_key(&[0, byte])).collect();
    assert_eq!(one.len(), 95);
}

#[test]
fn another_salt_gives_other_values_and_keys() {
    let frame = document(b"\0customer-17", b"the same value", 0);
    let other = Salt::new([9; 16]);
    assert_ne!(redact(&frame, &KEPT, &salt()), redact(&frame, &KEPT, &other));
    let keys =
        [salt(), other].map(|salt| redact(&document(b"\0customer-17", b"", 0), &ANONYMOUS, &salt));
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn no_frame_is_no_frame() {
    assert_eq!(redact(b"the secret of somebody", &KEPT, &salt()), b"");
}

prop_compose! {
    fn any_frame()(
        magic in prop::sample::select(vec![
            Magic::ClientRequest, Magic::ClientResponse, Magic::AltClientRequest,
            Magic::AltClientResponse, Magic::ServerRequest, Magic::ServerResponse,
        ]),
        opcode in prop_oneof![any::<u8>(), 0x50_u8..=0x67],
        datatype in prop_oneof![0_u8..8, any::<u8>()],
        framing in vec(any::<u8>(), 0..20),
        extras in vec(any::<u8>(), 0..60),
        key in vec(any::<u8>(), 0..60),
        value in vec(any::<u8>(), 0..300),
    ) -> Vec<u8> {
        let builder = FrameBuilder::new(magic, Opcode(opcode), 0);
        let builder = builder.datatype(Datatype(datatype)).extras(&extras).key(&key).value(&value);
        let builder = if magic.has_framing() { builder.framing(&framing) } else { builder };
        builder.build().to_vec()
    }
}

fn text(length: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    vec("[ -~]", length).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_frame_keeps_its_form(frame in any_frame(), keys in any::<bool>()) {
        let redacted = redact(&frame, &Redaction { keys }, &salt());
        prop_assert_eq!(redacted.len(), frame.len());
        let (old, new) = (Frame::parse(&frame).unwrap(), Frame::parse(&redacted).unwrap());
        prop_assert_eq!(old.header, new.header);
        prop_assert_eq!((old.framing, old.extras), (new.framing, new.extras));
        if !keys {
            let inner = old.opcode() == Opcode::DCP_CACHE_TRANSFER;
            prop_assert!(inner || old.key == new.key);
        }
        prop_assert_eq!(&redact(&frame, &Redaction { keys }, &salt()), &redacted, "equal again");
    }

    #[test]
    fn any_bytes_are_redacted_or_dropped(bytes in vec(any::<u8>(), 0..100)) {
        let redacted = redact(&bytes, &ANONYMOUS, &salt());
        prop_assert!(redacted.is_empty() || Frame::parse(&bytes).is_ok());
    }

    #[test]
    fn nothing_of_a_document_survives(
        key in text(8..60), value in text(8..300), datatype in 0_u8..4,
    ) {
        let stored = if datatype & 2 == 0 { value.clone().into_bytes() } else {
            snap::raw::Encoder::new().compress_vec(value.as_bytes()).unwrap()
        };
        let prefixed = [b"\0", key.as_bytes()].concat();
        let redacted = redact(&document(&prefixed, &stored, datatype), &ANONYMOUS, &salt());
        let new = Frame::parse(&redacted).unwrap();
        prop_assert!(!survives(value.as_bytes(), new.value));
        prop_assert!(!survives(key.as_bytes(), new.key));
        prop_assert_eq!(new.key[0], 0, "the collection stays");
        prop_assert!(new.key.is_ascii());
        let same = redact(&document(b"\0other", &stored, datatype), &ANONYMOUS, &salt());
        prop_assert_eq!(Frame::parse(&same).unwrap().value, new.value, "equal values stay equal");
    }

    #[test]
    fn attributes_keep_their_form(
        pairs in vec(("_?[a-z]{1,20}", text(8..40)), 0..5), body in text(8..40),
        keys in any::<bool>(),
    ) {
        let value = attributes(&pairs, &body);
        let redacted = redact(&document(b"\0k", &value, 5), &Redaction { keys }, &salt());
        let new = Frame::parse(&redacted).unwrap();
        let (list, new_body) = xattr::split(new.value).unwrap();
        let read: Vec<xattr::Xattr<'_>> = xattr::each(list).map(Option::unwrap).collect();
        prop_assert_eq!(read.len(), pairs.len());
        for (new, (name, value)) in read.iter().zip(&pairs) {
            prop_assert_eq!((new.name.len(), new.value.len()), (name.len(), value.len()));
            prop_assert_eq!(new.name.starts_with(b"_"), name.starts_with('_'));
            prop_assert!(keys || new.name == name.as_bytes());
            prop_assert!(is_json(new.value) && !survives(value.as_bytes(), new.value));
        }
        prop_assert!(is_json(new_body) && !survives(body.as_bytes(), new_body));
    }

    #[test]
    fn different_keys_stay_different(one in text(1..6), two in text(1..6)) {
        let keys = [&one, &two].map(|key| redacted_key(&[b"\0", key.as_bytes()].concat()));
        prop_assert_eq!(one == two, keys[0] == keys[1]);
    }
}
