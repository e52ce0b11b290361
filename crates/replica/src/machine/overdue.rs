//! What becomes of streams that are being added when a deadline passes.

use std::collections::BTreeMap;

use mcbp::{Status, VbId};

use super::attempt::{Adding, Progress};
use super::ledger::{Ledger, Settled};
use super::pace::Passed;
use super::{Deadline, Effects, Reason, Step, VbError};

/// What follows from a deadline that has passed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Late {
    /// These vBuckets have failed; there may be none.
    Failed(Vec<Settled>),
    /// The consumer does not come on with its rollbacks. They can't be closed: the link is to be
    /// ended, so that the next one compares both nodes anew.
    RollbackStuck(VbId),
}

impl Ledger {
    /// What the consumer has to roll back, with each one's number in the line.
    pub(super) fn rolling_back(&self) -> impl Iterator<Item = (VbId, u32)> {
        self.adding.iter().filter_map(|(&vb, entry)| match entry.progress {
            Progress::RollingBack(number) => Some((vb, number)),
            _ => None,
        })
    }

    /// How many rollbacks are before each.
    pub(super) fn line(&self) -> BTreeMap<VbId, usize> {
        let mut line: Vec<_> = self.rolling_back().collect();
        line.sort_by_key(|(_, number)| *number);
        line.into_iter().enumerate().map(|(before, (vb, _))| (vb, before)).collect()
    }

    /// A deadline of streams that are being added has passed.
    pub(super) fn add_overdue(&mut self, deadline: Deadline, fx: &mut Effects) -> Late {
        let late: fn(&Adding) -> bool = match deadline.step {
            Step::Refusal => |entry| entry.progress.is_refusal(),
            Step::Takeover => |entry| entry.takeover_deadline().is_some(),
            _ => |entry| entry.takeover_deadline().is_none(),
        };
        let late = self.adding.iter().filter(|(_, entry)| late(entry));
        let late: Vec<(VbId, Adding)> = late.map(|(&vb, &entry)| (vb, entry)).collect();
        let passed = match deadline.step {
            Step::Refusal => self.refusals.passed(deadline, !late.is_empty(), fx),
            Step::Takeover if late.iter().any(|(_, e)| e.takeover_deadline() == Some(deadline)) => {
                Passed::Overdue
            }
            Step::Takeover => Passed::GoOn,
            _ => self.adds.passed(deadline, !late.is_empty(), fx),
        };
        if passed == Passed::GoOn {
            return Late::Failed(Vec::new());
        }
        let is_stuck =
            |(_, entry): &&(VbId, Adding)| matches!(entry.progress, Progress::RollingBack(_));
        if let Some(&(vb, _)) = late.iter().find(is_stuck) {
            return Late::RollbackStuck(vb);
        }
        let fail = |(vb, entry): (VbId, Adding)| {
            self.close_adding(vb, fx);
            Settled::Failed(entry.overdue(vb, deadline.step))
        };
        Late::Failed(late.into_iter().map(fail).collect())
    }
}

impl Adding {
    fn overdue(&self, vb: VbId, step: Step) -> VbError {
        let refused = match (step, self.progress) {
            (Step::Refusal, Progress::Refused(status)) => Some(status),
            (Step::Refusal, Progress::RolledBack) => Some(Status::ETMPFAIL),
            _ => None,
        };
        let reason = match refused {
            Some(status) => Reason::Refused { step: Step::AddStream, status },
            None => Reason::Deadline(step),
        };
        VbError { vb, side: self.awaited(), reason }
    }
}
