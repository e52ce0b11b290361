//! The store compared with a history in memory: random commits, overwrites, deletions, purges,
//! rollbacks, removals, reopenings, and scans whose snapshot must not change.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use common::*;
use mcbp::framing::Level;
use mcbp::key::{DEFAULT_PREFIX, prefixed};
use mcbp::{Seqno, VbId};
use proptest::prelude::*;
use store::FjallStore;
use vbucket::row::prepared_key;
use vbucket::store::{Batch, Durability, PurgeRule, Scan, ScanEnd, ScanStep, Store};
use vbucket::{DurableSeqnos, Kind, Replaces, Row, Write};

#[derive(Clone, Debug)]
enum Step {
    /// Changes of key and length (0 deletes) in each of some vBuckets.
    Commit {
        synced: bool,
        changes: Vec<(u16, u8, u16, How)>,
        gap: u64,
    },
    /// Roll back by this many seqnos.
    Rollback {
        vb: u16,
        distance: u64,
    },
    /// Drop all deletions.
    Purge {
        vb: u16,
    },
    Remove {
        vb: u16,
    },
    Reopen {
        close: bool,
    },
    OpenScan {
        vb: u16,
        from: u64,
    },
    Get {
        vb: u16,
        key: u8,
    },
}

/// How a document is changed: at once, or prepared first. What is prepared is completed then.
#[derive(Clone, Copy, Debug)]
enum How {
    Plainly,
    Durably { commits: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![Just(0u16), 1..200u16, 1_000..4_000u16];
    let durably = any::<bool>().prop_map(|commits| How::Durably { commits });
    let change = (0..3u16, 0..40u8, length, prop_oneof![2 => Just(How::Plainly), 1 => durably]);
    prop_oneof![
        10 => (any::<bool>(), prop::collection::vec(change, 0..40), 0..3u64)
            .prop_map(|(synced, changes, gap)| Step::Commit { synced, changes, gap }),
        2 => (0..3u16, 0..200u64).prop_map(|(vb, distance)| Step::Rollback { vb, distance }),
        1 => (0..3u16).prop_map(|vb| Step::Purge { vb }),
        1 => (0..3u16).prop_map(|vb| Step::Remove { vb }),
        1 => any::<bool>().prop_map(|close| Step::Reopen { close }),
        2 => (0..3u16, 0..100u64).prop_map(|(vb, from)| Step::OpenScan { vb, from }),
        3 => (0..3u16, 0..40u8).prop_map(|(vb, key)| Step::Get { vb, key }),
    ]
}

/// One vBucket: all its changes, and after which of them a commit ended.
#[derive(Clone, Default)]
struct History {
    rows: Vec<Row>,
    ends: BTreeSet<u64>,
    high: u64,
    /// The highest seqno ever: the undo window ends there.
    peak: u64,
    /// The highest one that was purged, whose row is not in `rows` any more.
    purged: u64,
}

struct Open {
    scan: Box<dyn Scan>,
    want: Vec<Row>,
}

#[derive(Default)]
struct Model {
    vbs: BTreeMap<u16, History>,
    scans: Vec<Open>,
}

impl Model {
    fn commit(
        &mut self,
        store: &FjallStore,
        changes: &[(u16, u8, u16, How)],
        gap: u64,
        synced: bool,
    ) {
        let mut all = Batch::default();
        for vb in 0..3u16 {
            let mine: Vec<_> = changes.iter().filter(|change| change.0 == vb).collect();
            if mine.is_empty() {
                continue;
            }
            let history = self.vbs.entry(vb).or_default();
            let before = newest(&history.rows);
            let (mut rows, mut completes) = (Vec::new(), Vec::new());
            for &&(_, key, len, how) in &mine {
                history.high += 1 + gap;
                let (key, high) = (format!("key-{key}"), history.high);
                let plain = match len {
                    0 => deletion(&key, high),
                    len => document(&key, high, usize::from(len)),
                };
                let pending = pending(&history.rows, &plain.key);
                let row = match (how, &pending) {
                    (How::Plainly, _) => plain,
                    (How::Durably { .. }, None) => prepared(plain),
                    (How::Durably { commits: true }, Some(prepare)) => {
                        // As it is read from the disk.
                        Row { prepared: Seqno::ZERO, ..prepare.committed_at(Seqno(high)).unwrap() }
                    }
                    (How::Durably { commits: false }, Some(prepare)) => {
                        Row::aborted(&plain.key, prepare.seqno, Seqno(high), 5)
                    }
                };
                completes.push(pending.filter(|_| row.is_visible()).map(Arc::new));
                history.rows.push(row.clone());
                rows.push(row);
            }
            history.ends.insert(history.high);
            history.peak = history.peak.max(history.high);
            let mut one = batch(vb, rows);
            one.metas[0].durable = durable(&history.rows, history.purged);
            for (change, completes) in one.changes.iter_mut().zip(completes) {
                change.completes = completes;
            }
            // Some callers know what they replace, also in the same batch.
            let mut met = HashMap::new();
            for change in &mut one.changes {
                let row = &change.row;
                let earlier = met.insert(row.key.clone(), Arc::clone(row));
                if row.seqno.0 % 2 != 0 {
                    continue;
                }
                let stored = before.iter().find(|old| old.key == row.key).cloned().map(Arc::new);
                change.replaces = match earlier.or(stored) {
                    Some(old) if old.is_alive() => Replaces::Row(old),
                    None => Replaces::Nothing,
                    _ => Replaces::Unknown,
                };
            }
            all.changes.extend(one.changes);
            all.metas.extend(one.metas);
        }
        let durability = if synced { Durability::Synced } else { Durability::Buffered };
        store.commit(&all, durability).unwrap();
    }

