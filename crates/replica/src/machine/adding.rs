//! Adding one stream: ADD_STREAM out, STREAM_REQ and its answer pass by, then the answer to
//! ADD_STREAM, or a deadline.

use mcbp::dcp::stream_flags;
use mcbp::{Opaque, Status, VbId};

use super::ledger::{LateAdd, Ledger, Settled, Stream};
use super::{Deadline, Effect, Effects, Note, OwnFrame, Reason, Side, Step, VbError};

/// A stream that is being added.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Adding {
    /// The opaque of our ADD_STREAM.
    pub(super) attempt: Opaque,
    /// The opaque of the stream, once its STREAM_REQ was seen.
    pub(super) stream: Option<Opaque>,
    pub(super) progress: Progress,
    /// The producer has ended the stream with Ok: it has sent everything, and the answer to
    /// ADD_STREAM is merely late.
    pub(super) finished: bool,
    pub(super) plan: AddPlan,
}

/// How a stream is to be added.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct AddPlan {
    pub(super) flags: u32,
    /// Whether a left-over stream was closed for it already: once is enough (MB-9343).
    pub(super) retried: bool,
}

/// Who moves next while a stream is being added.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Progress {
    /// The consumer: it has to ask for the stream.
    Adding,
    /// The producer: it has to answer STREAM_REQ.
    Requested,
    /// The consumer: it has to answer ADD_STREAM.
    Accepted,
    /// The consumer as well, but it may never do so: the producer has refused.
    Refused(Status),
}

impl AddPlan {
    pub(super) const REPLICATE: Self = Self { flags: 0, retried: false };
    pub(super) const TAKEOVER: Self = Self { flags: stream_flags::TAKEOVER, retried: false };

    const fn step(self) -> Step {
        if self.flags & stream_flags::TAKEOVER == 0 { Step::AddStream } else { Step::Takeover }
    }
}

impl Adding {
    /// The deadlines that this entry waits for.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Deadline> {
        let opaque = self.attempt;
        let refused = matches!(self.progress, Progress::Refused(_));
        let refusal = refused.then_some(Deadline { step: Step::Refusal, opaque });
        [Deadline { step: self.plan.step(), opaque }].into_iter().chain(refusal)
    }

    /// Who is to blame when nothing more happens.
    pub(super) const fn awaited(&self) -> Side {
        match self.progress {
            Progress::Adding | Progress::Accepted => Side::Consumer,
            Progress::Requested | Progress::Refused(_) => Side::Producer,
        }
    }

    const fn refused(&self, vb: VbId, status: Status) -> VbError {
        let side = match self.progress {
            Progress::Refused(_) => Side::Producer,
            Progress::Adding | Progress::Requested | Progress::Accepted => Side::Consumer,
        };
        VbError { vb, side, reason: Reason::Refused { step: Step::AddStream, status } }
    }
}

impl Ledger {
    /// Asks the consumer to add a stream. The entry is there before the frame can go out.
    pub(super) fn add(&mut self, vb: VbId, plan: AddPlan, fx: &mut Effects) {
        let attempt = self.issue();
        let progress = Progress::Adding;
        self.adding.insert(vb, Adding { attempt, stream: None, progress, finished: false, plan });
        let frame = OwnFrame::AddStream { vb, opaque: attempt, flags: plan.flags };
        fx.push(Effect::Send(Side::Consumer, frame));
        fx.push(Effect::Arm(Deadline { step: plan.step(), opaque: attempt }));
    }

    /// A STREAM_REQ passes: the one way to learn the opaque of a stream.
    ///
    /// One whose takeover flag is not what was asked for belongs to an older attempt.
    pub(super) fn requested(&mut self, vb: VbId, opaque: Opaque, flags: u32, fx: &mut Effects) {
        let wanted = self.adding.get_mut(&vb);
        let wanted = wanted.filter(|e| (e.plan.flags ^ flags) & stream_flags::TAKEOVER == 0);
        let known = if let Some(entry) = wanted {
            entry.progress = Progress::Requested;
            entry.finished = false;
            entry.stream.replace(opaque)
        } else if let Some(stream) = self.open.get_mut(&vb) {
            stream.opaque.replace(opaque)
        } else {
            fx.push(Effect::Note(Note::UnexpectedRequest { vb, opaque }));
            self.remember_older(vb, Some(opaque));
            return;
        };
        if known != Some(opaque) {
            self.remember_older(vb, known);
            self.forget_older(vb, opaque);
        }
    }

