//! Shared by the tests of the store: its sizes, and what is in `rows`.

mod rows;

use std::path::Path;

use store::{FjallStore, Options};

pub(crate) use rows::*;

/// Sizes so small that little data is flushed already.
pub(crate) fn small() -> Options {
    Options {
        cache_bytes: 1 << 20,
        memtable_bytes: 64 << 10,
        worker_threads: 1,
        undo_seqnos: 40,
        steps_vbuckets_min: 2,
        steps_max: 5,
        ..Options::default()
    }
}

#[allow(dead_code, reason = "not every test binary needs it")]
pub(crate) fn open(dir: &Path) -> FjallStore {
    FjallStore::open(dir, small()).unwrap()
}
