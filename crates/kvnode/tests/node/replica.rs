//! How a producer's rows get into a replica, and how streams read committed rows.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use kvnode::NodeHandle;
use kvnode::bucket::{CommitError, LogRead, PendingCommit, Vb, VbError, VbEvent, VbListener};
use mcbp::dcp::FailoverEntry;
use mcbp::{Datatype, Seqno, VbId, VbState, VbUuid};
use tokio::runtime::Runtime;
use vbucket::consumer::{Part, Versions};
use vbucket::{Kind, Row, StoreError};

use crate::support::client::Client;
use crate::support::memory_store::Disk;
use crate::support::{BUCKET, eventually, options, start_in_memory};

/// Rows of a snapshot that came from the producer's disk or not.
fn part(rows: Vec<Arc<Row>>, snapshot: (Seqno, Seqno), from_disk: bool) -> Part {
    Part::Rows { rows, snapshot, from_disk, versions: Versions::Newest, ends: None }
}

struct Replica {
    disk: Arc<Disk>,
    node: NodeHandle,
    runtime: Runtime,
    vb: Arc<Vb>,
}

impl Replica {
    fn new() -> Self {
        Self::with_log(1024 * 1024)
    }

    fn with_log(log_bytes_max: usize) -> Self {
        Self::on(Disk::new(), log_bytes_max)
    }

    fn on(disk: Arc<Disk>, log_bytes_max: usize) -> Self {
        let mut options = options();
        options.initial_state = Some(VbState::Replica);
        options.log_bytes_max = log_bytes_max;
        let node = start_in_memory(&disk, options);
        let bucket = node.bucket(BUCKET).unwrap();
        eventually("warm-up", || bucket.is_ready());
        let vb = bucket.vb(VbId(0)).unwrap();
        Self { disk, node, runtime: Runtime::new().unwrap(), vb }
    }

    /// Applies rows `from..=to` under a snapshot and waits until they are durable.
    fn apply(&self, seqnos: std::ops::RangeInclusive<u64>, end: u64) -> Result<(), VbError> {
        let snapshot = (Seqno(*seqnos.start()), Seqno(end));
        let rows = seqnos.map(row).collect();
        self.receive(part(rows, snapshot, false))
    }

    /// Applies what a producer sent and waits until it is durable.
    fn receive(&self, part: Part) -> Result<(), VbError> {
        let commit: PendingCommit =
            self.runtime.block_on(self.vb.apply(self.vb.high_seqno(), part))?;
        Ok(self.runtime.block_on(commit.wait())?)
    }

    fn seqnos(&self, after: u64, bytes_max: usize) -> Option<Vec<u64>> {
        match self.vb.read_log(Seqno(after), bytes_max) {
            LogRead::UpToDate => Some(Vec::new()),
            LogRead::Rows(rows) => Some(rows.iter().map(|row| row.seqno.0).collect()),
            LogRead::Evicted => None,
        }
    }
}

fn row(seqno: u64) -> Arc<Row> {
    Arc::new(Row {
        key: Bytes::from(format!("\0key {seqno}")),
        seqno: Seqno(seqno),
        rev: 1,
        cas: 1000 + seqno,
        datatype: Datatype::RAW,
        kind: Kind::Document { flags: 0, expiry: 0 },
        prepared: Seqno::ZERO,
        value: Bytes::from_static(b"value"),
    })
}

#[test]
fn rows_become_visible_with_their_snapshot() {
    let replica = Replica::new();
    replica.apply(1..=3, 5).unwrap();
    let view = replica.vb.view();
    let seqnos = (view.high_seqno.0, view.snapshot_start.0, view.snapshot_end.0);
    assert_eq!((seqnos, view.max_cas), ((3, 1, 5), 1003));
    assert_eq!(replica.disk.meta(0).unwrap().high_seqno, Seqno(3));
    assert_eq!(replica.seqnos(0, 10_000), Some(vec![1, 2, 3]));
    assert_eq!(replica.seqnos(2, 10_000), Some(vec![3]));
    assert_eq!(replica.seqnos(3, 10_000), Some(vec![]));
    assert_eq!(replica.seqnos(0, 1), Some(vec![1]));
}

#[test]
fn mb_50543_seqnos_only_rise() {
    let replica = Replica::new();
    replica.apply(1..=3, 5).unwrap();
    for (seqnos, end) in [(3..=4, 5), (6..=6, 5), (2..=2, 9)] {
        let refused = replica.apply(seqnos.clone(), end);
        assert!(matches!(refused, Err(VbError::NotMonotonic { .. })), "{seqnos:?} {refused:?}");
    }
    let (rows, snapshot) = (vec![row(5), row(4)], (Seqno(4), Seqno(5)));
    let refused = replica.receive(part(rows, snapshot, false));
    assert!(matches!(refused, Err(VbError::NotMonotonic { .. })));
    assert_eq!(replica.vb.high_seqno(), Seqno(3));
    replica.apply(4..=5, 5).unwrap();
}

