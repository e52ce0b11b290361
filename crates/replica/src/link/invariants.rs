//! The invariants that hold between any two events. Tests, model checker and production call the
//! same function.

use std::collections::BTreeSet;

use super::ledger::{LATE_MAX, OLDER_MAX};
use super::phase::Shut;
use super::{Activity, ConsumerMachine, Effect, Effects, Phase, StopReason};

impl ConsumerMachine {
    /// Ends a link whose state is inconsistent: its decisions cannot be trusted.
    ///
    /// Debug builds check after every event. The check takes time in proportion to the streams, so
    /// release builds check when a command is answered: once in a set-up of 1,024 streams, less
    /// than 2 % of its instructions.
    pub(super) fn end_if_broken(&mut self, fx: &mut Effects) {
        let is_answer = |effect: &Effect| matches!(effect, Effect::Answer(..));
        if !cfg!(debug_assertions) && !fx.iter().any(is_answer) {
            return;
        }
        if let Err(what) = self.check_invariants()
            && self.stopped().is_none()
        {
            _ = invariant::broken!("{what}");
            self.stop(StopReason::Internal { what }, fx);
        }
    }

    /// Checks the internal invariants, in time proportional to the streams.
    ///
    /// # Errors
    /// The broken invariant.
    pub fn check_invariants(&self) -> Result<(), &'static str> {
        self.check_ledger()?;
        match &self.phase {
            Phase::Live(Activity::Idle) => {
                hold(self.ledger.is_settled(), "something is pending while idle")
            }
            Phase::Live(Activity::SettingUp(set_up)) => {
                let mut settled = set_up.outcomes.keys();
                let pending = |vb| {
                    self.ledger.adding.contains_key(vb) || self.ledger.closing.contains_key(vb)
                };
                hold(!self.ledger.is_settled(), "a set-up has nothing left to wait for")?;
                hold(!settled.any(pending), "a vbucket is both settled and pending")
            }
            Phase::Live(Activity::TakingOver(takeover)) => {
                let (ledger, vb) = (&self.ledger, &takeover.vb);
                let adding = usize::from(ledger.adding.contains_key(vb));
                let closing = usize::from(ledger.closing.contains_key(vb));
                let added = usize::from(takeover.added.is_some());
                let pending = ledger.adding.len() + ledger.closing.len();
                hold(!ledger.open.contains_key(vb), "a vbucket is both open and taken over")?;
                hold(
                    adding + closing + added == 1,
                    "a takeover is not in exactly one of adding, closing and added",
                )?;
                hold(
                    adding + closing == pending,
                    "operations on other vBuckets are pending during a takeover",
                )?;
                hold(added == 0 || !takeover.active, "a takeover is complete and not answered")
            }
            Phase::Shut(Shut::Closing(shutdown)) => {
                hold(self.ledger.touched().next().is_none(), "a stream outlives its link")?;
                hold(!shutdown.tickets.is_empty(), "a shutdown has no command to answer")?;
                hold(!shutdown.waiting.is_empty(), "a shutdown has nothing left to wait for")
            }
            Phase::Shut(Shut::Stopped(_)) => {
                hold(self.ledger.touched().next().is_none(), "a stream outlives its link")
            }
        }
    }

    fn check_ledger(&self) -> Result<(), &'static str> {
        let ledger = &self.ledger;
        let is_open = |vb| ledger.open.contains_key(vb);
        let is_added = |vb| ledger.adding.contains_key(vb);
        let is_closed = |vb| ledger.closing.contains_key(vb);
        // Cheap while nothing is pending, however many streams are open.
        let twice = ledger.adding.keys().any(|vb| is_open(vb) || is_closed(vb))
            || ledger.closing.keys().any(is_open)
            || ledger.stuck.keys().any(|vb| is_open(vb) || is_added(vb) || is_closed(vb));
        hold(!twice, "a vBucket is in two of open, adding, closing, stuck")?;

        let adding = ledger.adding.values().map(|entry| entry.attempt);
        let closing = ledger.closing.values().map(|entry| entry.attempt);
        let waiting: Vec<_> = adding.chain(closing).collect();
        let distinct: BTreeSet<_> = waiting.iter().copied().collect();
        hold(distinct.len() == waiting.len(), "two attempts share an opaque")?;
        hold(waiting.iter().all(|&o| ledger.has_issued(o)), "an opaque was never issued")?;
        let late = waiting.iter().any(|opaque| ledger.late.contains_key(opaque));
        hold(!late, "an attempt is both awaited and given up")?;
        hold(ledger.late.len() <= LATE_MAX, "too many late attempts are remembered")?;
        hold(ledger.unanswered.len() <= LATE_MAX, "too many closes are remembered")?;
        let bounded = ledger.older.values().all(|older| older.len() <= OLDER_MAX);
        hold(bounded, "too many older streams are remembered")
    }
}

const fn hold(condition: bool, broken: &'static str) -> Result<(), &'static str> {
    if condition { Ok(()) } else { Err(broken) }
}
