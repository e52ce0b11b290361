//! Change history: which older versions scans have, what rollbacks, drops of collections and the
//! retention do to them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{batch, deletion, document, small, wait_for};
use mcbp::{Seqno, VbId};
use proptest::prelude::*;
use store::{FjallStore, Options, Retention};
use vbucket::store::{Batch, Durability, PurgeRule, ScanEnd, ScanStep, Store};
use vbucket::{Kind, Row};

const VB: u16 = 1;
/// A value that is stored out of line.
const LARGE: usize = 3_000;

fn with(retention: Retention) -> Options {
    Options { retention, ..small() }
}

fn unlimited() -> Options {
    with(Retention { bytes: 1 << 40, seconds: 0 })
}

fn open(dir: &Path) -> FjallStore {
    FjallStore::open(dir, unlimited()).unwrap()
}

/// A batch whose replaced rows are kept, from `start` on.
fn kept(start: u64, rows: Vec<Row>) -> Batch {
    let mut batch = batch(VB, rows);
    batch.changes.iter_mut().for_each(|change| change.keeps_before = Seqno::MAX);
    batch.metas[0].history_start = Seqno(start);
    batch
}

fn put(store: &FjallStore, start: u64, rows: Vec<Row>) {
    store.commit(&kept(start, rows), Durability::Buffered).unwrap();
}

fn rows(store: &FjallStore, start: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut scan = store.scan_versions(VbId(VB), Seqno(start)).unwrap();
    let end = scan.run(&mut |row| {
        rows.push(row);
        ScanStep::More
    });
    assert!(matches!(end, ScanEnd::Finished), "{end:?}");
    rows
}

fn seqnos(store: &FjallStore, start: u64) -> Vec<u64> {
    rows(store, start).iter().map(|row| row.seqno.0).collect()
}

#[test]
fn a_scan_has_every_version_from_the_start_of_the_history_on_and_newest_rows_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    // The first commit is before the history, the second replaces rows of its own.
    put(&store, 0, vec![document("a", 1, 5), document("b", 2, 5), document("a", 3, 5)]);
    let second = vec![document("a", 4, 5), document("a", 5, LARGE), deletion("b", 6)];
    put(&store, 4, second.clone());
    put(&store, 4, vec![document("a", 7, 5), document("c", 8, 5)]);
    // Seqnos 1 to 3 are replaced and before the history.
    assert_eq!(seqnos(&store, 0), [4, 5, 6, 7, 8]);
    assert_eq!(seqnos(&store, 5), [5, 6, 7, 8]);
    assert_eq!(rows(&store, 4)[..3], second);
    assert_eq!(common::scan(&store, VB).unwrap().len(), 3, "a plain scan has the newest alone");
    let history = store.change_history(VbId(VB)).unwrap();
    assert_eq!(history.start, Seqno(4));
    assert!(history.bytes > LARGE as u64, "{history:?}");
    store.close().unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!(seqnos(&store, 0), [4, 5, 6, 7, 8]);
    assert_eq!(store.change_history(VbId(VB)).unwrap(), history);
}

#[test]
fn rows_of_which_no_history_is_kept_are_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut batch = kept(1, (1..=6).map(|n| document(["a", "b"][n as usize % 2], n, 5)).collect());
    // The rows of "b" have odd seqnos.
    for change in batch.changes.iter_mut().filter(|change| change.row.seqno.0 % 2 == 1) {
        change.keeps_before = Seqno::ZERO;
    }
    store.commit(&batch, Durability::Buffered).unwrap();
    assert_eq!(seqnos(&store, 0), [2, 4, 5, 6]);
}

#[test]
fn a_rollback_takes_versions_with_it_and_brings_back_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let all: Vec<_> = (1..=9).map(|n| document(["a", "b"][n as usize % 2], n, LARGE)).collect();
    all.iter().for_each(|row| put(&store, 1, vec![row.clone()]));
    assert_eq!(store.rollback(VbId(VB), Seqno(5)).unwrap().high_seqno, Seqno(5));
    assert_eq!(rows(&store, 0), all[..5]);
    let newest: Vec<_> = common::scan(&store, VB).unwrap();
    assert_eq!(newest, all[3..5]);
    // On from there, and to the very beginning.
    put(&store, 1, vec![document("b", 6, 5)]);
    assert_eq!(seqnos(&store, 0), [1, 2, 3, 4, 5, 6]);
    let meta = store.rollback(VbId(VB), Seqno(0)).unwrap();
    assert_eq!((meta.high_seqno, meta.history_start), (Seqno(0), Seqno(1)));
    assert_eq!(store.change_history(VbId(VB)).unwrap().bytes, 0);
}

