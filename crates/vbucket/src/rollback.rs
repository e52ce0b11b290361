//! How far a consumer must go back before it can follow a producer's history.
//!
//! The rule of kv_engine's failover table, as a pure function: the same request against the same
//! table gives the same answer on both kinds of node.

use mcbp::{Seqno, VbUuid};

use crate::FailoverTable;

/// Where a consumer stands: what a STREAM_REQ tells about its history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The branch that the consumer's data belongs to; 0 for none.
    pub uuid: VbUuid,
    /// The last seqno that it has.
    pub start: Seqno,
    /// Start of the snapshot that `start` lies in.
    pub snapshot_start: Seqno,
    /// End of that snapshot.
    pub snapshot_end: Seqno,
    /// The purge seqno of the copy that the consumer was fed from, where it told (marker 2.2).
    pub purge: Option<Seqno>,
}

/// What the producer holds.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// Its branches.
    pub table: &'a FailoverTable,
    /// Its highest seqno.
    pub high: Seqno,
    /// Tombstones up to here may be gone.
    pub purge: Seqno,
    /// Whether a consumer at seqno 0 that names a branch must name a known one (DCP_OPEN asked
    /// for strict uuids).
    pub strict_uuid: bool,
}

/// The seqno that the consumer must roll back to, or `None` where it can go on from its `start`.
///
/// The result is never above the consumer's `start`. The caller has checked
/// `snapshot_start <= start <= snapshot_end` before.
#[must_use]
pub fn needs_rollback(consumer: &Position, producer: &History<'_>) -> Option<Seqno> {
    let &Position { uuid, start, .. } = consumer;
    if start == Seqno::ZERO && (!producer.strict_uuid || uuid == VbUuid(0)) {
        return None;
    }
    // Deletions between `start` and the purge seqno would never reach the consumer. An equal purge
    // seqno on its side means that the same tombstones are missing there (MB-27800).
    let purged = producer.purge > start && start > Seqno::ZERO;
    if purged && consumer.purge != Some(producer.purge) {
        return Some(Seqno::ZERO);
    }
    let Some(upper) = producer.table.branch_end(uuid, producer.high) else {
        return Some(Seqno::ZERO);
    };
    // At the very edge of its snapshot a consumer is complete: only its own position counts.
    let mut snapshot_start = consumer.snapshot_start;
    let mut snapshot_end = consumer.snapshot_end;
    if start == snapshot_start {
        snapshot_end = start;
    }
    if snapshot_end <= upper {
        return None;
    }
    if start == snapshot_end {
        snapshot_start = start;
    }
    // Inside a snapshot the consumer may lack older changes that newer ones replaced, so the
    // middle is no place to stop.
    Some(upper.min(snapshot_start))
}
