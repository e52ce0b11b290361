//! Collections in the store: rows that begin and end with system events, counts, erasure, restart.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use common::{batch, begin, deletion, document, end, newest, open, scan, within};
use mcbp::key::prefixed;
use mcbp::{Seqno, VbId};
use proptest::prelude::*;
use store::FjallStore;
use vbucket::collections::{EventKey, event_key};
use vbucket::store::{Batch, CollectionCounts, Durability, ScanEnd, ScanStep, Store};
use vbucket::{Kind, Row, StoreError, VbMeta};

const VB: u16 = 3;
const FRUIT: u32 = 8;
const VEG: u32 = 0x1234;

fn put(store: &FjallStore, rows: Vec<Row>) {
    store.commit(&batch(VB, rows), Durability::Synced).unwrap();
}

fn counts(store: &FjallStore) -> Vec<(u32, u64, u64)> {
    let all = store.collections(VbId(VB)).unwrap().into_iter();
    all.map(|CollectionCounts { id, high_seqno, items }| (id, high_seqno.0, items)).collect()
}

fn seqnos(store: &FjallStore) -> Vec<u64> {
    scan(store, VB).unwrap().into_iter().map(|row| row.seqno.0).collect()
}

fn has(store: &FjallStore, id: u32, key: &str) -> bool {
    store.get(VbId(VB), &prefixed(id, key.as_bytes())).unwrap().is_some()
}

/// The rows of a collection with keys from one up to, but without, another.
fn scan_keys(store: &FjallStore, id: u32, start: &str, end: &str) -> Vec<Row> {
    let [start, end] = [start, end].map(|key| prefixed(id, key.as_bytes()));
    let mut rows = Vec::new();
    let mut scan = store.scan_keys(VbId(VB), &start, &end).unwrap();
    let end = scan.run(&mut |row| {
        rows.push(row);
        ScanStep::More
    });
    assert!(matches!(end, ScanEnd::Finished), "{end:?}");
    rows
}

/// Whether the store takes less of the disk than now.
fn erased(dir: &Path) -> impl Fn(&FjallStore) -> bool {
    let before = common::open(dir).disk_bytes();
    move |store| store.disk_bytes() < before
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::yield_now();
    }
}

#[test]
fn documents_of_a_dropped_collection_are_gone_at_once_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, vec![document("a", 1, 10), begin(FRUIT, 2), within(FRUIT, document("a", 3, 10))]);
    put(&store, vec![within(FRUIT, document("b", 4, 2_000)), within(FRUIT, deletion("a", 5))]);
    assert_eq!(counts(&store), [(0, 1, 1), (FRUIT, 5, 1)]);
    assert_eq!(store.item_count(VbId(VB)).unwrap(), 2);
    assert_eq!(seqnos(&store), [1, 2, 4, 5]);
    put(&store, vec![end(FRUIT, 6)]);
    let check = |store: &FjallStore| {
        assert_eq!(counts(store), [(0, 1, 1)]);
        assert_eq!(store.item_count(VbId(VB)).unwrap(), 1);
        assert_eq!(seqnos(store), [1, 6]);
        assert!(has(store, 0, "a") && !has(store, FRUIT, "b"));
        let events = store.events(VbId(VB)).unwrap();
        assert!(matches!(events[..], [Row { kind: Kind::Event { is_end: true }, .. }]));
    };
    check(&store);
    drop(store);
    check(&open(dir.path()));
}

#[test]
fn a_flushed_collection_goes_on_empty() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, vec![begin(FRUIT, 1), within(FRUIT, document("a", 2, 10))]);
    put(&store, vec![within(FRUIT, document("b", 3, 10)), begin(FRUIT, 4)]);
    assert_eq!(counts(&store), [(0, 0, 0), (FRUIT, 4, 0)]);
    assert!(!has(&store, FRUIT, "a") && !has(&store, FRUIT, "b"));
    // What was there before is replaced, and does not count.
    put(&store, vec![within(FRUIT, document("a", 5, 10))]);
    assert_eq!(counts(&store), [(0, 0, 0), (FRUIT, 5, 1)]);
    assert_eq!(seqnos(&store), [4, 5]);
}

