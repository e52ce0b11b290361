//! A rollback that is interrupted between two steps.

use vbucket::Row;
use vbucket::store::Store;

use super::*;
use crate::test_rows::{batch, document, scan};
use crate::{FjallStore, Options};

const VB: VbId = VbId(5);
const KEYS: u64 = 700;

fn row(seqno: u64) -> Row {
    document(&format!("k{}", seqno * 31 % KEYS), seqno, 100)
}

/// The newest rows of all keys at `high`.
fn state_at(high: u64) -> Vec<Row> {
    let from = high.saturating_sub(KEYS) + 1;
    (from..=high).map(row).collect()
}

fn commit(store: &FjallStore, seqnos: std::ops::RangeInclusive<u64>) {
    let batch = batch(VB.0, seqnos.map(row).collect());
    store.commit(&batch, Durability::Buffered).unwrap();
}

#[test]
fn an_interrupted_rollback_leaves_a_valid_vbucket_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let options = Options { undo_seqnos: 1_000_000, ..Options::default() };
        FjallStore::open(dir.path(), options).unwrap()
    };
    let store = open();
    commit(&store, 1..=800);
    commit(&store, 801..=5_000);
    drop(store);
    let mut highs = Vec::new();
    let done = loop {
        // A crash after every step.
        let store = open();
        let step = store.core.rollback_step(&mut store.core.writer(), VB, Seqno(900)).unwrap();
        let meta = store.load().unwrap().remove(0);
        highs.push(meta.high_seqno.0);
        assert_eq!(scan(&store, VB.0).unwrap(), state_at(meta.high_seqno.0));
        assert_eq!(store.item_count(VB).unwrap(), KEYS);
        if let Some((done, None)) = step {
            assert_eq!(done, meta);
            break done;
        }
        assert_eq!((meta.snapshot_start, meta.snapshot_end), (Seqno(800), Seqno(5_000)));
    };
    assert_eq!(highs, [4_000, 3_000, 2_000, 1_000, 800]);
    assert_eq!((done.snapshot_start, done.snapshot_end), (Seqno(800), Seqno(800)));
}
