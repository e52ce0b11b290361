//! Records on the disk may lack the steps of later commits: what an open makes of them is what the
//! last commit left, whatever happened between.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::*;
use mcbp::{Seqno, VbId, VbState};
use store::{FjallStore, Options};
use vbucket::VbMeta;
use vbucket::store::{Batch, Durability, Store};

const VBUCKETS: u16 = 8;
/// More than the entries of a store: records are written every now and then.
const COMMITS: u64 = 50;

fn open_with(dir: &Path, steps_max: u16) -> FjallStore {
    let options = Options { steps_vbuckets_min: 3, steps_max, ..small() };
    FjallStore::open(dir, options).unwrap()
}

/// A change of each of `vbs`, in one commit.
fn commit(store: &FjallStore, vbs: impl IntoIterator<Item = u16>) {
    let high: BTreeMap<_, _> = metas(store);
    let mut all = Batch::default();
    for vb in vbs {
        let next = high.get(&vb).map_or(1, |meta| meta.high_seqno.0 + 1);
        let Batch { changes, metas } = batch(vb, vec![document(&format!("k{next}"), next, 20)]);
        all.changes.extend(changes);
        all.metas.extend(metas);
    }
    store.commit(&all, Durability::Buffered).unwrap();
}

fn metas(store: &FjallStore) -> BTreeMap<u16, VbMeta> {
    store.load().unwrap().into_iter().map(|meta| (meta.vb.0, meta)).collect()
}

/// Everything that a record says, as far as the outside sees it.
fn seen(store: &FjallStore) -> BTreeMap<u16, (VbMeta, u64, usize)> {
    let rows = |vb| scan(store, vb).unwrap().len();
    let items = |vb| store.item_count(VbId(vb)).unwrap();
    metas(store).into_iter().map(|(vb, meta)| (vb, (meta, items(vb), rows(vb)))).collect()
}

/// Opens the store anew, without a close, and checks that it is as it was.
fn reopened(dir: &Path, store: FjallStore, steps_max: u16) -> FjallStore {
    let before = seen(&store);
    drop(store);
    let store = open_with(dir, steps_max);
    assert_eq!(seen(&store), before);
    store
}

#[test]
fn an_open_finds_what_the_last_commit_left() {
    for steps_max in [1, 7, 1_000] {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open_with(dir.path(), steps_max);
        for n in 0..COMMITS {
            // Now of all vBuckets, now of so few that their records are written.
            let few = if n % 5 == 4 { 2 } else { VBUCKETS };
            commit(&store, (0..few).map(|vb| (vb + n as u16) % VBUCKETS));
            if n % 11 == 3 {
                store = reopened(dir.path(), store, steps_max);
            }
        }
        reopened(dir.path(), store, steps_max);
    }
}

#[test]
fn steps_before_a_new_record_are_obsolete() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(dir.path(), 1_000);
    for _ in 0..10 {
        commit(&store, 0..VBUCKETS);
    }
    // Each of these writes the record of one vBucket, below its newest steps.
    store.rollback(VbId(1), Seqno(4)).unwrap();
    store.rollback(VbId(2), Seqno(0)).unwrap();
    store.remove(VbId(3)).unwrap();
    store.remove(VbId(4)).unwrap();
    let dead = VbMeta { state: VbState::Dead, ..meta(5, 10) };
    let states = Batch { metas: vec![meta(4, 0), dead], ..Batch::default() };
    store.commit(&states, Durability::Buffered).unwrap();
    let store = reopened(dir.path(), store, 1_000);
    let all = metas(&store);
    let high = |vb| all.get(&vb).map(|meta| meta.high_seqno.0);
    let want = [Some(10), Some(4), Some(0), None, Some(0), Some(10)];
    assert_eq!([0, 1, 2, 3, 4, 5].map(high), want);
    assert_eq!(all.get(&5).map(|meta| meta.state), Some(VbState::Dead));
    // And what follows goes on from there.
    commit(&store, 0..VBUCKETS);
    let store = reopened(dir.path(), store, 1_000);
    assert_eq!(scan(&store, 1).unwrap().len(), 5);
}

#[test]
fn a_rollback_goes_to_what_was_a_step() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(dir.path(), 1_000);
    for _ in 0..10 {
        commit(&store, 0..VBUCKETS);
    }
    let store = reopened(dir.path(), store, 1_000);
    assert_eq!(store.rollback(VbId(6), Seqno(8)).unwrap().high_seqno, Seqno(8));
}
