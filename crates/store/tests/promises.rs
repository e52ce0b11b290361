//! The store's promises one by one: reads, scans, rollback, removal, open and close.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod common;

use std::time::{Duration, Instant};

use common::*;
use mcbp::{Seqno, VbId, VbUuid};
use store::FjallStore;
use vbucket::StoreError;
use vbucket::store::{Batch, Durability, ScanEnd, ScanStep, Store};

const VB: VbId = VbId(3);

fn put(store: &dyn Store, rows: Vec<vbucket::Row>) {
    store.commit(&batch(VB.0, rows), Durability::Buffered).unwrap();
}

#[test]
fn what_was_committed_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rows = vec![document("a", 1, 100), deletion("b", 2), document("c", 5, 70_000)];
    put(&store, rows.clone());
    assert_eq!(scan(&store, VB.0).unwrap(), rows);
    for row in &rows {
        assert_eq!(store.get(VB, &row.key).unwrap().as_ref(), Some(row));
    }
    assert_eq!(store.get(VB, b"\0nothing").unwrap(), None);
    assert_eq!(store.get(VbId(4), b"\0a").unwrap(), None);
    assert_eq!(store.item_count(VB).unwrap(), 2);
    assert_eq!(store.load().unwrap(), [meta(VB.0, 5)]);
    assert!(matches!(store.item_count(VbId(4)), Err(StoreError::NoVbucket(VbId(4)))));
    assert!(store.scan(VbId(4), Seqno(0), Seqno::MAX).is_err());
}

#[test]
fn several_changes_of_a_key_in_one_batch() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, vec![document("k", 1, 10)]);
    put(&store, vec![document("k", 2, 10), deletion("k", 3), document("k", 4, 10)]);
    put(&store, vec![deletion("k", 5), document("x", 6, 1)]);
    assert_eq!(scan(&store, VB.0).unwrap(), [deletion("k", 5), document("x", 6, 1)]);
    assert_eq!(store.item_count(VB).unwrap(), 1);
    let back = store.rollback(VB, Seqno(4)).unwrap();
    assert_eq!(back.high_seqno, Seqno(4));
    assert_eq!(scan(&store, VB.0).unwrap(), [document("k", 4, 10)]);
    assert_eq!(store.item_count(VB).unwrap(), 1);
    let back = store.rollback(VB, Seqno(3)).unwrap();
    assert_eq!(back.high_seqno, Seqno(1), "3 is inside a commit");
    assert_eq!(scan(&store, VB.0).unwrap(), [document("k", 1, 10)]);
}

#[test]
fn a_commit_that_breaks_the_rules_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, vec![document("a", 5, 10)]);
    let refused = [
        batch(VB.0, vec![document("b", 5, 1)]),
        batch(VB.0, vec![document("b", 7, 1), document("c", 6, 1)]),
        Batch { changes: vec![], metas: vec![meta(VB.0, 4)] },
    ];
    for batch in refused {
        let error = store.commit(&batch, Durability::Synced).unwrap_err();
        assert!(matches!(error, StoreError::OutOfOrder { vb: VB, .. }), "{error}");
    }
    let long = batch(VB.0, vec![document(&"k".repeat(256), 6, 1)]);
    let error = store.commit(&long, Durability::Synced).unwrap_err().to_string();
    assert_eq!(error, "committing: vb:3 seqno 6: a key is at most 255 bytes");
    let stray = Batch { metas: vec![], ..batch(9, vec![document("a", 1, 1)]) };
    let error = store.commit(&stray, Durability::Synced).unwrap_err();
    assert!(matches!(error, StoreError::NoVbucket(VbId(9))), "{error}");
    assert_eq!(scan(&store, VB.0).unwrap(), [document("a", 5, 10)]);
}