#[test]
fn a_seqno_may_advance_without_a_row() {
    let replica = Replica::new();
    replica.apply(1..=3, 9).unwrap();
    let snapshot = (Seqno(1), Seqno(9));
    replica
        .receive(Part::Advance {
            seqno: Seqno(9),
            snapshot,
            versions: Versions::Newest,
            ends: None,
        })
        .unwrap();
    assert_eq!(replica.vb.high_seqno(), Seqno(9));
    assert_eq!(replica.seqnos(3, 10_000), Some(vec![]));
    replica.apply(10..=10, 10).unwrap();
    assert_eq!(replica.seqnos(3, 10_000), Some(vec![10]));
}

#[test]
fn an_active_vbucket_takes_no_rows_of_a_producer() {
    let replica = Replica::new();
    let mut client = Client::ready(&replica.node);
    client.set_vbucket(0, 1);
    let refused = replica.apply(1..=1, 1);
    let active = VbState::Active;
    assert!(matches!(refused, Err(VbError::WrongState { state, .. }) if state == active));
    // MB-25258: a rollback after the state changed does nothing.
    let refused = replica.runtime.block_on(replica.vb.rollback(Seqno::ZERO));
    assert!(matches!(refused, Err(VbError::WrongState { .. })));
}

#[test]
fn the_oldest_rows_leave_memory_first() {
    let bytes = row(1).memory_bytes();
    let replica = Replica::with_log(bytes * 3);
    for seqno in 1..=5 {
        replica.apply(seqno..=seqno, seqno).unwrap();
    }
    assert_eq!(replica.seqnos(0, 10_000), None);
    assert_eq!(replica.seqnos(1, 10_000), None);
    assert_eq!(replica.seqnos(2, 10_000), Some(vec![3, 4, 5]));
    assert_eq!(replica.seqnos(5, 10_000), Some(vec![]));
}

#[test]
fn after_a_restart_everything_is_following() {
    let replica = Replica::new();
    replica.apply(1..=3, 3).unwrap();
    let Replica { disk, node, .. } = replica;
    node.shutdown().unwrap();
    let node = start_in_memory(&disk, options());
    let bucket = node.bucket(BUCKET).unwrap();
    eventually("warm-up", || bucket.is_ready());
    let vb = bucket.vb(VbId(0)).unwrap();
    assert_eq!(vb.read_log(Seqno(2), 1000), LogRead::Evicted);
    assert_eq!(vb.read_log(Seqno(3), 1000), LogRead::UpToDate);
}

#[test]
fn a_rollback_takes_rows_back_and_forgets_memory() {
    let replica = Replica::new();
    replica.apply(1..=5, 5).unwrap();
    let meta = replica.runtime.block_on(replica.vb.rollback(Seqno(2))).unwrap();
    assert_eq!(meta.high_seqno, Seqno(2));
    assert_eq!(replica.vb.high_seqno(), Seqno(2));
    assert_eq!(replica.seqnos(1, 10_000), None);
    replica.apply(3..=4, 4).unwrap();
    assert_eq!(replica.seqnos(2, 10_000), Some(vec![3, 4]));
    let store = Arc::clone(replica.node.bucket(BUCKET).unwrap().store());
    assert_eq!(store.get(VbId(0), b"key 5").unwrap(), None);
}

#[test]
fn a_vbucket_with_an_unreadable_record_is_dead_until_it_is_removed() {
    let replica = Replica::new();
    replica.apply(1..=5, 5).unwrap();
    let detail = "told to fail".to_owned();
    replica.disk.fail_reads(Some(StoreError::Io { doing: "reading", detail }));
    let failed = replica.runtime.block_on(replica.vb.rollback(Seqno(2)));
    assert!(matches!(failed, Err(VbError::Store(StoreError::Io { .. }))), "{failed:?}");
    replica.disk.fail_reads(None);
    assert_eq!(replica.vb.state(), VbState::Dead);
    assert!(matches!(replica.apply(6..=6, 6), Err(VbError::WrongState { .. })));
    let bucket = replica.node.bucket(BUCKET).unwrap();
    let set_state = || bucket.set_state(VbId(0), VbState::Replica, None);
    assert!(matches!(replica.runtime.block_on(set_state()), Err(VbError::Store(_))));
    replica.runtime.block_on(bucket.remove_vb(VbId(0))).unwrap();
    replica.runtime.block_on(set_state()).unwrap();
    assert_eq!(bucket.vb(VbId(0)).unwrap().high_seqno(), Seqno::ZERO);
}

