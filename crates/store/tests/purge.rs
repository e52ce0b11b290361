//! Deletions that are dropped for good, and the space that removed rows free.

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
use mcbp::{Seqno, VbId};
use vbucket::Row;
use vbucket::store::{Durability, PurgeRule, Store};

const ALL: PurgeRule = PurgeRule { made_before: PurgeRule::ANY_AGE, up_to: Seqno::MAX };

fn put(store: &dyn Store, vb: u16, rows: Vec<Row>) {
    store.commit(&batch(vb, rows), Durability::Buffered).unwrap();
}

/// All steps: how many were dropped, and the purge seqno at the end.
fn purge(store: &dyn Store, vb: u16, rule: &PurgeRule) -> (u64, u64) {
    let mut from = Vec::new();
    let mut dropped = 0;
    loop {
        let step = store.purge(VbId(vb), rule, &from).unwrap();
        dropped += step.dropped;
        match step.next {
            Some(next) => from = next.to_vec(),
            None => return (dropped, step.purge_seqno.0),
        }
    }
}

fn deletion_at(key: &str, seqno: u64, at: u32) -> Row {
    Row { kind: vbucket::Kind::Deleted { at }, ..deletion(key, seqno) }
}

#[test]
fn old_deletions_are_dropped_and_the_purge_seqno_moves() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rows = vec![
        document("a", 1, 10),
        deletion_at("b", 2, 100),
        deletion_at("c", 3, 200),
        document("d", 4, 10),
    ];
    put(&store, 3, rows.clone());
    let rule = PurgeRule { made_before: 100, up_to: Seqno::MAX };
    assert_eq!(purge(&store, 3, &rule), (0, 0), "made at 100 is not before 100");
    let rule = PurgeRule { made_before: 101, up_to: Seqno(1) };
    assert_eq!(purge(&store, 3, &rule), (0, 0), "up to seqno 1 there is none");
    let rule = PurgeRule { made_before: 101, up_to: Seqno::MAX };
    assert_eq!(purge(&store, 3, &rule), (1, 2));
    assert_eq!(scan(&store, 3).unwrap(), [&rows[0..1], &rows[2..4]].concat());
    assert_eq!(store.get(VbId(3), b"\0b").unwrap(), None);
    assert_eq!(store.item_count(VbId(3)).unwrap(), 2);
    assert_eq!(purge(&store, 3, &ALL), (1, 3));
    assert_eq!(purge(&store, 3, &ALL), (0, 3));
    // A record from before the purge does not move the purge seqno back.
    put(&store, 3, vec![document("e", 5, 1)]);
    assert_eq!(store.load().unwrap()[0].purge_seqno, Seqno(3));
    drop(store);
    assert_eq!(open(dir.path()).load().unwrap()[0].purge_seqno, Seqno(3));
}

#[test]
fn mb_13386_the_last_row_is_never_purged() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, 3, vec![deletion("a", 1), deletion("b", 2)]);
    assert_eq!(purge(&store, 3, &ALL), (1, 1));
    assert_eq!(scan(&store, 3).unwrap(), [deletion("b", 2)]);
    put(&store, 3, vec![document("c", 3, 1)]);
    assert_eq!(purge(&store, 3, &ALL), (1, 2));
}

#[test]
fn no_rollback_ends_below_the_purge_seqno() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for (seqno, row) in [document("a", 1, 10), deletion("a", 2), document("b", 3, 10)]
        .into_iter()
        .chain((4..=9).map(|n| document("b", n, 10)))
        .enumerate()
    {
        assert_eq!(row.seqno.0, seqno as u64 + 1);
        put(&store, 3, vec![row]);
    }
    assert_eq!(purge(&store, 3, &ALL), (1, 2));
    assert_eq!(store.rollback(VbId(3), Seqno(5)).unwrap().high_seqno, Seqno(5));
    let back = store.rollback(VbId(3), Seqno(1)).unwrap();
    assert_eq!((back.high_seqno, back.purge_seqno), (Seqno::ZERO, Seqno::ZERO));
    assert!(scan(&store, 3).unwrap().is_empty());
}

#[test]
fn a_purge_of_many_takes_steps_and_leaves_documents_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let rows = |range: std::ops::Range<u64>| -> Vec<Row> {
        let row = |n: u64| match n % 3 {
            0 => document(&format!("k{n}"), n, 5),
            _ => deletion(&format!("k{n}"), n),
        };
        range.map(row).collect()
    };
    put(&store, 3, rows(1..6_000));
    put(&store, 4, rows(1..100));
    assert_eq!(purge(&store, 3, &ALL), (4_000 - 1, 5_998), "all but the last");
    assert_eq!(scan(&store, 3).unwrap().len(), 2_000);
    assert_eq!(store.item_count(VbId(3)).unwrap(), 1_999);
    assert_eq!(scan(&store, 4).unwrap().len(), 99, "another vBucket is untouched");
}

/// Waits until `store` takes less than `bytes` on disk.
fn shrinks_below(store: &dyn Store, bytes: u64) {
    let start = Instant::now();
    while store.disk_bytes() >= bytes {
        let waited = start.elapsed();
        assert!(waited < Duration::from_secs(30), "still {}, not {bytes}", store.disk_bytes());
        std::thread::yield_now();
    }
}

#[test]
fn removed_vbuckets_free_their_space() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    // The journal's length is fixed from the start.
    let empty = store.disk_bytes();
    for vb in 0..4 {
        for from in (0..2_000).step_by(100) {
            let small = (from..from + 90).map(|n| document(&format!("k{n}"), n + 1, 500));
            let large = (from + 90..from + 100).map(|n| document(&format!("k{n}"), n + 1, 9_000));
            put(&store, vb, small.chain(large).collect());
        }
    }
    let full = store.disk_bytes() - empty;
    for vb in 0..3 {
        store.remove(VbId(vb)).unwrap();
    }
    shrinks_below(&store, empty + full / 2);
    let left = store.disk_bytes() - empty;
    println!("bytes on disk: {full} with 4 vBuckets, {left} with one of them");
    assert_eq!(scan(&store, 3).unwrap().len(), 2_000);
}

#[test]
fn a_store_without_vbuckets_frees_its_space_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let empty = store.disk_bytes();
    let fill = |store: &dyn Store| {
        for vb in 0..4 {
            for from in (0..2_000).step_by(100) {
                let row =
                    |n: u64| document(&format!("k{n}"), n + 1, if n < 100 { 9_000 } else { 500 });
                put(store, vb, (from..from + 100).map(row).collect());
            }
        }
        store.disk_bytes() - empty
    };
    let full = fill(&store);
    (0..4).for_each(|vb| store.remove(VbId(vb)).unwrap());
    shrinks_below(&store, empty + full / 4);
    // What comes afterwards stays, whatever is still being removed, also over a restart.
    fill(&store);
    (0..3).for_each(|vb| store.remove(VbId(vb)).unwrap());
    assert_eq!(scan(&store, 3).unwrap().len(), 2_000);
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.load().unwrap().len(), 1);
    assert_eq!(scan(&store, 3).unwrap().len(), 2_000);
    store.remove(VbId(3)).unwrap();
    shrinks_below(&store, empty + full / 4);
}
