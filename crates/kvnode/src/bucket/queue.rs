//! The commit queue of a bucket: what sessions and consumers hand to the committer.
//!
//! Bounded in bytes. Room is taken before a vBucket is locked, so that nobody waits with a lock
//! held. What is queued is in batches, each with one [`PendingCommit`]: the committer takes the
//! first, and new entries join the last until that is large enough. A vBucket whose row cannot be
//! stored is taken out of all batches, and the others go on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mcbp::{Seqno, VbId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vbucket::consumer::Part;
use vbucket::{Replaces, Row, StoreError, VbMeta};

use super::cell::{Inner, VbCell};
use super::error::{CommitError, ROOM_WAIT_SECONDS};
use super::pending_commit::PendingCommit;
use crate::sync::lock;

/// How long writes are refused after a failed commit before one is tried again: long enough not to
/// load a broken disk, short enough to notice soon that a full disk has room again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A batch of this size takes no more entries. Its two syncs cost little compared with its bytes; a
/// larger one would have left the caches before it is written, and would keep its senders waiting.
const BATCH_BYTES: usize = 4 << 20;

/// Bytes of the queue that belong to one entry; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Room(Option<OwnedSemaphorePermit>);

impl Room {
    /// No room, for entries whose number is bounded elsewhere.
    pub(crate) const NONE: Self = Self(None);

    /// How many bytes it is for.
    pub(crate) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Splits off what an entry of `bytes` needs.
    pub(crate) fn split(&mut self, bytes: usize) -> Self {
        Self(self.0.as_mut().and_then(|room| room.split(bytes.min(room.num_permits()))))
    }
}

/// A row to be committed.
#[derive(Debug)]
pub(super) struct NewRow {
    pub(super) row: Arc<Row>,
    /// What is known of the row that it replaces.
    pub(super) replaces: Replaces,
    /// The prepare of its document that it completes.
    pub(super) completes: Option<Arc<Row>>,
}

/// The prepares that rows complete, by the seqnos of those rows.
pub(super) type Completes = BTreeMap<Seqno, Arc<Row>>;

/// What is to be committed for one vBucket.
#[derive(Debug)]
pub(super) enum Work {
    /// A change, which is a snapshot of its own.
    Row(NewRow),
    /// What a producer sent to a replica, as one entry because its rows are in one batch anyway.
    /// What is known of the rows that they replace holds for all of them; and the prepares that
    /// some of them complete, by their seqnos.
    Received(Part, Replaces, Completes),
    /// A new record; no row of the vBucket is queued before or after it.
    Meta(Box<VbMeta>),
}

/// One entry of the queue.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) vb: Arc<VbCell>,
    pub(super) work: Work,
    /// Held until the entry is committed and dropped.
    pub(super) room: Room,
}

/// Entries that are committed together, and the commit that their senders hold.
pub(super) struct QueuedBatch {
    pub(super) entries: Vec<Entry>,
    pub(super) commit: PendingCommit,
    /// The vBuckets whose entries were taken out again, and why.
    pub(super) left_out: Vec<(VbId, CommitError)>,
    bytes: usize,
}

impl QueuedBatch {
    fn new(vb: VbId) -> Self {
        let commit = PendingCommit::new(vb);
        Self { entries: Vec::new(), commit, left_out: Vec::new(), bytes: 0 }
    }

    /// Whether more entries may join it. What left out a vBucket must not hold for later entries of
    /// that vBucket, so nothing joins such a batch.
    const fn is_open(&self) -> bool {
        self.bytes < BATCH_BYTES && self.left_out.is_empty()
    }

    /// Takes out the entries of `vb`, for whose senders the commit fails with `error`. Returns how
    /// many there were.
    pub(super) fn leave_out(&mut self, vb: VbId, error: CommitError) -> usize {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.vb.id() != vb);
        let count = before - self.entries.len();
        if count > 0 {
            self.left_out.push((vb, error));
        }
        count
    }
}

/// A commit that failed; none has succeeded since then.
struct FailedCommit {
    error: StoreError,
    /// When the next commit may be tried. `None` while what was queued is being dropped, and for
    /// good once the store is poisoned.
    retry_at: Option<Instant>,
}

struct QueueState {
    batches: VecDeque<QueuedBatch>,
    failure: Option<FailedCommit>,
    closed: bool,
}

/// See the module.
pub(crate) struct CommitQueue {
    state: Mutex<QueueState>,
    filled: Condvar,
    room: Arc<Semaphore>,
    bytes_max: usize,
}

