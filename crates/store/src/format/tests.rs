//! The examples of `docs/format.md`, byte for byte: what is encoded, what is decoded, and that any
//! changed byte is refused.

use mcbp::dcp::FailoverEntry;
use mcbp::{Datatype, Seqno, VbId, VbState, VbUuid};
use vbucket::{DurableSeqnos, FailoverTable, Kind, Row, VbMeta};

use super::*;
use crate::collections::{Collection, Collections};
use crate::points::Points;

const DOCUMENT: &str = include_str!("../../../../docs/format.md");

const VB: VbId = VbId(2);
const GENERATION: Generation = Generation { vb: VB, number: 1 };

/// The bytes that the document gives for `name`, in a line `name = HEX`.
#[track_caller]
fn documented(name: &str) -> Vec<u8> {
    let mut lines = DOCUMENT.lines();
    let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
    let digits = found.unwrap_or_else(|| panic!("no example {name:?}")).replace(' ', "");
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn row(key: &'static str, seqno: u64, cas: u64, value: Vec<u8>) -> Row {
    Row {
        key: key.into(),
        seqno: Seqno(seqno),
        rev: 1,
        cas,
        datatype: Datatype::RAW,
        kind: Kind::Document { flags: 0, expiry: 0 },
        prepared: Seqno::ZERO,
        value: value.into(),
    }
}

fn hello() -> Row {
    row("\0hello", 1, 0x18ec_476c_da67_0000, b"world".to_vec())
}

fn large() -> Row {
    row("\0large", 2, 0x18ec_476c_dada_0000, vec![b'x'; 2_000])
}

fn pointer() -> ValuePointer {
    let file_start = VALUE_FILE_MAGIC.len() + VALUE_HEADER_BYTES;
    let header = ValueHeader::new(2_000, &large().value);
    ValuePointer { file: 1, at: file_start as u64, header }
}

fn encoded(row: &Row, pointer: Option<ValuePointer>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_row(VB, row, pointer, &mut bytes).unwrap();
    bytes
}

/// Calls `refuses` with `bytes` and one of them changed, for each.
fn with_each_byte_changed(bytes: &[u8], refuses: impl Fn(Vec<u8>) -> bool) {
    for at in 0..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[at] ^= 0x10;
        assert!(refuses(changed), "byte {at}");
    }
}

#[test]
fn a_row_is_as_documented() {
    let bytes = encoded(&hello(), None);
    assert_eq!(bytes, documented("row"));
    assert_eq!(GENERATION.row(Seqno(1)).as_slice(), documented("row key"));
    assert_eq!(decode_row(VB, Seqno(1), bytes.clone()), Ok((hello(), None)));
    assert!(decode_row(VbId(3), Seqno(1), bytes.clone()).is_err());
    assert!(decode_row(VB, Seqno(2), bytes.clone()).is_err());
    with_each_byte_changed(&bytes, |changed| decode_row(VB, Seqno(1), changed).is_err());
}

#[test]
fn a_row_with_a_pointer_and_its_value_file_are_as_documented() {
    let bytes = encoded(&large(), Some(pointer()));
    assert_eq!(bytes, documented("row out of line"));
    let without_value = Row { value: bytes::Bytes::new(), ..large() };
    let decoded = decode_row(VB, Seqno(2), bytes.clone());
    assert_eq!(decoded, Ok((without_value, Some(pointer()))));
    with_each_byte_changed(&bytes, |changed| decode_row(VB, Seqno(2), changed).is_err());
    let file = [VALUE_FILE_MAGIC.as_slice(), &pointer().header.encode()].concat();
    assert_eq!(file, documented("value file"));
    assert_eq!(ValueHeader::decode(pointer().header.encode()), pointer().header);
}

#[test]
fn a_key_entry_is_as_documented() {
    let key = GENERATION.document(b"\0hello");
    assert_eq!(key, documented("key entry key"));
    let entry = KeyEntry::of(&hello());
    let bytes = entry.encode(&key);
    assert_eq!(bytes.as_slice(), documented("key entry"));
    assert_eq!(KeyEntry::decode(&key, &bytes), Ok(entry));
    with_each_byte_changed(&bytes, |changed| KeyEntry::decode(&key, &changed).is_err());
    assert!(KeyEntry::decode(&GENERATION.document(b"\0hallo"), &bytes).is_err());
}

#[test]
fn a_record_is_as_documented() {
    let mut points = Points::default();
    [0, 1].into_iter().for_each(|point| points.push(point));
    let branch = FailoverEntry { uuid: VbUuid(0x2f7d_24fe_f2d4), seqno: Seqno::ZERO };
    let meta = VbMeta {
        vb: VB,
        state: VbState::Active,
        failover: FailoverTable::from_log(&[branch]).unwrap(),
        high_seqno: Seqno(1),
        snapshot_start: Seqno(1),
        snapshot_end: Seqno(1),
        purge_seqno: Seqno::ZERO,
        max_cas: hello().cas,
        max_deleted_rev: 0,
        durable: DurableSeqnos { max_visible: Seqno(1), ..DurableSeqnos::default() },
        history_start: Seqno::ZERO,
        topology: String::new(),
    };
    let default = Collection { start: Seqno::ZERO, high: Seqno(1), items: 1 };
    let collections = Collections { default: Some(default), named: Default::default() };
    let record = VbRecord {
        meta,
        generation: 1,
        collections,
        undo_floor: 0,
        points,
        versions: Default::default(),
    };
    assert_eq!(record.encode(1), documented("record"));
    assert_eq!(record_key(VB).as_slice(), documented("record key"));
    assert_eq!(VbRecord::decode(VB, &documented("record")), Ok((record, 1)));
}

