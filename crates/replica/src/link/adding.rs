//! Adds one stream: ADD_STREAM is sent, STREAM_REQ and its answer pass, then the consumer answers
//! ADD_STREAM or a deadline passes.
//!
//! An attempt that was answered ROLLBACK is never closed. The consumer would still roll back some
//! time later, and empty a vBucket that a newer attempt may have filled by then.

use mcbp::dcp::stream_flags;
use mcbp::{Opaque, Seqno, Status, VbId};

use super::attempt::{AddPhase, AddPlan, Adding};
use super::ledger::Ledger;
use super::stream::{LateAdd, Request, Settled, Stream, Unanswered};
use super::{Deadline, Effect, Effects, LinkStep, Note, OwnFrame, Side, Verdict};

/// Bound on the rollbacks of one attempt. Each branch of both histories may take one, and nodes
/// keep 25 branches. Without a bound, an endless series would run at wire speed.
const ROLLBACKS_MAX: u8 = 64;

/// The breach of a STREAM_REQ from a closed attempt whose rollback still ran: it has emptied the
/// vBucket of a newer attempt.
pub(super) const ASKED_AGAIN: &str =
    "a closed stream was rolled back and asked for again, which empties its vBucket";

impl Ledger {
    /// Asks the consumer to add a stream. The entry exists before the frame can be sent, so no
    /// answer comes to an unknown attempt.
    pub(super) fn add(&mut self, vb: VbId, plan: AddPlan, fx: &mut Effects) {
        let attempt = self.issue();
        let first = self.adding.is_empty();
        let phase = AddPhase::Adding;
        let (request, rollbacks, finished) = (None, 0, false);
        let entry = Adding { attempt, request, phase, rollbacks, finished, plan };
        self.adding.insert(vb, entry);
        let frame = OwnFrame::AddStream { vb, opaque: attempt, flags: plan.flags };
        fx.push(Effect::Send(Side::Consumer, frame));
        match entry.takeover_deadline() {
            Some(deadline) => fx.push(Effect::Arm(deadline)),
            None => {
                let deadline = Deadline { step: LinkStep::AddStream, opaque: attempt };
                self.adds.begin(deadline, first, fx);
            }
        }
    }

