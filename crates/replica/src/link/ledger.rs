//! The ledger of a machine: which streams are open, being added or being closed, and what is kept
//! of ended ones. It sends frames and settles streams; the phase decides what a settled stream
//! means.

use std::collections::{BTreeMap, BTreeSet};

use mcbp::{Opaque, Opcode, Seqno, Status, VbId};

use super::attempt::Adding;
use super::closing::Closing;
use super::progress_deadline::ProgressDeadline;
use super::stream::{LateAdd, Request, Stream, Unanswered};
use super::{Effect, Effects, Note, OwnFrame, Side};

/// The first opaque of our own. Far from every vBucket id: mistaking one for the other caused
/// MB-53445.
const OWN_OPAQUE_BASE: u32 = 0x1000_0000;

/// The bits that mark a NOOP of our own. A node counts its NOOPs up, in either byte order, so its
/// opaques do not have these bits for years.
const BARRIER_BITS: u32 = 0xff00_00ff;

/// Bound on remembered unanswered attempts: two for each of 1,024 vBuckets. A later answer is
/// withheld too, but closes nothing.
pub(super) const LATE_MAX: usize = 2048;

/// Bound on remembered older streams of each vBucket. A producer ends a stream before it serves the
/// next one of the same vBucket, so one is enough for a correct producer.
pub(super) const OLDER_MAX: usize = 4;

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Ledger {
    pub(super) open: BTreeMap<VbId, Stream>,
    pub(super) adding: BTreeMap<VbId, Adding>,
    pub(super) closing: BTreeMap<VbId, Closing>,
    /// Attempts whose rollback exceeded the deadline. They cannot be closed, and no command waits
    /// for them.
    pub(super) stuck: BTreeMap<VbId, Adding>,
    pub(super) late: BTreeMap<Opaque, LateAdd>,
    /// Ended streams, oldest first: a late STREAM_END of one is stale.
    pub(super) older: BTreeMap<VbId, Vec<Request>>,
    /// Copies that may have a gap, with the seqno up to which each is complete.
    pub(super) incomplete: BTreeMap<VbId, Seqno>,
    /// CLOSE_STREAMs to the consumer that no command waits for, by their opaques.
    pub(super) unanswered: BTreeMap<Opaque, Unanswered>,
    /// The kinds of error answers that were reported.
    pub(super) noted: BTreeSet<(Side, Opcode, Status)>,
    pub(super) adds: ProgressDeadline,
    pub(super) refusals: ProgressDeadline,
    pub(super) closes: ProgressDeadline,
    /// The number of rollbacks requested so far, which is the next position in the queue of
    /// rollbacks.
    pub(super) rollbacks: u32,
    issued: u32,
}

impl Ledger {
    /// Returns an opaque that is new on this link.
    pub(super) fn issue(&mut self) -> Opaque {
        let opaque = Opaque(OWN_OPAQUE_BASE.wrapping_add(self.issued));
        self.issued = self.issued.wrapping_add(1);
        opaque
    }

    /// As [`Self::issue`], for a NOOP of our own.
    pub(super) fn issue_barrier(&mut self) -> Opaque {
        let number = self.issue().0.wrapping_sub(OWN_OPAQUE_BASE);
        Opaque(BARRIER_BITS | (number << 8))
    }

    pub(super) fn has_issued(&self, opaque: Opaque) -> bool {
        opaque.0.wrapping_sub(OWN_OPAQUE_BASE) < self.issued
    }

    pub(super) fn is_settled(&self) -> bool {
        self.adding.is_empty() && self.closing.is_empty()
    }

    /// Returns every vBucket that the consumer may have a stream of.
    pub(super) fn touched(&self) -> impl Iterator<Item = VbId> {
        let live = self.open.keys().chain(self.adding.keys()).chain(self.closing.keys());
        live.chain(self.stuck.keys()).copied()
    }

    pub(super) fn is_touched(&self, vb: VbId) -> bool {
        self.open.contains_key(&vb)
            || self.adding.contains_key(&vb)
            || self.closing.contains_key(&vb)
            || self.stuck.contains_key(&vb)
    }

    /// Forgets every stream. Refusals of their rows may still be on their way, so the opaques are
    /// kept.
    pub(super) fn clear(&mut self) {
        let streams = self.open.iter().map(|(&vb, stream)| (vb, stream.request));
        let adding = self.adding.iter().map(|(&vb, entry)| (vb, entry.request));
        let closing = self.closing.iter().map(|(&vb, e)| (vb, e.stream.and_then(|s| s.request)));
        for (vb, request) in streams.chain(adding).chain(closing).collect::<Vec<_>>() {
            self.remember_older(vb, request);
        }
        *self = Self {
            issued: self.issued,
            older: std::mem::take(&mut self.older),
            incomplete: std::mem::take(&mut self.incomplete),
            noted: std::mem::take(&mut self.noted),
            ..Self::default()
        };
    }

    /// Keeps the opaque of an ended stream.
    pub(super) fn remember_older(&mut self, vb: VbId, request: Option<Request>) {
        let Some(request) = request else { return };
        let older = self.older.entry(vb).or_default();
        older.retain(|known| known.opaque != request.opaque);
        if older.len() == OLDER_MAX {
            older.remove(0);
        }
        older.push(request);
    }

    /// Returns the ended stream of `vb` with this opaque, if any.
    pub(super) fn older(&self, vb: VbId, opaque: Opaque) -> Option<Request> {
        self.older.get(&vb)?.iter().copied().find(|known| known.opaque == opaque)
    }

    /// Returns the ended or abandoned stream with this opaque, if any.
    pub(super) fn gone(&self, opaque: Opaque) -> Option<(VbId, Request)> {
        self.older.keys().find_map(|&vb| Some((vb, self.older(vb, opaque)?)))
    }

    pub(super) fn remember_late(&mut self, opaque: Opaque, late: LateAdd) {
        if self.late.len() == LATE_MAX {
            self.late.pop_first();
        }
        self.late.insert(opaque, late);
    }

    /// Closes the stream of `vb` that these sides may have, without waiting for the answers.
    pub(super) fn abandon(&mut self, vb: VbId, sides: &[Side], fx: &mut Effects) -> Opaque {
        let opaque = self.issue();
        let close = |&side| Effect::Send(side, OwnFrame::CloseStream { vb, opaque });
        fx.extend(sides.iter().map(close));
        opaque
    }

    pub(super) fn remember_unanswered(&mut self, close: Opaque, unanswered: Unanswered) {
        if self.unanswered.len() == LATE_MAX {
            self.unanswered.pop_first();
        }
        self.unanswered.insert(close, unanswered);
    }

    /// Handles an answer from `side` that nothing waits for.
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
        if side == Side::Consumer {
            self.note_gap_answer(opaque, status, fx);
        }
        fx.push(Effect::Note(Note::LateAnswer { side, opaque, status }));
        let late = if side == Side::Consumer { self.late.remove(&opaque) } else { None };
        if let Some(LateAdd { vb, ended }) = late
            && status.is_success()
            && !self.is_touched(vb)
        {
            // Not while a newer attempt runs: it detects the stream as a left-over.
            let both = [Side::Consumer, Side::Producer];
            self.abandon(vb, if ended { &[Side::Consumer] } else { &both }, fx);
        }
    }
}

/// Whether an answer to a NOOP belongs to a NOOP of our own.
#[must_use]
pub const fn is_barrier(opaque: Opaque) -> bool {
    opaque.0 & BARRIER_BITS == BARRIER_BITS
}
