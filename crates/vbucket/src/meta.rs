//! The metadata of a vBucket. Stored in one record, written in the same batch as the rows.

use mcbp::{Seqno, VbId, VbState};

use crate::{FailoverTable, Kind, Row};

/// Seqnos of the durable writes of a vBucket. Streams tell them to replicas.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct DurableSeqnos {
    /// The newest prepare.
    pub high_prepared: Seqno,
    /// The newest prepare that was committed or aborted. They are completed in their order.
    pub high_completed: Seqno,
    /// The newest row that readers see: neither prepare nor abort.
    pub max_visible: Seqno,
}

impl DurableSeqnos {
    /// Advances over a row.
    pub fn follow(&mut self, row: &Row) {
        match row.kind {
            Kind::Prepared { .. } => self.high_prepared = row.seqno,
            Kind::Aborted { .. } => {}
            _ => self.max_visible = row.seqno,
        }
        self.complete(row.prepared);
    }

    /// A prepare is committed or aborted; of a replica that got only that it may be the newest one.
    pub fn complete(&mut self, prepare: Seqno) {
        self.high_completed = self.high_completed.max(prepare);
        self.high_prepared = self.high_prepared.max(prepare);
    }
}

/// The persisted state of one vBucket.
///
/// `snapshot_start..=snapshot_end` is the snapshot that contains `high_seqno`. On an active vBucket
/// all three are equal. On a replica `high_seqno` may be inside the snapshot; after a crash the
/// stream must then continue within the same snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VbMeta {
    /// Which vBucket.
    pub vb: VbId,
    /// Its state.
    pub state: VbState,
    /// Its history; never empty.
    pub failover: FailoverTable,
    /// The highest seqno that is on disk.
    pub high_seqno: Seqno,
    /// Start of the snapshot that contains `high_seqno`.
    pub snapshot_start: Seqno,
    /// End of the snapshot that contains `high_seqno`.
    pub snapshot_end: Seqno,
    /// Tombstones up to this seqno may have been dropped.
    pub purge_seqno: Seqno,
    /// The highest CAS that was assigned or received.
    pub max_cas: u64,
    /// The highest revision of a deleted document: a new document starts above it.
    pub max_deleted_rev: u64,
    /// Of its durable writes.
    pub durable: DurableSeqnos,
    /// Where its change history begins: of every collection that has `history`, all versions of all
    /// documents from this seqno on are there. 0 for none.
    pub history_start: Seqno,
    /// The topology of SET_VBUCKET, as its JSON text; empty for none.
    pub topology: String,
}
