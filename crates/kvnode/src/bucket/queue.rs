//! The commit queue of a bucket: what sessions and consumers hand to the committer.
//!
//! Bounded in bytes. Room is taken before a vBucket is locked, so that nobody waits with a lock
//! held. What is queued is in batches, each with one [`PendingCommit`]: the committer takes the
//! first, and new entries join the last until that is large enough. A batch that nobody waits for
//! is left open for a moment. A vBucket whose row cannot be stored is taken out of all batches, and
//! the others go on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mcbp::VbId;
use tokio::sync::Semaphore;
use vbucket::StoreError;

use super::batch::{Answered, Entry, NewRow, News, QueuedBatch, Room, Work};
use super::bell::Bell;
use super::cell::{Inner, VbCell};
use super::error::{CommitError, ROOM_WAIT_SECONDS};
use super::pending_commit::PendingCommit;
use crate::sync::lock;

/// How long writes are refused after a failed commit before one is tried again: long enough not to
/// load a broken disk, short enough to notice soon that a full disk has room again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// After so many batches of one entry, somebody writes alone.
const SINGLES_MIN: u32 = 8;

/// A commit that failed; none has succeeded since then.
struct FailedCommit {
    error: StoreError,
    /// When the next commit may be tried. `None` while what was queued is being dropped, and for
    /// good once the store is poisoned.
    retry_at: Option<Instant>,
}

struct QueueState {
    batches: VecDeque<QueuedBatch>,
    /// How many batches have begun.
    begun: u64,
    /// How many of the batches that were taken last have one entry.
    singles: u32,
    /// The commit of the batch that was begun last, which may have ended.
    newest: Option<PendingCommit>,
    failure: Option<FailedCommit>,
    closed: bool,
}

impl QueueState {
    fn take(&mut self) -> Option<QueuedBatch> {
        let taken = self.batches.pop_front()?;
        self.singles = if taken.entries.len() > 1 { 0 } else { self.singles.saturating_add(1) };
        Some(taken)
    }
}

/// What the committer has to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// To commit the first batch.
    Now,
    /// The same, if nobody wants it sooner.
    In(Duration),
    /// Nothing; so many batches have begun so far.
    Nothing(u64),
    /// To end: the queue is closed and empty.
    Ended,
}

/// See the module.
pub(crate) struct CommitQueue {
    state: Mutex<QueueState>,
    pub(super) bell: Bell,
    room: Arc<Semaphore>,
    bytes_max: usize,
}

impl CommitQueue {
    pub(super) fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max.min(u32::MAX as usize);
        let state = QueueState {
            batches: VecDeque::new(),
            begun: 0,
            singles: 0,
            newest: None,
            failure: None,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            bell: Bell::default(),
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
        let (commit, news) = {
            let mut state = lock(&self.state);
            if state.closed {
                return Err(CommitError::Closed);
            }
            if let Some(failure) = &state.failure
                && failure.retry_at.is_none_or(|at| Instant::now() < at)
            {
                return Err(CommitError::Refusing(failure.error.clone()));
            }
            match state.batches.back_mut().filter(|last| last.is_open()) {
                Some(last) => last.push(entry),
                None => {
                    let mut batch = QueuedBatch::begin(entry.vb.id(), &self.bell);
                    let queued = batch.push(entry);
                    state.newest = Some(queued.0.clone());
                    state.begun += 1;
                    state.batches.push_back(batch);
                    queued
                }
            }
        };
        match news {
            News::Old => {}
            News::Soon => self.bell.ring_softly(),
            News::Now => self.bell.ring(),
        }
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
        let (row, answered) = (Arc::clone(&new.row), new.answered);
        let mut commit = self.push(Entry { vb: Arc::clone(cell), work: Work::Row(new), room })?;
        inner.tail.follow(&row);
        inner.last = Some(commit.clone());
        if answered == Answered::Queued {
            commit = commit.answered_before();
        }
        inner.pending.insert(row.key.clone(), (row, commit.clone()));
        Ok(commit)
    }

    /// What there is to do. Whoever is to commit takes the batch with [`CommitQueue::take`].
    pub(super) fn due(&self) -> Due {
        let state = lock(&self.state);
        let Some(first) = state.batches.front() else {
            return if state.closed { Due::Ended } else { Due::Nothing(state.begun) };
        };
        let can_wait = !state.closed && state.batches.len() == 1;
        first.patience().filter(|_| can_wait).map_or(Due::Now, Due::In)
    }

    /// Takes the first batch, for the one who commits: batches are committed in their order.
    pub(super) fn take(&self) -> Option<QueuedBatch> {
        lock(&self.state).take()
    }

    /// The same for a worker: only what is light. The rest is for the committer.
    pub(super) fn take_light(&self) -> Option<QueuedBatch> {
        let mut state = lock(&self.state);
        if state.batches.front()?.is_light() { state.take() } else { None }
    }

    /// Whether a batch waits that a worker may commit and nobody has been called for. From now on
    /// it is wanted, and the caller sees to it. Where several write at a time, the committer makes
    /// one commit of what they write.
    pub(super) fn want_light(&self) -> bool {
        let state = lock(&self.state);
        let first = state.batches.front().filter(|_| state.singles >= SINGLES_MIN);
        // In this order: one with many entries is wanted, and is not looked through.
        let light = first.filter(|first| !first.commit.is_wanted() && first.is_light());
        light.inspect(|first| first.commit.want()).is_some()
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
    /// Returns how many of the changes were acknowledged.
    pub(super) fn leave_out(&self, vb: VbId, error: &CommitError) -> usize {
        let mut state = lock(&self.state);
        state.batches.iter_mut().map(|batch| batch.leave_out(vb, error.clone())).sum()
    }

    /// Refuses new entries, and blocks until the batch that failed may be tried again: what was
    /// acknowledged is not given up. Returns whether the commit before it had succeeded.
    pub(super) fn pause(&self, error: StoreError) -> bool {
        let failed = FailedCommit { error, retry_at: None };
        let first = lock(&self.state).failure.replace(failed).is_none();
        let until = Instant::now() + RETRY_AFTER;
        while !self.is_closed()
            && let Some(left) = until.checked_duration_since(Instant::now())
        {
            self.bell.doze(left);
        }
        first
    }

    /// Waits until everything that is queued now is committed or dropped, at most as long as a
    /// commit may take.
    pub(super) async fn drained(&self) {
        let newest = lock(&self.state).newest.clone();
        if let Some(commit) = newest {
            // Its senders handle the outcome.
            drop(commit.wait().await);
        }
    }

    /// Whether nothing can be queued any more.
    pub(super) fn is_closed(&self) -> bool {
        lock(&self.state).closed
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
        self.bell.ring();
    }
}

#[cfg(test)]
mod tests;
