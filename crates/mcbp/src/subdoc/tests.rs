//! Extras of every length, and operations that are cut off.

use super::*;
use crate::FrameBuilder;

fn single(opcode: Opcode, extras: &[u8]) -> Option<PathExtras> {
    let bytes = FrameBuilder::request(opcode).extras(extras).build();
    PathExtras::decode(&Frame::parse(&bytes).unwrap()).ok()
}

fn multi(opcode: Opcode, extras: &[u8]) -> Option<DocumentExtras> {
    let bytes = FrameBuilder::request(opcode).extras(extras).build();
    DocumentExtras::decode(&Frame::parse(&bytes).unwrap()).ok()
}

#[test]
fn each_length_of_extras_has_its_fields() {
    let all = [0x00, 0x05, 0x04, 0, 0, 0, 9, 0, 0, 0, 7, 0x01];
    let document = |expiry, user_flags, flags| DocumentExtras { expiry, user_flags, flags };
    for (extras, expected) in [
        (&all[..3], document(None, None, 0)),
        (&[0x00, 0x05, 0x04, 0x01], document(None, None, 1)),
        (&all[..7], document(Some(9), None, 0)),
        (&[0x00, 0x05, 0x04, 0, 0, 0, 9, 0x01], document(Some(9), None, 1)),
        (&all[..11], document(Some(9), Some(7), 0)),
        (&all, document(Some(9), Some(7), 1)),
    ] {
        let whole = PathExtras { path_bytes: 5, path_flags: 4, document: expected };
        assert_eq!(single(Opcode::SUBDOC_COUNTER, extras), Some(whole), "{extras:?}");
        assert_eq!(multi(Opcode::SUBDOC_MULTI_MUTATION, &extras[3..]), Some(expected));
        let is_lookup = expected.expiry.is_none();
        assert_eq!(single(Opcode::SUBDOC_GET, extras).is_some(), is_lookup, "{extras:?}");
        let lookup = multi(Opcode::SUBDOC_MULTI_LOOKUP, &extras[3..]);
        assert_eq!(lookup.is_some(), is_lookup);
    }
    for length in [0, 1, 2, 5, 6, 9, 10] {
        assert_eq!(single(Opcode::SUBDOC_COUNTER, &all[..length]), None, "{length}");
    }
    assert_eq!(single(Opcode::SUBDOC_GET, &[0, 1, 0, 0x40]), None);
    assert_eq!(multi(Opcode::SUBDOC_MULTI_LOOKUP, &[0x80]), None);
}

#[test]
fn operations_follow_each_other_and_are_whole() {
    let value = b"\xc8\x04\x00\x01\x00\x00\x00\x02ab1\xc9\x00\x00\x01\x00\x00\x00\x00x";
    let specs = |length: usize| {
        let frame = FrameBuilder::request(Opcode::SUBDOC_MULTI_MUTATION).value(&value[..length]);
        let bytes = frame.build();
        let frame = Frame::parse(&bytes).unwrap();
        Spec::each(&frame).map(|spec| spec.map(|spec| spec.path.len()).ok()).collect::<Vec<_>>()
    };
    assert_eq!(specs(value.len()), [Some(1), Some(1)]);
    for length in 1..value.len() {
        let found = specs(length);
        assert_eq!(found.last(), Some(&if length == 11 { Some(1) } else { None }), "{length}");
    }
    let lookup = FrameBuilder::request(Opcode::SUBDOC_MULTI_LOOKUP).value(b"\xc5\0\0\x01a").build();
    let lookup = Frame::parse(&lookup).unwrap();
    let spec = Spec { opcode: Opcode::SUBDOC_GET, path_flags: 0, path: b"a", value: b"" };
    assert_eq!(Spec::each(&lookup).collect::<Vec<_>>(), [Ok(spec)]);
}

#[test]
fn the_path_is_the_front_of_the_value() {
    let bytes = FrameBuilder::request(Opcode::SUBDOC_DICT_ADD).value(b"key1").build();
    let frame = Frame::parse(&bytes).unwrap();
    let extras = |path_bytes| PathExtras { path_bytes, ..PathExtras::default() };
    let spec = Spec::single(&frame, &extras(3)).unwrap();
    assert_eq!((spec.path, spec.value), (&b"key"[..], &b"1"[..]));
    assert!(Spec::single(&frame, &extras(5)).is_err());
}
