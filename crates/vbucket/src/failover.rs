//! The failover table: which branches of history a vBucket has been through.
//!
//! An entry says: the branch `uuid` began behind `seqno`. Whoever starts a branch (a promotion, an
//! active vBucket after an unclean stop) adds an entry; a replica takes over its producer's table.
//! No random source here: new uuids come in as values, see [`uuid_from_random`].

use mcbp::dcp::FailoverEntry;
use mcbp::{Seqno, VbUuid};

/// How many branches are remembered; older ones are forgotten. The number of kv_engine, so that a
/// table fits both ways.
pub const ENTRIES_MAX: usize = 25;

/// Branches of history, newest first; no uuid is 0, seqnos never rise towards older entries.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FailoverTable {
    /// Also the first of `entries`, so that there is one without a doubt.
    newest: FailoverEntry,
    entries: Vec<FailoverEntry>,
}

/// Why a list of entries is no failover table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FailoverError {
    /// There is always a branch.
    #[error("a failover table has at least one entry")]
    Empty,
    /// 0 means "no branch" on the wire.
    #[error("the uuid of a failover entry is not 0")]
    ZeroUuid,
    /// Newest first: an older branch began earlier.
    #[error("failover entry at seqno {older} stands behind the newer one at {newer}")]
    Disorder {
        /// Seqno of the entry that stands first.
        newer: Seqno,
        /// Seqno of the entry that follows it.
        older: Seqno,
    },
}

/// The uuid of a new branch, made of 64 random bits: 48 of them are used, and never 0.
///
/// 48 bits because some clients keep a uuid in a double.
#[must_use]
pub const fn uuid_from_random(random: u64) -> VbUuid {
    let bits = random >> 16;
    VbUuid(if bits == 0 { 1 } else { bits })
}

impl FailoverTable {
    /// The table of a new vBucket. A `uuid` of 0 is taken as 1.
    #[must_use]
    pub fn new(uuid: VbUuid) -> Self {
        Self::of(entry(uuid, Seqno::ZERO), &[])
    }

    /// The table that a producer sent, newest entry first. Entries beyond [`ENTRIES_MAX`] are
    /// forgotten, oldest first.
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

    /// The branch that is written now.
    #[must_use]
    pub const fn newest(&self) -> FailoverEntry {
        self.newest
    }

    /// The entry of a branch, `None` for a history that this vBucket does not know.
    #[must_use]
    pub fn find(&self, uuid: VbUuid) -> Option<FailoverEntry> {
        self.entries.iter().find(|e| e.uuid == uuid).copied()
    }

    /// Up to which seqno the branch `uuid` is this vBucket's own history: where the next newer
    /// branch began, or `high` for the newest; `None` for an unknown branch.
    #[must_use]
    pub fn branch_end(&self, uuid: VbUuid, high: Seqno) -> Option<Seqno> {
        let at = self.entries.iter().position(|e| e.uuid == uuid)?;
        let newer = at.checked_sub(1).and_then(|newer| self.entries.get(newer));
        Some(newer.map_or(high, |e| e.seqno))
    }

    /// Starts the branch `uuid` behind `seqno`. Entries above `seqno` go: they tell of a history
    /// that this vBucket has left. A `uuid` of 0 is taken as 1.
    ///
    /// The caller persists the table before anything is written under the new branch (MB-41942).
    pub fn create_entry(&mut self, uuid: VbUuid, seqno: Seqno) {
        *self = Self::of(entry(uuid, seqno), self.up_to(seqno));
    }

    /// Forgets the branches that began above `seqno`, after a rollback to `seqno`.
    ///
    /// Where none would be left (the older ones were forgotten before), the table becomes one
    /// entry `fresh` at `seqno` (MB-40285): no producer knows it, so the next stream starts from 0
    /// rather than from a guess.
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

    /// Drops the newest branch and says whether there was an older one to fall back to; the last
    /// entry stays.
    ///
    /// For a consumer that is told to roll back to 0 while its newest branch began exactly where
    /// it stands: nothing was written under that branch, the one before may still be known
    /// (MB-48398).
    pub fn drop_newest(&mut self) -> bool {
        let [_, newest, older @ ..] = self.entries.as_slice() else { return false };
        *self = Self::of(*newest, older);
        true
    }
}

fn entry(uuid: VbUuid, seqno: Seqno) -> FailoverEntry {
    FailoverEntry { uuid: VbUuid(uuid.0.max(1)), seqno }
}
