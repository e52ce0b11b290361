//! The takeover of one vBucket: its own stream is closed first, then a takeover stream is added,
//! and the vBucket becomes pending, then active. It is done when ADD_STREAM was answered with
//! success and the consumer has acknowledged active, in any order (MB-10779).

use std::collections::BTreeMap;

use mcbp::{Opaque, Status, StreamEndStatus, VbId, VbState};

use super::attempt::AddPlan;
use super::ends::ended;
use super::ledger::is_barrier;
use super::overdue::rolls_back_still;
use super::phase::Takeover;
use super::stream::Settled;
use super::{
    Activity, ConsumerMachine, Deadline, Effect, Effects, LinkStep, Note, Outcome, OwnFrame, Phase,
    Reason, Side, StopReason, Ticket, VbError, VbOutcome, Verdict,
};

const fn incomplete(vb: VbId) -> VbError {
    VbError { vb, side: Side::Consumer, reason: Reason::Incomplete }
}

impl ConsumerMachine {
    pub(super) fn take_over(&mut self, ticket: Ticket, vb: VbId, fx: &mut Effects) {
        let (added, asked, barrier) = (None, None, None);
        let takeover = Takeover { ticket, vb, added, asked, barrier, active: false, moved: false };
        let is_stuck = self.ledger.stuck.contains_key(&vb);
        if is_stuck || self.ledger.incomplete.contains_key(&vb) {
            let why = if is_stuck { rolls_back_still(vb) } else { incomplete(vb) };
            let outcome = VbOutcome::Failed(why);
            fx.push(Effect::Answer(ticket, Outcome::Done(BTreeMap::from([(vb, outcome)]))));
            return;
        }
        self.phase = Phase::Live(Activity::TakingOver(takeover));
        if self.ledger.open.contains_key(&vb) {
            self.ledger.close(vb, Some(AddPlan::TAKEOVER), fx);
        } else {
            self.ledger.add(vb, AddPlan::TAKEOVER, fx);
        }
    }

    /// Handles the producer's order to take a state.
    ///
    /// The order to become active is withheld until the consumer has answered for every row before
    /// it. The producer has given the vBucket up by then, so a missing row would be lost.
    pub(super) fn state_asked(
        &mut self,
        vb: VbId,
        opaque: Opaque,
        state: VbState,
        fx: &mut Effects,
    ) -> Verdict {
        let stale = self.ledger.is_stale(vb, opaque) || self.ledger.closing.contains_key(&vb);
        let takeover = self.phase.takeover_mut().filter(|it| it.vb == vb && !stale);
        let Some(takeover) = takeover else {
            fx.push(Effect::Note(Note::UnexpectedState { vb, state }));
            return Verdict::Forward;
        };
        let breach = match (state, takeover.asked) {
            (VbState::Pending, None) => {
                takeover.asked = Some((opaque, state));
                return Verdict::Forward;
            }
            (VbState::Active, None) => {
                takeover.asked = Some((opaque, state));
                let opaque = self.ledger.issue_barrier();
                takeover.barrier = Some(opaque);
                fx.push(Effect::Send(Side::Consumer, OwnFrame::Noop { opaque }));
                return Verdict::Withhold;
            }
            (VbState::Pending | VbState::Active, Some(_)) => {
                "SET_VBUCKET_STATE came before the previous one was acknowledged"
            }
            (VbState::Replica | VbState::Dead, _) => {
                "SET_VBUCKET_STATE in a takeover was neither pending nor active"
            }
        };
        self.stop(StopReason::Protocol { side: Side::Producer, what: breach }, fx);
        Verdict::Withhold
    }

    /// Handles the consumer's answer to a NOOP of ours or of the producer.
    pub(super) fn noop_answered(&mut self, opaque: Opaque, fx: &mut Effects) -> Verdict {
        if let Some(takeover) = self.phase.takeover_mut()
            && takeover.barrier.take_if(|barrier| *barrier == opaque).is_some()
        {
            if let Some((opaque, state)) = takeover.asked {
                let frame = OwnFrame::SetVbucketState { vb: takeover.vb, opaque, state };
                fx.push(Effect::Send(Side::Consumer, frame));
            }
            return Verdict::Withhold;
        }
        if is_barrier(opaque) { Verdict::Withhold } else { Verdict::Forward }
    }

    /// Handles the consumer's answer to a SET_VBUCKET_STATE. Where its takeover was given up
    /// meanwhile, the answer is withheld: it would make the producer give the vBucket up.
    pub(super) fn state_answered(
        &mut self,
        opaque: Opaque,
        status: Status,
        fx: &mut Effects,
    ) -> Verdict {
        let takeover = self.phase.takeover_mut();
        let asked = takeover.and_then(|takeover| takeover.asked.map(|asked| (takeover, asked)));
        let Some((takeover, (_, state))) = asked.filter(|(_, (asked, _))| *asked == opaque) else {
            let is_over = self.ledger.gone(opaque).is_some();
            return if is_over { Verdict::Withhold } else { Verdict::Forward };
        };
        takeover.asked = None;
        if status.is_success() {
            takeover.active |= state == VbState::Active;
            self.answer_if_taken_over(fx);
        } else {
            let reason = Reason::Refused { step: LinkStep::Takeover, status };
            let error = VbError { vb: takeover.vb, side: Side::Consumer, reason };
            self.give_up_takeover(error, fx);
        }
        Verdict::Forward
    }

