//! The shutdown of a link: the consumer's streams are closed first, within one deadline. The
//! producer's answers are not waited for (MB-46253, MB-16064). A lost connection ends the link at
//! once.

use std::collections::BTreeMap;

use mcbp::{Opaque, Status, VbId};

use super::closing::means_closed;
use super::phase::{Shut, Shutdown};
use super::progress_deadline::{Passed, ProgressDeadline};
use super::{
    Activity, ConsumerMachine, Deadline, Effect, Effects, LinkStep, Note, Outcome, OwnFrame, Phase,
    Reason, Side, StopReason, Ticket, VbError, VbOutcome,
};

impl ConsumerMachine {
    /// Begins the shutdown, from any phase. A stream that rolls back cannot be closed: then the
    /// whole link ends at once.
    pub(super) fn shut(&mut self, ticket: Ticket, fx: &mut Effects) {
        match &mut self.phase {
            Phase::Live(_) => {}
            Phase::Shut(Shut::Closing(shutdown)) => {
                shutdown.tickets.push(ticket);
                return;
            }
            Phase::Shut(Shut::Stopped(_)) => {
                fx.push(Effect::Answer(ticket, Outcome::Done(BTreeMap::new())));
                return;
            }
        }
        if self.ledger.rolling_back().next().is_some() {
            self.stop(StopReason::Shut, fx);
            fx.push(Effect::Answer(ticket, Outcome::Done(BTreeMap::new())));
            return;
        }
        let mut streams: Vec<VbId> = self.ledger.touched().collect();
        streams.extend(self.taken_over());
        self.answer_pending(&Reason::Shut, None, fx);
        self.ledger.clear();
        let mut waiting = BTreeMap::new();
        for vb in streams {
            let opaque = self.ledger.issue();
            waiting.insert(opaque, vb);
            fx.push(Effect::Send(Side::Consumer, OwnFrame::CloseStream { vb, opaque }));
        }
        let (tickets, outcomes) = (vec![ticket], BTreeMap::new());
        let mut deadline = ProgressDeadline::default();
        deadline.begin(Deadline { step: LinkStep::Shut, opaque: self.ledger.issue() }, true, fx);
        self.phase = Phase::Shut(Shut::Closing(Shutdown { tickets, deadline, waiting, outcomes }));
        self.stop_if_shut(fx);
    }

    /// Handles an answer to CLOSE_STREAM. Only those of the consumer count here.
    pub(super) fn closed_in_shut(
        &mut self,
        side: Side,
        opaque: Opaque,
        status: Status,
        fx: &mut Effects,
    ) {
        if let (Side::Consumer, Phase::Shut(Shut::Closing(shutdown))) = (side, &mut self.phase)
            && let Some(vb) = shutdown.waiting.remove(&opaque)
        {
            let outcome = if means_closed(status) {
                VbOutcome::Closed
            } else {
                let reason = Reason::Refused { step: LinkStep::CloseStream, status };
                VbOutcome::Failed(VbError { vb, side, reason })
            };
            shutdown.outcomes.insert(vb, outcome);
            shutdown.deadline.moved(true);
            self.stop_if_shut(fx);
        } else {
            self.ledger.late_answer(side, opaque, status, fx);
        }
    }

    pub(super) fn shut_overdue(&mut self, deadline: Deadline, fx: &mut Effects) {
        if let Phase::Shut(Shut::Closing(shutdown)) = &mut self.phase
            && shutdown.deadline.passed(deadline, true, fx) == Passed::Overdue
        {
            shutdown.give_up(&Reason::Deadline(LinkStep::Shut));
            self.stop_if_shut(fx);
        }
    }

    /// Handles the loss of a connection.
    pub(super) fn link_lost(&mut self, side: Side, why: String, fx: &mut Effects) {
        match (&mut self.phase, side) {
            (Phase::Live(_), _) => {
                self.stop(StopReason::LinkLost { side, why }, fx);
            }
            (Phase::Shut(Shut::Closing(shutdown)), Side::Consumer) => {
                shutdown.give_up(&Reason::LinkLost(why.clone()));
                fx.push(Effect::Note(Note::LostInShut { side, why }));
                self.stop_if_shut(fx);
            }
            (Phase::Shut(Shut::Closing(_)), Side::Producer) => {
                fx.push(Effect::Note(Note::LostInShut { side, why }));
            }
            (Phase::Shut(Shut::Stopped(_)), _) => {}
        }
    }

    /// Stops at once: answers what is pending and forgets every stream.
    pub(super) fn stop(&mut self, stop: StopReason, fx: &mut Effects) {
        let (side, reason) = match &stop {
            StopReason::Shut => (None, Reason::Shut),
            StopReason::LinkLost { side, why } => (Some(*side), Reason::LinkLost(why.clone())),
            StopReason::Protocol { side, what } => (Some(*side), Reason::Protocol(what)),
            StopReason::Internal { what } => (None, Reason::Internal(what)),
        };
        self.answer_pending(&reason, side, fx);
        self.ledger.clear();
        self.phase = Phase::Shut(Shut::Stopped(stop.clone()));
        fx.push(Effect::Stop(stop));
    }

    fn stop_if_shut(&mut self, fx: &mut Effects) {
        let Phase::Shut(Shut::Closing(shutdown)) = &mut self.phase else { return };
        if !shutdown.waiting.is_empty() {
            return;
        }
        let outcomes = std::mem::take(&mut shutdown.outcomes);
        for &ticket in &shutdown.tickets {
            fx.push(Effect::Answer(ticket, Outcome::Done(outcomes.clone())));
        }
        self.phase = Phase::Shut(Shut::Stopped(StopReason::Shut));
        fx.push(Effect::Stop(StopReason::Shut));
    }

    /// Answers the running command, if any: with `reason` for the unsettled vBuckets, and for the
    /// streams that it opened, because they end with the link. `side` is the side at fault; with
    /// `None`, each vBucket names the side that it waits for.
    fn answer_pending(&mut self, reason: &Reason, side: Option<Side>, fx: &mut Effects) {
        let failed = |vb, awaited| {
            let side = side.unwrap_or(awaited);
            VbOutcome::Failed(VbError { vb, side, reason: reason.clone() })
        };
        let (ticket, mut outcomes) = match self.phase.take_activity() {
            Activity::Idle => return,
            Activity::SettingUp(set_up) => (set_up.ticket, set_up.outcomes),
            Activity::TakingOver(takeover) => {
                let request = takeover.added.and_then(|stream| stream.request);
                self.ledger.remember_older(takeover.vb, request);
                let outcome = failed(takeover.vb, takeover.awaited());
                (takeover.ticket, BTreeMap::from([(takeover.vb, outcome)]))
            }
        };
        for (&vb, outcome) in &mut outcomes {
            if matches!(outcome, VbOutcome::Opened | VbOutcome::AlreadyOpen) {
                *outcome = failed(vb, Side::Consumer);
            }
        }
        let adding = self.ledger.adding.iter().map(|(&vb, entry)| (vb, entry.awaited()));
        let closing = self.ledger.closing.iter().map(|(&vb, entry)| (vb, entry.awaited()));
        outcomes.extend(adding.chain(closing).map(|(vb, awaited)| (vb, failed(vb, awaited))));
        fx.push(Effect::Answer(ticket, Outcome::Done(outcomes)));
    }
}
