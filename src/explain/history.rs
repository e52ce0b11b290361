//! Where the histories of two copies part, and what the producer would answer to a stream request
//! of our copy: by the failover logs and the rule of the data nodes. Pure.

use mcbp::{Seqno, VbUuid};
use vbucket::FailoverTable;
use vbucket::rollback::{History, Position, needs_rollback};

use super::facts::VbCopy;

/// Two copies side by side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Parting {
    /// The last seqno that both histories have in common, by the failover logs; 0 for none.
    pub(super) common: u64,
    /// Whether both logs have a branch in common.
    pub(super) has_common_branch: bool,
    /// The high seqno of our copy.
    pub(super) ours: u64,
    /// The high seqno of the producer.
    pub(super) theirs: u64,
    /// What a stream request would be answered with.
    pub(super) request: Request,
}

/// The answer to a stream request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Request {
    /// The stream goes on from our high seqno.
    Accepted,
    /// Our copy is to be rolled back first.
    RolledBack {
        /// To this seqno, or further.
        to: u64,
        /// The reason: the producer has purged tombstones that our copy may lack.
        is_purged: bool,
    },
}

impl Parting {
    /// Compares our copy with that of the producer. `None` where a failover log or a seqno is
    /// unknown or malformed.
    pub(super) fn of(ours: &VbCopy, theirs: &VbCopy) -> Option<Self> {
        let our_log = FailoverTable::from_log(&ours.log).ok()?;
        let their_log = FailoverTable::from_log(&theirs.log).ok()?;
        let our_high = Seqno(ours.high?);
        // Our copy was read first or at the same time: what came later is in the second look.
        let their_high = Seqno(theirs.last_high()?);
        let both = |uuid: VbUuid| {
            let ours = our_log.branch_end(uuid, our_high)?;
            Some(ours.min(their_log.branch_end(uuid, their_high)?))
        };
        let common = our_log.entries().iter().find_map(|entry| both(entry.uuid));
        let snapshot = ours.snapshot.map(|(start, end)| (Seqno(start), Seqno(end)));
        let fits = |(start, end): &(Seqno, Seqno)| *start <= our_high && our_high <= *end;
        let (snapshot_start, snapshot_end) = snapshot.filter(fits).unwrap_or((our_high, our_high));
        let purge = Seqno(theirs.purge.unwrap_or(0));
        let history = History { table: &their_log, high: their_high, purge, strict_uuid: false };
        let position = |uuid| Position {
            uuid,
            start: our_high,
            snapshot_start,
            snapshot_end,
            purge: ours.purge.map(Seqno),
        };
        let to = answer(&our_log, our_high, |uuid| needs_rollback(&position(uuid), &history));
        let is_purged = purge > our_high && ours.purge != theirs.purge;
        Some(Self {
            common: common.map_or(0, |seqno| seqno.0),
            has_common_branch: common.is_some(),
            ours: our_high.0,
            theirs: their_high.0,
            request: match to {
                None => Request::Accepted,
                Some(to) => Request::RolledBack { to: to.0, is_purged },
            },
        })
    }

    /// The seqno to which our copy would be rolled back.
    pub(super) const fn rollback(&self) -> Option<u64> {
        match self.request {
            Request::Accepted => None,
            Request::RolledBack { to, .. } => Some(to),
        }
    }
}

/// A consumer that is asked to roll back to 0 names the branch before its newest one, where nothing
/// was written to the newest (MB-48398).
fn answer(
    log: &FailoverTable,
    high: Seqno,
    ask: impl Fn(VbUuid) -> Option<Seqno>,
) -> Option<Seqno> {
    let entries = log.entries();
    let mut last = None;
    for (at, entry) in entries.iter().enumerate() {
        last = ask(entry.uuid);
        let has_older = at + 1 < entries.len();
        if last != Some(Seqno::ZERO) || entry.seqno != high || !has_older {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests;
