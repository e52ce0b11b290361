//! The commit queue of a bucket: what sessions and consumers hand to the committer.
//!
//! Bounded in bytes; room is taken before a vBucket is locked, so that nobody waits with a lock
//! held. What is queued is in batches, each with one [`Ticket`]: the committer takes the first, and
//! what comes goes to the last until that is large enough.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mcbp::Seqno;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SetOnce};
use vbucket::consumer::Part;
use vbucket::{Replaces, Row, StoreError, VbMeta};

use super::{CommitError, Vb};
use crate::sync::lock;

/// How long a writer waits for room. A client gives an operation up after seconds.
pub(crate) const ROOM_WAIT_SECONDS: u64 = 10;
/// How long a writer waits for its commit. A sync that takes longer is a broken disk.
pub(crate) const COMMIT_WAIT_SECONDS: u64 = 30;
/// How long writes are refused after a failed commit before one is tried again: a full disk is
/// noticed soon after it has room, and a broken one is not asked all the time.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A batch of so many bytes takes no more. It costs two syncs, which are little beside it; a larger
/// one would be in no cache when it is written, and keep its senders waiting for longer.
const BATCH_BYTES: usize = 4 << 20;

/// Waits for what a commit is part of, as long as a commit may take.
pub(super) async fn in_time<T>(what: impl Future<Output = T>) -> Result<T, CommitError> {
    let limit = Duration::from_secs(COMMIT_WAIT_SECONDS);
    tokio::time::timeout(limit, what).await.map_err(|_| CommitError::Late)
}

/// A share in a batch that will be committed.
#[derive(Clone, Debug)]
pub struct Ticket(Arc<SetOnce<Result<(), CommitError>>>);

impl Ticket {
    fn new() -> Self {
        Self(Arc::new(SetOnce::new()))
    }

    /// Waits until the batch is durable and visible.
    ///
    /// # Errors
    /// What the store said, or [`CommitError::Late`] after 30 s.
    pub async fn wait(&self) -> Result<(), CommitError> {
        in_time(self.0.wait()).await?.clone()
    }

    /// The ticket of no work at all.
    pub(super) fn of_nothing() -> Self {
        let ticket = Self::new();
        ticket.complete(Ok(()));
        ticket
    }

    /// Whether both stand for the same batch.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Tells everyone who waits. Only the first call counts.
    pub(super) fn complete(&self, outcome: Result<(), CommitError>) {
        let _first = self.0.set(outcome);
    }
}

/// Bytes of the queue that belong to one entry; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Room(Option<OwnedSemaphorePermit>);

impl Room {
    /// No room at all, for entries whose number is bounded elsewhere.
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

/// What is to be committed for one vBucket.
#[derive(Debug)]
pub(super) enum Work {
    /// A change, within a snapshot.
    Row(Arc<Row>, (Seqno, Seqno), Replaces),
    /// What a producer sent to a replica, whole: its rows are in one batch anyway. What is known of
    /// the rows that they replace holds for all of them.
    Received(Part, Replaces),
    /// A new record; no row of the vBucket is queued before or behind it.
    Meta(Box<VbMeta>),
}

/// One entry of the queue.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) vb: Arc<Vb>,
    pub(super) work: Work,
    /// Held until the entry is committed and dropped.
    pub(super) room: Room,
}

/// What is committed as one, and the ticket its owners hold.
pub(super) struct Drained {
    pub(super) entries: Vec<Entry>,
    pub(super) ticket: Ticket,
    bytes: usize,
}

impl Drained {
    fn new() -> Self {
        Self { entries: Vec::new(), ticket: Ticket::new(), bytes: 0 }
    }
}

/// A commit that failed, and since then none that succeeded.
struct Failure {
    error: StoreError,
    /// When the next batch may be tried; never while what was queued is being dropped, and never
    /// again once the store is poisoned.
    retry_at: Option<Instant>,
}

