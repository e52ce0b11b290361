//! One vBucket, as streams and commands see it: everything that they see is durable. What is queued
//! is visible only to writers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use logline::value;
use mcbp::{Seqno, VbId, VbState, VbUuid};
use vbucket::collections::VbCollections;
use vbucket::producer::LogRead;
use vbucket::store::{ChangeHistory, CollectionCounts};
use vbucket::{DurableSeqnos, FailoverTable, Row, StoreError, VbMeta};

use super::cell::VbCell;
use super::error::{CommitError, VbError};
use super::listener::{Subscription, VbEvent, VbListener};
use super::pending_commit::in_time;
use super::shared::Shared;
use crate::sync::lock;

/// A vBucket at one moment. All of it is durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VbView {
    /// Its state.
    pub state: VbState,
    /// Its branches of history.
    pub failover: FailoverTable,
    /// The highest seqno.
    pub high_seqno: Seqno,
    /// Start of the snapshot that `high_seqno` lies in.
    pub snapshot_start: Seqno,
    /// End of the snapshot that `high_seqno` lies in.
    pub snapshot_end: Seqno,
    /// Tombstones up to this seqno may be gone.
    pub purge_seqno: Seqno,
    /// The highest CAS.
    pub max_cas: u64,
    /// The topology as JSON text, or empty.
    pub topology: String,
    /// Of its durable writes.
    pub durable: DurableSeqnos,
    /// Where its change history begins, 0 for none. What is beyond the retention may have been
    /// dropped since.
    pub history_start: Seqno,
    /// Its collections.
    pub collections: Arc<VbCollections>,
}

impl VbView {
    /// The branch of history that is being written.
    #[must_use]
    pub fn uuid(&self) -> VbUuid {
        self.failover.newest().uuid
    }

    /// The newest prepare up to which the copy has everything. Whoever promotes a copy takes that
    /// with the highest one. A newer prepare does not count before its snapshot is complete: a copy
    /// of a producer's disk may still lack what other copies have acknowledged.
    #[must_use]
    pub fn high_prepared(&self) -> Seqno {
        let newest = self.durable.high_prepared;
        if self.high_seqno == self.snapshot_end {
            return newest;
        }
        newest.min(Seqno(self.snapshot_start.0.saturating_sub(1)))
    }
}

/// See the module.
pub struct Vb {
    pub(super) shared: Arc<Shared>,
    pub(super) cell: Arc<VbCell>,
}

impl std::fmt::Debug for Vb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.cell.fmt(f)
    }
}

