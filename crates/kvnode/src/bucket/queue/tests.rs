//! Tests of which entries are committed together.

use std::sync::mpsc::{self, Receiver};
use std::thread;

use bytes::Bytes;
use mcbp::framing::Level;
use mcbp::{Seqno, VbState};
use tokio::runtime::Runtime;
use vbucket::collections::VbCollections;
use vbucket::{Kind, Replaces, Row};

use super::*;
use crate::bucket::history::new_meta;
use crate::bucket::options::BucketOptions;
use crate::bucket::row_cache::RowCache;

/// Longer than any thread of a test is kept from running.
const SOON: Duration = Duration::from_secs(20);

struct Fixture {
    queue: Arc<CommitQueue>,
    vb: Arc<VbCell>,
}

impl Fixture {
    fn new() -> Self {
        let meta = new_meta(VbId(3), VbState::Active, None, &BucketOptions::new("b"));
        let vb = Arc::new(VbCell::new(
            meta,
            VbCollections::default(),
            Vec::new(),
            RowCache::new(0).begin(),
        ));
        Self { queue: Arc::new(CommitQueue::new(1 << 20)), vb }
    }

    fn push(&self, row: Row, completes: Option<Row>) -> PendingCommit {
        let (row, completes) = (Arc::new(row), completes.map(Arc::new));
        let answered = if completes.is_some() { Answered::Decided } else { Answered::Stored };
        let new = NewRow { row, replaces: Replaces::Unknown, completes, answered };
        let vb = Arc::clone(&self.vb);
        self.queue.push(Entry { vb, work: Work::Row(new), room: Room::NONE }).unwrap()
    }

    /// The row of a commit, whose client has its answer.
    fn push_commit(&self, seqno: u64) -> PendingCommit {
        let prepare = row(seqno - 1).prepared(Level::Majority);
        self.push(prepare.committed_at(Seqno(seqno)).unwrap(), Some(prepare))
    }

    /// A row that a session may store by itself.
    fn push_light(&self, seqno: u64) -> PendingCommit {
        let (row, answered) = (Arc::new(row(seqno)), Answered::StoredByAnyone);
        let new = NewRow { row, replaces: Replaces::Unknown, completes: None, answered };
        let vb = Arc::clone(&self.vb);
        self.queue.push(Entry { vb, work: Work::Row(new), room: Room::NONE }).unwrap()
    }

    /// Batches of one entry that were taken.
    fn write_alone(&self, batches: u32) {
        for seqno in 1..=batches {
            self.push_light(seqno.into());
            self.queue.take().unwrap();
        }
    }

    /// Takes batches in a thread, which tells how many entries each has.
    fn take(&self) -> Receiver<usize> {
        let (tell, taken) = mpsc::channel();
        let queue = Arc::clone(&self.queue);
        thread::spawn(move || {
            queue.bell.listen();
            while let Some(batch) = next(&queue) {
                batch.commit.complete(Ok(Vec::new()));
                // A test that has ended hears nothing.
                let _gone = tell.send(batch.entries.len());
            }
        });
        taken
    }
}

/// Waits for the next batch; `None` once there is none any more.
fn next(queue: &CommitQueue) -> Option<QueuedBatch> {
    loop {
        match queue.due() {
            Due::Ended => return None,
            Due::Now => return queue.take(),
            Due::In(left) => queue.bell.doze(left),
            Due::Nothing(_) => queue.bell.doze(SOON),
        }
    }
}

fn row(seqno: u64) -> Row {
    Row {
        key: Bytes::from_static(b"key"),
        seqno: Seqno(seqno),
        rev: 1,
        cas: seqno,
        datatype: mcbp::Datatype(0),
        kind: Kind::Document { flags: 0, expiry: 0 },
        prepared: Seqno::ZERO,
        value: Bytes::new(),
    }
}

#[test]
fn a_commit_that_nobody_waits_for_joins_the_next_entry() {
    let fixture = Fixture::new();
    let batch = fixture.push_commit(2);
    assert!(!batch.is_wanted());
    assert!(fixture.push(row(3), None).is_same(&batch));
    assert!(batch.is_wanted());
    assert_eq!(fixture.take().recv_timeout(SOON), Ok(2));
}

#[test]
fn a_commit_that_nobody_waits_for_is_committed_soon() {
    let fixture = Fixture::new();
    let taken = fixture.take();
    fixture.push_commit(2);
    assert_eq!(taken.recv_timeout(SOON), Ok(1));
}

/// The thread would sleep on for a day; the reader of a document wakes it.
#[test]
fn a_reader_that_waits_hurries_the_commit() {
    let fixture = Fixture::new();
    let commit = fixture.push_commit(2);
    fixture.queue.delay(Duration::from_hours(24));
    let taken = fixture.take();
    Runtime::new().unwrap().block_on(commit.wait()).unwrap();
    assert_eq!(taken.recv_timeout(SOON), Ok(1));
}

#[test]
fn a_queue_that_closes_waits_for_nothing() {
    let fixture = Fixture::new();
    fixture.push_commit(2);
    fixture.queue.delay(Duration::from_hours(24));
    fixture.queue.close();
    let taken = fixture.take();
    assert_eq!(taken.recv_timeout(SOON), Ok(1));
    assert!(taken.recv_timeout(SOON).is_err());
}

#[test]
fn a_row_is_left_to_a_session_that_writes_alone() {
    let fixture = Fixture::new();
    fixture.write_alone(SINGLES_MIN);
    let commit = fixture.push_light(20);
    assert!(!commit.is_wanted());
    assert!(fixture.queue.want_light());
    assert!(commit.is_wanted());
    assert!(!fixture.queue.want_light(), "somebody sees to it already");
    assert_eq!(fixture.queue.due(), Due::Now);
    assert_eq!(fixture.queue.take_light().map(|batch| batch.entries.len()), Some(1));
    assert!(fixture.queue.take_light().is_none());
}

#[test]
fn a_row_is_not_left_to_a_session_where_others_write() {
    let fixture = Fixture::new();
    fixture.write_alone(SINGLES_MIN - 1);
    fixture.push_light(20);
    assert!(!fixture.queue.want_light(), "too soon");
    let second = fixture.push_light(21);
    assert!(second.is_wanted());
    fixture.queue.take().unwrap();
    fixture.write_alone(1);
    fixture.push_light(30);
    assert!(!fixture.queue.want_light());
}

#[test]
fn a_batch_with_other_work_is_left_to_the_committer() {
    let fixture = Fixture::new();
    fixture.write_alone(SINGLES_MIN);
    fixture.push_light(20);
    assert!(fixture.queue.want_light());
    fixture.push(row(21), None);
    assert!(fixture.queue.take_light().is_none());
    assert_eq!(fixture.take().recv_timeout(SOON), Ok(2));
}

impl CommitQueue {
    /// As if what is queued had come so much later.
    fn delay(&self, by: Duration) {
        lock(&self.state).batches.iter_mut().for_each(|batch| batch.due += by);
    }
}
