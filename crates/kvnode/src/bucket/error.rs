//! Why an operation of a bucket failed.

use invariant::Broken;
use mcbp::{Seqno, VbId, VbState};
use vbucket::{FailoverError, StoreError};

/// How long a writer waits for room. Clients give up an operation after seconds.
pub(super) const ROOM_WAIT_SECONDS: u64 = 10;
/// How long a writer waits for its commit. If a sync takes longer, the disk is broken.
pub(super) const COMMIT_WAIT_SECONDS: u64 = 30;

/// Why changes did not become durable.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// The store failed to write this batch.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store cannot store the rows of this vBucket; those of others it can.
    #[error("the rows of the vBucket cannot be stored: {0}")]
    Unstorable(StoreError),
    /// An earlier batch failed; nothing is queued until the store takes one again.
    #[error("writes are refused because the last commit failed: {0}")]
    Refusing(StoreError),
    /// The queue stayed full, because the disk does not keep up.
    #[error("the commit queue was full for {ROOM_WAIT_SECONDS} s, the disk does not keep up")]
    QueueFull,
    /// The commit did not end in time; it may still succeed.
    #[error("not committed after {COMMIT_WAIT_SECONDS} s")]
    Late,
    /// A durable write was given up, or it is not known here what becomes of it.
    #[error("the durable write was given up, or another copy may still commit it")]
    Ambiguous,
    /// The bucket is being closed.
    #[error("the bucket is shutting down")]
    Closed,
}

/// Why an operation on a vBucket failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VbError {
    /// Warm-up has not ended, or has failed.
    #[error("the bucket is not ready: {0}")]
    NotReady(String),
    /// The bucket is configured for fewer vBuckets.
    #[error("{vb} does not exist, the bucket has vBuckets 0 to {}", count.saturating_sub(1))]
    OutOfRange {
        /// The vBucket that was asked for.
        vb: VbId,
        /// How many the bucket has.
        count: u16,
    },
    /// The vBucket is not on this node, or no longer.
    #[error("{0} is not on this node")]
    NoVbucket(VbId),
    /// The vBucket's state does not allow it.
    #[error("{vb} is {state}")]
    WrongState {
        /// The vBucket.
        vb: VbId,
        /// The state it is in.
        state: VbState,
    },
    /// Rows that do not follow the vBucket's last row.
    #[error("{vb} got rows that follow seqno {after}, but it is at seqno {high}")]
    Gap {
        /// The vBucket.
        vb: VbId,
        /// The seqno that the rows follow.
        after: Seqno,
        /// The seqno that was queued last.
        high: Seqno,
    },
    /// Rows out of order (MB-50543).
    #[error("{vb} got seqno {seqno} of snapshot {start}-{end} after seqno {high}")]
    NotMonotonic {
        /// The vBucket.
        vb: VbId,
        /// The seqno that is out of order.
        seqno: Seqno,
        /// Start of the snapshot it came in.
        start: Seqno,
        /// End of the snapshot it came in.
        end: Seqno,
        /// The seqno that was queued last.
        high: Seqno,
    },
    /// A key of a collection that the vBucket does not have.
    #[error("{vb} has no collection {id:#x} in manifest {uid:x}")]
    UnknownCollection {
        /// The vBucket.
        vb: VbId,
        /// The collection.
        id: u32,
        /// The manifest that the vBucket follows.
        uid: u64,
    },
    /// The document may have been read after a write that is being committed once more.
    #[error(
        "{0} is committing a durable write of the document again, after a failover or a restart"
    )]
    Recommit(VbId),
    /// A counter of the vBucket is at the end of its range: no change can follow.
    #[error("{vb} has no higher {counter}; remove it and rebuild it from another copy")]
    Exhausted {
        /// The vBucket.
        vb: VbId,
        /// Which: seqno, rev (of the document) or CAS.
        counter: &'static str,
    },
    /// A producer's failover table is malformed.
    #[error(transparent)]
    Failover(#[from] FailoverError),
    /// The change did not become durable.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A defect of this program.
    #[error(transparent)]
    Broken(#[from] Broken),
}