impl Vb {
    pub(super) fn new(
        meta: VbMeta,
        collections: VbCollections,
        prepares: Vec<Row>,
        shared: Arc<Shared>,
    ) -> Arc<Self> {
        let life = shared.rows.begin();
        Arc::new(Self { shared, cell: Arc::new(VbCell::new(meta, collections, prepares, life)) })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> VbId {
        self.cell.id()
    }

    /// For the log.
    pub(super) fn bucket_name(&self) -> &str {
        &self.shared.options.name
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> VbState {
        lock(&self.cell.inner).meta.state
    }

    /// The highest durable seqno.
    #[must_use]
    pub fn high_seqno(&self) -> Seqno {
        lock(&self.cell.inner).meta.high_seqno
    }

    /// Its state, the highest durable seqno, and the highest one of a visible row at one moment.
    /// Cheaper than [`Vb::view`]: tools poll these of all vBuckets.
    pub(crate) fn state_and_seqnos(&self) -> (VbState, Seqno, Seqno) {
        let inner = lock(&self.cell.inner);
        (inner.meta.state, inner.meta.high_seqno, inner.meta.durable.max_visible)
    }

    /// See [`VbView::history_start`].
    pub(crate) fn history_start(&self) -> Seqno {
        lock(&self.cell.inner).meta.history_start
    }

    /// The branch of history that is being written, and the highest durable CAS.
    pub(crate) fn uuid_and_max_cas(&self) -> (VbUuid, u64) {
        let inner = lock(&self.cell.inner);
        (inner.meta.failover.newest().uuid, inner.meta.max_cas)
    }

    /// A copy of its record at this moment.
    #[must_use]
    pub fn view(&self) -> VbView {
        let inner = lock(&self.cell.inner);
        let meta = &inner.meta;
        VbView {
            state: meta.state,
            failover: meta.failover.clone(),
            high_seqno: meta.high_seqno,
            snapshot_start: meta.snapshot_start,
            snapshot_end: meta.snapshot_end,
            purge_seqno: meta.purge_seqno,
            max_cas: meta.max_cas,
            topology: meta.topology.clone(),
            durable: meta.durable,
            history_start: meta.history_start,
            collections: Arc::clone(&inner.durable_collections),
        }
    }

    /// Returns the durable rows after `after`, up to `bytes_max` but at least one.
    #[must_use]
    pub fn read_log(&self, after: Seqno, bytes_max: usize) -> LogRead {
        lock(&self.cell.inner).log.read(after, bytes_max)
    }

    /// Calls `listener` at every change from now on, until the subscription is dropped.
    pub fn subscribe(&self, listener: Arc<dyn VbListener>) -> Subscription {
        self.cell.listeners.subscribe(listener)
    }

    /// Makes clients' writes fail with a temporary failure until the hold is dropped. For a
    /// takeover that cannot catch up with the writes (MB-15166).
    pub fn hold_writes(self: &Arc<Self>) -> WriteHold {
        self.cell.write_holds.fetch_add(1, Ordering::Relaxed);
        WriteHold(Arc::clone(self))
    }

    pub(super) fn is_held(&self) -> bool {
        self.cell.write_holds.load(Ordering::Relaxed) > 0
    }

    /// Its state, history or topology has changed: tells those who follow it or the bucket.
    pub(super) fn tell_state_changed(&self) {
        self.shared.state_changed();
        self.cell.listeners.notify(self.id(), VbEvent::StateChanged);
    }

    /// How many documents it holds; none if it was removed meanwhile. Blocks on the disk.
    pub(crate) fn item_count(&self) -> Result<u64, StoreError> {
        match self.shared.store.item_count(self.id()) {
            // That a vBucket was removed is no failure of the disk.
            Err(StoreError::NoVbucket(_)) => Ok(0),
            counted => counted.inspect_err(|error| {
                if self.shared.counters.read_failures.add() {
                    let (bucket, vb) = (self.bucket_name(), self.id().0);
                    let error = value(error);
                    log::error!("counting documents failed bucket={bucket} vb={vb} error={error}");
                }
            }),
        }
    }

    /// What it has of each collection; nothing if it was removed meanwhile. Blocks on the disk.
    pub(crate) fn collection_counts(&self) -> Result<Vec<CollectionCounts>, StoreError> {
        match self.shared.store.collections(self.id()) {
            Err(StoreError::NoVbucket(_)) => Ok(Vec::new()),
            counts => counts,
        }
    }

    /// What there is of its change history; `None` if it was removed meanwhile.
    pub(crate) fn change_history(&self) -> Option<ChangeHistory> {
        self.shared.store.change_history(self.id()).ok()
    }

    /// How many seqnos are queued and not yet durable.
    pub(crate) fn queued_seqnos(&self) -> u64 {
        let inner = lock(&self.cell.inner);
        inner.tail.seqno.0.saturating_sub(inner.meta.high_seqno.0)
    }

    /// Waits until no change of state, history or existence is under way.
    pub(super) async fn settled(&self) -> Result<(), VbError> {
        in_time(self.cell.admin.lock()).await.map(drop).map_err(VbError::from)
    }

    /// Waits until everything that was queued is committed or dropped.
    pub(super) async fn drained(&self) -> Result<(), CommitError> {
        let last = lock(&self.cell.inner).last.clone();
        match last {
            // Writers handle the outcome; here only a commit that does not end matters.
            Some(commit) => match commit.wait().await {
                Err(late @ CommitError::Late) => Err(late),
                _ => Ok(()),
            },
            None => Ok(()),
        }
    }
}

/// Allows writes again when it is dropped. See [`Vb::hold_writes`].
#[must_use]
pub struct WriteHold(Arc<Vb>);

impl Drop for WriteHold {
    fn drop(&mut self) {
        self.0.cell.write_holds.fetch_sub(1, Ordering::Relaxed);
    }
}
