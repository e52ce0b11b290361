//! Several threads on one store: each writes, rolls back and removes its own vBucket while others
//! read it. Every scan sees whole commits, never a part of one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::*;
use mcbp::{Seqno, VbId};
use store::FjallStore;
use vbucket::store::{Durability, ScanEnd, ScanStep, Store};

const WRITERS: u16 = 3;
const ROUNDS: u64 = 60;
/// Each commit replaces all of these keys, so a consistent state has all of them, with consecutive
/// seqnos.
const KEYS: u64 = 20;

fn commit_number(vb: u16, n: u64) -> vbucket::store::Batch {
    let row = |i| document(&format!("k{i}"), n * KEYS + i + 1, 300);
    batch(vb, (0..KEYS).map(row).collect())
}

fn write(store: &FjallStore, vb: u16) {
    let mut n = 0;
    for round in 0..ROUNDS {
        for _ in 0..5 {
            store.commit(&commit_number(vb, n), Durability::Buffered).unwrap();
            n += 1;
        }
        match round % 10 {
            3 | 7 => {
                let back = store.rollback(VbId(vb), Seqno((n - 1) * KEYS + 7)).unwrap();
                n = back.high_seqno.0 / KEYS;
            }
            9 => {
                store.remove(VbId(vb)).unwrap();
                n = 0;
            }
            _ => {}
        }
    }
}

/// Scans once; returns whether there were rows.
fn read(store: &FjallStore, vb: u16) -> bool {
    let Ok(mut scan) = store.scan(VbId(vb), Seqno(0), Seqno::MAX) else { return false };
    let mut seqnos = Vec::new();
    let end = scan.run(&mut |row| {
        seqnos.push(row.seqno.0);
        ScanStep::More
    });
    assert!(matches!(end, ScanEnd::Finished), "{end:?}");
    let high = scan.meta().high_seqno.0;
    let whole: Vec<_> = (high.saturating_sub(KEYS) + 1..=high).collect();
    assert_eq!(seqnos, whole);
    if let Some(row) = store.get(VbId(vb), b"\0k3").unwrap() {
        assert_eq!(row.seqno.0 % KEYS, 4);
    }
    high > 0
}

#[test]
fn readers_see_whole_commits_while_others_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let writing = AtomicBool::new(true);
    let seen = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|vb| {
                scope.spawn({
                    let store = &store;
                    move || write(store, vb)
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while writing.load(Ordering::Relaxed) {
                seen += (0..WRITERS).filter(|&vb| read(&store, vb)).count();
            }
            seen
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        writing.store(false, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(seen > 0);
    store.close().unwrap();
}
