//! Random manifests, one after the other: their events lead to them, and rows say the same.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use mcbp::{Frame, Opaque, Seqno, VbId};
use proptest::prelude::*;

use super::super::{Collection, Manifest, SystemEvent, VbCollections};

/// What a random manifest says of a collection.
type Random = (Option<u32>, bool, bool, bool);
/// Scopes and collections of a manifest, by number.
type Sketch = (Vec<bool>, Vec<Option<Random>>);

fn sketch() -> impl Strategy<Value = Sketch> {
    let max_ttl = prop::option::of(prop_oneof![Just(0), Just(1), Just(i32::MAX as u32)]);
    let collection = (max_ttl, any::<bool>(), any::<bool>(), any::<bool>());
    (
        prop::collection::vec(any::<bool>(), 3),
        prop::collection::vec(prop::option::of(collection), 9),
    )
}

/// Number 0 is the default scope. Number 2 is one of the system.
fn scope(number: usize) -> (u32, String) {
    match number {
        0 => (0, "_default".to_owned()),
        2 => (0x1_0000, "_system".to_owned()),
        number => (7 + number as u32, format!("s{number}")),
    }
}

/// Number 0 is the default collection; a third of the collections is in each scope.
fn collection(number: usize) -> (u32, String) {
    match number {
        0 => (0, "_default".to_owned()),
        number if number % 3 == 2 => (7 + number as u32, format!("_c{number}")),
        number => (7 + number as u32, format!("c{number}")),
    }
}

/// Returns the manifest of a sketch. A collection that is flushed gets its uid, another one keeps
/// the flush uid that it had.
fn manifest(uid: u64, (scopes, collections): &Sketch, before: &Manifest) -> Manifest {
    let is_there = |number: usize| number == 0 || scopes[number];
    let scopes = (0..3).filter(|number| is_there(*number)).map(scope).collect();
    let there = collections.iter().enumerate().filter(|(number, _)| is_there(number % 3));
    let made = |(number, random): (usize, &Option<Random>)| {
        let (max_ttl, history, metered, is_flushed) = (*random)?;
        let (id, name) = collection(number);
        let kept = before.collection(id).map_or(0, |old| old.flush_uid);
        let flush_uid = if is_flushed { uid } else { kept };
        let scope = scope(number % 3).0;
        Some((id, Collection { scope, name, max_ttl, history, metered, flush_uid }))
    };
    Manifest { uid, scopes, collections: there.filter_map(made).collect() }
}

fn assert_is(state: &VbCollections, manifest: &Manifest) {
    assert_eq!(state.uid(), manifest.uid());
    let known: BTreeMap<_, _> =
        state.iter().map(|(id, known)| (id, known.collection.clone())).collect();
    assert_eq!(known, manifest.collections);
    assert_eq!(state.scopes, manifest.scopes);
}

/// The event comes back from its row and from its frame.
fn assert_round_trips(seqno: Seqno, event: &SystemEvent) {
    let row = SystemEvent::from_row(&event.key(), event.is_end(), &event.value());
    assert_eq!(row.as_ref(), Ok(event));
    let mut out = BytesMut::new();
    assert!(event.write(seqno, VbId(1), Opaque(2), true, &mut out));
    let decoded = SystemEvent::decode(&Frame::parse(&out).unwrap());
    assert_eq!(decoded, Ok((seqno, event.clone())));
    out.clear();
    if event.write(seqno, VbId(1), Opaque(2), false, &mut out) {
        let (_, plain) = SystemEvent::decode(&Frame::parse(&out).unwrap()).unwrap();
        assert_eq!((plain.key(), plain.is_end()), (event.key(), event.is_end()));
        let mut again = BytesMut::new();
        assert!(plain.write(seqno, VbId(1), Opaque(2), false, &mut again));
        assert_eq!(again, out);
    }
}

proptest! {
    #[test]
    fn events_lead_to_each_manifest(sketches in prop::collection::vec(sketch(), 1..6)) {
        let mut current = Manifest::default();
        let mut state = VbCollections::default();
        let mut rows: BTreeMap<Bytes, (Seqno, SystemEvent)> = BTreeMap::new();
        let mut seqno = Seqno::ZERO;
        for (uid, sketch) in (1..).zip(&sketches) {
            let next = manifest(uid, sketch, &current);
            prop_assert_eq!(Manifest::parse(next.to_json().as_bytes()), Ok(next.clone()));
            prop_assert_eq!(next.may_follow(&current), Ok(()));
            let events = state.changes_to(&next);
            let before = state.uid();
            let uids: Vec<u64> = events.iter().map(|event| event.uid).collect();
            if let [olds @ .., last] = &*uids {
                prop_assert!(*last == uid && olds.iter().all(|old| *old == before), "{:?}", uids);
            }
            for event in events {
                // A replica that is promoted with a part of the events makes the others itself.
                let mut promoted = state.clone();
                for rest in state.changes_to(&next) {
                    promoted.follow(Seqno(seqno.0 + 1), &rest);
                }
                assert_is(&promoted, &next);
                seqno.0 += 1;
                assert_round_trips(seqno, &event);
                state.follow(seqno, &event);
                rows.insert(event.key(), (seqno, event));
            }
            state.note_uid(uid);
            assert_is(&state, &next);
            let mut read = VbCollections::from_events(rows.values().cloned());
            read.note_uid(uid);
            prop_assert_eq!(&read, &state);
            current = next;
        }
    }
}