#[test]
fn a_scan_pauses_cancels_and_sees_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, (1..=10).map(|n| document(&format!("k{n}"), n, 50)).collect());
    let mut scan = store.scan(VB, Seqno(3), Seqno(9)).unwrap();
    put(&store, (11..=20).map(|n| document(&format!("k{}", n - 10), n, 50)).collect());
    store.rollback(VB, Seqno(0)).unwrap();

    let mut seen = Vec::new();
    let end = scan.run(&mut |row| {
        seen.push(row.seqno.0);
        if row.seqno == Seqno(5) { ScanStep::Yield } else { ScanStep::More }
    });
    assert!(matches!(end, ScanEnd::Yielded));
    assert_eq!(scan.meta(), &meta(VB.0, 10));
    let end = scan.run(&mut |row| {
        seen.push(row.seqno.0);
        ScanStep::More
    });
    assert!(matches!(end, ScanEnd::Finished));
    assert_eq!(seen, [3, 4, 5, 6, 7, 8, 9]);
    assert!(matches!(scan.run(&mut |_| panic!("finished")), ScanEnd::Finished));

    put(&store, vec![document("a", 1, 1), document("b", 2, 1)]);
    let mut scan = store.scan(VB, Seqno(2), Seqno::MAX).unwrap();
    put(&store, vec![document("b", 3, 1)]);
    for _ in 0..2 {
        let end = scan.run(&mut |row| {
            assert_eq!(row.seqno, Seqno(2), "not taken, so it comes again, from the same moment");
            ScanStep::Later
        });
        assert!(matches!(end, ScanEnd::Yielded));
    }
    let mut scan = store.scan(VB, Seqno(0), Seqno::MAX).unwrap();
    assert!(matches!(scan.run(&mut |_| ScanStep::Cancel), ScanEnd::Cancelled));
    assert!(matches!(scan.run(&mut |_| panic!("cancelled")), ScanEnd::Cancelled));
    let mut scan = store.scan(VB, Seqno(5), Seqno(4)).unwrap();
    assert!(matches!(scan.run(&mut |_| panic!("empty")), ScanEnd::Finished));
}

#[test]
fn a_rollback_ends_at_a_consistent_state() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, vec![document("a", 1, 1), document("b", 2, 1)]);
    // A snapshot 3..=8 that arrives in two commits, without the replaced change of "a" at 4.
    let mut first = batch(VB.0, vec![document("b", 5, 1)]);
    first.metas[0].snapshot_start = Seqno(3);
    first.metas[0].snapshot_end = Seqno(8);
    let mut second = batch(VB.0, vec![document("a", 8, 1)]);
    second.metas[0].snapshot_start = Seqno(3);
    store.commit(&first, Durability::Buffered).unwrap();
    store.commit(&second, Durability::Buffered).unwrap();

    let mut table = meta(VB.0, 8);
    table.failover.create_entry(VbUuid(9), Seqno(6));
    store.commit(&Batch { changes: vec![], metas: vec![table] }, Durability::Synced).unwrap();

    let back = store.rollback(VB, Seqno(6)).unwrap();
    assert_eq!(back.high_seqno, Seqno(2));
    assert_eq!((back.snapshot_start, back.snapshot_end), (Seqno(2), Seqno(2)));
    assert_eq!(back.failover.newest().uuid, VbUuid(7));
    assert_eq!(scan(&store, VB.0).unwrap(), [document("a", 1, 1), document("b", 2, 1)]);
    let again = store.rollback(VB, Seqno(6)).unwrap();
    assert_eq!(again, back);
}

#[test]
fn a_long_rollback_takes_several_steps() {
    let dir = tempfile::tempdir().unwrap();
    let options = store::Options { undo_seqnos: 1_000_000, ..small() };
    let store = FjallStore::open(dir.path(), options).unwrap();
    let row = |n: u64| match n % 7 {
        0 => deletion(&format!("k{}", n % 900), n),
        _ => document(&format!("k{}", n % 900), n, 300),
    };
    let history: Vec<_> = (1..=5_000).map(row).collect();
    for rows in history.chunks(250) {
        put(&store, rows.to_vec());
    }
    let before = store.item_count(VB).unwrap();
    assert_eq!(before, newest(&history).iter().filter(|row| row.is_alive()).count() as u64);
    for to in [4_900, 1_000, 251, 250] {
        let back = store.rollback(VB, Seqno(to)).unwrap();
        let high = back.high_seqno.0;
        assert!(high <= to && high.is_multiple_of(250), "{high} for {to}");
        let want = newest(&history[..high as usize]);
        assert_eq!(scan(&store, VB.0).unwrap(), want);
        let alive = want.iter().filter(|row| row.is_alive()).count() as u64;
        assert_eq!(store.item_count(VB).unwrap(), alive);
    }
}

