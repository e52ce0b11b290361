//! What a purge of deletions may drop, and what it did.

use bytes::Bytes;
use mcbp::Seqno;

/// Which deletions may be purged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PurgeRule {
    /// Those made before this Unix time in seconds, [`PurgeRule::ANY_AGE`] for all.
    pub made_before: u32,
    /// Those up to this seqno.
    pub up_to: Seqno,
}

impl PurgeRule {
    /// The `made_before` that allows every age.
    pub const ANY_AGE: u32 = u32::MAX;

    /// Whether a deletion at `seqno`, made at `at`, may be purged.
    #[must_use]
    pub const fn covers(&self, seqno: Seqno, at: u32) -> bool {
        let old = at < self.made_before || self.made_before == Self::ANY_AGE;
        old && seqno.0 <= self.up_to.0
    }
}

/// What one step of a purge did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PurgeStep {
    /// How many deletions were dropped.
    pub dropped: u64,
    /// The vBucket's purge seqno now.
    pub purge_seqno: Seqno,
    /// The key at which the next step continues; `None` at the end.
    pub next: Option<Bytes>,
}
