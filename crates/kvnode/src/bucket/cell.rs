//! What a vBucket holds in memory: its committed record, what is queued after it, the memory log.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mcbp::{Seqno, VbId, VbState};
use vbucket::collections::VbCollections;
use vbucket::{Row, StoreError, VbMeta};

use super::durable::DurableWrites;
use super::error::CommitError;
use super::events::event_of;
use super::filling::Filling;
use super::listener::Listeners;
use super::locks::Locks;
use super::memory_log::MemoryLog;
use super::pending_commit::PendingCommit;
use super::row_cache::Life;

/// What the next row of a vBucket follows: the fields of `VbMeta` that rows change, including what
/// is queued.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    pub(super) seqno: Seqno,
    pub(super) max_cas: u64,
    pub(super) max_deleted_rev: u64,
}

impl Tail {
    pub(super) const fn of(meta: &VbMeta) -> Self {
        Self {
            seqno: meta.high_seqno,
            max_cas: meta.max_cas,
            max_deleted_rev: meta.max_deleted_rev,
        }
    }

    /// Advances over a row.
    pub(super) fn follow(&mut self, row: &Row) {
        self.seqno = row.seqno;
        self.max_cas = self.max_cas.max(row.cas);
        if row.is_visible() && !row.is_alive() {
            self.max_deleted_rev = self.max_deleted_rev.max(row.rev);
        }
    }

    /// Copies itself into the record of the vBucket.
    pub(super) const fn write_to(&self, meta: &mut VbMeta) {
        meta.high_seqno = self.seqno;
        meta.max_cas = self.max_cas;
        meta.max_deleted_rev = self.max_deleted_rev;
    }
}

pub(super) struct Inner {
    /// The record that is on disk.
    pub(super) meta: VbMeta,
    pub(super) tail: Tail,
    /// The collections that are on disk.
    pub(super) durable_collections: Arc<VbCollections>,
    /// Those with what is queued.
    pub(super) collections: Arc<VbCollections>,
    /// The newest queued row of each key.
    pub(super) pending: HashMap<Bytes, (Arc<Row>, PendingCommit)>,
    pub(super) log: MemoryLog,
    /// Of the rows in the cache.
    pub(super) life: Life,
    /// If the vBucket is being filled from empty: the keys that it has or that are queued.
    pub(super) filling: Option<Filling>,
    /// The batch that holds the newest queued entry.
    pub(super) last: Option<PendingCommit>,
    pub(super) locks: Locks,
    pub(super) durable: DurableWrites,
    /// State, history or existence is being changed: nothing may be queued.
    pub(super) moving: bool,
    /// Rows are lost that clients had been told of, and the branch of those to come is not on disk
    /// yet.
    pub(super) branching: bool,
    /// The epoch: raised when what was read before becomes invalid, by such a change or by a
    /// batch that failed.
    pub(super) epoch: u64,
    pub(super) removed: bool,
    /// A rollback failed and its outcome could not be read. The vBucket is dead in memory, and its
    /// record is not written, until it is removed or the node starts again.
    pub(super) lost: Option<StoreError>,
}

impl Inner {
    /// Replaces the record and the prepares by those that are on disk, and forgets what is queued
    /// and in the log.
    pub(super) fn reset(&mut self, meta: VbMeta, prepares: Vec<Row>) {
        self.log = MemoryLog::starting_at(meta.high_seqno);
        // No rollback ends between 0 and a change of the collections.
        if meta.high_seqno == Seqno::ZERO {
            self.durable_collections = Arc::default();
        }
        self.meta = meta;
        self.drop_queued(&CommitError::Ambiguous);
        self.durable.replace(prepares);
    }

    /// What is on disk cannot be read: nothing is served from memory, which may differ.
    pub(super) fn lose(&mut self, error: StoreError) {
        self.reset(VbMeta { state: VbState::Dead, ..self.meta.clone() }, Vec::new());
        self.lost = Some(error);
    }

    /// Follows a system event that is on disk now.
    pub(super) fn follow_durable(&mut self, row: &Row) {
        if let Some(event) = event_of(row) {
            Arc::make_mut(&mut self.durable_collections).follow(row.seqno, &event);
        }
    }

    /// Forgets the prepares of collections that are gone on disk.
    pub(super) fn discard_prepares(&mut self) {
        let there = Arc::clone(&self.durable_collections);
        self.durable.discard(|row| !there.shows(row.document_key(), row.seqno));
    }

    /// Forgets what was queued: its batch failed, for this reason.
    pub(super) fn drop_queued(&mut self, error: &CommitError) {
        // A lock may have a CAS that no row has, and no CAS is given out twice.
        let max_cas = self.tail.max_cas.max(self.meta.max_cas);
        self.tail = Tail { max_cas, ..Tail::of(&self.meta) };
        self.collections = Arc::clone(&self.durable_collections);
        self.filling = None;
        self.pending.clear();
        self.last = None;
        self.durable.dropped(self.meta.high_seqno, error);
        self.epoch += 1;
    }
}

/// See the module.
pub(super) struct VbCell {
    id: VbId,
    pub(super) inner: Mutex<Inner>,
    /// Held while state, history or existence change; whoever finds `moving` waits for it.
    pub(super) admin: Arc<tokio::sync::Mutex<()>>,
    pub(super) listeners: Arc<Listeners>,
    pub(super) write_holds: AtomicUsize,
    /// No document expires before this Unix time; 0 until the first scan.
    next_expiry: AtomicU32,
}

impl std::fmt::Debug for VbCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.id)
    }
}

impl VbCell {
    /// With a record that is on disk or about to be, its prepares, nothing queued and an empty log.
    pub(super) fn new(
        meta: VbMeta,
        collections: VbCollections,
        prepares: Vec<Row>,
        life: Life,
    ) -> Self {
        let collections = Arc::new(collections);
        let inner = Inner {
            tail: Tail::of(&meta),
            durable_collections: Arc::clone(&collections),
            collections,
            pending: HashMap::new(),
            log: MemoryLog::starting_at(meta.high_seqno),
            life,
            filling: None,
            last: None,
            locks: Locks::default(),
            durable: DurableWrites::restored(prepares),
            moving: false,
            branching: false,
            epoch: 0,
            removed: false,
            lost: None,
            meta,
        };
        Self {
            id: inner.meta.vb,
            inner: Mutex::new(inner),
            admin: Arc::default(),
            listeners: Arc::default(),
            write_holds: AtomicUsize::new(0),
            next_expiry: AtomicU32::new(0),
        }
    }

    pub(super) const fn id(&self) -> VbId {
        self.id
    }

    /// A document expires at `expiry`.
    pub(super) fn note_expiry(&self, expiry: u32) {
        self.next_expiry.fetch_min(expiry, Ordering::Relaxed);
    }

    /// To be called before a scan that notes every expiry again.
    pub(super) fn forget_expiry(&self) {
        self.next_expiry.store(u32::MAX, Ordering::Relaxed);
    }

    pub(super) fn is_expiry_due(&self, now: u32) -> bool {
        self.next_expiry.load(Ordering::Relaxed) <= now
    }
}