    fn roll_back(&mut self, store: &FjallStore, vb: u16, distance: u64) {
        let Some(history) = self.vbs.get_mut(&vb) else {
            assert!(store.rollback(VbId(vb), Seqno(0)).is_err());
            return;
        };
        let to = history.high.saturating_sub(distance);
        let back = store.rollback(VbId(vb), Seqno(to)).unwrap();
        let high = back.high_seqno.0;
        assert!(high <= to);
        assert!(high == 0 || history.ends.contains(&high), "{high} was no end of a commit");
        let nearest = history.ends.range(..=to).next_back().copied().unwrap_or(0);
        let within = nearest + small().undo_seqnos >= history.peak && nearest >= history.purged;
        assert!(high > 0 || nearest == 0 || !within, "0 although {nearest} is in the window");
        assert_eq!((back.snapshot_start, back.snapshot_end), (back.high_seqno, back.high_seqno));
        history.rows.retain(|row| row.seqno.0 <= high);
        history.ends.retain(|&end| end <= high);
        history.high = high;
        assert!(high == 0 || high >= history.purged, "{high} is below {}", history.purged);
        if high == 0 {
            (history.peak, history.purged) = (0, 0);
        }
    }

    fn purge(&mut self, store: &FjallStore, vb: u16) {
        let Some(history) = self.vbs.get_mut(&vb) else { return };
        let rule = PurgeRule { made_before: PurgeRule::ANY_AGE, up_to: Seqno::MAX };
        let step = store.purge(VbId(vb), &rule, &[]).unwrap();
        let is_purged = |row: &&Row| {
            let is_deletion = matches!(row.kind, Kind::Deleted { .. } | Kind::Aborted { .. });
            is_deletion && row.seqno.0 < history.high
        };
        let purged: Vec<_> = newest(&history.rows).iter().filter(is_purged).cloned().collect();
        assert_eq!((step.dropped, step.next), (purged.len() as u64, None));
        let last = purged.iter().map(|row| row.seqno.0).max().unwrap_or(0);
        history.purged = history.purged.max(last);
        assert_eq!(step.purge_seqno.0, history.purged);
        // With prepares that a deletion has completed.
        let goes_with = |row: &Row, purged: &Row| {
            let is_of_key = row.key == purged.key || row.key == prepared_key(&purged.key);
            is_of_key && row.seqno <= purged.seqno
        };
        history.rows.retain(|row| !purged.iter().any(|purged| goes_with(row, purged)));
    }

