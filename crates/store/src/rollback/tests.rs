//! A rollback that is interrupted between two steps.

use std::sync::Arc;

use mcbp::{Datatype, VbState};
use vbucket::store::{Batch, ScanStep, Store};
use vbucket::{Change, FailoverTable, Kind, Replaces, Row};

use super::*;
use crate::{FjallStore, Options};

const VB: VbId = VbId(5);
const KEYS: u64 = 700;

fn row(seqno: u64) -> Row {
    Row {
        key: format!("\0k{}", seqno * 31 % KEYS).into(),
        seqno: Seqno(seqno),
        rev: 1,
        cas: 1,
        datatype: Datatype::RAW,
        kind: Kind::Document { flags: 0, expiry: 0 },
        prepared: Seqno::ZERO,
        value: vec![seqno as u8; 100].into(),
    }
}

/// The newest rows of all keys at `high`.
fn state_at(high: u64) -> Vec<Row> {
    let from = high.saturating_sub(KEYS) + 1;
    (from..=high).map(row).collect()
}

fn commit(store: &FjallStore, seqnos: std::ops::RangeInclusive<u64>) {
    let high = Seqno(*seqnos.end());
    let meta = VbMeta {
        vb: VB,
        state: VbState::Replica,
        failover: FailoverTable::new(VbUuid(1)),
        high_seqno: high,
        snapshot_start: high,
        snapshot_end: high,
        purge_seqno: Seqno::ZERO,
        max_cas: 0,
        max_deleted_rev: 0,
        durable: Default::default(),
        history_start: Seqno::ZERO,
        topology: String::new(),
    };
    let changes = seqnos.map(|seqno| Change {
        vb: VB,
        row: Arc::new(row(seqno)),
        replaces: Replaces::Unknown,
        completes: None,
        keeps_before: Seqno::ZERO,
    });
    let batch = Batch { changes: changes.collect(), metas: vec![meta] };
    store.commit(&batch, Durability::Buffered).unwrap();
}

fn rows(store: &FjallStore) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut scan = store.scan(VB, Seqno::ZERO, Seqno::MAX).unwrap();
    scan.run(&mut |row| {
        rows.push(row);
        ScanStep::More
    });
    rows
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
        assert_eq!(rows(&store), state_at(meta.high_seqno.0));
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