    /// Handles a STREAM_END of the vBucket that is being taken over.
    pub(super) fn end_in_takeover(
        &mut self,
        opaque: Opaque,
        status: StreamEndStatus,
        fx: &mut Effects,
    ) {
        let Some(takeover) = self.phase.takeover() else { return };
        let vb = takeover.vb;
        if self.ledger.closing.contains_key(&vb) {
            self.ledger.end(vb, opaque, status, fx); // The end that CLOSE_STREAM asked for.
        } else if self.ledger.is_stale(vb, opaque) {
            fx.push(Effect::Note(Note::StaleEnd { vb, opaque, status }));
        } else if !takeover.active {
            self.ledger.give_up_adding(vb, true);
            self.answer_takeover(VbOutcome::Failed(ended(vb, status)), fx);
        }
    }

    /// Records that the stream of a takeover was closed, added, or has failed.
    pub(super) fn settle_in_takeover(&mut self, settled: Settled, fx: &mut Effects) {
        let Some(takeover) = self.phase.takeover_mut() else { return };
        match settled {
            Settled::Added(_, stream) => {
                takeover.added = Some(stream);
                self.answer_if_taken_over(fx);
            }
            Settled::Failed(error) => self.answer_takeover(VbOutcome::Failed(error), fx),
            // Finished and Closed cannot occur here: an end fails a takeover at once, and its close
            // is always followed by an add.
            Settled::Finished(vb) => {
                let error = ended(vb, StreamEndStatus::OK);
                self.answer_takeover(VbOutcome::Failed(error), fx);
            }
            Settled::Closed(_) => self.answer_takeover(VbOutcome::Closed, fx),
            Settled::RolledBack(vb) => {
                self.answer_takeover(VbOutcome::Failed(incomplete(vb)), fx);
            }
        }
    }

    /// Records that data of the vBucket has passed.
    pub(super) const fn data_passed(&mut self) {
        if let Some(takeover) = self.phase.takeover_mut() {
            takeover.moved = true;
        }
    }

    /// Extends the passed deadline of a takeover if data has passed since it was armed, and returns
    /// whether it did. A takeover moves all missing changes, which may be many.
    pub(super) fn may_go_on(&mut self, deadline: Deadline, fx: &mut Effects) -> bool {
        let is_awaited = deadline.step == LinkStep::Takeover
            && self.deadlines().any(|awaited| awaited == deadline);
        let Some(takeover) = self.phase.takeover_mut() else { return false };
        let may_go_on = is_awaited && std::mem::take(&mut takeover.moved);
        if may_go_on {
            fx.extend([Effect::Arm(deadline), Effect::Progress]);
        }
        may_go_on
    }

    /// Handles the passed deadline of a takeover whose stream was added.
    pub(super) fn takeover_overdue(&mut self, deadline: Deadline, fx: &mut Effects) {
        let Some(takeover) = self.phase.takeover() else { return };
        let Some(stream) = takeover.added else { return };
        if Takeover::deadline(stream) == deadline {
            let reason = Reason::Deadline(LinkStep::Takeover);
            let error = VbError { vb: takeover.vb, side: takeover.awaited(), reason };
            self.give_up_takeover(error, fx);
        }
    }

    fn answer_if_taken_over(&mut self, fx: &mut Effects) {
        if let Some(Takeover { added: Some(_), active: true, .. }) = self.phase.takeover() {
            self.answer_takeover(VbOutcome::TakenOver, fx);
        }
    }

    /// Fails a takeover whose stream may be open. The stream is closed, so that the vBucket does
    /// not move after the caller was told that it did not.
    pub(super) fn give_up_takeover(&mut self, error: VbError, fx: &mut Effects) -> Opaque {
        let vb = error.vb;
        let close = self.ledger.close_adding(vb, fx);
        self.answer_takeover(VbOutcome::Failed(error), fx);
        close
    }

    fn answer_takeover(&mut self, outcome: VbOutcome, fx: &mut Effects) {
        if let Activity::TakingOver(takeover) = self.phase.take_activity() {
            let request = takeover.added.and_then(|stream| stream.request);
            self.ledger.remember_older(takeover.vb, request);
            let outcomes = BTreeMap::from([(takeover.vb, outcome)]);
            fx.push(Effect::Answer(takeover.ticket, Outcome::Done(outcomes)));
        }
    }
}