    /// Handles a STREAM_REQ, the only frame from which the opaque of a stream can be learned.
    ///
    /// A STREAM_REQ belongs to an older attempt if its takeover flag differs from that of the
    /// pending one, or if it comes before the answer to the CLOSE_STREAM of that older attempt.
    ///
    /// # Errors
    /// [`ASKED_AGAIN`]: the link must be ended.
    pub(super) fn requested(
        &mut self,
        vb: VbId,
        request: Request,
        flags: u32,
        fx: &mut Effects,
    ) -> Result<Verdict, &'static str> {
        if !self.stuck.is_empty() && self.resolve_stuck(vb, request, fx) {
            return Ok(Verdict::Forward);
        }
        if self.older(vb, request.opaque).is_some() && self.is_touched(vb) {
            return Err(ASKED_AGAIN);
        }
        let is_closed = self.closed_asks(vb);
        let wanted = self
            .adding
            .get_mut(&vb)
            .filter(|entry| !is_closed && (entry.plan.flags ^ flags) & stream_flags::TAKEOVER == 0);
        let known = if let Some(entry) = wanted {
            if let AddPhase::RollingBack(_) = entry.phase {
                fx.push(Effect::Note(entry.rolled_back(vb, request)));
            }
            entry.phase = AddPhase::Requested;
            entry.finished = false;
            self.adds.moved(true);
            entry.request.replace(request)
        } else if let Some(stream) = self.open.get_mut(&vb).filter(|_| !is_closed) {
            stream.request.replace(request)
        } else {
            let opaque = request.opaque;
            fx.push(Effect::Note(Note::UnexpectedRequest { vb, opaque }));
            self.remember_older(vb, Some(request));
            return Ok(Verdict::Forward);
        };
        if known.is_some_and(|known| known.opaque != request.opaque) {
            self.remember_older(vb, known);
        }
        let is_endless = |entry: &Adding| entry.rollbacks >= ROLLBACKS_MAX;
        Ok(match self.incomplete.get(&vb) {
            _ if self.adding.get(&vb).is_some_and(is_endless) => {
                let opaque = request.opaque;
                fx.push(Effect::Send(Side::Consumer, OwnFrame::RefuseRequest { opaque }));
                self.refuse(vb, AddPhase::Refused(Status::ROLLBACK), fx);
                Verdict::Withhold
            }
            Some(&complete_to) if self.adding.contains_key(&vb) => {
                self.roll_back_first(vb, request, complete_to, fx);
                Verdict::Withhold
            }
            _ => Verdict::Forward,
        })
    }

    /// Whether a STREAM_REQ belongs to an attempt that was closed before its STREAM_REQ was seen.
    /// Each attempt sends one, before it answers the CLOSE_STREAM.
    fn closed_asks(&mut self, vb: VbId) -> bool {
        let mut closed = self.unanswered.values_mut();
        let closed = closed.find(|close| close.vb == vb && close.may_ask);
        closed.map(|close| close.may_ask = false).is_some()
    }

    /// Answers the STREAM_REQ of an incomplete copy in the producer's place: ROLLBACK to the seqno
    /// up to which the copy is complete, and then a refusal. The gap is gone before the stream can
    /// open.
    fn roll_back_first(&mut self, vb: VbId, request: Request, to: Seqno, fx: &mut Effects) {
        let opaque = request.opaque;
        if request.start > to {
            fx.push(Effect::Send(Side::Consumer, OwnFrame::Rollback { opaque, to }));
            return self.rolls_back(vb, opaque, fx);
        }
        self.mark_complete(vb, fx);
        fx.push(Effect::Send(Side::Consumer, OwnFrame::RefuseRequest { opaque }));
        self.refuse(vb, AddPhase::RolledBack, fx);
    }

    fn rolls_back(&mut self, vb: VbId, opaque: Opaque, fx: &mut Effects) {
        if let Some(entry) = self.adding.get_mut(&vb) {
            entry.phase = AddPhase::RollingBack(self.rollbacks);
            entry.rollbacks = entry.rollbacks.saturating_add(1);
            self.rollbacks = self.rollbacks.wrapping_add(1);
            fx.push(Effect::Note(Note::RollbackAsked { vb, opaque }));
        }
    }

    fn refuse(&mut self, vb: VbId, phase: AddPhase, fx: &mut Effects) {
        let first = !self.adding.values().any(|entry| entry.phase.is_refusal());
        if let Some(entry) = self.adding.get_mut(&vb) {
            entry.phase = phase;
            let deadline = Deadline { step: LinkStep::Refusal, opaque: entry.attempt };
            self.refusals.begin(deadline, first, fx);
        }
    }

    /// Handles the producer's answer to a STREAM_REQ. An answer to a stream that the consumer was
    /// told to close meanwhile is withheld: the consumer no longer knows the stream and would close
    /// the connection.
    pub(super) fn request_answered(
        &mut self,
        opaque: Opaque,
        status: Status,
        fx: &mut Effects,
    ) -> Verdict {
        let mut waiting = self.adding.iter_mut();
        let Some((&vb, entry)) = waiting.find(|(_, entry)| entry.opaque() == Some(opaque)) else {
            if status.is_success() {
                self.close_orphan(opaque, fx);
            }
            let is_gone = self.gone(opaque).is_some();
            return if is_gone { Verdict::Withhold } else { Verdict::Forward };
        };
        self.adds.moved(true);
        match status {
            Status::SUCCESS => entry.phase = AddPhase::Accepted,
            Status::ROLLBACK => self.rolls_back(vb, opaque, fx),
            status => self.refuse(vb, AddPhase::Refused(status), fx),
        }
        Verdict::Forward
    }

    /// Closes a stream that the producer opened after it was given up: our first CLOSE_STREAM
    /// overtook its STREAM_REQ.
    fn close_orphan(&mut self, opaque: Opaque, fx: &mut Effects) {
        if let Some((vb, _)) = self.gone(opaque)
            && !self.is_touched(vb)
        {
            self.abandon(vb, &[Side::Producer], fx);
        }
    }

    /// Handles the consumer's answer to an ADD_STREAM.
    pub(super) fn add_answered(
        &mut self,
        opaque: Opaque,
        status: Status,
        fx: &mut Effects,
    ) -> Option<Settled> {
        let mut waiting = self.adding.iter().map(|(&vb, &entry)| (vb, entry));
        let Some((vb, entry)) = waiting.find(|(_, entry)| entry.attempt == opaque) else {
            self.late_answer(Side::Consumer, opaque, status, fx);
            return None;
        };
        self.adding.remove(&vb);
        self.adding_moved();
        if status.is_success()
            && let Some(refusal) = entry.phase.refusal()
        {
            // The consumer has a stream that the producer refused.
            self.remember_older(vb, entry.request);
            self.abandon(vb, &[Side::Consumer], fx);
            return Some(Settled::Failed(entry.refused(vb, refusal)));
        }
        match (status, entry.phase) {
            (_, AddPhase::RolledBack) => {
                self.remember_older(vb, entry.request);
                Some(Settled::RolledBack(vb))
            }
            // It exceeded the bound on rollbacks; the consumer's status says less.
            (_, AddPhase::Refused(Status::ROLLBACK)) => {
                self.remember_older(vb, entry.request);
                Some(Settled::Failed(entry.refused(vb, Status::ROLLBACK)))
            }
            (Status::SUCCESS, _) if entry.finished => {
                self.remember_older(vb, entry.request);
                Some(Settled::Finished(vb))
            }
            (Status::SUCCESS, _) => {
                Some(Settled::Added(vb, Stream { attempt: opaque, request: entry.request }))
            }
            (Status::KEY_EEXISTS, _) if !entry.plan.retried => {
                self.remember_older(vb, entry.request);
                fx.push(Effect::Note(Note::LeftOver { vb }));
                self.close(vb, Some(AddPlan { retried: true, ..entry.plan }), fx);
                None
            }
            (status, _) => {
                self.remember_older(vb, entry.request);
                Some(Settled::Failed(entry.refused(vb, status)))
            }
        }
    }

    /// Stops waiting for an ADD_STREAM, and keeps it for a late answer.
    pub(super) fn give_up_adding(&mut self, vb: VbId, ended: bool) {
        if let Some(entry) = self.adding.remove(&vb) {
            self.remember_attempt(vb, &entry, ended);
            self.adding_moved();
        }
    }

    pub(super) fn remember_attempt(&mut self, vb: VbId, entry: &Adding, ended: bool) {
        self.remember_older(vb, entry.request);
        self.remember_late(entry.attempt, LateAdd { vb, ended });
    }

    /// Gives up an attempt, and closes on both sides the stream that it may have opened.
    pub(super) fn close_adding(&mut self, vb: VbId, fx: &mut Effects) -> Opaque {
        let may_ask = self.adding.get(&vb).is_some_and(|entry| entry.request.is_none());
        self.give_up_adding(vb, false);
        let close = self.abandon(vb, &[Side::Consumer, Side::Producer], fx);
        if may_ask {
            self.remember_unanswered(close, Unanswered { vb, may_ask, shows_gap: false });
        }
        close
    }

    /// Updates the deadlines after an attempt was removed.
    pub(super) fn adding_moved(&mut self) {
        self.adds.moved(!self.adding.is_empty());
        // Without a pending refusal the scan is skipped: it would cost a pass over all attempts for
        // each stream that opens.
        if self.refusals.armed().is_some() {
            self.refusals.moved(self.adding.values().any(|entry| entry.phase.is_refusal()));
        }
    }
}
