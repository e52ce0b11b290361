//! What a vBucket shows, and which manifests it does not follow.

use mcbp::Seqno;

use super::super::{Change, Collection, Manifest, SystemEvent, VbCollections};

fn collection(name: &str) -> Collection {
    Collection { name: name.to_owned(), ..Collection::default_collection() }
}

fn event(uid: u64, change: Change) -> SystemEvent {
    SystemEvent { uid, change }
}

fn begin(uid: u64, id: u32, name: &str) -> SystemEvent {
    event(uid, Change::Begin { id, collection: collection(name) })
}

fn manifest(uid: u64, collections: &[(u32, &str)]) -> Manifest {
    let mut manifest = Manifest { uid, ..Manifest::default() };
    manifest.collections.extend(collections.iter().map(|(id, name)| (*id, collection(name))));
    manifest
}

#[test]
fn documents_before_the_beginning_are_gone() {
    let mut state = VbCollections::default();
    assert!(state.shows(b"\x00key", Seqno(1)));
    assert!(!state.shows(b"\x08key", Seqno(1)));
    state.follow(Seqno(5), &begin(1, 8, "c8"));
    assert!(!state.shows(b"\x08key", Seqno(4)));
    assert!(state.shows(b"\x08key", Seqno(6)));
    state.follow(Seqno(9), &begin(2, 8, "c8"));
    assert!(!state.shows(b"\x08key", Seqno(8)), "flushed");
    state.follow(Seqno(9), &begin(3, 0, "_default"));
    assert!(!state.shows(b"\x00key", Seqno(9)));
    assert!(state.shows(b"\x00key", Seqno(10)));
    let end = Change::End { id: 8, scope: 0, is_system: false };
    state.follow(Seqno(11), &event(4, end));
    assert!(!state.shows(b"\x08key", Seqno(12)));
}

#[test]
fn a_modification_is_shown_with_its_collection() {
    let mut state = VbCollections::default();
    let Change::Begin { id, collection } = begin(1, 8, "c8").change else { unreachable!() };
    let modified = event(2, Change::Modify { id, collection }).key();
    state.follow(Seqno(5), &begin(1, 8, "c8"));
    assert!(state.shows(&modified, Seqno(6)));
    state.follow(Seqno(7), &begin(3, 8, "c8"));
    assert!(!state.shows(&modified, Seqno(6)), "flushed");
    let end = event(4, Change::End { id: 8, scope: 0, is_system: false });
    state.follow(Seqno(9), &end);
    assert!(!state.shows(&modified, Seqno(8)) && state.shows(&end.key(), Seqno(9)));
}

#[test]
fn rows_of_system_events_are_shown_and_malformed_keys_are_not() {
    let state = VbCollections::default();
    assert!(state.shows(&begin(1, 8, "c8").key(), Seqno(1)));
    for key in [&b""[..], b"\x80", b"\x80\x00key", b"\xff\xff\xff\xff\xff\x01"] {
        assert!(!state.shows(key, Seqno(1)), "{key:?}");
    }
}

#[test]
fn a_vbucket_with_a_higher_or_the_same_uid_follows_nothing() {
    let mut state = VbCollections::default();
    state.follow(Seqno(1), &begin(0, 8, "c8"));
    assert_eq!(state.changes_to(&Manifest::default()), [], "a part of manifest 1 stays");
    state.note_uid(5);
    assert_eq!(state.changes_to(&manifest(4, &[])), []);
    let end = Change::End { id: 8, scope: 0, is_system: false };
    assert_eq!(state.changes_to(&manifest(6, &[])), [event(6, end)]);
}

#[test]
fn a_manifest_that_contradicts_drops_nothing() {
    let mut state = VbCollections::default();
    state.follow(Seqno(1), &begin(1, 8, "c8"));
    let other = manifest(2, &[(8, "other"), (9, "c9")]);
    assert!(state.may_take(&other).is_err());
    assert_eq!(state.changes_to(&other), []);
    assert_eq!(state.may_take(&manifest(2, &[(8, "c8")])), Ok(()));
}

#[test]
fn a_flush_that_also_modifies_is_two_events() {
    let mut state = VbCollections::default();
    let old = manifest(1, &[(8, "c8")]);
    for (seqno, event) in (1..).zip(state.changes_to(&old)) {
        state.follow(Seqno(seqno), &event);
    }
    let mut new = Manifest { uid: 2, ..old };
    let changed = new.collections.get_mut(&8).unwrap();
    (changed.max_ttl, changed.flush_uid) = (Some(7), 2);
    let flushed = changed.clone();
    let modified = Collection { flush_uid: 0, ..flushed.clone() };
    let events = [
        event(1, Change::Modify { id: 8, collection: modified }),
        event(2, Change::Begin { id: 8, collection: flushed }),
    ];
    assert_eq!(state.changes_to(&new), events);
}

#[test]
fn an_old_modification_does_not_outlive_its_collection() {
    let modified = Collection { max_ttl: Some(7), ..collection("c8") };
    let modify = event(2, Change::Modify { id: 8, collection: modified });
    let again = begin(4, 8, "c8");
    let state = VbCollections::from_events([(Seqno(9), again), (Seqno(3), modify)]);
    assert_eq!(state.get(8).unwrap().collection, collection("c8"));
    assert_eq!((state.get(8).unwrap().start, state.uid()), (Seqno(9), 4));
}