#[test]
fn the_oldest_versions_go_once_they_take_too_many_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let retention = Retention { bytes: 4_000, seconds: 0 };
    let store = FjallStore::open(dir.path(), with(retention)).unwrap();
    for n in 1..=100 {
        put(&store, 1, vec![document("a", n, 900)]);
    }
    wait_for("the oldest to go", || bytes_of(&store, VB) <= 4_000);
    let start = store.change_history(VbId(VB)).unwrap().start.0;
    assert!((95..=98).contains(&start), "{start}");
    assert_eq!(seqnos(&store, start), (start..=100).collect::<Vec<_>>());
    // What went is there for a rollback nevertheless.
    assert_eq!(store.rollback(VbId(VB), Seqno(90)).unwrap().high_seqno, Seqno(90));
    assert_eq!(common::scan(&store, VB).unwrap(), [document("a", 90, 900)]);
    assert_eq!(store.change_history(VbId(VB)).unwrap().bytes, 0);
}

#[test]
fn versions_go_once_they_are_too_old_without_any_commit() {
    let dir = tempfile::tempdir().unwrap();
    let retention = Retention { bytes: 0, seconds: 3 };
    let store = FjallStore::open(dir.path(), with(retention)).unwrap();
    put(&store, 1, vec![document("a", 1, 5)]);
    put(&store, 1, vec![document("a", 2, 5)]);
    assert_eq!(seqnos(&store, 0), [1, 2]);
    wait_for("the older one to go", || bytes_of(&store, VB) == 0);
    assert_eq!(seqnos(&store, 0), [2]);
    assert!(store.change_history(VbId(VB)).unwrap().start > Seqno(1));
}

#[test]
fn nothing_is_left_once_no_history_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    (1..=30).for_each(|n| put(&store, 1, vec![document("a", n, LARGE)]));
    put(&store, 0, vec![document("b", 31, 5)]);
    assert_eq!(seqnos(&store, 0), [30, 31]);
    wait_for("every version to go", || bytes_of(&store, VB) == 0);
    // A history that begins anew does not reach back.
    put(&store, 32, vec![document("a", 32, 5)]);
    put(&store, 32, vec![document("a", 33, 5)]);
    assert_eq!(seqnos(&store, 0), [31, 32, 33]);
}

#[test]
fn deletions_that_are_purged_stay_in_the_history() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rows = vec![document("a", 1, 5), deletion("a", 2), deletion("b", 3), document("c", 4, 5)];
    put(&store, 3, rows);
    let rule = PurgeRule { made_before: PurgeRule::ANY_AGE, up_to: Seqno::MAX };
    let step = store.purge(VbId(VB), &rule, b"").unwrap();
    assert_eq!((step.dropped, step.purge_seqno), (2, Seqno(3)));
    assert_eq!(common::scan(&store, VB).unwrap().len(), 1);
    assert_eq!(seqnos(&store, 0), [3, 4]);
}

fn bytes_of(store: &FjallStore, vb: u16) -> u64 {
    store.change_history(VbId(vb)).unwrap().bytes
}

/// Rows of 2,000 keys in random order, so that any row may be the next one that is replaced.
fn rewrite(store: &FjallStore, seconds: u64) -> u64 {
    let (began, mut n, mut random) = (Instant::now(), 0, 88_172_645_463_325_252_u64);
    while began.elapsed() < Duration::from_secs(seconds) {
        n += 1;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        put(store, 1, vec![document(&format!("{:04}", random % 2_000), n, 100)]);
    }
    n
}

#[test]
fn the_bytes_are_those_of_the_versions_whatever_is_committed_while_some_are_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let retention = Retention { bytes: 50_000, seconds: 0 };
    let options = Options { undo_seqnos: 1 << 40, ..with(retention) };
    let store = FjallStore::open(dir.path(), options).unwrap();
    let last = rewrite(&store, 3);
    // The history ends: every version goes, and none is counted.
    put(&store, 0, vec![document("last", last + 1, 5)]);
    wait_for("the end of the history", || bytes_of(&store, VB) == 0);
    // Were one left, this would take it.
    store.rollback(VbId(VB), Seqno(last / 2)).unwrap();
}

