//! How far a consumer must roll back before it can follow a producer's history.
//!
//! The rule of kv_engine's failover table, as a pure function: the same request against the same
//! table gives the same answer on both kinds of node.

use mcbp::{Seqno, VbUuid};

use crate::FailoverTable;

/// The position of a consumer, from its STREAM_REQ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The branch that the consumer's data belongs to; 0 for none.
    pub uuid: VbUuid,
    /// The last seqno that the consumer has.
    pub start: Seqno,
    /// Start of the snapshot that contains `start`.
    pub snapshot_start: Seqno,
    /// End of that snapshot.
    pub snapshot_end: Seqno,
    /// The purge seqno of the consumer's former producer, if a marker 2.2 had it.
    pub purge: Option<Seqno>,
}

/// The history of the producer.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// Its branches.
    pub table: &'a FailoverTable,
    /// Its highest seqno.
    pub high: Seqno,
    /// Tombstones up to this seqno may be missing.
    pub purge: Seqno,
    /// Whether a consumer at seqno 0 that names a branch must name a known one (the flag
    /// STRICT_VBUUID).
    pub strict_uuid: bool,
}

/// Returns the seqno to which the consumer must roll back, or `None` if it can continue from
/// `start`.
///
/// The result is never above the consumer's `start`. The caller must have checked
/// `snapshot_start <= start <= snapshot_end`.
#[must_use]
pub fn needs_rollback(consumer: &Position, producer: &History<'_>) -> Option<Seqno> {
    let &Position { uuid, start, .. } = consumer;
    if start == Seqno::ZERO && (!producer.strict_uuid || uuid == VbUuid(0)) {
        return None;
    }
    // Deletions between `start` and the purge seqno would never reach the consumer. If its purge
    // seqno is equal, the same tombstones are missing there (MB-27800).
    let purged = producer.purge > start && start > Seqno::ZERO;
    if purged && consumer.purge != Some(producer.purge) {
        return Some(Seqno::ZERO);
    }
    let Some(upper) = producer.table.branch_end(uuid, producer.high) else {
        return Some(Seqno::ZERO);
    };
    // At either end of its snapshot the consumer has a complete state: only `start` counts.
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
    // Inside a snapshot the consumer may lack older changes that newer ones replaced, so it cannot
    // roll back to a seqno inside.
    Some(upper.min(snapshot_start))
}