#[test]
fn a_producers_history_replaces_our_own() {
    let replica = Replica::new();
    let entry = |uuid, seqno| FailoverEntry { uuid: VbUuid(uuid), seqno: Seqno(seqno) };
    let table = [entry(9, 4), entry(8, 0)];
    replica.runtime.block_on(replica.vb.replace_failover(&table)).unwrap();
    assert_eq!(replica.vb.view().failover.entries(), table);
    assert_eq!(replica.disk.meta(0).unwrap().failover.entries(), table);
    for bad in [&[][..], &[entry(0, 0)], &[entry(1, 0), entry(2, 5)]] {
        let refused = replica.runtime.block_on(replica.vb.replace_failover(bad));
        assert!(matches!(refused, Err(VbError::Failover(_))), "{bad:?}");
    }
    assert_eq!(replica.vb.view().failover.entries(), table);
}

#[test]
fn rows_of_a_failed_commit_can_be_sent_again() {
    let replica = Replica::new();
    replica.apply(1..=2, 2).unwrap();
    let detail = "no space left on device".to_owned();
    replica.disk.fail_commits(Some(StoreError::Io { doing: "committing", detail }));
    assert!(matches!(replica.apply(3..=4, 4), Err(VbError::Commit(_))));
    assert_eq!(replica.seqnos(2, 10_000), Some(vec![]));
    replica.disk.fail_commits(None);
    eventually("the rows are taken", || replica.apply(3..=4, 4).is_ok());
    assert_eq!(replica.seqnos(2, 10_000), Some(vec![3, 4]));
}

#[test]
fn a_part_after_one_that_was_not_committed_is_not_taken() {
    let replica = Replica::new();
    replica.apply(1..=2, 2).unwrap();
    let detail = "no space left on device".to_owned();
    replica.disk.fail_commits(Some(StoreError::Io { doing: "committing", detail }));
    assert!(matches!(replica.apply(3..=4, 9), Err(VbError::Commit(_))));
    replica.disk.fail_commits(None);
    let following = || {
        let (rows, snapshot) = (vec![row(5)], (Seqno(3), Seqno(9)));
        let part = part(rows, snapshot, false);
        replica.runtime.block_on(replica.vb.apply(Seqno(4), part)).map(drop)
    };
    // Writes are refused for a second first.
    eventually("writes are taken", || !matches!(following(), Err(VbError::Commit(_))));
    let refused = following();
    let at = |after, high| (Seqno(4), Seqno(2)) == (after, high);
    assert!(matches!(refused, Err(VbError::Gap { after, high, .. }) if at(after, high)));
    assert_eq!(replica.vb.high_seqno(), Seqno(2));
}

#[test]
fn a_change_goes_on_when_its_caller_gives_up() {
    let replica = Replica::new();
    replica.apply(1..=5, 5).unwrap();
    replica.disk.hold();
    let entry = FailoverEntry { uuid: VbUuid(9), seqno: Seqno(0) };
    let table = [entry];
    replica.runtime.block_on(async {
        let change = replica.vb.replace_failover(&table);
        let patience = std::time::Duration::from_millis(10);
        assert!(tokio::time::timeout(patience, change).await.is_err());
    });
    eventually("the change is being committed", || replica.disk.waiting() == 1);
    replica.disk.release();
    eventually("the change is visible", || replica.vb.view().failover.entries() == table);
    replica.apply(6..=6, 6).unwrap();
    assert_eq!(replica.disk.meta(0).unwrap().failover.entries(), table);
}

#[test]
fn a_copy_of_a_disk_is_not_kept_for_streams_and_pushes_nothing_else_out() {
    let replica = Replica::new();
    replica.apply(1..=3, 3).unwrap();
    let (rows, snapshot) = ((4..=6).map(row).collect(), (Seqno(4), Seqno(6)));
    replica.receive(part(rows, snapshot, true)).unwrap();
    assert_eq!(replica.seqnos(3, usize::MAX), None);
    assert_eq!(replica.seqnos(6, usize::MAX), Some(Vec::new()));
    replica.apply(7..=8, 8).unwrap();
    assert_eq!(replica.seqnos(6, usize::MAX), Some(vec![7, 8]));
}

#[test]
fn what_fills_a_vbucket_from_nothing_is_not_looked_for() {
    let replica = Replica::new();
    let receive = |rows: Vec<_>, end| {
        let before = replica.disk.lookups();
        let snapshot = (Seqno(0), Seqno(end));
        replica.receive(part(rows, snapshot, true)).unwrap();
        replica.disk.lookups() - before
    };
    let again = |seqno| Arc::new(Row { seqno: Seqno(seqno), ..(*row(1)).clone() });
    let mut client = Client::ready(&replica.node);
    assert_eq!(receive((1..=3).map(row).collect(), 20), 0);
    // Twice within one part: the store sees that by itself.
    assert_eq!(receive(vec![row(4), row(5), again(6)], 20), 3);
    assert_eq!(receive((7..=8).map(row).collect(), 20), 0);
    // A client's write that was accepted meanwhile has added a row.
    client.set_vbucket(0, 1);
    client.set(0, "key 12", "another");
    client.set_vbucket(0, 2);
    assert_eq!(receive((10..=12).map(row).collect(), 20), 3);
    assert_eq!(replica.node.bucket(BUCKET).unwrap().store().item_count(VbId(0)).unwrap(), 10);
}

