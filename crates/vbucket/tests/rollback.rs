//! The rollback rule: a table of cases, and random histories in which no consumer may ever keep
//! a change that its producer does not have.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use std::collections::BTreeMap;

use mcbp::dcp::FailoverEntry;
use mcbp::{Seqno, VbUuid};
use proptest::prelude::*;
use vbucket::FailoverTable;
use vbucket::rollback::{History, Position, needs_rollback};

const BRANCHES: [(u64, u64); 3] = [(30, 100), (20, 50), (10, 0)];
const HIGH: u64 = 150;

fn branches() -> FailoverTable {
    let log = BRANCHES.map(|(u, s)| FailoverEntry { uuid: VbUuid(u), seqno: Seqno(s) });
    FailoverTable::from_log(&log).unwrap()
}

fn at(uuid: u64, start: u64, snapshot_start: u64, snapshot_end: u64) -> Position {
    Position {
        uuid: VbUuid(uuid),
        start: Seqno(start),
        snapshot_start: Seqno(snapshot_start),
        snapshot_end: Seqno(snapshot_end),
        purge: None,
    }
}

#[test]
fn table_of_positions() {
    let table = branches();
    let producer =
        History { table: &table, high: Seqno(HIGH), purge: Seqno(0), strict_uuid: false };
    let cases: &[(&str, Position, Option<u64>)] = &[
        ("nothing yet", at(0, 0, 0, 0), None),
        ("nothing yet, unknown branch", at(99, 0, 0, 0), None),
        ("unknown branch", at(99, 40, 40, 40), Some(0)),
        ("no branch named", at(0, 40, 40, 40), Some(0)),
        ("newest branch, complete", at(30, 120, 120, 120), None),
        ("newest branch, at the end", at(30, 150, 150, 150), None),
        ("newest branch, inside a snapshot", at(30, 120, 110, 140), None),
        ("newest branch, ahead", at(30, 160, 160, 160), Some(150)),
        ("newest branch, snapshot beyond the end", at(30, 130, 110, 160), Some(110)),
        ("newest branch, snapshot start beyond the end", at(30, 158, 155, 160), Some(150)),
        ("older branch, within it", at(20, 80, 80, 80), None),
        ("older branch, exactly at its end", at(20, 100, 100, 100), None),
        ("older branch, beyond its end", at(20, 101, 101, 101), Some(100)),
        ("older branch, snapshot across the end", at(20, 90, 80, 110), Some(80)),
        ("same, at the start of the snapshot", at(20, 90, 90, 110), None),
        ("same, at the end of the snapshot", at(20, 110, 80, 110), Some(100)),
        ("oldest branch, beyond its end", at(10, 60, 60, 60), Some(50)),
    ];
    for (name, position, want) in cases {
        assert_eq!(needs_rollback(position, &producer), want.map(Seqno), "{name}");
    }
}

#[test]
fn a_strict_producer_knows_every_named_branch() {
    let table = branches();
    let producer = History { table: &table, high: Seqno(HIGH), purge: Seqno(0), strict_uuid: true };
    assert_eq!(needs_rollback(&at(0, 0, 0, 0), &producer), None);
    assert_eq!(needs_rollback(&at(30, 0, 0, 0), &producer), None);
    assert_eq!(needs_rollback(&at(99, 0, 0, 0), &producer), Some(Seqno(0)));
}

#[test]
fn mb_27604_the_purge_seqno_is_compared_with_the_start() {
    let table = branches();
    let producer =
        History { table: &table, high: Seqno(HIGH), purge: Seqno(115), strict_uuid: false };
    let cases: &[(Position, Option<u64>)] = &[
        (at(30, 114, 114, 114), Some(0)),
        (at(30, 115, 115, 115), None),
        (at(30, 120, 110, 140), None),
        (at(0, 0, 0, 0), None),
    ];
    for (position, want) in cases {
        assert_eq!(needs_rollback(position, &producer), want.map(Seqno), "{position:?}");
    }
}

#[test]
fn mb_27800_no_rollback_where_the_same_tombstones_are_gone() {
    let table = branches();
    let producer =
        History { table: &table, high: Seqno(HIGH), purge: Seqno(115), strict_uuid: false };
    let same = Position { purge: Some(Seqno(115)), ..at(30, 110, 110, 110) };
    let less = Position { purge: Some(Seqno(90)), ..same };
    assert_eq!(needs_rollback(&same, &producer), None);
    assert_eq!(needs_rollback(&less, &producer), Some(Seqno(0)));
}

/// A copy of one vBucket: the changes as they were applied, of key and unique value.
///
/// `complete` are the seqnos at which it held a whole state of the history. A snapshot lacks the
/// changes that newer ones in it replaced, so its middle is no state to roll back to.
#[derive(Clone, Debug)]
struct Copy {
    applied: Vec<(u64, u8, u32)>,
    complete: Vec<u64>,
    table: FailoverTable,
    high: u64,
    snapshot: (u64, u64),
    /// What a power cut cannot take: everything before the last change of the table.
    synced: u64,
}

impl Copy {
    fn documents(&self) -> BTreeMap<u8, (u64, u32)> {
        self.applied.iter().map(|&(seqno, key, value)| (key, (seqno, value))).collect()
    }

