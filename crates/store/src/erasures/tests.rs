//! Documents that are written while rows of their collection, which began anew, are being erased.

use vbucket::store::{Durability, Store};
use vbucket::{Kind, Replaces, Row};

use crate::format::row_seqno;
use crate::test_rows::{batch, begin, document, end, wait_for, within};
use crate::{FjallStore, Options};

const VB: u16 = 5;
const ID: u32 = 8;

fn open(dir: &std::path::Path) -> FjallStore {
    FjallStore::open(dir, Options { undo_seqnos: 1, ..Options::default() }).unwrap()
}

/// The same document each time.
fn written(seqno: u64) -> Row {
    within(ID, document("k", seqno, 10))
}

/// Commits rows whose documents nobody sees before.
fn put(store: &FjallStore, rows: Vec<Row>) {
    let mut batch = batch(VB, rows);
    for change in &mut batch.changes {
        if !matches!(change.row.kind, Kind::Event { .. }) {
            change.replaces = Replaces::Nothing;
        }
    }
    store.commit(&batch, Durability::Buffered).unwrap();
}

/// The seqnos in the table `rows`.
fn stored(store: &FjallStore) -> Vec<u64> {
    let keys = store.core.tables.rows.iter().map(|entry| entry.unwrap().0);
    keys.filter_map(|key| row_seqno(&key)).map(|seqno| seqno.0).collect()
}

fn until_stored(store: &FjallStore, seqnos: &[u64]) {
    wait_for(&format!("that {seqnos:?} are stored"), || stored(store) == seqnos);
}

/// Whoever writes the document sees none, so that the key's entry is the new one's: an erasure,
/// which goes by the entries, would never find the row of before.
#[test]
fn a_row_that_nobody_sees_goes_although_its_document_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, vec![begin(ID, 1)]);
    put(&store, vec![written(2)]);
    // In one commit, so that the erasure has not begun.
    put(&store, vec![end(ID, 3), begin(ID, 4), written(5)]);
    until_stored(&store, &[4, 5]);
}

#[test]
fn an_erasure_that_is_open_is_known_after_a_restart_until_it_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, vec![begin(ID, 1), written(2)]);
    let generation = store.core.record(mcbp::VbId(VB)).unwrap().generation();
    // The thread that erases is stopped first.
    store.janitor.stop();
    put(&store, vec![end(ID, 3), begin(ID, 4)]);
    assert!(store.core.erasures.concern(generation, ID));
    assert!(!store.core.erasures.concern(generation, ID + 1));
    drop(store);
    let store = open(dir.path());
    put(&store, vec![written(5)]);
    until_stored(&store, &[4, 5]);
    wait_for("the end of the erasure", || !store.core.erasures.concern(generation, ID));
}
