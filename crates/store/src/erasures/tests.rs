//! Documents that are written while rows of their collection, which began anew, are being erased.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcbp::{Datatype, Seqno, VbId, VbState, VbUuid};
use vbucket::collections::{Change as Event, SystemEvent, VbCollections};
use vbucket::store::{Batch, Durability, Store};
use vbucket::{Change, FailoverTable, Kind, Replaces, Row, VbMeta};

use crate::format::row_seqno;
use crate::{FjallStore, Options};

const VB: VbId = VbId(5);
const ID: u32 = 8;

fn open(dir: &std::path::Path) -> FjallStore {
    FjallStore::open(dir, Options { undo_seqnos: 1, ..Options::default() }).unwrap()
}

fn row(key: &str, seqno: u64) -> Row {
    Row {
        key: key.to_owned().into(),
        seqno: Seqno(seqno),
        rev: 1,
        cas: 1,
        datatype: Datatype::RAW,
        kind: Kind::Document { flags: 0, expiry: 0 },
        prepared: Seqno::ZERO,
        value: vec![1; 10].into(),
    }
}

fn begin(seqno: u64) -> Row {
    let collection = VbCollections::default().get(0).unwrap().collection.clone();
    let change = Event::Begin { id: ID, collection };
    SystemEvent { uid: seqno, change }.row(Seqno(seqno))
}

fn end(seqno: u64) -> Row {
    let change = Event::End { id: ID, scope: 0, is_system: false };
    SystemEvent { uid: seqno, change }.row(Seqno(seqno))
}

fn put(store: &FjallStore, rows: Vec<Row>) {
    let high = rows.last().unwrap().seqno;
    let meta = VbMeta {
        vb: VB,
        state: VbState::Active,
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
    let change = |row: Row| {
        let is_event = matches!(row.kind, Kind::Event { .. });
        Change {
            vb: VB,
            replaces: if is_event { Replaces::Unknown } else { Replaces::Nothing },
            row: Arc::new(row),
            completes: None,
            keeps_before: Seqno::ZERO,
        }
    };
    let batch = Batch { changes: rows.into_iter().map(change).collect(), metas: vec![meta] };
    store.commit(&batch, Durability::Buffered).unwrap();
}

/// The seqnos in the table `rows`.
fn stored(store: &FjallStore) -> Vec<u64> {
    let keys = store.core.tables.rows.iter().map(|entry| entry.unwrap().0);
    keys.filter_map(|key| row_seqno(&key)).map(|seqno| seqno.0).collect()
}

#[track_caller]
fn until_stored(store: &FjallStore, seqnos: &[u64]) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while stored(store) != seqnos {
        assert!(Instant::now() < deadline, "{:?} are stored, not {seqnos:?}", stored(store));
        std::thread::yield_now();
    }
}

/// Whoever writes the document sees none, so that the key's entry is the new one's: an erasure,
/// which goes by the entries, would never find the row of before.
#[test]
fn a_row_that_nobody_sees_goes_although_its_document_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, vec![begin(1)]);
    put(&store, vec![row("\u{8}k", 2)]);
    // In one commit, so that the erasure has not begun.
    put(&store, vec![end(3), begin(4), row("\u{8}k", 5)]);
    until_stored(&store, &[4, 5]);
}

#[test]
fn an_erasure_that_is_open_is_known_after_a_restart_until_it_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, vec![begin(1), row("\u{8}k", 2)]);
    let generation = store.core.record(VB).unwrap().generation();
    // The thread that erases is stopped first.
    store.janitor.stop();
    put(&store, vec![end(3), begin(4)]);
    assert!(store.core.erasures.concern(generation, ID));
    assert!(!store.core.erasures.concern(generation, ID + 1));
    drop(store);
    let store = open(dir.path());
    put(&store, vec![row("\u{8}k", 5)]);
    until_stored(&store, &[4, 5]);
    let deadline = Instant::now() + Duration::from_secs(30);
    while store.core.erasures.concern(generation, ID) {
        assert!(Instant::now() < deadline, "the erasure does not end");
        std::thread::yield_now();
    }
}
