//! Values and frames of any bytes: they are refused or read, and nothing panics.

use bytes::BytesMut;
use flatbuffers::{ForwardsUOffset, InvalidFlatbuffer, Verifiable, Verifier, VerifierOptions};
use mcbp::{Frame, Opaque, Seqno, VbId, dcp};
use proptest::prelude::*;

use super::super::change::Kind;
use super::super::{Change, Collection, SystemEvent, value};

const KINDS: [Kind; 5] = [Kind::Begin, Kind::Modify, Kind::End, Kind::CreateScope, Kind::DropScope];

/// The table of a collection as the library checks it.
struct Table;

impl Verifiable for Table {
    fn run_verifier(verifier: &mut Verifier<'_, '_>, at: usize) -> Result<(), InvalidFlatbuffer> {
        let table = verifier.visit_table(at)?;
        let table = table.visit_field::<u64>("uid", 4, false)?;
        let table = table.visit_field::<u32>("scopeId", 6, false)?;
        let table = table.visit_field::<u32>("collectionId", 8, false)?;
        let table = table.visit_field::<bool>("ttlValid", 10, false)?;
        let table = table.visit_field::<u32>("maxTtl", 12, false)?;
        let table = table.visit_field::<ForwardsUOffset<&str>>("name", 14, true)?;
        let table = table.visit_field::<bool>("history", 16, false)?;
        let table = table.visit_field::<u64>("defaultCollectionMVS", 18, false)?;
        let table = table.visit_field::<bool>("metered", 20, false)?;
        table.visit_field::<u64>("flushUid", 22, false)?.finish();
        Ok(())
    }
}

fn is_sound(value: &[u8]) -> bool {
    let options = VerifierOptions::default();
    ForwardsUOffset::<Table>::run_verifier(&mut Verifier::new(&options, value), 0).is_ok()
}

fn begin() -> impl Strategy<Value = SystemEvent> {
    let id = prop_oneof![Just(0_u32), 8..200_u32, Just(u32::MAX)];
    let max_ttl = prop::option::of(0..=i32::MAX as u32);
    let numbers = (any::<u64>(), id.clone(), id, max_ttl, any::<u64>());
    (numbers, "[a-z\u{e4}]{1,100}", any::<(bool, bool)>()).prop_map(
        |((uid, id, scope, max_ttl, flush_uid), name, (history, metered))| {
            let collection = Collection { scope, name, max_ttl, history, metered, flush_uid };
            SystemEvent { uid, change: Change::Begin { id, collection } }
        },
    )
}

/// What was taken from a peer can be written, and is read back as it was.
fn assert_stays(read: Result<SystemEvent, &'static str>, kind: Kind) {
    if let Ok(event) = read {
        assert_eq!(value::decode(kind, &event.value()), Ok(event));
    }
}

fn frame(event: u32, version: u8, key: &[u8], value: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    let body = dcp::SystemEvent { seqno: Seqno(1), event, version };
    body.write(VbId(0), Opaque(0), key, value, &mut out);
    out
}

proptest! {
    #[test]
    fn written_values_are_sound_and_read_back(event in begin()) {
        let value = event.value();
        prop_assert!(is_sound(&value));
        prop_assert_eq!(value::decode(Kind::Begin, &value), Ok(event));
    }

    #[test]
    fn random_values_do_no_harm(value in prop::collection::vec(any::<u8>(), 0..80)) {
        for kind in KINDS {
            assert_stays(value::decode(kind, &value), kind);
        }
    }

    #[test]
    fn mutated_values_do_no_harm(
        event in begin(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut value = event.value().to_vec();
        for (at, byte) in changes {
            let at = at.index(value.len());
            value[at] = byte;
        }
        for kind in KINDS {
            assert_stays(value::decode(kind, &value), kind);
            assert_stays(value::decode(kind, &value[..cut.index(value.len())]), kind);
        }
    }

    #[test]
    fn random_frames_do_no_harm(
        (number, version) in (0..8_u32, 0..4_u8),
        key in prop::collection::vec(any::<u8>(), 0..300),
        value in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let bytes = frame(number, version, &key, &value);
        if let Ok((_, event)) = SystemEvent::decode(&Frame::parse(&bytes).unwrap()) {
            prop_assert!(event.write(Seqno(1), VbId(0), Opaque(0), true, &mut BytesMut::new()));
        }
    }
}

#[test]
fn names_ids_and_limits_of_frames_are_checked() {
    let decode = |event, version, key: &[u8], value: &[u8]| {
        SystemEvent::decode(&Frame::parse(&frame(event, version, key, value)).unwrap()).is_ok()
    };
    let scope = |id| [&[0; 8][..], &[id, 0, 0, 8]].concat();
    assert!(decode(3, 0, &[b'x'; 251], &scope(0)));
    assert!(!decode(3, 0, &[b'x'; 252], &scope(0)));
    assert!(!decode(3, 0, b"\xff", &scope(0)));
    assert!(!decode(3, 0, b"", &scope(0)));
    assert!(!decode(3, 1, b"x", &scope(0)), "there is no version 1 of it");
    assert!(!decode(3, 0, b"x", &[scope(0), vec![0]].concat()));
    assert!(!decode(4, 0, b"", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]), "reserved");
    assert!(!decode(2, 0, b"x", &scope(0)));
    let limited = |max_ttl: u32| [&[0; 12], &[0, 0, 0, 8][..], &max_ttl.to_be_bytes()].concat();
    assert!(decode(0, 1, b"c", &limited(i32::MAX as u32)));
    assert!(!decode(0, 1, b"c", &limited(1 << 31)));
}
