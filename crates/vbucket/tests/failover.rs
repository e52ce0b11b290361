//! Failover tables: the rules of a table, and which received tables are refused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use mcbp::dcp::FailoverEntry;
use mcbp::{Seqno, VbUuid};
use proptest::prelude::*;
use vbucket::failover::{ENTRIES_MAX, uuid_from_random};
use vbucket::{FailoverError, FailoverTable};

fn log(pairs: &[(u64, u64)]) -> Vec<FailoverEntry> {
    pairs.iter().map(|&(u, s)| FailoverEntry { uuid: VbUuid(u), seqno: Seqno(s) }).collect()
}

fn table(pairs: &[(u64, u64)]) -> FailoverTable {
    FailoverTable::from_log(&log(pairs)).unwrap()
}

fn pairs(table: &FailoverTable) -> Vec<(u64, u64)> {
    table.entries().iter().map(|e| (e.uuid.0, e.seqno.0)).collect()
}

#[test]
fn uuids_are_48_bits_and_never_zero() {
    assert_eq!(uuid_from_random(0), VbUuid(1));
    assert_eq!(uuid_from_random(0xffff), VbUuid(1));
    assert_eq!(uuid_from_random(u64::MAX), VbUuid((1 << 48) - 1));
    assert_eq!(pairs(&FailoverTable::new(VbUuid(0))), [(1, 0)]);
}

#[test]
fn a_new_entry_removes_the_branches_above_it() {
    type Pairs = &'static [(u64, u64)];
    let cases: &[(Pairs, u64, Pairs)] = &[
        (&[(1, 0)], 0, &[(9, 0), (1, 0)]),
        (&[(1, 0)], 5, &[(9, 5), (1, 0)]),
        (&[(3, 9), (2, 5), (1, 0)], 5, &[(9, 5), (2, 5), (1, 0)]),
        (&[(3, 9), (2, 5), (1, 0)], 4, &[(9, 4), (1, 0)]),
        (&[(3, 9), (2, 5)], 1, &[(9, 1)]),
    ];
    for (before, seqno, after) in cases {
        let mut table = table(before);
        table.create_entry(VbUuid(9), Seqno(*seqno));
        assert_eq!(pairs(&table), *after, "{before:?} at {seqno}");
    }
}

#[test]
fn the_oldest_entries_are_forgotten() {
    let mut table = FailoverTable::new(VbUuid(1));
    for n in 0..40 {
        table.create_entry(VbUuid(100 + n), Seqno(n));
    }
    assert_eq!(table.entries().len(), ENTRIES_MAX);
    assert_eq!(table.newest(), log(&[(139, 39)])[0]);
    assert_eq!(table.entries()[ENTRIES_MAX - 1], log(&[(115, 15)])[0]);
}

#[test]
fn mb_40285_pruning_every_entry_leaves_one_at_the_seqno() {
    let cases: &[(u64, &[(u64, u64)])] = &[
        (9, &[(3, 9), (2, 5), (1, 3)]),
        (8, &[(2, 5), (1, 3)]),
        (3, &[(1, 3)]),
        (2, &[(7, 2)]),
        (0, &[(7, 0)]),
    ];
    for (seqno, after) in cases {
        let mut table = table(&[(3, 9), (2, 5), (1, 3)]);
        table.prune(Seqno(*seqno), VbUuid(7));
        assert_eq!(pairs(&table), *after, "prune to {seqno}");
    }
}

#[test]
fn mb_48398_the_last_entry_is_never_dropped() {
    let mut table = table(&[(2, 5), (1, 0)]);
    assert!(table.drop_newest());
    assert!(!table.drop_newest());
    assert_eq!(pairs(&table), [(1, 0)]);
}

#[test]
fn a_branch_ends_where_the_next_newer_one_began() {
    let table = table(&[(3, 9), (2, 5), (1, 0)]);
    let ends = [(3, Some(20)), (2, Some(9)), (1, Some(5)), (4, None)];
    for (uuid, end) in ends {
        assert_eq!(table.branch_end(VbUuid(uuid), Seqno(20)), end.map(Seqno), "{uuid}");
    }
    assert_eq!(table.find(VbUuid(2)), Some(log(&[(2, 5)])[0]));
    assert_eq!(table.find(VbUuid(4)), None);
}

#[test]
fn a_received_log_is_checked() {
    let refused: &[(&[(u64, u64)], FailoverError)] = &[
        (&[], FailoverError::Empty),
        (&[(0, 0)], FailoverError::ZeroUuid),
        (&[(2, 1), (1, 3)], FailoverError::Disorder { newer: Seqno(1), older: Seqno(3) }),
    ];
    for (pairs, why) in refused {
        assert_eq!(FailoverTable::from_log(&log(pairs)).unwrap_err(), *why);
    }
    let long: Vec<_> = (0..30).map(|n| (n + 1, 30 - n)).collect();
    let taken = table(&long);
    assert_eq!(pairs(&taken), long[..ENTRIES_MAX]);
}

#[derive(Clone, Debug)]
enum Step {
    Create { uuid: u64, seqno: u64 },
    Prune { seqno: u64, fresh: u64 },
    DropNewest,
    Received(Vec<(u64, u64)>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pairs = prop::collection::vec((0..9u64, 0..60u64), 0..40);
    let step = prop_oneof![
        6 => (0..u64::MAX, 0..60u64).prop_map(|(uuid, seqno)| Step::Create { uuid, seqno }),
        2 => (0..60u64, 0..3u64).prop_map(|(seqno, fresh)| Step::Prune { seqno, fresh }),
        1 => Just(Step::DropNewest),
        1 => pairs.prop_map(Step::Received),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens to a table, and whatever a peer sends: it has 1 to 25 entries, no uuid is
    /// 0, no older branch began later, and nothing is left above where it was cut.
    #[test]
    fn mb_27818_no_history_breaks_a_table(steps in steps()) {
        let mut table = FailoverTable::new(VbUuid(0));
        for step in steps {
            let mut top = u64::MAX;
            match step {
                Step::Create { uuid, seqno } => {
                    table.create_entry(VbUuid(uuid), Seqno(seqno));
                    prop_assert_eq!(table.newest(), log(&[(uuid.max(1), seqno)])[0]);
                    top = seqno;
                }
                Step::Prune { seqno, fresh } => {
                    table.prune(Seqno(seqno), VbUuid(fresh));
                    top = seqno;
                }
                Step::DropNewest => _ = table.drop_newest(),
                Step::Received(pairs) => {
                    if let Ok(received) = FailoverTable::from_log(&log(&pairs)) {
                        table = received;
                    }
                }
            }
            let entries = table.entries();
            prop_assert!((1..=ENTRIES_MAX).contains(&entries.len()));
            prop_assert!(entries.iter().all(|entry| entry.uuid.0 != 0 && entry.seqno.0 <= top));
            prop_assert!(entries.is_sorted_by(|newer, older| newer.seqno >= older.seqno));
        }
    }
}
