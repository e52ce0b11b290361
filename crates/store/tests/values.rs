//! Out-of-line values: they are added and removed with their rows, their space is freed, and they
//! are never less durable than the rows.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod common;

use std::path::{Path, PathBuf};

use common::*;
use mcbp::{Seqno, VbId};
use store::{FjallStore, Options};
use vbucket::store::{Durability, ScanEnd, ScanStep, Store};
use vbucket::{Row, StoreError};

const VB: u16 = 2;
const LARGE: usize = 3_000;
const KEYS: u64 = 50;

/// A store whose value files are soon full.
fn open_small(dir: &Path) -> FjallStore {
    FjallStore::open(dir, Options { value_file_bytes: 200_000, ..small() }).unwrap()
}

fn large(seqno: u64) -> Row {
    document(&format!("k{}", seqno % KEYS), seqno, LARGE)
}

/// Commits the rows from `first` to `last`, ten at a time.
fn put(store: &FjallStore, first: u64, last: u64, durability: Durability) {
    for from in (first..=last).step_by(10) {
        let rows = (from..=last.min(from + 9)).map(large).collect();
        store.commit(&batch(VB, rows), durability).unwrap();
    }
}

fn value_files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("values")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn value_bytes(dir: &Path) -> u64 {
    value_files(dir).iter().map(|file| file.metadata().map_or(0, |data| data.len())).sum()
}

fn assert_holds(store: &FjallStore, last: u64) {
    let history: Vec<_> = (1..=last).map(large).collect();
    let want = newest(&history);
    assert_eq!(scan(store, VB).unwrap(), want);
    for row in want {
        let (key, bytes) = (&row.key, row.value.len());
        let (found, left) = store.get_up_to(VbId(VB), key, bytes - 1).unwrap().unwrap();
        assert_eq!((found.seqno, found.value.len(), left), (row.seqno, 0, bytes));
        assert_eq!(store.get_up_to(VbId(VB), key, bytes).unwrap(), Some((row.clone(), 0)));
        assert_eq!(store.get(VbId(VB), key).unwrap(), Some(row));
    }
}

#[test]
fn the_space_of_replaced_values_is_freed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_small(dir.path());
    // 9 MB, of which 50 documents and the undo window of 40 rows are needed.
    put(&store, 1, 3_000, Durability::Buffered);
    wait_for("a collection", || value_bytes(dir.path()) < 2_000_000);
    assert_holds(&store, 3_000);
    assert!(value_files(dir.path()).len() < 12);
    store.close().unwrap();
    drop(store);
    assert_holds(&open_small(dir.path()), 3_000);
}

#[test]
fn a_scan_reads_values_whose_files_were_deleted_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_small(dir.path());
    put(&store, 1, 200, Durability::Buffered);
    let before = value_files(dir.path());
    let mut scan = store.scan(VbId(VB), Seqno(1), Seqno::MAX).unwrap();
    put(&store, 201, 3_000, Durability::Buffered);
    wait_for("a collection", || before.iter().all(|file| !file.exists()));
    let mut rows = Vec::new();
    let end = scan.run(&mut |row| {
        rows.push(row);
        ScanStep::More
    });
    assert!(matches!(end, ScanEnd::Finished), "{end:?}");
    assert_eq!(rows, newest(&(1..=200).map(large).collect::<Vec<_>>()));
}

#[test]
fn a_rollback_restores_large_values_also_after_a_collection() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_small(dir.path());
    put(&store, 1, 3_000, Durability::Buffered);
    wait_for("a collection", || value_bytes(dir.path()) < 2_000_000);
    assert_eq!(store.rollback(VbId(VB), Seqno(2_970)).unwrap().high_seqno, Seqno(2_970));
    assert_holds(&store, 2_970);
    // Undone rows leave garbage, and so does a vBucket that is removed.
    store.remove(VbId(VB)).unwrap();
    put(&store, 1, 500, Durability::Buffered);
    store.remove(VbId(VB)).unwrap();
    wait_for("the space", || value_bytes(dir.path()) < 1_000_000);
}