#[test]
fn the_default_collection_may_end_and_other_ids_are_no_part_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, vec![begin(VEG, 1), within(VEG, document("a", 2, 10)), document("a", 3, 10)]);
    put(&store, vec![end(0, 4)]);
    assert_eq!(counts(&store), [(VEG, 2, 1)]);
    assert!(has(&store, VEG, "a") && !has(&store, 0, "a"));
    drop(store);
    assert_eq!(counts(&open(dir.path())), [(VEG, 2, 1)]);
}

/// The space of a dropped collection comes back, also if the process ends before it has.
#[test]
fn rows_of_a_dropped_collection_are_erased_in_the_background() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, vec![begin(FRUIT, 1)]);
    for n in 1..30_u64 {
        let rows = (n * 100..n * 100 + 100)
            .map(|seqno| within(FRUIT, document(&format!("key-{seqno}"), seqno, 2_000)));
        put(&store, rows.collect());
    }
    put(&store, vec![document("a", 3_000, 10)]);
    drop(store);
    let is_smaller = erased(dir.path());
    let store = open(dir.path());
    put(&store, vec![end(FRUIT, 3_001)]);
    drop(store);
    let store = open(dir.path());
    eventually("the end of the erasure", || is_smaller(&store));
    assert_eq!(seqnos(&store), [3_000, 3_001]);
    assert!(has(&store, 0, "a"));
}

#[test]
fn a_rollback_to_before_a_system_event_goes_to_zero_and_one_after_it_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, vec![document("a", 1, 10)]);
    put(&store, vec![begin(FRUIT, 2)]);
    put(&store, vec![within(FRUIT, document("a", 3, 10))]);
    put(&store, vec![within(FRUIT, document("b", 4, 10)), document("a", 5, 10)]);
    put(&store, vec![within(FRUIT, document("a", 6, 10))]);
    assert_eq!(counts(&store), [(0, 5, 1), (FRUIT, 6, 2)]);
    let VbMeta { high_seqno, .. } = store.rollback(VbId(VB), Seqno(5)).unwrap();
    assert_eq!((high_seqno, counts(&store)), (Seqno(5), vec![(0, 5, 1), (FRUIT, 4, 2)]));
    let VbMeta { high_seqno, .. } = store.rollback(VbId(VB), Seqno(4)).unwrap();
    assert_eq!((high_seqno, counts(&store)), (Seqno(3), vec![(0, 1, 1), (FRUIT, 3, 1)]));
    let VbMeta { high_seqno, .. } = store.rollback(VbId(VB), Seqno(1)).unwrap();
    assert_eq!((high_seqno, counts(&store)), (Seqno::ZERO, vec![(0, 0, 0)]));
    assert!(store.events(VbId(VB)).unwrap().is_empty());
}

#[test]
fn a_range_of_keys_is_one_collection_s_and_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rows = [("d", 2), ("b", 3), ("c", 4)];
    let mut rows = rows.map(|(key, seqno)| within(FRUIT, document(key, seqno, 2_000))).to_vec();
    rows.insert(0, begin(FRUIT, 1));
    rows.extend([document("c", 5, 10), within(FRUIT, deletion("bb", 6))]);
    put(&store, rows);
    let seqnos = |start, end| {
        let rows = scan_keys(&store, FRUIT, start, end).into_iter();
        rows.map(|row| row.seqno.0).collect::<Vec<_>>()
    };
    assert_eq!(seqnos("", "z"), [3, 6, 4, 2]);
    assert_eq!(seqnos("b\0", "d"), [6, 4]);
    assert!(seqnos("c", "c").is_empty() && seqnos("d", "c").is_empty());
    let missing = store.scan_keys(VbId(VB + 1), &[0], &[1]);
    assert!(matches!(missing, Err(StoreError::NoVbucket(_))));
}

#[test]
fn the_manifest_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert_eq!(store.manifest().unwrap(), None);
    store.put_manifest(b"{}").unwrap();
    store.put_manifest(b"{\"uid\":\"1\"}").unwrap();
    assert_eq!(store.manifest().unwrap(), Some(b"{\"uid\":\"1\"}".to_vec()));
    drop(store);
    assert_eq!(open(dir.path()).manifest().unwrap(), Some(b"{\"uid\":\"1\"}".to_vec()));
}

