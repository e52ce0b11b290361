//! Two short histories, and what is said about them.

use bytes::BytesMut;
use mcbp::dcp::{Deletion, Mutation, Target};
use mcbp::{Opaque, VbUuid};

use super::*;

const NAMES: Names<'static> = Names { left: "alpha", right: "beta" };
const KIND: Kind = Kind::Document { flags: 7, expiry: 0 };

fn change(seqno: u64, key: &'static str) -> Change<'static> {
    Change {
        seqno: Seqno(seqno),
        key: key.as_bytes(),
        rev: 1,
        cas: 100 + seqno,
        datatype: Datatype::JSON,
        kind: KIND,
        value: b"{}",
    }
}

/// Runs both histories through [`step`] as a reader does.
fn differences(left: &[Change<'_>], right: &[Change<'_>]) -> Vec<String> {
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    let mut found = Vec::new();
    while let Some((advance, difference)) = step(NAMES, left.peek().copied(), right.peek().copied())
    {
        found.extend(difference);
        if advance.left {
            left.next();
        }
        if advance.right {
            right.next();
        }
    }
    found
}

#[test]
fn equal_histories_have_no_difference() {
    let history = [change(1, "a"), change(3, "b")];
    assert!(differences(&history, &history).is_empty());
    assert!(differences(&[], &[]).is_empty());
}

#[test]
fn a_change_that_one_side_lacks_is_found_wherever_it_stands() {
    let all = [change(1, "a"), change(2, "b"), change(3, "c")];
    for missing in 0..3 {
        let mut some = all.to_vec();
        let gone = some.remove(missing);
        let key = String::from_utf8_lossy(gone.key).into_owned();
        let title = format!("seqno {}, key \"{key}\"", gone.seqno);
        let on_left = format!("{title} is on alpha and not on beta");
        let on_right = format!("{title} is on beta and not on alpha");
        assert_eq!(differences(&all, &some), [on_left]);
        assert_eq!(differences(&some, &all), [on_right]);
    }
}

#[test]
fn the_field_that_differs_is_named() {
    let a = change(1, "a");
    let expired = Kind::Expired { at: 9 };
    let table = [
        (Change { key: b"b\xff", ..a }, r#"key is "a" on alpha and "b\xff" on beta"#),
        (
            Change { kind: expired, ..a },
            "kind is Document { flags: 7, expiry: 0 } on alpha and Expired { at: 9 } on beta",
        ),
        (Change { rev: 2, ..a }, "rev is 1 on alpha and 2 on beta"),
        (Change { cas: 5, ..a }, "cas is 101 on alpha and 5 on beta"),
        (
            Change { datatype: Datatype::RAW, ..a },
            "datatype is Datatype(1) on alpha and Datatype(0) on beta",
        ),
        (
            Change { value: b"[]", ..a },
            "value is 2 bytes with CRC32 a3a6bf43 on alpha and 2 bytes with CRC32 0d4cbb29 on beta",
        ),
    ];
    for (other, want) in table {
        assert_eq!(differences(&[a], &[other]), [format!("seqno 1, key \"a\": {want}")]);
    }
}

#[test]
fn seqnos_and_failover_logs_are_compared_whole() {
    assert_eq!(seqnos(NAMES, Some(Seqno(3)), Some(Seqno(3))), None);
    assert_eq!(
        seqnos(NAMES, Some(Seqno(3)), None).unwrap(),
        "high seqno is 3 on alpha and absent on beta"
    );
    let entry = |uuid, seqno| FailoverEntry { uuid: VbUuid(uuid), seqno: Seqno(seqno) };
    let (two, one) = ([entry(255, 9), entry(1, 0)], [entry(1, 0)]);
    assert_eq!(failover_logs(NAMES, &two, &two), None);
    assert_eq!(
        failover_logs(NAMES, &two, &one).unwrap(),
        "failover log is ff@9 1@0 on alpha and 1@0 on beta"
    );
}

#[test]
fn changes_are_read_from_the_frames_of_a_stream() {
    let target = Target { vb: VbId(3), opaque: Opaque(5), cas: 101, datatype: Datatype::JSON };
    let mut out = BytesMut::new();
    let mutation =
        Mutation { seqno: Seqno(1), rev: 1, flags: 7, expiry: 0, lock_time: 0, nru: 200 };
    mutation.write(target, b"\0a", b"{}", &mut out);
    let frame = Frame::parse(&out).unwrap();
    assert_eq!(Change::decode(&frame), Ok(Some(change(1, "a"))));

    let mut out = BytesMut::new();
    Deletion { seqno: Seqno(2), rev: 2, delete_time: Some(77) }
        .write(target, b"\0a", b"", &mut out);
    let deleted = Change::decode(&Frame::parse(&out).unwrap()).unwrap().unwrap();
    assert_eq!((deleted.seqno, deleted.kind), (Seqno(2), Kind::Deleted { at: Some(77) }));
}