#[test]
fn a_missing_value_file_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_small(dir.path());
    put(&store, 1, 300, Durability::Synced);
    store.close().unwrap();
    drop(store);
    let file = value_files(dir.path()).remove(0);
    std::fs::remove_file(&file).unwrap();
    let text = FjallStore::open(dir.path(), small()).err().expect("a silent loss").to_string();
    assert!(text.contains(file.to_str().unwrap()) && text.contains("is missing"), "{text}");
}

#[test]
fn a_changed_value_is_an_error_that_names_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_small(dir.path());
    put(&store, 1, 20, Durability::Synced);
    let file = value_files(dir.path()).remove(0);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[1_000] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let [got, scanned] = [store.get(VbId(VB), b"\0k1").map(|_| ()), scan(&store, VB).map(|_| ())];
    for error in [got.unwrap_err(), scanned.unwrap_err()] {
        assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    }
    assert_eq!(store.get(VbId(VB), b"\0k2").unwrap(), Some(large(2)));
}

/// A copy of the store after a power cut that lost the end of a file, which was never synced.
fn cut_power(base: &Path, values_left: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(base, dir.path());
    let newest = value_files(dir.path()).pop().unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(newest).unwrap();
    file.set_len(values_left).unwrap();
    dir
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn commits_whose_values_a_power_cut_lost_are_undone_unless_they_were_synced() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, 1, 20, Durability::Synced);
    let synced_bytes = value_bytes(dir.path());
    put(&store, 21, 40, Durability::Buffered);
    let all_bytes = value_bytes(dir.path());
    let per_commit = (all_bytes - synced_bytes) / 2;

    let whole = cut_power(dir.path(), all_bytes);
    assert_holds(&open(whole.path()), 40);
    for (left, high) in [
        (all_bytes - 1, 30),
        (synced_bytes + per_commit, 30),
        (synced_bytes + per_commit - 1, 20),
        (synced_bytes, 20),
    ] {
        let cut = cut_power(dir.path(), left);
        let store = open(cut.path());
        assert_holds(&store, high);
        // The store continues from there, and the next open finds no damage.
        put(&store, high + 1, high + 10, Durability::Synced);
        drop(store);
        assert_holds(&open(cut.path()), high + 10);
    }
    let cut = cut_power(dir.path(), synced_bytes - 1);
    let store = open(cut.path());
    assert!(scan(&store, VB).is_err(), "a synced value is missing without an error");
}

#[test]
fn a_refused_commit_with_large_values_leaves_its_file_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for count in [1, 100] {
        // The store has no such vBucket yet, and the batch brings no record of it.
        let mut refused = batch(VB, (1..=count).map(large).collect());
        refused.metas.clear();
        assert!(store.commit(&refused, Durability::Synced).is_err());
    }
    put(&store, 1, 200, Durability::Synced);
    let mut again = batch(VB, (1..=150).map(large).collect());
    again.metas.clear();
    assert!(store.commit(&again, Durability::Synced).is_err(), "seqnos that are in the store");
    store.close().unwrap();
    drop(store);
    assert_holds(&open(dir.path()), 200);
}

#[test]
fn no_reader_sees_a_commit_before_its_values() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut reads = 0;
            while !done.load(std::sync::atomic::Ordering::SeqCst) || reads == 0 {
                let rows = match scan(&store, VB) {
                    Err(StoreError::NoVbucket(_)) => continue,
                    rows => rows.unwrap(),
                };
                assert!(rows.len().is_multiple_of(200), "a part of a commit");
                reads += u64::from(!rows.is_empty());
                if let Some(row) = rows.last() {
                    assert!(store.get(VbId(VB), &row.key).unwrap().is_some());
                }
            }
        });
        for n in 0..40_u64 {
            let row = |i: u64| document(&format!("k{n}-{i}"), n * 200 + i + 1, LARGE);
            let rows = (0..200).map(row).collect();
            store.commit(&batch(VB, rows), Durability::Buffered).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        reading.join().unwrap();
    });
}
