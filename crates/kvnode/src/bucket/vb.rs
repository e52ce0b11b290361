//! One vBucket: its committed state, what is queued behind it, and the memory log for streams.
//!
//! Everything that others see is durable. What is queued is known only to writers (`pending`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mcbp::dcp::FailoverEntry;
use mcbp::{Seqno, VbId, VbState, VbUuid};
use vbucket::{Row, StoreError, VbMeta};

use super::filling::Filling;
use super::listener::{Listeners, Subscription, VbListener};
use super::memory_log::{LogRead, MemoryLog};
use super::queue::{Ticket, in_time};
use super::{Shared, VbError};
use crate::sync::lock;

/// What a vBucket is at one moment. All of it is durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VbView {
    /// Its state.
    pub state: VbState,
    /// Its branches of history, newest first, at least one.
    pub failover: Vec<FailoverEntry>,
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
}

impl VbView {
    /// The branch of history that is being written.
    #[must_use]
    pub fn uuid(&self) -> VbUuid {
        self.failover.first().map_or(VbUuid(0), |newest| newest.uuid)
    }
}

/// What the next row of a vBucket follows: as `VbMeta`, but with what is queued.
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

    /// Moves on over a row.
    pub(super) fn follow(&mut self, row: &Row) {
        self.seqno = row.seqno;
        self.max_cas = self.max_cas.max(row.cas);
        if !row.is_alive() {
            self.max_deleted_rev = self.max_deleted_rev.max(row.rev);
        }
    }

    /// Writes itself into the record of the vBucket.
    pub(super) const fn write_to(&self, meta: &mut VbMeta) {
        meta.high_seqno = self.seqno;
        meta.max_cas = self.max_cas;
        meta.max_deleted_rev = self.max_deleted_rev;
    }
}

pub(super) struct Inner {
    /// As it is on disk.
    pub(super) meta: VbMeta,
    pub(super) tail: Tail,
    /// The newest queued row of each key.
    pub(super) pending: HashMap<Bytes, (Arc<Row>, Ticket)>,
    pub(super) log: MemoryLog,
    /// Of a vBucket that is being filled from nothing: the keys that are here or queued.
    pub(super) filling: Option<Filling>,
    /// The batch that was queued last.
    pub(super) last: Option<Ticket>,
    /// State, history or existence are being changed: nothing may be queued.
    pub(super) moving: bool,
    /// Counts what makes void what was read before: such changes, and batches that failed.
    pub(super) era: u64,
    pub(super) removed: bool,
}

impl Inner {
    /// Takes over a record that is on disk, with nothing queued and nothing in memory.
    pub(super) fn reset(&mut self, meta: VbMeta) {
        self.log = MemoryLog::starting_at(meta.high_seqno);
        self.meta = meta;
        self.drop_queued();
    }

    /// Forgets what was queued: its batch failed.
    pub(super) fn drop_queued(&mut self) {
        self.tail = Tail::of(&self.meta);
        self.filling = None;
        self.pending.clear();
        self.last = None;
        self.era += 1;
    }
}

/// See the module.
pub struct Vb {
    id: VbId,
    pub(super) shared: Arc<Shared>,
    pub(super) inner: Mutex<Inner>,
    /// Held while state, history or existence change; whoever finds `moving` waits for it.
    pub(super) admin: Arc<tokio::sync::Mutex<()>>,
    pub(super) listeners: Arc<Listeners>,
    write_holds: AtomicUsize,
    /// No document is overdue before this Unix time; 0 until the first scan has looked.
    next_expiry: AtomicU32,
}

impl std::fmt::Debug for Vb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.id)
    }
}