#[test]
fn steps_are_as_documented() {
    let (mut before, _) = VbRecord::decode(VB, &documented("record")).unwrap();
    let mut after = before.clone();
    let Collection { high, items, .. } = after.collections.default.as_mut().unwrap();
    (*high, *items) = (Seqno(2), 2);
    let meta = &mut after.meta;
    (meta.high_seqno, meta.snapshot_start, meta.snapshot_end) = (Seqno(2), Seqno(2), Seqno(2));
    meta.durable.max_visible = Seqno(2);
    meta.max_cas = large().cas;
    after.note_point();
    let step = Step::between(&before, &after).unwrap();
    let mut steps = Vec::new();
    step.encode(&mut steps);
    let key = steps_key(0);
    assert_eq!(key.as_slice(), documented("steps key"));
    assert_eq!(encode_steps(2, &steps, &key), documented("steps"));
    assert_eq!(decode_steps(&key, &documented("steps")), Ok((2, vec![step])));
    step.apply(&mut before);
    assert_eq!(before, after);
    after.undo_floor += 1;
    assert_eq!(Step::between(&before, &after), None, "no step names the undo floor");
}

#[test]
fn garbage_and_commit_marks_are_as_documented() {
    let key = value_file_key(1);
    assert_eq!(key.as_slice(), documented("garbage key"));
    assert_eq!(Garbage(0).encode(&key), documented("garbage"));
    assert_eq!(Garbage::decode(&key, &documented("garbage")), Ok(Garbage(0)));
    let values = ValuesEnd { file: 1, bytes: pointer().at + 2_000 };
    let mark = CommitMark { number: 3, synced: 2, sequence: 8, values };
    assert_eq!(mark.encode(), documented("commit mark"));
    assert_eq!(CommitMark::decode(&mark.encode()), Ok(mark));
}

#[test]
fn the_state_file_is_as_documented() {
    let state = State { clean: true, synced: 3 };
    let bytes = state.encode();
    assert_eq!(bytes, documented("state"));
    assert_eq!(State::decode(&bytes), Ok(state));
    let damaged = |bytes: &[u8]| matches!(State::decode(bytes), Err(StateFlaw::Damaged(_)));
    with_each_byte_changed(&bytes, |changed| damaged(&changed));
    assert!((0..bytes.len()).all(|len| damaged(&bytes[..len])));
}

#[test]
fn a_state_file_of_another_version_is_refused_with_both_versions() {
    let mut body = State::NEW.encode();
    body.truncate(24);
    body[11] = 3;
    let Err(StateFlaw::Version(text)) = State::decode(&checksum::with_checksum(body, &[])) else {
        panic!("it was read");
    };
    assert!(text.contains("version 3") && text.contains("reads versions 4 and 5"), "{text}");
    let mut body = State::NEW.encode();
    body.truncate(24);
    body[11] = 4;
    assert_eq!(State::decode(&checksum::with_checksum(body, &[])), Ok(State::NEW));
}

#[test]
fn keys_of_the_table_meta_are_told_apart() {
    for (key, decoded) in [
        (COMMIT_MARK.to_vec(), Some(MetaKey::CommitMark)),
        (record_key(VB).to_vec(), Some(MetaKey::Record(VB))),
        (steps_key(7).to_vec(), Some(MetaKey::Steps(7))),
        (value_file_key(7).to_vec(), Some(MetaKey::ValueFile(7))),
        (GENERATION.ended(), Some(MetaKey::Ended(GENERATION))),
        (b"v\0".to_vec(), None),
        (b"x".to_vec(), None),
        (Vec::new(), None),
    ] {
        assert_eq!(MetaKey::decode(&key), decoded, "{key:?}");
    }
}

#[test]
fn rows_are_found_in_the_order_of_their_numbers() {
    let next = Generation { number: 2, ..GENERATION };
    let undo = GENERATION.undo(Seqno(300), Seqno(2));
    assert!(GENERATION.row(Seqno(255)) < GENERATION.row(Seqno(256)));
    assert!(GENERATION.row(Seqno::MAX).as_slice() < next.prefix().as_slice());
    assert_eq!(GENERATION.next_prefix(), next.prefix());
    assert_eq!(row_id(&GENERATION.row(Seqno(9))), Some((VB, Seqno(9))));
    assert_eq!(
        (row_id(&undo), undo_seqnos(&undo)),
        (Some((VB, Seqno(2))), Some((Seqno(300), Seqno(2))))
    );
    assert_eq!((row_id(COMMIT_MARK), row_seqno(&undo)), (None, None));
}
