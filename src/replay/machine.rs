//! A conversation fed to the machine of a link, and what the machine makes of it.
//!
//! The recording says which frames came and when; the proxy that recorded may have been another
//! one. So the commands are derived from its own frames: an ADD_STREAM is a set-up with every
//! ADD_STREAM that goes with it, a CLOSE_STREAM a command to close.

mod commands;
mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use mcbp::{Frame, Opaque, Opcode, Seqno, Side, VbId};
use replica::link::{
    ConsumerMachine, ControlFrame, DATA_OPCODES, Deadline, Effect, Effects, Event, LinkStep,
    OwnFrame, StepLimits, Ticket, Verdict, is_barrier,
};

pub(crate) use report::{Report, Told};

use super::recording::{self, Conversation, Passed, Step};

/// Copies that are incomplete, which one link leaves to the next.
pub(crate) type Incomplete = BTreeMap<VbId, Seqno>;

/// A machine between the frames of a conversation.
struct Fed<'a> {
    machine: ConsumerMachine,
    limits: StepLimits,
    conversation: &'a Conversation,
    report: Report,
    /// Frames that the machine has sent and the recording has not had yet.
    sent: BTreeMap<Side, VecDeque<(u64, OwnFrame)>>,
    /// The machine's opaques for those of the recording.
    opaques: BTreeMap<(Side, Opcode, Opaque), Opaque>,
    /// When each armed deadline passes.
    armed: Vec<(Duration, Deadline)>,
    tickets: u64,
    incomplete: Incomplete,
    /// The vBucket being taken over, if data of it has passed since its deadline was armed.
    data: Option<VbId>,
}

/// Feeds a conversation to a new machine.
pub(crate) fn feed(conversation: &Conversation, incomplete: &mut Incomplete) -> Report {
    let mut fed = Fed {
        machine: ConsumerMachine::default(),
        limits: StepLimits::default(),
        conversation,
        report: Report::default(),
        sent: BTreeMap::new(),
        opaques: BTreeMap::new(),
        armed: Vec::new(),
        tickets: 0,
        incomplete: incomplete.clone(),
        data: None,
    };
    for (at, step) in conversation.steps.iter().enumerate() {
        fed.pass_deadlines(step.t);
        fed.step(at, step);
    }
    fed.end();
    *incomplete = fed.incomplete;
    fed.report
}