#[test]
fn what_comes_after_the_first_snapshot_is_looked_for() {
    let replica = Replica::new();
    replica.apply(1..=5, 5).unwrap();
    assert_eq!(replica.disk.lookups(), 0);
    replica.apply(6..=9, 9).unwrap();
    assert_eq!(replica.disk.lookups(), 4);
}

#[test]
fn a_snapshot_that_goes_on_after_a_restart_is_looked_for() {
    let replica = Replica::new();
    replica.apply(1..=3, 9).unwrap();
    assert_eq!(replica.disk.lookups(), 0);
    let Replica { disk, node, .. } = replica;
    node.shutdown().unwrap();
    let replica = Replica::on(disk, 1024 * 1024);
    replica.apply(4..=9, 9).unwrap();
    assert_eq!(replica.disk.lookups(), 6);
}

#[test]
fn no_rows_are_durable_at_once() {
    let replica = Replica::new();
    let (rows, snapshot) = (Vec::new(), (Seqno(1), Seqno(5)));
    replica.receive(part(rows, snapshot, false)).unwrap();
    assert_eq!(replica.vb.high_seqno(), Seqno::ZERO);
}

#[derive(Default)]
struct Heard(Mutex<Vec<(VbId, VbEvent)>>);

impl VbListener for Heard {
    fn notify(&self, vb: VbId, event: VbEvent) {
        self.0.lock().unwrap().push((vb, event));
    }
}

#[test]
fn listeners_hear_everything_until_they_leave() {
    let replica = Replica::new();
    let heard = Arc::new(Heard::default());
    let subscription = replica.vb.subscribe(Arc::clone(&heard) as _);
    replica.apply(1..=3, 3).unwrap();
    eventually("the commit is heard", || heard.0.lock().unwrap().len() == 1);
    let mut client = Client::ready(&replica.node);
    client.set_vbucket(0, 4);
    let bucket = replica.node.bucket(BUCKET).unwrap();
    replica.runtime.block_on(bucket.remove_vb(VbId(0))).unwrap();
    let all = [VbEvent::Committed, VbEvent::StateChanged, VbEvent::Removed];
    let expected: Vec<_> = all.into_iter().map(|event| (VbId(0), event)).collect();
    assert_eq!(*heard.0.lock().unwrap(), expected);
    drop(subscription);
    assert_eq!(Arc::strong_count(&heard), 1);
    let gone = replica.apply(4..=4, 4);
    assert!(matches!(gone, Err(VbError::NoVbucket(_))), "{gone:?}");
}

#[test]
fn a_hold_makes_writes_fail_until_it_is_dropped() {
    let replica = Replica::new();
    let mut client = Client::ready(&replica.node);
    client.set_vbucket(0, 1);
    let hold = replica.vb.hold_writes();
    assert_eq!(client.set(0, "a", "x").status, mcbp::Status::ETMPFAIL);
    assert_eq!(client.get(0, "a").status, mcbp::Status::KEY_ENOENT);
    drop(hold);
    assert_eq!(client.set(0, "a", "x").status, mcbp::Status::SUCCESS);
}

#[test]
fn a_part_that_cannot_be_stored_ends_its_own_vbucket_and_leaves_no_gap() {
    let replica = Replica::new();
    replica.apply(1..=2, 2).unwrap();
    replica.disk.fail_vbucket(0, 1);
    let refused = replica.apply(3..=4, 9);
    let is_unstorable =
        |error: &VbError| matches!(error, VbError::Commit(CommitError::Unstorable(_)));
    assert!(refused.as_ref().is_err_and(is_unstorable), "{refused:?}");
    let (rows, snapshot) = (vec![row(5)], (Seqno(3), Seqno(9)));
    let part = part(rows, snapshot, false);
    let following = replica.runtime.block_on(replica.vb.apply(Seqno(4), part)).map(drop);
    assert!(matches!(following, Err(VbError::Gap { .. })), "{following:?}");
    assert_eq!(replica.vb.high_seqno(), Seqno(2));
    // At once: the bucket has taken writes all the time.
    replica.apply(3..=4, 9).unwrap();
    assert_eq!(replica.seqnos(2, 10_000), Some(vec![3, 4]));
}
