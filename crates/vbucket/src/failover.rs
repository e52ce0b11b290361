//! The failover table: the branches of a vBucket's history.
//!
//! An entry means: the branch `uuid` began after `seqno`. A promotion, and an active vBucket after
//! an unclean stop, begin a branch and add an entry; a replica takes over its producer's table.
//! Random bits for new uuids come in as values, see [`uuid_from_random`].

use std::sync::Arc;

use mcbp::dcp::FailoverEntry;
use mcbp::{Seqno, VbUuid};

/// How many branches a table has at most; older ones are dropped. kv_engine's number, so that
/// tables fit in both directions.
pub const ENTRIES_MAX: usize = 25;

/// Branches of history, newest first; no uuid is 0, seqnos never rise towards older entries.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FailoverTable {
    /// The first of `entries`, so that by its type there is at least one.
    newest: FailoverEntry,
    /// Shared, because every commit copies the metadata of vBuckets.
    entries: Arc<[FailoverEntry]>,
}

/// Why a list of entries is not a failover table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FailoverError {
    /// There is no entry.
    #[error("a failover table has at least one entry")]
    Empty,
    /// A uuid is 0, which means "no branch" on the wire.
    #[error("the uuid of a failover entry is not 0")]
    ZeroUuid,
    /// An older branch began at a higher seqno than a newer one.
    #[error("failover entries are not newest first: one at seqno {older} follows one at {newer}")]
    Disorder {
        /// Seqno of the entry that comes first.
        newer: Seqno,
        /// Seqno of the entry that follows it.
        older: Seqno,
    },
}

/// Returns the uuid of a new branch, made of 48 of 64 random bits; never 0.
///
/// 48 bits, because some clients store a uuid in a double.
#[must_use]
pub const fn uuid_from_random(random: u64) -> VbUuid {
    let bits = random >> 16;
    VbUuid(if bits == 0 { 1 } else { bits })
}

impl FailoverTable {
    /// Returns the table of a new vBucket. A `uuid` of 0 is taken as 1.
    #[must_use]
    pub fn new(uuid: VbUuid) -> Self {
        Self::of(entry(uuid, Seqno::ZERO), &[])
    }

    /// Returns the table for a list of entries that a producer sent, newest first. Entries beyond
    /// [`ENTRIES_MAX`] are dropped, oldest first.
    ///
    /// # Errors
    /// [`FailoverError`] where the list breaks the rules of a table.
    pub fn from_log(log: &[FailoverEntry]) -> Result<Self, FailoverError> {
        let [newest, older @ ..] = log else { return Err(FailoverError::Empty) };
        if log.iter().any(|e| e.uuid.0 == 0) {
            return Err(FailoverError::ZeroUuid);
        }
        let pairs = log.iter().zip(log.iter().skip(1));
        if let Some((a, b)) = pairs.into_iter().find(|(newer, older)| older.seqno > newer.seqno) {
            return Err(FailoverError::Disorder { newer: a.seqno, older: b.seqno });
        }
        Ok(Self::of(*newest, older))
    }

    fn of(newest: FailoverEntry, older: &[FailoverEntry]) -> Self {
        let entries = std::iter::once(&newest).chain(older).take(ENTRIES_MAX).copied().collect();
        Self { newest, entries }
    }

    /// The branches, newest first.
    #[must_use]
    pub fn entries(&self) -> &[FailoverEntry] {
        &self.entries
    }

    /// The branch that is being written.
    #[must_use]
    pub const fn newest(&self) -> FailoverEntry {
        self.newest
    }

    /// Returns the entry of a branch, `None` for an unknown branch.
    #[must_use]
    pub fn find(&self, uuid: VbUuid) -> Option<FailoverEntry> {
        self.entries.iter().find(|e| e.uuid == uuid).copied()
    }

    /// Returns the seqno up to which the branch `uuid` is part of this vBucket's history: the seqno
    /// of the next newer entry, or `high` for the newest; `None` for an unknown branch.
    #[must_use]
    pub fn branch_end(&self, uuid: VbUuid, high: Seqno) -> Option<Seqno> {
        let at = self.entries.iter().position(|e| e.uuid == uuid)?;
        let newer = at.checked_sub(1).and_then(|newer| self.entries.get(newer));
        Some(newer.map_or(high, |e| e.seqno))
    }

    /// Starts the branch `uuid` after `seqno`. Entries above `seqno` are dropped: they belong to a
    /// history that this vBucket no longer has. A `uuid` of 0 is taken as 1.
    ///
    /// The caller persists the table before anything is written under the new branch (MB-41942).
    pub fn create_entry(&mut self, uuid: VbUuid, seqno: Seqno) {
        *self = Self::of(entry(uuid, seqno), self.up_to(seqno));
    }

    /// Drops the branches that began above `seqno`, after a rollback to `seqno`.
    ///
    /// If none is left, because older ones were dropped before, the table becomes one entry `fresh`
    /// at `seqno` (MB-40285). No producer knows that branch, so the next stream starts from 0.
    pub fn prune(&mut self, seqno: Seqno, fresh: VbUuid) {
        *self = match self.up_to(seqno) {
            [newest, older @ ..] => Self::of(*newest, older),
            [] => Self::of(entry(fresh, seqno), &[]),
        };
    }

    /// The branches that began at or below `seqno`: the older ones, because seqnos never rise
    /// towards them.
    fn up_to(&self, seqno: Seqno) -> &[FailoverEntry] {
        let above = self.entries.partition_point(|e| e.seqno > seqno);
        self.entries.split_at(above).1
    }

    /// Drops the newest branch if there is an older one, and returns whether there was.
    ///
    /// For a consumer that is asked to roll back to 0 while its newest branch began at its high
    /// seqno: nothing was written under that branch, and the producer may know the one before
    /// (MB-48398).
    pub fn drop_newest(&mut self) -> bool {
        let [_, newest, older @ ..] = &*self.entries else { return false };
        *self = Self::of(*newest, older);
        true
    }
}

fn entry(uuid: VbUuid, seqno: Seqno) -> FailoverEntry {
    FailoverEntry { uuid: VbUuid(uuid.0.max(1)), seqno }
}
