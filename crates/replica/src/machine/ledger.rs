//! The books of a machine: which streams are open, being added, being closed, and what is
//! remembered of those that are gone. It sends and settles; what that means is up to the phase.

use std::collections::BTreeMap;

use mcbp::{Opaque, Status, VbId};

use super::adding::Adding;
use super::closing::Closing;
use super::{Effect, Effects, Note, OwnFrame, Side, VbError};

/// Where our own opaques begin: far above every vBucket id (MB-53445 came from mixing the two).
const OWN_OPAQUE_BASE: u32 = 0x1000_0000;

/// Unanswered attempts that are remembered. Two for each vBucket of a usual bucket; an answer that
/// is later than that is withheld like any other and closes nothing.
pub(super) const LATE_MAX: usize = 2048;

/// Opaques of older streams that are remembered for each vBucket. A producer ends a stream before
/// it serves the next one of the same vBucket, so one would do for an orderly producer.
pub(super) const OLDER_MAX: usize = 4;

/// A stream that the consumer has acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Stream {
    /// The opaque of the ADD_STREAM that opened it.
    pub(super) attempt: Opaque,
    /// The opaque of its frames, once a STREAM_REQ was seen.
    pub(super) opaque: Option<Opaque>,
}

/// An ADD_STREAM that went unanswered for so long that nobody waits for it any more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct LateAdd {
    pub(super) vb: VbId,
    /// Whether the producer has ended the stream, so that only the consumer may still have it.
    pub(super) ended: bool,
}

/// A vBucket that nothing is being done about any more, and how that came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Settled {
    Added(VbId, Stream),
    Finished(VbId),
    Closed(VbId),
    Failed(VbError),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Ledger {
    pub(super) open: BTreeMap<VbId, Stream>,
    pub(super) adding: BTreeMap<VbId, Adding>,
    pub(super) closing: BTreeMap<VbId, Closing>,
    pub(super) late: BTreeMap<Opaque, LateAdd>,
    /// Opaques of streams that are gone, oldest first: a late STREAM_END of theirs is stale.
    pub(super) older: BTreeMap<VbId, Vec<Opaque>>,
    issued: u32,
}

impl Ledger {
    /// An opaque that was never used on this link.
    pub(super) fn issue(&mut self) -> Opaque {
        let opaque = Opaque(OWN_OPAQUE_BASE.wrapping_add(self.issued));
        self.issued = self.issued.wrapping_add(1);
        opaque
    }

    pub(super) fn has_issued(&self, opaque: Opaque) -> bool {
        opaque.0.wrapping_sub(OWN_OPAQUE_BASE) < self.issued
    }

    pub(super) fn is_settled(&self) -> bool {
        self.adding.is_empty() && self.closing.is_empty()
    }

    /// Every vBucket that the consumer may hold a stream of.
    pub(super) fn touched(&self) -> impl Iterator<Item = VbId> {
        self.open.keys().chain(self.adding.keys()).chain(self.closing.keys()).copied()
    }

    pub(super) fn is_touched(&self, vb: VbId) -> bool {
        self.open.contains_key(&vb)
            || self.adding.contains_key(&vb)
            || self.closing.contains_key(&vb)
    }

    /// Forgets everything but the opaques: the streams are gone, or no longer our concern.
    pub(super) fn clear(&mut self) {
        *self = Self { issued: self.issued, ..Self::default() };
    }

    /// Remembers the opaque of a stream that is gone.
    pub(super) fn remember_older(&mut self, vb: VbId, opaque: Option<Opaque>) {
        let Some(opaque) = opaque else { return };
        self.forget_older(vb, opaque);
        let older = self.older.entry(vb).or_default();
        if older.len() == OLDER_MAX {
            older.remove(0);
        }
        older.push(opaque);
    }

    /// Takes back that this opaque belongs to a stream that is gone.
    pub(super) fn forget_older(&mut self, vb: VbId, opaque: Opaque) {
        if let Some(older) = self.older.get_mut(&vb) {
            older.retain(|&known| known != opaque);
        }
    }

    pub(super) fn is_older(&self, vb: VbId, opaque: Opaque) -> bool {
        self.older.get(&vb).is_some_and(|older| older.contains(&opaque))
    }

    pub(super) fn remember_late(&mut self, opaque: Opaque, late: LateAdd) {
        if self.late.len() == LATE_MAX {
            self.late.pop_first();
        }
        self.late.insert(opaque, late);
    }

    /// Closes whatever stream of `vb` a side may have, without waiting for the answer.
    pub(super) fn abandon(&mut self, vb: VbId, sides: &[Side], fx: &mut Effects) {
        let opaque = self.issue();
        let close = |&side| Effect::Send(side, OwnFrame::CloseStream { vb, opaque });
        fx.extend(sides.iter().map(close));
    }

    /// An answer from `side` that nothing waits for.
    pub(super) fn late_answer(
        &mut self,
        side: Side,
        opaque: Opaque,
        status: Status,
        fx: &mut Effects,
    ) {
        if !self.has_issued(opaque) {
            fx.push(Effect::Note(Note::StrayAnswer { side, opaque, status }));
            return;
        }
        fx.push(Effect::Note(Note::LateAnswer { side, opaque, status }));
        let late = if side == Side::Consumer { self.late.remove(&opaque) } else { None };
        if let Some(LateAdd { vb, ended }) = late
            && status.is_success()
            && !self.is_touched(vb)
        {
            // A newer attempt would find the stream by itself, as a left-over.
            let both = [Side::Consumer, Side::Producer];
            self.abandon(vb, if ended { &[Side::Consumer] } else { &both }, fx);
        }
    }
}

/// Whether an answer to CLOSE_STREAM means that there is no stream now (MB-15926): a producer says
/// KEY_ENOENT where there was none, a consumer that speaks v7 codes DCP_STREAM_NOT_FOUND.
pub(super) const fn means_closed(status: Status) -> bool {
    matches!(status, Status::SUCCESS | Status::KEY_ENOENT | Status::DCP_STREAM_NOT_FOUND)
}
