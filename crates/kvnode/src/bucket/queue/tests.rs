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

    /// Takes batches in a thread, which tells how many entries each has.
    fn take(&self) -> Receiver<usize> {
        let (tell, taken) = mpsc::channel();
        let queue = Arc::clone(&self.queue);
        thread::spawn(move || {
            while let Some(batch) = queue.next() {
                batch.commit.complete(Ok(Vec::new()));
                // A test that has ended hears nothing.
                let _gone = tell.send(batch.entries.len());
            }
        });
        taken
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

impl CommitQueue {
    /// As if what is queued had come so much later.
    fn delay(&self, by: Duration) {
        lock(&self.state).batches.iter_mut().for_each(|batch| batch.due += by);
    }
}
