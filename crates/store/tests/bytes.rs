//! How many bytes of the disk a document takes in a collection, and after a durable write, compared
//! with a plain write into the default collection. `docs/performance.md` has the figures, which
//! `--nocapture` prints.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{batch, begin, document, small, wait_for};
use mcbp::Seqno;
use mcbp::framing::Level;
use mcbp::key::prefixed;
use store::{FjallStore, Options};
use vbucket::row::prepared_key;
use vbucket::store::{Durability, Store};
use vbucket::{Kind, Row, Write};

const VB: u16 = 3;
const DOCUMENTS: u64 = 20_000;
const VALUE_BYTES: u64 = 256;
/// Documents of one commit, and as many prepares in the one before it.
const COMMIT: u64 = 50;
/// More than all of it: each table is one file then, so that nothing depends on the moments at
/// which the engine merges files.
const MEMTABLE_BYTES: u64 = 64 << 20;
/// The blocks of a table begin elsewhere, which made 1 byte, and a collection has a record.
const SLACK: f64 = 2.0;
/// Marks of the prepare in `rows`, `keys` and `undo`, until the engine merges what has them, and
/// the prepares that a rollback may need.
const SLACK_OF_DURABLE: f64 = 48.0;
/// What each look writes.
const LOOK_BYTES: u64 = 8 << 10;
/// More than memtables take after a flush, and less than the documents do.
const FLUSHED_BYTES: u64 = 1 << 20;

/// A document whose value does not compress.
fn random_document(collection: u32, number: u64, seqno: u64) -> Row {
    let mut state = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    let value: Vec<u8> = (0..VALUE_BYTES).map(|_| random()).collect();
    let key = prefixed(collection, format!("document-{number:08}").as_bytes());
    Row { key, value: value.into(), ..document("", seqno, 0) }
}

fn prepare(document: &Row, seqno: u64) -> Row {
    let write = Write::Document { flags: 0, expiry: 0 };
    let kind = Kind::Prepared { level: Level::Majority, write };
    Row { key: prepared_key(&document.key), seqno: Seqno(seqno), kind, ..document.clone() }
}

/// Writes the documents into an empty store, durable ones with a prepare before each.
fn fill(folder: &Path, collection: u32, is_durable: bool) {
    let options = Options { memtable_bytes: MEMTABLE_BYTES, ..small() };
    let store = FjallStore::open(folder, options).unwrap();
    let mut seqno = 1;
    store.commit(&batch(VB, vec![begin(collection.max(8), 1)]), Durability::Buffered).unwrap();
    for first in (0..DOCUMENTS).step_by(COMMIT as usize) {
        let numbers = first..first + if is_durable { COMMIT } else { 0 };
        let prepares: Vec<_> = numbers
            .map(|number| {
                prepare(&random_document(collection, number, 0), seqno + 1 + number % COMMIT)
            })
            .collect();
        seqno += prepares.len() as u64;
        if is_durable {
            store.commit(&batch(VB, prepares.clone()), Durability::Buffered).unwrap();
        }
        let numbers = first..first + COMMIT;
        let document = |number| random_document(collection, number, seqno + 1 + number % COMMIT);
        let mut documents = batch(VB, numbers.map(document).collect());
        seqno += COMMIT;
        for (change, prepare) in documents.changes.iter_mut().zip(prepares) {
            change.completes = Some(Arc::new(prepare));
        }
        store.commit(&documents, Durability::Buffered).unwrap();
    }
}

/// Has what is in memory written to the tables, and returns their bytes. `number` rises.
fn look(folder: &Path, number: u64) -> u64 {
    let options = Options { memtable_bytes: 1, ..small() };
    let store = FjallStore::open(folder, options).unwrap();
    store.commit(&batch(VB + 1, vec![document("look", number, 10)]), Durability::Synced).unwrap();
    // A store that is closed while it writes a table leaves a part of that behind.
    wait_for("the flush", || store.memory_bytes() < small().cache_bytes + FLUSHED_BYTES);
    drop(store);
    bytes(folder)
}

/// Bytes of all files but the journals, which have only what the tables have too.
fn bytes(folder: &Path) -> u64 {
    let of = |path: &Path| match path.extension() {
        Some(extension) if extension == "jnl" => 0,
        _ => path.metadata().map_or(0, |file| file.len()),
    };
    let paths = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.path());
    paths.map(|path| if path.is_dir() { bytes(&path) } else { of(&path) }).sum()
}

/// Bytes of a document of the collection, once they do not change any more.
fn measure(collection: u32) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), collection, false);
    let (mut last, mut looks) = (0, 1..);
    wait_for("the flush of all tables", || {
        let now = look(folder.path(), looks.next().unwrap());
        let before = std::mem::replace(&mut last, now);
        now > DOCUMENTS * VALUE_BYTES && now.abs_diff(before) <= LOOK_BYTES
    });
    last as f64 / DOCUMENTS as f64
}

#[test]
fn a_collection_costs_its_prefix() {
    let default = measure(0);
    println!("default collection, prefix of 1 byte: {default:.1} bytes a document");
    // The default collection has such a prefix too.
    for (id, more) in [(8, 0.0), (0x1234, 1.0), (0x12_3456, 2.0), (u32::MAX, 4.0)] {
        let bytes = measure(id);
        println!("collection {id:#x}, {more} bytes more: {bytes:.1} bytes a document");
        assert!(bytes <= default + more + SLACK, "{bytes} instead of {default} and {more}");
    }
}

#[test]
fn a_durable_write_leaves_one_row() {
    let plain = measure(0);
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), 0, true);
    let (mut durable, mut looks) = (0.0, 1..);
    wait_for("the end of the prepares", || {
        durable = look(folder.path(), looks.next().unwrap()) as f64 / DOCUMENTS as f64;
        durable > VALUE_BYTES as f64 && durable <= plain + SLACK_OF_DURABLE
    });
    println!("plain: {plain:.1} bytes a document, durable: {durable:.1}");
}