    fn roll_back(&mut self, to: u64, fresh: u64) {
        self.complete.retain(|&seqno| seqno <= to);
        let to = self.complete.last().copied().unwrap_or(0);
        self.applied.retain(|&(seqno, ..)| seqno <= to);
        self.table.prune(Seqno(to), VbUuid(fresh));
        self.high = to;
        self.snapshot = (to, to);
    }

    /// Promotion: a copy inside a snapshot starts its branch where the snapshot began.
    fn promote(&mut self, uuid: u64) {
        let complete = self.high == self.snapshot.1;
        let seqno = if complete { self.high } else { self.snapshot.0 };
        self.table.create_entry(VbUuid(uuid), Seqno(seqno));
        self.snapshot = (self.high, self.high);
        self.complete.push(self.high);
        self.synced = self.high;
    }

    /// An active loses its newest changes with the power, which others may have by now, and begins
    /// a branch where it finds itself (MB-41942).
    fn lose_power(&mut self, lost: u64, uuid: u64) {
        let to = self.high.saturating_sub(lost).max(self.synced);
        self.complete.retain(|&seqno| seqno <= to);
        self.applied.retain(|&(seqno, ..)| seqno <= to);
        (self.high, self.snapshot) = (to, (to, to));
        self.promote(uuid);
    }

    fn write(&mut self, key: u8, value: u32) {
        self.high += 1;
        self.snapshot = (self.high, self.high);
        self.applied.push((self.high, key, value));
        self.complete.push(self.high);
    }
}

/// Streams one de-duplicated snapshot, cut off after `cut` changes.
fn stream(consumer: &mut Copy, producer: &Copy, cut: usize, fresh: u64) {
    for _ in 0..2 {
        let position = Position {
            uuid: consumer.table.newest().uuid,
            start: Seqno(consumer.high),
            snapshot_start: Seqno(consumer.snapshot.0),
            snapshot_end: Seqno(consumer.snapshot.1),
            purge: None,
        };
        let history = History {
            table: &producer.table,
            high: Seqno(producer.high),
            purge: Seqno(0),
            strict_uuid: false,
        };
        let Some(to) = needs_rollback(&position, &history) else { break };
        assert!(to.0 <= consumer.high, "rolled forward");
        consumer.roll_back(to.0, fresh);
    }
    assert!(consumer.high <= producer.high, "would have asked for the future");
    consumer.table = producer.table.clone();
    let start = consumer.high;
    let latest = producer.documents();
    let rows: Vec<_> = (producer.applied.iter())
        .filter(|&&(seqno, key, _)| seqno > start && latest[&key].0 == seqno)
        .copied()
        .collect();
    if rows.is_empty() {
        return;
    }
    consumer.snapshot = (consumer.snapshot.0.min(start), producer.high);
    for &(seqno, key, value) in rows.iter().take(cut) {
        consumer.applied.push((seqno, key, value));
        consumer.high = seqno;
    }
    if consumer.high == producer.high {
        consumer.complete.push(consumer.high);
        assert_eq!(consumer.documents(), producer.documents(), "complete, but different");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write { key: u8, count: u8 },
    Stream { to: usize, cut: usize },
    Promote { node: usize },
    PowerCut { lost: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..6u8, 1..5u8).prop_map(|(key, count)| Step::Write { key, count }),
        4 => (0..3usize, prop_oneof![0..4usize, Just(usize::MAX)])
            .prop_map(|(to, cut)| Step::Stream { to, cut }),
        1 => (0..3usize).prop_map(|node| Step::Promote { node }),
        1 => (0..8u64).prop_map(|lost| Step::PowerCut { lost }),
    ];
    prop::collection::vec(step, 1..60)
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// Three copies, any of which may be promoted, or lose power while it is active, while the
    /// others are ahead, behind or in the middle of a snapshot: after a stream a complete consumer
    /// equals its producer, and a cut one completes with the next stream.
    #[test]
    fn random_histories_converge(steps in steps()) {
        let new = Copy {
            applied: Vec::new(),
            complete: Vec::new(),
            table: FailoverTable::new(VbUuid(1)),
            high: 0,
            snapshot: (0, 0),
            synced: 0,
        };
        let mut nodes = [new.clone(), new.clone(), new];
        let mut active = 0;
        let mut unique = 1u32;
        for step in steps {
            unique += 1;
            match step {
                Step::Write { key, count } => {
                    for n in 0..count {
                        unique += 1;
                        nodes[active].write((key + n) % 6, unique);
                    }
                }
                Step::Stream { to, cut } if to != active => {
                    let producer = nodes[active].clone();
                    stream(&mut nodes[to], &producer, cut, u64::from(unique));
                }
                Step::Promote { node } if node != active => {
                    nodes[node].promote(u64::from(unique));
                    active = node;
                }
                Step::PowerCut { lost } => nodes[active].lose_power(lost, u64::from(unique)),
                Step::Stream { .. } | Step::Promote { .. } => {}
            }
        }
        let producer = nodes[active].clone();
        for node in (0..3).filter(|&node| node != active) {
            stream(&mut nodes[node], &producer, usize::MAX, 2);
            prop_assert_eq!(nodes[node].documents(), producer.documents());
        }
    }
}
