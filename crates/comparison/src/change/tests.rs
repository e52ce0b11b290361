//! Changes are read from frames, and every field in which two of them differ is named.

use bytes::BytesMut;
use mcbp::dcp::{Deletion, Mutation, Target};
use mcbp::{Opaque, VbId};

use super::*;

fn change() -> Change<'static> {
    Change {
        seqno: Seqno(1),
        collection: 0,
        key: b"a",
        rev: 1,
        cas: 101,
        datatype: Datatype::JSON,
        kind: Kind::Document { flags: 7, expiry: 0 },
        value: b"{}",
    }
}

fn said(a: &Change<'_>, b: &Change<'_>) -> Vec<String> {
    let fields = fields(a, b);
    fields.iter().map(|field| format!("{}: {}", field.class, field.say("alpha", "beta"))).collect()
}

#[test]
fn every_field_that_differs_is_named() {
    let a = change();
    assert_eq!(said(&a, &a), [""; 0]);
    let kind = |kind| Change { kind, ..a };
    let table = [
        (Change { rev: 2, ..a }, "revision: revision is 1 on alpha and 2 on beta"),
        (Change { cas: 5, ..a }, "cas: cas is 101 on alpha and 5 on beta"),
        (Change { datatype: Datatype::RAW, ..a }, "datatype: datatype is 1 on alpha and 0 on beta"),
        (
            Change { value: b"[]", ..a },
            "value: value is 2 bytes with CRC32 a3a6bf43 on alpha and 2 bytes with CRC32 0d4cbb29 \
             on beta",
        ),
        (kind(Kind::Document { flags: 6, expiry: 0 }), "flags: flags is 7 on alpha and 6 on beta"),
        (
            kind(Kind::Document { flags: 7, expiry: 9 }),
            "expiry: expiry is 0 on alpha and 9 on beta",
        ),
        (
            kind(Kind::Expired { at: 9 }),
            "existence: it is a document with flags 7 and expiry 0 on alpha and an expiration at \
             9 on beta",
        ),
    ];
    for (b, want) in table {
        assert_eq!(said(&a, &b), [want]);
    }
    let (deleted, later) =
        (kind(Kind::Deleted { at: Some(3) }), kind(Kind::Deleted { at: Some(4) }));
    let want = "deletion: it is a deletion at 3 on alpha and a deletion at 4 on beta";
    assert_eq!(said(&deleted, &later), [want]);
    let both = Change { value: b"[]", cas: 5, ..a };
    let classes: Vec<_> = fields(&a, &both).iter().map(|field| field.class).collect();
    assert_eq!(classes, [Class::Value, Class::Cas]);
}

#[test]
fn attributes_differ_apart_from_the_body() {
    let with = |value| Change { datatype: Datatype::XATTR, value, ..change() };
    let a = with(b"\0\0\0\x08\0\0\0\x04k\x001\0body");
    let other_attribute = with(b"\0\0\0\x08\0\0\0\x04k\x002\0body");
    let other_body = with(b"\0\0\0\x08\0\0\0\x04k\x001\0BODY");
    let classes = |b| fields(&a, &b).iter().map(|field| field.class).collect::<Vec<_>>();
    assert_eq!(classes(other_attribute), [Class::Xattrs]);
    assert_eq!(classes(other_body), [Class::Value]);
    assert_eq!(classes(with(b"\0\0\0\xff")), [Class::Value, Class::Xattrs], "damaged attributes");
}

#[test]
fn changes_are_read_from_the_frames_of_a_stream() {
    let target = Target { vb: VbId(3), opaque: Opaque(5), cas: 101, datatype: Datatype::JSON };
    let mut out = BytesMut::new();
    let mutation =
        Mutation { seqno: Seqno(1), rev: 1, flags: 7, expiry: 0, lock_time: 0, nru: 200 };
    mutation.write(target, b"\0a", b"{}", &mut out);
    let frame = Frame::parse(&out).unwrap();
    assert_eq!(Change::decode(&frame), Ok(Some(change())));

    let mut out = BytesMut::new();
    Deletion { seqno: Seqno(2), rev: 2, delete_time: Some(77) }
        .write(target, b"\x08a", b"", &mut out);
    let deleted = Change::decode(&Frame::parse(&out).unwrap()).unwrap().unwrap();
    assert_eq!((deleted.seqno, deleted.kind), (Seqno(2), Kind::Deleted { at: Some(77) }));
    assert_eq!(deleted.owned_key(), Key { collection: 8, key: (*b"a").into() });
}

#[test]
fn a_system_event_has_the_ids_of_its_scope_and_collection_as_its_key() {
    let value = [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9, 0, 0, 0, 10];
    for (event, key) in [(0, &value[8..16]), (1, &value[8..16]), (3, &value[8..12])] {
        let mut out = BytesMut::new();
        SystemEvent { seqno: Seqno(4), event, version: 0 }.write(
            VbId(0),
            Opaque(1),
            b"name",
            &value,
            &mut out,
        );
        let change = Change::decode(&Frame::parse(&out).unwrap()).unwrap().unwrap();
        assert_eq!((change.collection, change.key, change.seqno), (SYSTEM, key, Seqno(4)));
    }
    let mut out = BytesMut::new();
    SystemEvent { seqno: Seqno(4), event: 0, version: 0 }.write(
        VbId(0),
        Opaque(1),
        b"name",
        &value[..12],
        &mut out,
    );
    assert!(Change::decode(&Frame::parse(&out).unwrap()).is_err());
}
