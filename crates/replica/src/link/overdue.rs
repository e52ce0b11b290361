//! Handles passed deadlines of streams that are being added.

use std::collections::BTreeMap;

use mcbp::VbId;

use super::attempt::{AddPhase, Adding};
use super::ledger::Ledger;
use super::progress_deadline::Passed;
use super::stream::{Request, Settled};
use super::{Deadline, Effect, Effects, LinkStep, Note, Reason, Side, VbError};

/// The result of a passed deadline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Overdue {
    /// These vBuckets failed; possibly none.
    Failed(Vec<Settled>),
    /// The consumer makes no progress with its rollbacks, and no stream is open. Rollbacks cannot
    /// be closed: the link must be ended, so that the next one compares both nodes anew.
    RollbackStuck(VbId),
}

impl Ledger {
    /// Returns the vBuckets that roll back, with their positions in the queue of rollbacks.
    pub(super) fn rolling_back(&self) -> impl Iterator<Item = (VbId, u32)> {
        let attempts = self.adding.iter().chain(&self.stuck);
        attempts.filter_map(|(&vb, entry)| match entry.phase {
            AddPhase::RollingBack(number) => Some((vb, number)),
            _ => None,
        })
    }

    /// Returns the number of rollbacks before that of each vBucket.
    pub(super) fn rollbacks_before(&self) -> BTreeMap<VbId, usize> {
        let mut queue: Vec<_> = self.rolling_back().collect();
        queue.sort_by_key(|(_, number)| *number);
        queue.into_iter().enumerate().map(|(before, (vb, _))| (vb, before)).collect()
    }

    /// Handles a passed deadline of streams that are being added.
    pub(super) fn add_overdue(&mut self, deadline: Deadline, fx: &mut Effects) -> Overdue {
        let late: fn(&Adding) -> bool = match deadline.step {
            LinkStep::Refusal => |entry| entry.phase.is_refusal(),
            LinkStep::Takeover => |entry| entry.takeover_deadline().is_some(),
            _ => |entry| entry.takeover_deadline().is_none(),
        };
        let late = self.adding.iter().filter(|(_, entry)| late(entry));
        let late: Vec<(VbId, Adding)> = late.map(|(&vb, &entry)| (vb, entry)).collect();
        let passed = match deadline.step {
            LinkStep::Refusal => self.refusals.passed(deadline, !late.is_empty(), fx),
            LinkStep::Takeover
                if late.iter().any(|(_, e)| e.takeover_deadline() == Some(deadline)) =>
            {
                Passed::Overdue
            }
            LinkStep::Takeover => Passed::GoOn,
            _ => self.adds.passed(deadline, !late.is_empty(), fx),
        };
        if passed == Passed::GoOn {
            return Overdue::Failed(Vec::new());
        }
        let mut rolling = late.iter().filter(|(_, entry)| entry.is_rolling_back());
        if let Some(&(vb, _)) = rolling.next()
            && self.open.is_empty()
        {
            return Overdue::RollbackStuck(vb);
        }
        let fail = |(vb, entry): (VbId, Adding)| {
            if entry.is_rolling_back() {
                self.set_aside(vb);
            } else {
                self.close_adding(vb, fx);
            }
            Settled::Failed(entry.overdue(vb, deadline.step))
        };
        Overdue::Failed(late.into_iter().map(fail).collect())
    }

    /// Stops waiting for a rollback without progress, so that one vBucket does not end the streams
    /// of all others. The attempt is not closed: its vBucket gets no new attempt before the
    /// rollback ends.
    fn set_aside(&mut self, vb: VbId) {
        if let Some(entry) = self.adding.remove(&vb) {
            self.stuck.insert(vb, entry);
            self.adding_moved();
        }
    }

    /// Handles the STREAM_REQ after a rollback that was set aside: only now can its attempt be
    /// closed, like any other attempt that was given up.
    pub(super) fn resolve_stuck(&mut self, vb: VbId, request: Request, fx: &mut Effects) -> bool {
        if self.stuck.get(&vb).is_none_or(|entry| entry.opaque() != Some(request.opaque)) {
            return false;
        }
        if let Some(entry) = self.stuck.remove(&vb) {
            self.remember_attempt(vb, &entry, false);
            fx.push(Effect::Note(entry.rolled_back(vb, request)));
            self.abandon(vb, &[Side::Consumer, Side::Producer], fx);
        }
        true
    }
}

/// Returns the error of a vBucket whose rollback was set aside.
pub(super) const fn rolls_back_still(vb: VbId) -> VbError {
    VbError { vb, side: Side::Consumer, reason: Reason::RollingBack }
}

impl Adding {
    /// The end of its rollback, which the consumer tells by repeating its STREAM_REQ.
    pub(super) fn rolled_back(&self, vb: VbId, again: Request) -> Note {
        let (opaque, to) = (again.opaque, again.start);
        let from = self.request.map_or(to, |asked| asked.start);
        Note::RollbackOver { vb, opaque, from, to }
    }

    const fn is_rolling_back(&self) -> bool {
        matches!(self.phase, AddPhase::RollingBack(_))
    }

    fn overdue(&self, vb: VbId, step: LinkStep) -> VbError {
        if self.is_rolling_back() {
            return rolls_back_still(vb);
        }
        let refusal = self.phase.refusal().filter(|_| step == LinkStep::Refusal);
        let reason = match refusal {
            Some(status) => Reason::Refused { step: LinkStep::AddStream, status },
            None => Reason::Deadline(step),
        };
        VbError { vb, side: self.awaited(), reason }
    }
}