    fn check(&self, store: &FjallStore) {
        let mut vbs: Vec<_> = store.load().unwrap().iter().map(|meta| meta.vb.0).collect();
        vbs.sort_unstable();
        assert_eq!(vbs, self.vbs.keys().copied().collect::<Vec<_>>());
        for (&vb, history) in &self.vbs {
            let want = newest(&history.rows);
            assert_eq!(scan(store, vb).unwrap(), want, "vb:{vb}");
            let mut prepares = store.prepares(VbId(vb)).unwrap();
            prepares.sort_by_key(|row| row.seqno);
            let is_prepare = |row: &&Row| matches!(row.kind, Kind::Prepared { .. });
            let pending: Vec<_> = want.iter().filter(is_prepare).cloned().collect();
            assert_eq!(prepares, pending, "vb:{vb}");
            let meta = store.load().unwrap().into_iter().find(|meta| meta.vb.0 == vb).unwrap();
            let visible = want.iter().rfind(|row| row.is_visible()).map_or(0, |row| row.seqno.0);
            // It may have been that of a row that is purged.
            let visible = visible..=visible.max(history.purged);
            assert!(visible.contains(&meta.durable.max_visible.0), "vb:{vb}");
            assert!(pending.iter().all(|row| row.seqno > meta.durable.high_completed), "vb:{vb}");
            let alive = want.iter().filter(|row| row.is_alive()).count();
            assert_eq!(store.item_count(VbId(vb)).unwrap(), alive as u64, "vb:{vb}");
        }
    }
}

/// The prepare of a document that is not completed.
fn pending(history: &[Row], document: &[u8]) -> Option<Row> {
    let newest = history.iter().rfind(|row| row.document_key() == document)?;
    matches!(newest.kind, Kind::Prepared { .. }).then(|| newest.clone())
}

fn prepared(plain: Row) -> Row {
    let write = match plain.kind {
        Kind::Document { flags, expiry } => Write::Document { flags, expiry },
        _ => Write::Deletion { at: 5 },
    };
    let level = [Level::Majority, Level::MajorityAndPersistOnActive, Level::PersistToMajority]
        [plain.seqno.0 as usize % 3];
    Row { key: prepared_key(&plain.key), kind: Kind::Prepared { level, write }, ..plain }
}

/// The seqnos of durable writes at the end of a history. Here writes are not completed in their
/// order, so that nothing may count as completed while something is pending.
fn durable(history: &[Row], purged: u64) -> DurableSeqnos {
    let visible = history.iter().rfind(|row| row.is_visible());
    let prepares = history.iter().filter(|row| matches!(row.kind, Kind::Prepared { .. }));
    let pending =
        newest(history).into_iter().filter(|row| matches!(row.kind, Kind::Prepared { .. }));
    let high_prepared = prepares.map(|row| row.seqno).max().unwrap_or(Seqno::ZERO);
    let before = pending.map(|row| Seqno(row.seqno.0 - 1)).min().unwrap_or(high_prepared);
    DurableSeqnos {
        high_prepared,
        high_completed: before.min(high_prepared),
        max_visible: visible.map_or(Seqno::ZERO, |row| row.seqno).max(Seqno(purged)),
    }
}

fn finish(mut open: Open) {
    let (mut seen, mut is_offered) = (Vec::new(), false);
    loop {
        // Pausing before and after every row: a scan continues with the one that was not taken.
        match open.scan.run(&mut |row| {
            is_offered = !is_offered;
            if is_offered {
                return ScanStep::Later;
            }
            seen.push(row);
            ScanStep::Yield
        }) {
            ScanEnd::Yielded => {}
            ScanEnd::Finished => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, open.want);
}

fn run(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Commit { synced, changes, gap } => model.commit(&store, &changes, gap, synced),
            Step::Rollback { vb, distance } => model.roll_back(&store, vb, distance),
            Step::Purge { vb } => model.purge(&store, vb),
            Step::Remove { vb } => {
                store.remove(VbId(vb)).unwrap();
                model.vbs.remove(&vb);
            }
            Step::Reopen { close } => {
                model.scans.drain(..).for_each(finish);
                if close {
                    store.close().unwrap();
                }
                drop(store);
                store = open(dir.path());
                assert_eq!(store.was_clean(), close);
                model.check(&store);
            }
            Step::OpenScan { vb, from } => {
                let Some(history) = model.vbs.get(&vb) else { continue };
                let mut want = newest(&history.rows);
                want.retain(|row| row.seqno.0 >= from);
                let scan = store.scan(VbId(vb), Seqno(from), Seqno::MAX).unwrap();
                assert_eq!(scan.meta().high_seqno.0, history.high);
                model.scans.push(Open { scan, want });
                let scan = store.scan_keys(VbId(vb), &[DEFAULT_PREFIX], &[DEFAULT_PREFIX + 1]);
                let mut want = newest(&history.rows);
                want.retain(|row| row.key[0] == DEFAULT_PREFIX);
                want.sort_by(|a, b| a.key.cmp(&b.key));
                model.scans.push(Open { scan: scan.unwrap(), want });
            }
            Step::Get { vb, key } => {
                let key = format!("key-{key}");
                let rows = model.vbs.get(&vb).map_or(&[][..], |history| &history.rows);
                let want = rows.iter().rfind(|row| row.key == prefixed(0, key.as_bytes()));
                assert_eq!(
                    store.get(VbId(vb), &prefixed(0, key.as_bytes())).unwrap().as_ref(),
                    want
                );
            }
        }
    }
    model.scans.drain(..).for_each(finish);
    model.check(&store);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 20,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_store_is_its_history(steps in prop::collection::vec(step(), 1..60)) {
        run(steps);
    }
}