struct State {
    batches: VecDeque<Drained>,
    failure: Option<Failure>,
    closed: bool,
}

/// See the module.
pub(crate) struct CommitQueue {
    state: Mutex<State>,
    filled: Condvar,
    room: Arc<Semaphore>,
    bytes_max: usize,
}

impl CommitQueue {
    pub(super) fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max.min(u32::MAX as usize);
        let state = State { batches: VecDeque::new(), failure: None, closed: false };
        Self {
            state: Mutex::new(state),
            filled: Condvar::new(),
            room: Arc::new(Semaphore::new(bytes_max)),
            bytes_max,
        }
    }

    /// Takes room for `bytes`. More than the whole queue counts as the whole queue, so that a large
    /// item is let in when the queue is empty (MB-24089).
    pub(crate) async fn room(&self, bytes: usize) -> Result<Room, CommitError> {
        let permits = u32::try_from(bytes.min(self.bytes_max)).unwrap_or(u32::MAX);
        let taken = Arc::clone(&self.room).acquire_many_owned(permits);
        match tokio::time::timeout(Duration::from_secs(ROOM_WAIT_SECONDS), taken).await {
            Ok(Ok(permit)) => Ok(Room(Some(permit))),
            Ok(Err(_)) => Err(CommitError::Closed),
            Err(_) => Err(CommitError::QueueFull),
        }
    }

    /// Whether `room` is all that an item of `bytes` can get.
    pub(crate) fn is_enough(&self, room: &Room, bytes: usize) -> bool {
        room.bytes() >= bytes.min(self.bytes_max)
    }

    /// Bytes that are queued or about to be.
    pub(crate) fn used_bytes(&self) -> usize {
        self.bytes_max.saturating_sub(self.room.available_permits())
    }

    /// Queues `entries` in their order; all of them or none.
    pub(super) fn push(
        &self,
        entries: impl IntoIterator<Item = Entry>,
    ) -> Result<Ticket, CommitError> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(CommitError::Closed);
        }
        if let Some(failure) = &state.failure
            && failure.retry_at.is_none_or(|at| Instant::now() < at)
        {
            return Err(CommitError::Refusing(failure.error.clone()));
        }
        if state.batches.back().is_none_or(|last| last.bytes >= BATCH_BYTES) {
            state.batches.push_back(Drained::new());
        }
        let Some(last) = state.batches.back_mut() else { return Err(CommitError::Closed) };
        for entry in entries {
            last.bytes += entry.room.bytes();
            last.entries.push(entry);
        }
        self.filled.notify_one();
        Ok(last.ticket.clone())
    }

    /// Blocks until something is queued; `None` once the queue is closed and empty.
    pub(super) fn next(&self) -> Option<Drained> {
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

    /// Refuses what comes until [`CommitQueue::settle`]. Gives back what came since the batch that
    /// failed, and whether the batch before it had succeeded.
    pub(super) fn refuse(&self, error: StoreError) -> (VecDeque<Drained>, bool) {
        let mut state = lock(&self.state);
        let first = state.failure.is_none();
        state.failure = Some(Failure { error, retry_at: None });
        (std::mem::take(&mut state.batches), first)
    }

    /// What was queued on top of a failed batch is dropped: after a pause the next may be tried.
    pub(super) fn settle(&self) {
        if let Some(failure) = &mut lock(&self.state).failure
            && !matches!(failure.error, StoreError::Poisoned(_))
        {
            failure.retry_at = Some(Instant::now() + RETRY_AFTER);
        }
    }

    /// A batch was committed; says whether that ended a time of failures.
    pub(super) fn succeeded(&self) -> bool {
        lock(&self.state).failure.take().is_some()
    }

    /// What the last commit failed with, if it did.
    pub(crate) fn failure(&self) -> Option<StoreError> {
        lock(&self.state).failure.as_ref().map(|failure| failure.error.clone())
    }

    /// Takes no more; what is queued is still committed.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.room.close();
        self.filled.notify_all();
    }
}
