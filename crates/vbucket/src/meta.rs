//! What a vBucket is beside its rows. Kept in one record, written in the same batch as the rows.

use mcbp::{Seqno, VbId, VbState};

use crate::FailoverTable;

/// The persisted state of one vBucket.
///
/// `snapshot_start..=snapshot_end` is the snapshot that `high_seqno` lies in: on an active vBucket
/// all three are equal; on a replica `high_seqno` may lie inside, and a crash there leaves a state
/// from which a stream must go on within the same snapshot.
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
    /// Start of the snapshot that `high_seqno` lies in.
    pub snapshot_start: Seqno,
    /// End of the snapshot that `high_seqno` lies in.
    pub snapshot_end: Seqno,
    /// Tombstones up to this seqno may have been dropped.
    pub purge_seqno: Seqno,
    /// The highest CAS given out or received.
    pub max_cas: u64,
    /// The highest rev of a deleted document: a document created anew starts above it.
    pub max_deleted_rev: u64,
    /// The topology that SET_VBUCKET gave, as its JSON text; empty for none.
    pub topology: String,
}
