//! What the engine has not written out yet stays small, however small and fast commits are.
//!
//! The engine of fjall 3.1 asks its worker to close a full table in memory once a commit, through
//! a queue that the worker fills itself: beside a merge that lasts a thousand commits the queue is
//! full, the worker waits for itself, and tables in memory grow until the process ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod common;

use common::*;
use store::Options;
use vbucket::store::{Durability, Store};

const COMMITS: u64 = 20_000;
const VBUCKETS: u64 = 64;
const KEYS: u64 = 20_000;

#[test]
fn tables_in_memory_stay_bounded_under_many_small_commits() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let Options { cache_bytes, memtable_bytes, .. } = small();
    // Four tables, each with what is being filled and up to three parts that wait; the last commit
    // of each may be anything.
    let bound = cache_bytes + 4 * 4 * memtable_bytes + (64 << 10);
    let mut most = 0;
    for n in 0..COMMITS {
        let (vb, seqno) = ((n % VBUCKETS) as u16, n / VBUCKETS + 1);
        let row = document(&format!("key-{}", n * 7919 % KEYS), seqno, 200);
        store.commit(&batch(vb, vec![row]), Durability::Buffered).unwrap();
        most = most.max(store.memory_bytes());
    }
    assert!(most <= bound, "{most} bytes in memory, {bound} are the bound");
    store.close().unwrap();
}
