//! Closes one stream: CLOSE_STREAM to both sides, then both answers or a deadline.

use mcbp::{Opaque, Status, VbId};

use super::attempt::AddPlan;
use super::closing::{Answer, Closing};
use super::ledger::Ledger;
use super::progress_deadline::Passed;
use super::stream::Settled;
use super::{Deadline, Effect, Effects, LinkStep, OwnFrame, Side, VbError};

impl Ledger {
    /// Asks both sides to close the stream of `vb`; with `then`, adds it again after that.
    pub(super) fn close(&mut self, vb: VbId, then: Option<AddPlan>, fx: &mut Effects) {
        let attempt = self.issue();
        let stream = self.open.remove(&vb);
        let (consumer, producer) = (Answer::Awaited, Answer::Awaited);
        let first = self.closing.is_empty();
        let entry = Closing { attempt, stream, consumer, producer, then, refused: None };
        for side in [Side::Consumer, Side::Producer] {
            fx.push(Effect::Send(side, OwnFrame::CloseStream { vb, opaque: attempt }));
        }
        let deadline = Deadline { step: LinkStep::CloseStream, opaque: attempt };
        self.closes.begin(deadline, first, fx);
        self.closing.insert(vb, entry);
    }

    /// Handles the answer of one side to a CLOSE_STREAM.
    pub(super) fn close_answered(
        &mut self,
        side: Side,
        opaque: Opaque,
        status: Status,
        fx: &mut Effects,
    ) -> Option<Settled> {
        let mut waiting = self.closing.iter_mut();
        let Some((&vb, entry)) = waiting.find(|(_, entry)| entry.attempt == opaque) else {
            self.late_answer(side, opaque, status, fx);
            return None;
        };
        let answer = match side {
            Side::Consumer => &mut entry.consumer,
            Side::Producer => &mut entry.producer,
        };
        *answer = Answer::from_status(status);
        self.closes.moved(true);
        let is_open = entry.consumer == Answer::Awaited || entry.producer == Answer::Awaited;
        if side == Side::Consumer {
            self.note_gap_answer(opaque, status, fx);
        }
        if is_open {
            return None;
        }
        self.close_ended(vb, fx)
    }

    /// Handles the passed deadline of CLOSE_STREAMs.
    pub(super) fn close_overdue(&mut self, deadline: Deadline, fx: &mut Effects) -> Vec<Settled> {
        match self.closes.passed(deadline, !self.closing.is_empty(), fx) {
            Passed::GoOn => Vec::new(),
            Passed::Overdue => {
                let late: Vec<VbId> = self.closing.keys().copied().collect();
                late.into_iter().filter_map(|vb| self.close_ended(vb, fx)).collect()
            }
        }
    }

    /// Settles a CLOSE_STREAM whose answers came, or are overdue.
    fn close_ended(&mut self, vb: VbId, fx: &mut Effects) -> Option<Settled> {
        let entry = self.closing.remove(&vb)?;
        self.closes.moved(!self.closing.is_empty());
        if let (Answer::Refused(_), Some(stream)) = (entry.consumer, entry.stream) {
            self.open.insert(vb, stream);
        } else {
            // A consumer that did not answer may still have the stream. It counts as closed: the
            // next ADD_STREAM detects and closes a left-over stream, while nothing would detect an
            // entry without a stream.
            self.remember_older(vb, entry.stream.and_then(|stream| stream.request));
        }
        let failed = |side, reason| Some(Settled::Failed(VbError { vb, side, reason }));
        match (entry.consumer.reason(), entry.producer.reason(), entry.then) {
            (Some(reason), _, _) => failed(Side::Consumer, reason),
            (None, Some(reason), _) => failed(Side::Producer, reason),
            (None, None, None) => Some(Settled::Closed(vb)),
            (None, None, Some(_)) if entry.refused.is_some() => entry.refused.map(Settled::Failed),
            (None, None, Some(plan)) => {
                self.add(vb, plan, fx);
                None
            }
        }
    }
}
