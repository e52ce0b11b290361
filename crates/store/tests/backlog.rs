//! What the engine has not flushed yet stays bounded, however small and fast commits are.
//!
//! fjall 3.1 asks its worker to seal a full memtable once a commit, through a queue that the
//! worker fills too: during a compaction that lasts a thousand commits the queue fills up, the
//! worker waits for itself, and memtables grow until the process ends.

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
fn memtables_stay_bounded_under_many_small_commits() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let Options { cache_bytes, memtable_bytes, .. } = small();
    // Four tables, each with its memtable and up to three sealed ones; the last commit of each
    // comes on top.
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