    /// The producer has answered a STREAM_REQ.
    pub(super) fn request_answered(&mut self, opaque: Opaque, status: Status, fx: &mut Effects) {
        let mut waiting = self.adding.iter_mut();
        let Some((&vb, entry)) = waiting.find(|(_, entry)| entry.stream == Some(opaque)) else {
            if status.is_success() {
                self.close_orphan(opaque, fx);
            }
            return;
        };
        entry.progress = match status {
            Status::SUCCESS => Progress::Accepted,
            Status::ROLLBACK => {
                fx.push(Effect::Note(Note::RollbackAsked { vb, opaque }));
                Progress::Adding // The consumer rolls back and asks once more.
            }
            status => {
                let deadline = Deadline { step: Step::Refusal, opaque: entry.attempt };
                fx.push(Effect::Arm(deadline));
                Progress::Refused(status)
            }
        };
    }

    /// The producer serves a stream that was given up before its STREAM_REQ could pass: our
    /// CLOSE_STREAM had overtaken it, so it is sent once more.
    fn close_orphan(&mut self, opaque: Opaque, fx: &mut Effects) {
        let mut gone = self.older.iter().filter(|(_, older)| older.contains(&opaque));
        if let Some((&vb, _)) = gone.next()
            && !self.is_touched(vb)
        {
            self.abandon(vb, &[Side::Producer], fx);
        }
    }

    /// The consumer has answered an ADD_STREAM.
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
        match (status, entry.progress) {
            (Status::SUCCESS, Progress::Refused(refusal)) => {
                // The consumer has a stream that the producer does not send.
                self.remember_older(vb, entry.stream);
                self.abandon(vb, &[Side::Consumer], fx);
                Some(Settled::Failed(entry.refused(vb, refusal)))
            }
            (Status::SUCCESS, _) if entry.finished => {
                self.remember_older(vb, entry.stream);
                Some(Settled::Finished(vb))
            }
            (Status::SUCCESS, _) => {
                Some(Settled::Added(vb, Stream { attempt: opaque, opaque: entry.stream }))
            }
            (Status::KEY_EEXISTS, _) if !entry.plan.retried => {
                self.remember_older(vb, entry.stream);
                fx.push(Effect::Note(Note::LeftOver { vb }));
                self.close(vb, Some(AddPlan { retried: true, ..entry.plan }), fx);
                None
            }
            (status, _) => {
                self.remember_older(vb, entry.stream);
                Some(Settled::Failed(entry.refused(vb, status)))
            }
        }
    }

    /// Stops waiting for an ADD_STREAM, and remembers it for the answer that may still come.
    pub(super) fn give_up_adding(&mut self, vb: VbId, ended: bool) {
        if let Some(entry) = self.adding.remove(&vb) {
            self.remember_older(vb, entry.stream);
            self.remember_late(entry.attempt, LateAdd { vb, ended });
        }
    }

    /// A deadline of an entry has passed.
    pub(super) fn add_overdue(&mut self, deadline: Deadline, fx: &mut Effects) -> Option<Settled> {
        let mut waiting = self.adding.iter().map(|(&vb, &entry)| (vb, entry));
        let (vb, entry) = waiting.find(|(_, e)| e.deadlines().any(|armed| armed == deadline))?;
        let error = match (deadline.step, entry.progress) {
            (Step::Refusal, Progress::Refused(status)) => entry.refused(vb, status),
            (step, _) => VbError { vb, side: entry.awaited(), reason: Reason::Deadline(step) },
        };
        self.give_up_adding(vb, false);
        self.abandon(vb, &[Side::Consumer, Side::Producer], fx);
        Some(Settled::Failed(error))
    }
}
