//! What is queued for the committer: entries, in batches that are committed together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mcbp::{Seqno, VbId};
use tokio::sync::OwnedSemaphorePermit;
use vbucket::consumer::Part;
use vbucket::{Replaces, Row, VbMeta};

use super::bell::Bell;
use super::cell::VbCell;
use super::error::CommitError;
use super::pending_commit::PendingCommit;

/// A batch of this size takes no more entries. Its two syncs cost little compared with its bytes; a
/// larger one would have left the caches before it is written, and would keep its senders waiting.
const BATCH_BYTES: usize = 4 << 20;

/// How long a batch that nobody waits for is open for more, so that what comes next costs no commit
/// of its own.
const PATIENCE: Duration = Duration::from_millis(1);

/// A batch of more than this is not committed by a worker: other tasks wait for it.
const LIGHT_BYTES_MAX: usize = 64 << 10;

/// Bytes of the queue that belong to one entry; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Room(pub(super) Option<OwnedSemaphorePermit>);

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

/// When the client hears that its change is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answered {
    /// Once the row is stored; readers of it wait, too.
    Stored,
    /// The same, of a row that no replica has to have: a session that is about to wait for it may
    /// store it.
    StoredByAnyone,
    /// Before that, when a durable write is decided. Readers wait.
    Decided,
    /// Once the row is queued; readers do not wait either.
    Queued,
}

/// A row to be committed.
#[derive(Debug)]
pub(super) struct NewRow {
    pub(super) row: Arc<Row>,
    /// What is known of the row that it replaces.
    pub(super) replaces: Replaces,
    /// The prepare of its document that it completes.
    pub(super) completes: Option<Arc<Row>>,
    pub(super) answered: Answered,
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

impl Entry {
    /// Whether nobody waits for it yet.
    fn can_wait(&self) -> bool {
        matches!(&self.work, Work::Row(new) if new.answered != Answered::Stored)
    }

    /// Whether any worker may commit it.
    fn is_light(&self) -> bool {
        matches!(&self.work, Work::Row(new) if new.answered == Answered::StoredByAnyone)
    }

    /// Whether a client has been told of the change.
    fn is_acknowledged(&self) -> bool {
        matches!(&self.work, Work::Row(new) if new.answered == Answered::Queued)
    }
}

/// When the committer has to hear of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum News {
    /// It has heard of the batch.
    Old,
    /// Nobody waits for it yet.
    Soon,
    Now,
}

/// Entries that are committed together, and the commit that their senders hold.
pub(super) struct QueuedBatch {
    pub(super) entries: Vec<Entry>,
    pub(super) commit: PendingCommit,
    /// The vBuckets whose entries were taken out again, and why.
    pub(super) left_out: Vec<(VbId, CommitError)>,
    bytes: usize,
    /// When it is committed at the latest, once a thread is free.
    pub(super) due: Instant,
}

impl QueuedBatch {
    /// An empty batch, in which an entry of `vb` is the first.
    pub(super) fn begin(vb: VbId, bell: &Bell) -> Self {
        let commit = PendingCommit::of_batch(vb, bell.clone());
        let due = Instant::now() + PATIENCE;
        Self { entries: Vec::new(), commit, left_out: Vec::new(), bytes: 0, due }
    }

    /// Whether more entries may join it. What left out a vBucket must not hold for later entries of
    /// that vBucket, so nothing joins such a batch.
    pub(super) const fn is_open(&self) -> bool {
        self.bytes < BATCH_BYTES && self.left_out.is_empty()
    }

    /// Adds an entry. Returns what its sender holds, and when the committer has to hear of it: of
    /// the first entry of a batch, and of the first that somebody waits for. A row that anyone may
    /// store is left to its session only while it is alone: with the next request of a client, or
    /// of another one, the committer can begin.
    pub(super) fn push(&mut self, entry: Entry) -> (PendingCommit, News) {
        let is_first = self.entries.is_empty();
        let can_wait = entry.can_wait() && (is_first || !entry.is_light());
        let news = match (can_wait || self.commit.is_wanted(), is_first) {
            (false, _) => News::Now,
            (true, true) => News::Soon,
            (true, false) => News::Old,
        };
        if news == News::Now {
            self.commit.want();
        }
        let commit = self.commit.of(entry.vb.id());
        self.bytes += entry.room.bytes();
        self.entries.push(entry);
        (commit, news)
    }

    /// Whether a worker may commit it.
    pub(super) fn is_light(&self) -> bool {
        self.bytes <= LIGHT_BYTES_MAX && self.entries.iter().all(Entry::is_light)
    }

    /// For how long it may wait for more entries; `None` if it is wanted or due.
    pub(super) fn patience(&self) -> Option<Duration> {
        if self.commit.is_wanted() {
            return None;
        }
        self.due.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// Takes out the entries of `vb`, for whose senders the commit fails with `error`. Returns how
    /// many of them were acknowledged.
    pub(super) fn leave_out(&mut self, vb: VbId, error: CommitError) -> usize {
        let before = self.acknowledged();
        let entries = self.entries.len();
        self.entries.retain(|entry| entry.vb.id() != vb);
        if self.entries.len() < entries {
            self.left_out.push((vb, error));
        }
        before - self.acknowledged()
    }

    /// How many changes clients have been told of.
    pub(super) fn acknowledged(&self) -> usize {
        self.entries.iter().filter(|entry| entry.is_acknowledged()).count()
    }
}