impl CommitQueue {
    pub(super) fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max.min(u32::MAX as usize);
        let state = QueueState { batches: VecDeque::new(), failure: None, closed: false };
        Self {
            state: Mutex::new(state),
            filled: Condvar::new(),
            room: Arc::new(Semaphore::new(bytes_max)),
            bytes_max,
        }
    }

    /// Waits for room for `bytes`. More than the whole queue counts as the whole queue, so that a
    /// large item is accepted once the queue is empty (MB-24089).
    pub(crate) async fn room(&self, bytes: usize) -> Result<Room, CommitError> {
        let permits = u32::try_from(bytes.min(self.bytes_max)).unwrap_or(u32::MAX);
        let taken = Arc::clone(&self.room).acquire_many_owned(permits);
        match tokio::time::timeout(Duration::from_secs(ROOM_WAIT_SECONDS), taken).await {
            Ok(Ok(permit)) => Ok(Room(Some(permit))),
            Ok(Err(_)) => Err(CommitError::Closed),
            Err(_) => Err(CommitError::QueueFull),
        }
    }

    /// Whether `room` is enough for an item of `bytes`, or all that the queue has.
    pub(crate) fn is_enough(&self, room: &Room, bytes: usize) -> bool {
        room.bytes() >= bytes.min(self.bytes_max)
    }

    /// Bytes that are queued or about to be.
    pub(crate) fn used_bytes(&self) -> usize {
        self.bytes_max.saturating_sub(self.room.available_permits())
    }

    /// Queues an entry after all others.
    pub(super) fn push(&self, entry: Entry) -> Result<PendingCommit, CommitError> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(CommitError::Closed);
        }
        if let Some(failure) = &state.failure
            && failure.retry_at.is_none_or(|at| Instant::now() < at)
        {
            return Err(CommitError::Refusing(failure.error.clone()));
        }
        let vb = entry.vb.id();
        let mut last = match state.batches.pop_back() {
            Some(last) if last.is_open() => last,
            full => {
                state.batches.extend(full);
                QueuedBatch::new(vb)
            }
        };
        last.bytes += entry.room.bytes();
        last.entries.push(entry);
        let commit = last.commit.of(vb);
        state.batches.push_back(last);
        self.filled.notify_one();
        Ok(commit)
    }

    /// Queues a row that follows everything of its vBucket, and makes it the newest one there.
    pub(super) fn push_row(
        &self,
        cell: &Arc<VbCell>,
        inner: &mut Inner,
        new: NewRow,
        room: Room,
    ) -> Result<PendingCommit, CommitError> {
        let row = Arc::clone(&new.row);
        let commit = self.push(Entry { vb: Arc::clone(cell), work: Work::Row(new), room })?;
        inner.tail.follow(&row);
        inner.last = Some(commit.clone());
        inner.pending.insert(row.key.clone(), (row, commit.clone()));
        Ok(commit)
    }

    /// Blocks until something is queued; `None` once the queue is closed and empty.
    pub(super) fn next(&self) -> Option<QueuedBatch> {
        let mut state = lock(&self.state);
        loop {
            if let Some(first) = state.batches.pop_front() {
                return Some(first);
            }
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Refuses new entries until [`CommitQueue::settle`]. Returns the batches that were queued
    /// after the one that failed, and whether the commit before it had succeeded.
    pub(super) fn refuse(&self, error: StoreError) -> (VecDeque<QueuedBatch>, bool) {
        let mut state = lock(&self.state);
        let first = state.failure.is_none();
        state.failure = Some(FailedCommit { error, retry_at: None });
        (std::mem::take(&mut state.batches), first)
    }

    /// Takes out everything that is queued for `vb`, which was made on top of a row that was not
    /// committed. The caller holds the vBucket's lock, so that nothing is queued meanwhile.
    pub(super) fn leave_out(&self, vb: VbId, error: &CommitError) {
        for batch in &mut lock(&self.state).batches {
            batch.leave_out(vb, error.clone());
        }
    }

    /// Everything that was queued on top of a failed batch has been dropped: the next commit may be
    /// tried after a pause.
    pub(super) fn settle(&self) {
        if let Some(failure) = &mut lock(&self.state).failure
            && !matches!(failure.error, StoreError::Poisoned(_))
        {
            failure.retry_at = Some(Instant::now() + RETRY_AFTER);
        }
    }

    /// A batch was committed. Returns whether the commit before it had failed.
    pub(super) fn succeeded(&self) -> bool {
        lock(&self.state).failure.take().is_some()
    }

    /// The error of the last commit, if it failed.
    pub(crate) fn failure(&self) -> Option<StoreError> {
        lock(&self.state).failure.as_ref().map(|failure| failure.error.clone())
    }

    /// Refuses new entries; what is queued is still committed.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.room.close();
        self.filled.notify_all();
    }
}