#[test]
fn commits_go_on_while_the_thread_looks_for_what_is_old() {
    let dir = tempfile::tempdir().unwrap();
    let retention = Retention { bytes: 1 << 40, seconds: 1 };
    let store = FjallStore::open(dir.path(), with(retention)).unwrap();
    for vb in 0..300 {
        let mut batch = batch(vb, vec![document("a", 1, 5)]);
        batch.metas[0].history_start = Seqno(1);
        store.commit(&batch, Durability::Buffered).unwrap();
    }
    // Without history, so that the thread has time to look.
    let began = Instant::now();
    for n in (1..).take_while(|_| began.elapsed() < Duration::from_secs(4)) {
        store.commit(&batch(500, vec![document("b", n, 5)]), Durability::Buffered).unwrap();
    }
}

#[test]
fn versions_of_an_idle_vbucket_go_while_another_one_is_busy() {
    let dir = tempfile::tempdir().unwrap();
    let retention = Retention { bytes: 0, seconds: 1 };
    let store = FjallStore::open(dir.path(), with(retention)).unwrap();
    // All within one step of the time, so that the last ones have no mark of their own.
    (1..=10).for_each(|n| put(&store, 1, vec![document("a", n, 5)]));
    let mut n = 0;
    wait_for("what is old to go", || {
        n += 1;
        let mut other = batch(2, vec![document("b", n, 5)]);
        other.changes[0].keeps_before = Seqno::MAX;
        other.metas[0].history_start = Seqno(1);
        store.commit(&other, Durability::Buffered).unwrap();
        bytes_of(&store, VB) == 0
    });
}

/// A replica: the first part has the newest rows of a snapshot up to `end`.
fn first_part(store: &FjallStore, end: u64) {
    // What it had before goes.
    (1..=3).for_each(|n| put(store, 1, vec![document("a", n, 5)]));
    let mut first = batch(VB, vec![document("b", 7, 5)]);
    first.metas[0].history_start = Seqno(end + 1);
    first.metas[0].snapshot_end = Seqno(end);
    store.commit(&first, Durability::Buffered).unwrap();
    wait_for("the versions from before to go", || bytes_of(store, VB) == 0);
}

#[test]
fn the_second_part_of_a_snapshot_is_kept_although_versions_are_removed_in_between() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    first_part(&store, 20);
    put(&store, 10, vec![document("c", 10, 5), document("c", 11, 5), document("c", 20, 5)]);
    assert_eq!(store.change_history(VbId(VB)).unwrap().start, Seqno(10));
    assert_eq!(seqnos(&store, 10), [10, 11, 20]);
}

#[test]
fn a_copy_that_is_promoted_between_the_parts_keeps_what_it_writes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    first_part(&store, 1_000);
    (8..=20).for_each(|n| put(&store, 8, vec![document("c", n, 5)]));
    assert_eq!(seqnos(&store, 8), (8..=20).collect::<Vec<_>>());
}

#[test]
fn deletions_are_purged_in_a_bucket_with_a_history_that_does_not_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rows = (1..=500).map(|n| deletion(&format!("key-{n}"), n)).collect();
    put(&store, 1, rows);
    let rule = PurgeRule { made_before: PurgeRule::ANY_AGE, up_to: Seqno::MAX };
    assert_eq!(store.purge(VbId(VB), &rule, b"").unwrap().dropped, 499);
    assert_eq!(seqnos(&store, 0).len(), 500);
    // They go with the history.
    put(&store, 0, vec![document("last", 501, 5)]);
    wait_for("the deletions to go", || bytes_of(&store, VB) == 0);
    assert_eq!(seqnos(&store, 0), [500, 501]);
}

#[test]
fn new_limits_are_kept_after_a_restart_without_a_write() {
    for retention in [Retention { bytes: 0, seconds: 1 }, Retention { bytes: 2_000, seconds: 0 }] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        (1..=30).for_each(|n| put(&store, 1, vec![document("a", n, 900)]));
        store.close().unwrap();
        drop(store);
        let store = FjallStore::open(dir.path(), with(retention)).unwrap();
        wait_for("the new limit", || bytes_of(&store, VB) <= 2_000);
    }
}

