//! Every changed byte of a journal is noticed.

use super::batches::{END, ITEM, START, TRAILER};
use super::*;
use crate::format::{COMMIT_MARK, CommitMark};

/// A batch as the engine writes it, with a few documents and the mark.
fn batch(mark: CommitMark, sequence: u64) -> Vec<u8> {
    let item = |key: &[u8], value: &[u8]| {
        let mut bytes = vec![ITEM, 0, 0];
        bytes.extend(3u64.to_le_bytes());
        bytes.extend((key.len() as u16).to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
        [&bytes, key, value].concat()
    };
    let items = [item(b"a key", b"a value"), item(b"b", b""), item(COMMIT_MARK, &mark.encode())];
    let body = items.concat();
    let mut bytes = vec![START];
    bytes.extend((items.len() as u32).to_le_bytes());
    bytes.extend(sequence.to_le_bytes());
    bytes.extend(&body);
    bytes.push(END);
    bytes.extend(xxhash_rust::xxh3::xxh3_64(&body).to_le_bytes());
    bytes.extend(TRAILER);
    bytes
}

/// Commits `numbers`, each written when all before it were synced.
fn journal(numbers: std::ops::RangeInclusive<u64>) -> Vec<u8> {
    let one = |number| {
        batch(
            CommitMark {
                number,
                synced: number - 1,
                sequence: number,
                values: ValuesEnd::default(),
            },
            number,
        )
    };
    numbers.flat_map(one).collect()
}

fn check(journals: &[(&str, &[u8])], synced: u64) -> Result<Inspected, String> {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in journals {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    inspect(dir.path(), synced, &|_, _| Ok(true)).map_err(|error| error.to_string())
}

#[test]
fn journals_are_read_in_the_order_of_their_numbers() {
    let zeros = [0; 1_000];
    let found = check(&[("9.jnl", &journal(1..=3)), ("10.jnl", &journal(4..=5))], 5);
    assert_eq!(found, Ok(Inspected { last: Some(5), synced: 5 }));
    let padded = [&journal(1..=3), &zeros[..]].concat();
    assert_eq!(check(&[("0.jnl", &padded)], 3), Ok(Inspected { last: Some(3), synced: 3 }));
    assert_eq!(check(&[("0.jnl", &zeros)], 3), Ok(Inspected { last: None, synced: 3 }));
    assert_eq!(check(&[], 0), Ok(Inspected::default()));
}

#[test]
fn a_gap_between_journals_is_damage() {
    let gap = check(&[("0.jnl", &journal(1..=2)), ("1.jnl", &journal(4..=5))], 5);
    assert!(gap.unwrap_err().contains("1.jnl is damaged: at byte"));
    let empty = check(&[("0.jnl", &[]), ("1.jnl", &journal(4..=5))], 5);
    assert!(empty.unwrap_err().contains("0.jnl is damaged"));
    let lost = check(&[("0.jnl", &journal(1..=3))], 5);
    assert!(lost.unwrap_err().contains("no readable commit after 3, but 5 were synced"));
}

#[test]
fn every_changed_byte_of_synced_commits_is_noticed() {
    let whole = journal(7..=9);
    let length = batch(CommitMark::default(), 0).len();
    let mut unnoticed = Vec::new();
    for at in 0..whole.len() {
        for change in [1, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            // Where no commit is readable, the store asks its tables for the synced ones.
            if check(&[("0.jnl", &bytes)], 9).is_ok_and(|found| found.last.is_some()) {
                unnoticed.push(at % length);
            }
        }
    }
    // The engine's sequence number may be any above the one before: nothing is lost by that.
    let sequence = 5..13;
    assert!(unnoticed.iter().all(|at| sequence.contains(at)), "{unnoticed:?}");
}

#[test]
fn later_commits_tell_that_a_broken_one_was_synced() {
    // The state file knows of nothing: it may be old after a power cut.
    let mut bytes = journal(1..=4);
    let at = journal(1..=1).len() + 3;
    bytes[at] ^= 0xff;
    let error = check(&[("0.jnl", &bytes)], 0).unwrap_err();
    assert!(error.contains("no readable commit after 1, but 3 were synced"), "{error}");
}

/// A commit that was made when only the first was synced.
fn unsynced(number: u64) -> Vec<u8> {
    batch(CommitMark { number, synced: 1, sequence: number, values: ValuesEnd::default() }, number)
}

#[test]
fn a_commit_that_lacks_its_values_is_undone_with_all_that_follow() {
    let full = [journal(1..=1), unsynced(2), unsynced(3)].concat();
    for (before, lacking, left) in [(1, 2, 1), (1, 3, 2), (1, 5, 4), (0, 2, 1)] {
        let dir = tempfile::tempdir().unwrap();
        let [old, new] = ["0.jnl", "1.jnl"].map(|name| dir.path().join(name));
        std::fs::write(&old, &full[journal(1..=1 - before).len()..]).unwrap();
        std::fs::write(&new, [unsynced(4), unsynced(5)].concat()).unwrap();
        let asked = std::cell::Cell::new(1);
        let whole = |_, _| {
            asked.set(asked.get() + 1);
            Ok(asked.get() < lacking)
        };
        let found = inspect(dir.path(), 1, &whole).unwrap();
        let readable = (left > 1 || before > 0).then_some(left);
        assert_eq!(found, Inspected { last: readable, synced: 1 }, "{lacking} lacks its values");
        assert_eq!(new.exists(), lacking > 3);
        // Nothing is left to be undone.
        assert_eq!(inspect(dir.path(), 1, &|_, _| Ok(true)).unwrap(), found);
    }
}

#[test]
fn a_synced_commit_that_lacks_its_values_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("0.jnl");
    std::fs::write(&old, journal(1..=3)).unwrap();
    std::fs::write(dir.path().join("1.jnl"), journal(4..=5)).unwrap();
    let text = inspect(dir.path(), 1, &|_, _| Ok(false)).unwrap_err().to_string();
    assert!(text.contains("0.jnl is damaged") && text.contains("lacks its values"), "{text}");
    assert_eq!(std::fs::read(&old).unwrap(), journal(1..=3));
}

#[test]
fn values_that_the_disk_does_not_give_undo_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.jnl");
    let bytes = [journal(1..=1), unsynced(2)].concat();
    std::fs::write(&path, &bytes).unwrap();
    let refused = |_, _| Err(io("reading a value", "input/output error"));
    let error = inspect(dir.path(), 1, &refused).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn what_was_not_synced_may_be_torn() {
    let mut bytes = [journal(1..=1), unsynced(2), unsynced(3)].concat();
    let at = journal(1..=1).len();
    bytes[at + 3] ^= 0xff;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.jnl");
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(
        inspect(dir.path(), 1, &|_, _| Ok(true)).unwrap(),
        Inspected { last: Some(1), synced: 1 }
    );
    assert_eq!(std::fs::read(&path).unwrap(), journal(1..=1));
}
