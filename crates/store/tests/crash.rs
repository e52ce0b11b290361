//! Unclean stops: a store dropped without a close, and a process killed during commits.
//!
//! The killed process is this test binary itself, started again with an environment variable.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::*;
use mcbp::{Seqno, VbId};
use store::{FjallStore, Options, Retention};
use vbucket::Row;
use vbucket::store::{Batch, Durability, ScanEnd, ScanStep, Store};

const CHILD_DIR: &str = "STORE_CRASH_TEST_DIR";
const VB: u16 = 1;
/// Commits that the parent waits for before it kills.
const ACKNOWLEDGED: [u64; 3] = [40, 3, 150];

/// What the child commits as number `n`: a few rows, each replacing an older one now and then.
/// Every third commit has values that are written at the same time as the commit.
fn commit_number(n: u64) -> Vec<Row> {
    let len = if n % 3 == 2 { 60_000 } else { 400 };
    (1..=5).map(|i| document(&format!("k{}", (n * 5 + i) % 37), n * 5 + i, len)).collect()
}

/// The same, of which older versions are kept.
fn with_history(n: u64) -> Batch {
    let mut batch = batch(VB, commit_number(n));
    batch.changes.iter_mut().for_each(|change| change.keeps_before = Seqno::MAX);
    batch.metas[0].history_start = Seqno(1);
    batch
}

/// A store that keeps so few of them that some go all the time.
fn open_with_history(dir: &Path) -> FjallStore {
    let retention = Retention { bytes: 1 << 20, seconds: 0 };
    FjallStore::open(dir, Options { retention, ..small() }).unwrap()
}

/// Every row that was ever committed, from the start of the change history on, and of others the
/// newest.
fn check_versions(store: &FjallStore, all: &[Row]) {
    let mut rows = Vec::new();
    let mut scan = store.scan_versions(VbId(VB), Seqno(0)).unwrap();
    let start = scan.meta().history_start;
    let end = scan.run(&mut |row| {
        rows.push(row);
        ScanStep::More
    });
    assert!(matches!(end, ScanEnd::Finished), "{end:?}");
    let newest = newest(all);
    let is_there = |row: &&Row| row.seqno >= start || newest.contains(row);
    assert_eq!(rows, all.iter().filter(is_there).cloned().collect::<Vec<_>>(), "from {start} on");
}

#[test]
fn child_commits_until_it_is_killed() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let store = open_with_history(dir.as_ref());
    let from = store.load().unwrap().first().map_or(0, |meta| meta.high_seqno.0 / 5);
    for n in from.. {
        // A killed process loses neither kind; only a power cut would lose buffered commits.
        let durability = if n % 3 == 0 { Durability::Buffered } else { Durability::Synced };
        store.commit(&with_history(n), durability).unwrap();
        // One write, so that the parent never sees a part of a number.
        std::io::stdout().write_all(format!("acknowledged {n}\n").as_bytes()).unwrap();
    }
}

fn start_child(dir: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child_commits_until_it_is_killed", "--exact", "--nocapture"]);
    command.env(CHILD_DIR, dir).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn every_acknowledged_commit_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    for wanted in ACKNOWLEDGED {
        let mut child = start_child(dir.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next = || {
            let line = lines.next()?.unwrap();
            let number = line.strip_prefix("acknowledged ").map(|n| n.parse::<u64>().unwrap());
            Some(number)
        };
        let mut seen = 0;
        let mut last = 0;
        while seen < wanted {
            if let Some(number) = next().expect("the child ended by itself") {
                (seen, last) = (seen + 1, number);
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        while let Some(number) = next() {
            last = number.unwrap_or(last);
        }

        let store = open_with_history(dir.path());
        assert!(!store.was_clean());
        let high = store.load().unwrap()[0].high_seqno.0;
        assert_eq!(high % 5, 0, "a part of a commit");
        assert!(high / 5 > last, "commit {last} was acknowledged, but the store is at {high}");
        let all: Vec<_> = (0..high / 5).flat_map(commit_number).collect();
        assert_eq!(scan(&store, VB).unwrap(), newest(&all));
        check_versions(&store, &all);
    }
}

#[test]
fn an_unfinished_commit_at_the_end_of_the_journal_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.commit(&batch(VB, commit_number(0)), Durability::Synced).unwrap();
    drop(store);
    // Reopening leaves the journal without its zeros, so that its end is the last commit's end.
    drop(open(dir.path()));
    let journal = dir.path().join("data/0.jnl");
    let whole = std::fs::read(&journal).unwrap();
    assert!(whole.ends_with(b"FJL\x03"));
    for torn in [&whole[..1], &whole[..30], &whole[..whole.len() - 20], &[7; 99]] {
        std::fs::write(&journal, [&whole, torn].concat()).unwrap();
        let store = open(dir.path());
        assert_eq!(scan(&store, VB).unwrap(), commit_number(0));
        drop(store);
        assert_eq!(std::fs::read(&journal).unwrap(), whole);
    }
}

#[test]
fn a_lost_end_of_the_journal_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 0..4 {
        store.commit(&batch(VB, commit_number(n)), Durability::Synced).unwrap();
    }
    drop(store);
    drop(open(dir.path()));
    let journal = dir.path().join("data/0.jnl");
    let whole = std::fs::read(&journal).unwrap();
    for keep in [0, 1, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&journal, &whole[..keep]).unwrap();
        for _ in 0..2 {
            let error = FjallStore::open(dir.path(), small()).err().expect("a silent loss");
            let text = error.to_string();
            assert!(text.contains("data"), "{text}");
            assert!(text.contains("be rebuilt from a replica"), "{text}");
        }
    }
    std::fs::write(&journal, &whole).unwrap();
    let store = open(dir.path());
    assert_eq!(store.load().unwrap()[0].high_seqno, Seqno(20));
    assert_eq!(store.get(VbId(VB), b"\0k1").unwrap().unwrap().seqno, Seqno(1));
}

#[test]
fn a_missing_state_file_or_missing_data_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.commit(&batch(VB, commit_number(0)), Durability::Synced).unwrap();
    drop(store);
    let [state, data] = ["STATE", "data"].map(|name| dir.path().join(name));
    let aside = dir.path().join("aside");
    for path in [state, data] {
        std::fs::rename(&path, &aside).unwrap();
        let error = FjallStore::open(dir.path(), small()).err().expect("a silent loss");
        assert!(error.to_string().contains("damaged"), "{error}");
        std::fs::rename(&aside, &path).unwrap();
    }
    assert_eq!(scan(&open(dir.path()), VB).unwrap(), commit_number(0));
}

#[test]
fn a_store_whose_creation_was_interrupted_is_created_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("data/keyspaces")).unwrap();
    std::fs::write(dir.path().join("data/0.jnl"), [0; 100]).unwrap();
    let store = open(dir.path());
    store.commit(&batch(VB, commit_number(0)), Durability::Buffered).unwrap();
    drop(store);
    std::fs::remove_file(dir.path().join("data/version")).unwrap();
    let error = FjallStore::open(dir.path(), small()).err().expect("a silent loss");
    assert!(error.to_string().contains("\"version\" file is missing"), "{error}");
}
