//! Damage on disk: whatever bytes of any file change, the store returns an error or the right data,
//! never wrong or missing data.
//!
//! A panic is counted and is no failure: in debug builds the engine asserts on lengths that its
//! checksums do not cover and that nothing depends on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod common;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use common::*;
use mcbp::VbId;
use store::FjallStore;
use vbucket::store::{Batch, Durability, Store};
use vbucket::{Row, StoreError};

/// Both can be set by an environment variable of this name, for a longer campaign.
const DAMAGE_SEED: u64 = 20_261_121;
const DAMAGE_TRIALS: u64 = 60;
const VBS: u16 = 3;

/// What the store must return: the newest rows of each vBucket.
type Want = Vec<Vec<Row>>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Outcome {
    ErrorAtOpen,
    ErrorWhileReading,
    RightData,
    WrongData,
    Panic,
}

/// A store with sorted files, value files and a journal, without unused space in any of them.
fn build(dir: &Path) -> Want {
    let mut history = vec![Vec::new(); usize::from(VBS)];
    for round in 0..4u64 {
        let store = open(dir);
        for part in 0..12u64 {
            // Every other commit is of all vBuckets, and writes steps instead of records.
            let mut of_all = Batch::default();
            for vb in 0..VBS {
                let first = (round * 12 + part) * 25 + 1;
                let row = |n: u64| match n % 11 {
                    0 => deletion(&format!("key-{}", n % 700), n),
                    _ => document(&format!("key-{}", n % 700), n, (n * 37 % 4_000) as usize),
                };
                let rows: Vec<_> = (first..first + 25).map(row).collect();
                history[usize::from(vb)].extend(rows.iter().cloned());
                let one = batch(vb, rows);
                if part % 2 == 0 {
                    store.commit(&one, Durability::Synced).unwrap();
                } else {
                    of_all.changes.extend(one.changes);
                    of_all.metas.extend(one.metas);
                }
            }
            store.commit(&of_all, Durability::Synced).unwrap();
        }
        store.close().unwrap();
    }
    // Opening once more cuts the zeros off the journal.
    open(dir).close().unwrap();
    history.iter().map(|rows| newest(rows)).collect()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(file, target).unwrap();
    }
}

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) as usize) % limit.max(1)
    }
}

/// Damages one file and says how. Every file is as likely as any other, so that the small ones
/// that everything hangs on are hit as often as the large ones.
fn damage(dir: &Path, random: &mut Random) -> String {
    let files: Vec<_> = files(dir).into_iter().filter(|file| !file.ends_with("LOCK")).collect();
    let files: Vec<_> =
        files.into_iter().filter(|file| file.metadata().unwrap().len() > 0).collect();
    let path = &files[random.below(files.len())];
    let mut bytes = std::fs::read(path).unwrap();
    let at = random.below(bytes.len());
    let how = match random.below(4) {
        0 => {
            bytes[at] ^= 1 << random.below(8);
            "one bit"
        }
        1 => {
            let end = bytes.len().min(at + 16);
            bytes[at..end].iter_mut().for_each(|byte| *byte = random.below(256) as u8);
            "16 bytes"
        }
        2 => {
            let end = bytes.len().min(at + 4_096);
            bytes[at..end].fill(0);
            "4 KiB of zeros"
        }
        _ => {
            bytes.truncate(at);
            "cut off"
        }
    };
    std::fs::write(path, bytes).unwrap();
    format!("{how} at byte {at} of {}", path.strip_prefix(dir).unwrap().display())
}

fn read_all(dir: &Path, want: &Want) -> Outcome {
    let Ok(store) = FjallStore::open(dir, small()) else { return Outcome::ErrorAtOpen };
    let read = || -> Result<bool, StoreError> {
        let mut right = store.load()?.len() == usize::from(VBS);
        for (vb, rows) in (0..).zip(want) {
            right &= scan(&store, vb)? == *rows;
            for row in rows {
                right &= store.get(VbId(vb), &row.key)?.as_ref() == Some(row);
            }
            let alive = rows.iter().filter(|row| row.is_alive()).count();
            right &= store.item_count(VbId(vb))? == alive as u64;
        }
        Ok(right)
    };
    match read() {
        Ok(true) => Outcome::RightData,
        Ok(false) => Outcome::WrongData,
        Err(_) => Outcome::ErrorWhileReading,
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn damaged_files_never_give_wrong_data() {
    let base = tempfile::tempdir().unwrap();
    let want = build(base.path());
    assert_eq!(read_all(base.path(), &want), Outcome::RightData);

    let seed = setting("DAMAGE_SEED", DAMAGE_SEED);
    let trials = setting("DAMAGE_TRIALS", DAMAGE_TRIALS);
    let mut random = Random(seed);
    let mut counts = BTreeMap::<_, usize>::new();
    let mut bad = Vec::new();
    for trial in 0..trials {
        let dir = tempfile::tempdir().unwrap();
        copy(base.path(), dir.path());
        let how = damage(dir.path(), &mut random);
        let outcome = catch_unwind(AssertUnwindSafe(|| read_all(dir.path(), &want)));
        let outcome = outcome.unwrap_or(Outcome::Panic);
        *counts.entry(outcome).or_default() += 1;
        if std::env::var_os("DAMAGE_VERBOSE").is_some() {
            println!("{outcome:?} {how}");
        }
        if outcome == Outcome::WrongData {
            bad.push(format!("trial {trial}: {how}"));
        }
    }
    println!("seed {seed}, {trials} trials: {counts:?}");
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn a_store_that_cannot_be_opened_names_the_damaged_files() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    let inside = |file: &PathBuf, folder| file.components().any(|c| c.as_os_str() == folder);
    let all = files(dir.path());
    let damaged: Vec<_> =
        all.iter().filter(|file| inside(file, "tables") && inside(file, "4")).collect();
    assert!(!damaged.is_empty());
    for file in &damaged {
        let mut bytes = std::fs::read(file).unwrap();
        bytes.iter_mut().step_by(50).for_each(|byte| *byte ^= 1);
        std::fs::write(file, bytes).unwrap();
    }
    let error = FjallStore::open(dir.path(), small()).err().expect("a refused start");
    let text = error.to_string();
    let named = all.iter().filter(|file| text.contains(file.to_str().unwrap()));
    let named: Vec<_> = named.filter(|file| !file.ends_with("LOCK")).collect();
    assert!(!named.is_empty() && named.iter().all(|file| damaged.contains(file)), "{text}");
}