impl Fed<'_> {
    fn step(&mut self, at: usize, step: &Step) {
        match &step.event {
            recording::Event::From(side, bytes, passed) => {
                self.heard(step, *side, bytes, *passed);
            }
            recording::Event::Own(side, bytes) => self.own(at, step, *side, bytes),
            recording::Event::Closed(side) => {
                self.report.row(step, "", Told::Closed(*side));
                let why = "the recorded node closed the connection".to_owned();
                let effects = self.machine.on(Event::LinkLost { side: *side, why });
                self.carry_out(step, effects);
            }
        }
    }

    /// A frame of a node.
    fn heard(&mut self, step: &Step, side: Side, bytes: &Bytes, passed: Passed) {
        let Ok(frame) = Frame::parse(bytes) else { return };
        let what = wirelog::what(&frame);
        // A node answers those of the other node all the time.
        let is_pulse = frame.opcode() == Opcode::DCP_NOOP && passed == Passed::On;
        let told = match ControlFrame::decode(side, &frame) {
            Ok(Some(control)) => self.translated(control, frame.opcode()),
            Ok(None) => {
                let vb = frame.header.vbucket();
                let is_data = DATA_OPCODES.contains(&frame.opcode());
                if side == Side::Producer && is_data && self.machine.taking_over() == Some(vb) {
                    self.data = Some(vb);
                }
                self.report.row(step, &what, Told::Unseen(side));
                return;
            }
            Err(error) => {
                self.report.row(step, &what, Told::Malformed(side));
                let effects = self.machine.on(Event::LinkLost { side, why: error.to_string() });
                self.carry_out(step, effects);
                return;
            }
        };
        let (verdict, effects) = self.machine.on_frame(told);
        let is_quiet = is_pulse && verdict == Verdict::Forward;
        let judged = if is_quiet { Told::Unseen(side) } else { Told::Judged(side, verdict) };
        self.report.row(step, &what, judged);
        self.carry_out(step, effects);
        self.compare_verdict(step, &what, verdict, passed, &frame);
    }

    /// What the recording says about the fate of a frame, against the verdict. A SET_VBUCKET_STATE
    /// that the machine keeps is sent later as a frame of its own, and compared there.
    fn compare_verdict(
        &mut self,
        step: &Step,
        what: &str,
        verdict: Verdict,
        passed: Passed,
        frame: &Frame<'_>,
    ) {
        let is_held = frame.opcode() == Opcode::DCP_SET_VBUCKET_STATE;
        let is_over = self.machine.stopped().is_some();
        match (passed, verdict) {
            (Passed::On, Verdict::Withhold) if !is_held && !is_over => {
                self.report.differs(format!("frame {}: {what} is withheld; it passed", step.n));
            }
            (Passed::Kept, Verdict::Forward) => {
                self.report.differs(format!("frame {}: {what} passes; it was withheld", step.n));
            }
            _ => {}
        }
    }

    /// An answer to a frame of the recording's proxy, as an answer to the machine's.
    fn translated(&self, control: ControlFrame, opcode: Opcode) -> ControlFrame {
        let ours =
            |side, opaque| self.opaques.get(&(side, opcode, opaque)).copied().unwrap_or(opaque);
        match control {
            ControlFrame::AddStreamResponse { opaque, status } => {
                let opaque = ours(Side::Consumer, opaque);
                ControlFrame::AddStreamResponse { opaque, status }
            }
            ControlFrame::CloseStreamResponse { side, opaque, status } => {
                let opaque = ours(side, opaque);
                ControlFrame::CloseStreamResponse { side, opaque, status }
            }
            ControlFrame::NoopResponse { opaque } => {
                ControlFrame::NoopResponse { opaque: ours(Side::Consumer, opaque) }
            }
            other => other,
        }
    }

    /// A frame of the recording's proxy: the machine has sent it, or a command makes it.
    fn own(&mut self, at: usize, step: &Step, side: Side, bytes: &Bytes) {
        let Ok(frame) = Frame::parse(bytes) else { return };
        let what = wirelog::what(&frame);
        let mut ours = self.take_sent(side, &frame);
        if ours.is_none()
            && let Some(command) = self.command(at, side, &frame)
        {
            self.report.command(step, &command);
            self.tickets += 1;
            let effects = self.machine.on(Event::Command { ticket: Ticket(self.tickets), command });
            self.carry_out(step, effects);
            ours = self.take_sent(side, &frame);
        }
        self.report.row(step, &what, Told::Own(side, ours.is_some()));
        let Some(own) = ours else {
            let text = format!("frame {}: {what} to the {side} was sent; now it is not", step.n);
            self.report.differs(text);
            return;
        };
        if let Ok(sent) = Frame::parse(&own.encode()) {
            let key = (side, frame.opcode(), frame.header.opaque);
            self.opaques.insert(key, sent.header.opaque);
        }
    }

    /// Takes the oldest sent frame that is this one but for its opaque.
    fn take_sent(&mut self, side: Side, recorded: &Frame<'_>) -> Option<OwnFrame> {
        let queue = self.sent.get_mut(&side)?;
        let at = queue.iter().position(|(_, own)| {
            Frame::parse(&own.encode()).is_ok_and(|sent| is_alike(&sent, recorded))
        })?;
        queue.remove(at).map(|(_, own)| own)
    }

    fn carry_out(&mut self, step: &Step, effects: Effects) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            self.report.effect(step, &effect);
            match effect {
                Effect::Send(side, own) => {
                    self.sent.entry(side).or_default().push_back((step.n, own));
                    if let OwnFrame::Noop { opaque } = own
                        && !self.has_barriers()
                    {
                        // Nobody answers it in the recording.
                        let answer = ControlFrame::NoopResponse { opaque };
                        effects.extend(self.machine.on_frame(answer).1);
                    }
                }
                Effect::Arm(deadline) => {
                    self.armed.push((step.t + self.limits.of(deadline.step), deadline));
                }
                Effect::Incomplete(vb, to) => _ = self.incomplete.insert(vb, to),
                Effect::Complete(vb) => _ = self.incomplete.remove(&vb),
                Effect::Answer(..)
                | Effect::Ended(_)
                | Effect::Opened(_)
                | Effect::Progress
                | Effect::Note(_)
                | Effect::Stop(_) => {}
            }
        }
    }

    /// Whether the recording's proxy sent NOOPs of its own.
    fn has_barriers(&self) -> bool {
        self.conversation.steps.iter().any(|step| match &step.event {
            recording::Event::Own(Side::Consumer, bytes) => {
                Frame::parse(bytes).is_ok_and(|frame| {
                    frame.opcode() == Opcode::DCP_NOOP && is_barrier(frame.header.opaque)
                })
            }
            _ => false,
        })
    }

    /// Gives the machine every deadline that passed before `now`.
    fn pass_deadlines(&mut self, now: Duration) {
        loop {
            let due = self.armed.iter().enumerate().filter(|(_, (at, _))| *at <= now);
            let Some((place, _)) = due.min_by_key(|(_, (at, _))| *at) else { return };
            let (t, deadline) = self.armed.swap_remove(place);
            let step = Step { n: 0, t, event: recording::Event::Closed(Side::Consumer) };
            let is_moving = deadline.step == LinkStep::Takeover;
            if is_moving && self.data.take().is_some() {
                let effects = self.machine.on(Event::DataPassed);
                self.carry_out(&step, effects);
            }
            let effects = self.machine.on(Event::DeadlinePassed(deadline));
            if effects.iter().any(|effect| !matches!(effect, Effect::Arm(_) | Effect::Progress)) {
                self.report.row(&step, "", Told::Overdue(deadline.step));
            }
            self.carry_out(&step, effects);
        }
    }

    fn end(&mut self) {
        let is_over = self.machine.stopped().is_some();
        for (side, queue) in std::mem::take(&mut self.sent) {
            for (n, own) in queue {
                let sent = own.encode();
                let Ok(frame) = Frame::parse(&sent) else { continue };
                let what = wirelog::what(&frame);
                self.report
                    .differs(format!("after frame {n}: {what} is sent to the {side}; it was not"));
            }
        }
        if let Err(broken) = self.machine.check_invariants() {
            self.report.differs(format!("the machine is broken: {broken}"));
        }
        self.report.finish(&self.machine, is_over);
    }
}

/// Whether two frames differ in nothing but their opaques.
fn is_alike(one: &Frame<'_>, other: &Frame<'_>) -> bool {
    let rest = |frame: &Frame<'_>| {
        (frame.opcode(), frame.header.is_request(), frame.header.vbucket_or_status)
    };
    rest(one) == rest(other) && one.extras == other.extras && one.value == other.value
}