#[test]
fn a_rollback_beyond_the_undo_window_goes_to_zero() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 1..=500 {
        put(&store, vec![document("k", n, 10)]);
    }
    let near = store.rollback(VB, Seqno(498)).unwrap();
    assert_eq!(near.high_seqno, Seqno(498));
    assert_eq!(scan(&store, VB.0).unwrap(), [document("k", 498, 10)]);

    // Trimming runs in the background: until it is done, far rollbacks still succeed.
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut high = near.high_seqno.0;
    let far = loop {
        for _ in 0..200 {
            high += 1;
            put(&store, vec![document("k", high, 10)]);
        }
        let far = store.rollback(VB, Seqno(high - 150)).unwrap();
        if far.high_seqno == Seqno(0) {
            break far;
        }
        assert!(Instant::now() < deadline, "never trimmed");
        high = far.high_seqno.0;
    };
    assert_eq!(far.high_seqno, Seqno(0));
    assert_eq!(scan(&store, VB.0).unwrap(), []);
    assert_eq!(store.get(VB, b"\0k").unwrap(), None);
    assert_eq!(store.item_count(VB).unwrap(), 0);
}

#[test]
fn a_removed_vbucket_comes_back_empty() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, (1..=3_000).map(|n| document(&format!("k{n}"), n, 100)).collect());
    store.remove(VB).unwrap();
    store.remove(VB).unwrap();
    assert_eq!(store.load().unwrap(), []);
    assert_eq!(store.get(VB, b"\0k1").unwrap(), None);
    put(&store, vec![document("k1", 1, 3)]);
    assert_eq!(scan(&store, VB.0).unwrap(), [document("k1", 1, 3)]);
    drop(store);
    let store = open(dir.path());
    assert_eq!(scan(&store, VB.0).unwrap(), [document("k1", 1, 3)]);
    assert_eq!(store.item_count(VB).unwrap(), 1);
}

#[test]
fn only_a_close_makes_a_clean_stop() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert!(!store.was_clean(), "new");
    put(&store, vec![document("a", 1, 10)]);
    store.close().unwrap();
    store.close().unwrap();
    let error = store.commit(&batch(VB.0, vec![document("b", 2, 1)]), Durability::Synced);
    assert!(error.unwrap_err().to_string().contains("closed"));
    drop(store);

    let store = open(dir.path());
    assert!(store.was_clean());
    put(&store, vec![document("b", 2, 10)]);
    drop(store);
    let store = open(dir.path());
    assert!(!store.was_clean(), "dropped without close");
    assert_eq!(scan(&store, VB.0).unwrap().len(), 2);
}

#[test]
fn a_directory_is_open_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let error = FjallStore::open(dir.path(), small()).err().unwrap().to_string();
    assert!(
        error.contains(&format!("LOCK: it is in use by process {}; stop it", std::process::id())),
        "{error}"
    );
    drop(store);
    open(dir.path());
}

#[test]
fn another_format_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close().unwrap();
    let path = dir.path().join("STATE");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[11] = 6;
    let body = bytes.len() - 4;
    let crc = crc32fast::hash(&bytes[..body]).to_be_bytes();
    bytes[body..].copy_from_slice(&crc);
    std::fs::write(&path, bytes).unwrap();
    let error = FjallStore::open(dir.path(), small()).err().unwrap().to_string();
    assert!(error.contains("format version 6, this program reads versions 4 and 5"), "{error}");
}

#[test]
fn after_a_failed_flush_every_write_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, vec![document("a", 1, 10)]);
    // No sorted file can be written. Writes to the journal go on, until a memtable is full.
    std::fs::remove_dir_all(dir.path().join("data/keyspaces")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let error = (2..).find_map(|n| {
        assert!(Instant::now() < deadline, "no write failed");
        let one = batch(VB.0, vec![document(&format!("k{n}"), n, 5_000)]);
        store.commit(&one, Durability::Buffered).err()
    });
    assert!(matches!(error, Some(StoreError::Poisoned(_))), "{error:?}");
    let again = store.commit(&Batch::default(), Durability::Synced);
    assert!(matches!(again, Err(StoreError::Poisoned(_))), "{again:?}");
    assert!(matches!(store.remove(VB), Err(StoreError::Poisoned(_))));
    assert!(matches!(store.rollback(VB, Seqno(0)), Err(StoreError::Poisoned(_))));
    assert!(matches!(store.close(), Err(StoreError::Poisoned(_))));
    assert_eq!(store.get(VB, b"\0a").unwrap(), Some(document("a", 1, 10)));
}