/// What the store should have: every row ever, and what of it is kept.
#[derive(Default)]
struct Model {
    rows: Vec<Row>,
    start: u64,
}

impl Model {
    fn high(&self) -> u64 {
        self.rows.len() as u64
    }

    fn expected(&self) -> Vec<Row> {
        let mut newest: BTreeMap<Bytes, u64> = BTreeMap::new();
        self.rows.iter().for_each(|row| _ = newest.insert(row.key.clone(), row.seqno.0));
        let is_there = |row: &&Row| {
            let is_kept = self.start > 0 && row.seqno.0 >= self.start && keeps(row);
            newest[&row.key] == row.seqno.0 || is_kept
        };
        self.rows.iter().filter(is_there).cloned().collect()
    }
}

/// The older versions of every third key are not kept.
fn keeps(row: &Row) -> bool {
    row.key.last().is_some_and(|last| last % 3 != 0)
}

#[derive(Clone, Debug)]
enum Step {
    /// Rows of these keys, large ones or deletions.
    Commit(Vec<(u8, u8)>),
    Rollback(u64),
    Reopen(bool),
    /// The history begins with the next row, or ends.
    Begin(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rows = proptest::collection::vec((0..6_u8, 0..8_u8), 1..12);
    let step = prop_oneof![
        6 => rows.prop_map(Step::Commit),
        1 => (0..40_u64).prop_map(Step::Rollback),
        1 => any::<bool>().prop_map(Step::Reopen),
        1 => any::<bool>().prop_map(Step::Begin),
    ];
    proptest::collection::vec(step, 1..25)
}

fn row((key, kind): (u8, u8), seqno: u64) -> Row {
    let key = char::from(b'a' + key).to_string();
    match kind {
        0 => deletion(&key, seqno),
        1 => document(&key, seqno, LARGE),
        _ => document(&key, seqno, 20),
    }
}

fn run(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let mut model = Model { start: 1, ..Model::default() };
    store.commit(&kept(1, vec![]), Durability::Buffered).unwrap();
    for step in steps {
        match step {
            Step::Commit(rows) => {
                let first = model.high() + 1;
                let rows: Vec<_> =
                    rows.into_iter().zip(first..).map(|(it, n)| row(it, n)).collect();
                model.rows.extend(rows.iter().cloned());
                let mut batch = kept(model.start, rows);
                for change in batch.changes.iter_mut().filter(|change| !keeps(&change.row)) {
                    change.keeps_before = Seqno::ZERO;
                }
                store.commit(&batch, Durability::Buffered).unwrap();
            }
            Step::Rollback(back) => {
                let to = Seqno(model.high().saturating_sub(back));
                let meta = store.rollback(VbId(VB), to).unwrap();
                assert!(meta.high_seqno <= to);
                model.rows.truncate(meta.high_seqno.0 as usize);
                model.start = model.start.min(model.high() + 1);
                assert_eq!(meta.history_start.0, model.start);
            }
            Step::Reopen(clean) => {
                if clean {
                    store.close().unwrap();
                }
                drop(store);
                store = open(dir.path());
            }
            Step::Begin(begins) => {
                model.start = if begins { model.high() + 1 } else { 0 };
                let mut batch = kept(model.start, vec![]);
                batch.metas = vec![common::meta(VB, model.high())];
                batch.metas[0].history_start = Seqno(model.start);
                store.commit(&batch, Durability::Buffered).unwrap();
            }
        }
        assert_eq!(rows(&store, 0), model.expected());
        let later = model.high() / 2;
        let from: Vec<_> =
            model.expected().into_iter().filter(|row| row.seqno.0 >= later).collect();
        assert_eq!(rows(&store, later), from);
        let newest = common::newest(&model.rows);
        assert_eq!(common::scan(&store, VB).unwrap(), newest);
        let alive = newest.iter().filter(|row| matches!(row.kind, Kind::Document { .. })).count();
        assert_eq!(store.item_count(VbId(VB)).unwrap(), alive as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn random_histories_keep_what_they_should(steps in steps()) {
        run(steps);
    }
}