impl Vb {
    pub(super) fn new(meta: VbMeta, shared: Arc<Shared>) -> Arc<Self> {
        let inner = Inner {
            tail: Tail::of(&meta),
            pending: HashMap::new(),
            log: MemoryLog::starting_at(meta.high_seqno),
            filling: None,
            last: None,
            moving: false,
            era: 0,
            removed: false,
            meta,
        };
        Arc::new(Self {
            id: inner.meta.vb,
            shared,
            inner: Mutex::new(inner),
            admin: Arc::default(),
            listeners: Arc::default(),
            write_holds: AtomicUsize::new(0),
            next_expiry: AtomicU32::new(0),
        })
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> VbId {
        self.id
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> VbState {
        lock(&self.inner).meta.state
    }

    /// The highest durable seqno.
    #[must_use]
    pub fn high_seqno(&self) -> Seqno {
        lock(&self.inner).meta.high_seqno
    }

    /// Its state and the highest durable seqno at one moment: tools ask for those of all vBuckets
    /// again and again.
    pub(crate) fn state_and_high_seqno(&self) -> (VbState, Seqno) {
        let inner = lock(&self.inner);
        (inner.meta.state, inner.meta.high_seqno)
    }

    /// All of it at one moment.
    #[must_use]
    pub fn view(&self) -> VbView {
        let inner = lock(&self.inner);
        let meta = &inner.meta;
        VbView {
            state: meta.state,
            failover: meta.failover.entries().to_vec(),
            high_seqno: meta.high_seqno,
            snapshot_start: meta.snapshot_start,
            snapshot_end: meta.snapshot_end,
            purge_seqno: meta.purge_seqno,
            max_cas: meta.max_cas,
            topology: meta.topology.clone(),
        }
    }

    /// The durable rows behind `after`, up to `bytes_max` but at least one.
    #[must_use]
    pub fn read_log(&self, after: Seqno, bytes_max: usize) -> LogRead {
        lock(&self.inner).log.read(after, bytes_max)
    }

    /// Has `listener` told of every change from now on.
    pub fn subscribe(&self, listener: Arc<dyn VbListener>) -> Subscription {
        self.listeners.subscribe(listener)
    }

    /// Makes clients' writes fail with a temporary failure until the hold is dropped: a takeover
    /// that does not get ahead of them asks for it (MB-15166).
    pub fn hold_writes(self: &Arc<Self>) -> WriteHold {
        self.write_holds.fetch_add(1, Ordering::Relaxed);
        WriteHold(Arc::clone(self))
    }

    pub(super) fn is_held(&self) -> bool {
        self.write_holds.load(Ordering::Relaxed) > 0
    }

    /// A document is due at `expiry`.
    pub(super) fn note_expiry(&self, expiry: u32) {
        self.next_expiry.fetch_min(expiry, Ordering::Relaxed);
    }

    /// A scan is about to note every expiry anew.
    pub(super) fn forget_expiry(&self) {
        self.next_expiry.store(u32::MAX, Ordering::Relaxed);
    }

    pub(super) fn is_expiry_due(&self, now: u32) -> bool {
        self.next_expiry.load(Ordering::Relaxed) <= now
    }

    /// How many documents it holds. Blocks on the disk.
    pub(crate) fn item_count(&self) -> Result<u64, StoreError> {
        self.shared.store.item_count(self.id).inspect_err(|error| {
            if self.shared.counters.read_failures.add() {
                log::error!("counting documents failed {} error={error}", self.id);
            }
        })
    }

    /// How many seqnos are queued and not yet durable.
    pub(crate) fn queued_seqnos(&self) -> u64 {
        let inner = lock(&self.inner);
        inner.tail.seqno.0.saturating_sub(inner.meta.high_seqno.0)
    }

    /// Waits until no change of state, history or existence is under way.
    pub(super) async fn settled(&self) -> Result<(), VbError> {
        in_time(self.admin.lock()).await.map(drop).map_err(VbError::from)
    }
}

/// Lets writes through again when it is dropped. See [`Vb::hold_writes`].
#[must_use]
pub struct WriteHold(Arc<Vb>);

impl Drop for WriteHold {
    fn drop(&mut self) {
        self.0.write_holds.fetch_sub(1, Ordering::Relaxed);
    }
}