#[derive(Clone, Debug)]
enum Step {
    Write { id: u32, key: u8, alive: bool },
    Begin(u32),
    End(u32),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let id = || prop_oneof![Just(0_u32), Just(FRUIT), Just(VEG)];
    prop_oneof![
        8 => (id(), 0..4_u8, any::<bool>())
            .prop_map(|(id, key, alive)| Step::Write { id, key, alive }),
        2 => id().prop_map(Step::Begin),
        1 => id().prop_map(Step::End),
        1 => Just(Step::Reopen),
    ]
}

/// The rows that a reader sees after a history: the newest of each key, and of documents those
/// whose collection began before and has not ended.
fn seen(history: &[Row]) -> Vec<Row> {
    let mut began = BTreeMap::from([(0, 0)]);
    for row in history {
        if let Some(EventKey::Collection(id)) = event_key(&row.key) {
            began.remove(&id);
            if matches!(row.kind, Kind::Event { is_end: false }) {
                began.insert(id, row.seqno.0);
            }
        }
    }
    let mut rows = newest(history);
    rows.retain(|row| {
        let (id, _) = mcbp::key::split(&row.key).unwrap();
        id == 1 || began.get(&id).is_some_and(|began| row.seqno.0 > *began)
    });
    rows
}

/// The seqno of the newest beginning of a collection.
fn newest_begin(history: &[Row], id: u32) -> u64 {
    let key = begin(id, 1).key;
    history.iter().rfind(|row| row.key == key).map_or(0, |row| row.seqno.0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Whatever happens, readers see what the history says, and counts are those of what they see.
    #[test]
    fn readers_see_what_the_history_says(
        batches in prop::collection::vec(prop::collection::vec(step(), 1..6), 1..12),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Some(open(dir.path()));
        let (mut history, mut seqno) = (Vec::new(), 0);
        let mut there = BTreeSet::from([0]);
        for steps in batches {
            let mut rows = Vec::new();
            for step in steps {
                seqno += 1;
                match step {
                    Step::Write { id, key, alive } if there.contains(&id) => {
                        let key = format!("k{key}");
                        let made = if alive { document(&key, seqno, 20) } else {
                            deletion(&key, seqno)
                        };
                        rows.push(within(id, made));
                    }
                    Step::Begin(id) => {
                        there.insert(id);
                        rows.push(begin(id, seqno));
                    }
                    Step::End(id) if there.remove(&id) => rows.push(end(id, seqno)),
                    Step::Reopen => {
                        drop(store.take());
                        store = Some(open(dir.path()));
                    }
                    Step::Write { .. } | Step::End(_) => {}
                }
            }
            let store = store.as_ref().unwrap();
            if rows.is_empty() {
                continue;
            }
            history.extend(rows.iter().cloned());
            put(store, rows);
            let seen = seen(&history);
            prop_assert_eq!(&scan(store, VB).unwrap(), &seen);
            let items = seen.iter().filter(|row| row.is_alive()).count() as u64;
            prop_assert_eq!(store.item_count(VbId(VB)).unwrap(), items);
            for (id, high, items) in counts(store) {
                let of = |row: &&Row| mcbp::key::split(&row.key).unwrap().0 == id;
                let alive = seen.iter().filter(of).filter(|row| row.is_alive()).count() as u64;
                prop_assert_eq!(items, alive);
                let newest = seen.iter().filter(of).map(|row| row.seqno.0).max().unwrap_or(0);
                let began = newest_begin(&history, id);
                prop_assert_eq!(high, newest.max(began));
                let mut by_key: Vec<_> = seen.iter().filter(of).cloned().collect();
                by_key.sort_by(|a, b| a.key.cmp(&b.key));
                prop_assert_eq!(scan_keys(store, id, "k0", "l"), by_key);
            }
        }
    }
}

#[test]
fn a_batch_may_have_events_and_rows_of_several_vbuckets() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut both = batch(VB, vec![begin(FRUIT, 1), within(FRUIT, document("a", 2, 10))]);
    let other = batch(VB + 1, vec![within(FRUIT, document("a", 1, 10))]);
    let Batch { changes, metas } = other;
    both.changes.extend(changes);
    both.metas.extend(metas);
    store.commit(&both, Durability::Synced).unwrap();
    assert_eq!(counts(&store), [(0, 0, 0), (FRUIT, 2, 1)]);
    // The collection is unknown there.
    assert!(scan(&store, VB + 1).unwrap().is_empty());
    assert_eq!(store.item_count(VbId(VB + 1)).unwrap(), 0);
}
