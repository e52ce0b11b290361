//! An error of one row or one vBucket is an error of that vBucket alone: it names the vBucket, and
//! the rest of the batch can be committed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod common;

use std::path::{Path, PathBuf};

use common::*;
use mcbp::VbId;
use store::FjallStore;
use vbucket::StoreError;
use vbucket::store::{Batch, Durability, Scope, Store};

/// The batch without the parts of `vbs`.
fn without(batch: &Batch, vbs: &[VbId]) -> Batch {
    let changes = batch.changes.iter().filter(|change| !vbs.contains(&change.vb));
    let metas = batch.metas.iter().filter(|meta| !vbs.contains(&meta.vb));
    Batch { changes: changes.cloned().collect(), metas: metas.cloned().collect() }
}

fn joined(parts: impl IntoIterator<Item = Batch>) -> Batch {
    let mut all = Batch::default();
    for Batch { changes, metas } in parts {
        all.changes.extend(changes);
        all.metas.extend(metas);
    }
    all
}

#[test]
fn one_error_names_every_vbucket_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let first = joined((0..4).map(|vb| batch(vb, vec![document("a", 5, 10)])));
    store.commit(&first, Durability::Synced).unwrap();
    let second = joined([
        batch(0, vec![document(&"k".repeat(300), 6, 10), document("b", 7, 10)]),
        batch(1, vec![document("a", 6, 10)]),
        batch(2, vec![document("a", 5, 10)]),
        batch(3, vec![document("a", 6, 2000)]),
    ]);
    let error = store.commit(&second, Durability::Synced).unwrap_err();
    let parts = error.parts();
    let named: Vec<_> = parts.iter().map(|part| (part.vb.0, part.scope)).collect();
    assert_eq!(named, [(0, Scope::Row), (2, Scope::Vbucket)], "{error}");
    assert!(matches!(parts[0].error, StoreError::Unstorable { .. }), "{error}");
    for vb in 0..4 {
        assert_eq!(scan(&store, vb).unwrap(), [document("a", 5, 10)], "nothing was written");
    }
    store.commit(&without(&second, &[VbId(0), VbId(2)]), Durability::Synced).unwrap();
    drop(store);
    let store = open(dir.path());
    for (vb, row) in [(0, 5), (2, 5)] {
        assert_eq!(scan(&store, vb).unwrap(), [document("a", row, 10)]);
    }
    assert_eq!(scan(&store, 1).unwrap(), [document("a", 6, 10)]);
    assert_eq!(scan(&store, 3).unwrap(), [document("a", 6, 2000)]);
}

fn table_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(table_files(&path));
        } else if path.parent().unwrap().ends_with("tables") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(path, target).unwrap();
        }
    }
}

/// A store whose rows are in sorted files.
fn build(dir: &Path) {
    let store = open(dir);
    for round in 0..20u64 {
        let rows = |vb: u16| {
            let row = |n: u64| document(&format!("{vb}-{}", n % 200), n, 400);
            (round * 20 + 1..=round * 20 + 20).map(row).collect()
        };
        let all = joined((0..3).map(|vb| batch(vb, rows(vb))));
        store.commit(&all, Durability::Synced).unwrap();
    }
    store.close().unwrap();
}

#[test]
fn damage_that_is_met_while_rows_are_replaced_stops_no_other_vbucket() {
    let whole = tempfile::tempdir().unwrap();
    build(whole.path());
    let mut confined = 0;
    for trial in 0..24u64 {
        let dir = tempfile::tempdir().unwrap();
        copy(whole.path(), dir.path());
        let files = table_files(dir.path());
        let file = &files[trial as usize % files.len()];
        let mut bytes = std::fs::read(file).unwrap();
        // Within the blocks of rows, which are read only when they are needed.
        let at = bytes.len() * (trial as usize % 7 + 1) / 12;
        bytes[at] ^= 0x55;
        std::fs::write(file, bytes).unwrap();
        let Ok(store) = FjallStore::open(dir.path(), small()) else { continue };
        let rows =
            |vb: u16| (0..200).map(|n| document(&format!("{vb}-{n}"), 401 + n, 10)).collect();
        let all = joined((0..3).map(|vb| batch(vb, rows(vb))));
        let Err(error) = store.commit(&all, Durability::Buffered) else { continue };
        let vbs: Vec<_> = error.parts().iter().map(|part| part.vb).collect();
        assert!(!vbs.is_empty(), "the whole store refuses: {error}");
        assert!(error.scope() <= Scope::Vbucket, "{error}");
        store.commit(&without(&all, &vbs), Durability::Buffered).unwrap();
        confined += usize::from(vbs.len() < 3);
    }
    assert!(confined > 0, "no trial met damage of some vBuckets only");
}
