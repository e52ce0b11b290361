//! The metadata of a vBucket. Stored in one record, written in the same batch as the rows.

use mcbp::{Seqno, VbId, VbState};

use crate::FailoverTable;

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
    /// The topology of SET_VBUCKET, as its JSON text; empty for none.
    pub topology: String,
}
