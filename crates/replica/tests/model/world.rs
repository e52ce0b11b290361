//! One machine between two nodes, and every action that is possible next.

use std::collections::{BTreeMap, BTreeSet};

use mcbp::{Opaque, Seqno, Status, StreamEndStatus, VbId, VbState};
use replica::link::{
    Command, ConsumerMachine, ControlFrame, Deadline, Effect, Event, LinkStep, Outcome, OwnFrame,
    Side, Ticket, VbOutcome, Verdict,
};

use crate::nodes::{Consumer, NodeFrame, Producer, VBS};

/// How many commands there are.
pub const COMMANDS: usize = 6;

/// The commands of a run, each given once, at any time and in any order.
fn commands(incomplete: &BTreeMap<VbId, Seqno>) -> [Command; COMMANDS] {
    let set_up = |vbs: &[u16]| Command::SetupStreams {
        wanted: vbs.iter().copied().map(VbId).collect(),
        reopen: BTreeSet::new(),
        incomplete: incomplete.clone(),
    };
    [
        set_up(&[0, 1]),
        set_up(&[1]),
        Command::Takeover { vb: VbId(0) },
        Command::Shut,
        set_up(&[0]),
        set_up(&[0]),
    ]
}

/// An action.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    Give(usize),
    /// The pump reads the next frame of this side.
    Read(Side),
    ConsumerAnswersAdd(usize),
    ConsumerAnswersState(usize),
    ProducerAccepts(usize),
    ProducerHandsOver(usize),
    ProducerSends(usize),
    ConsumerRollsBack(usize),
    /// A deadline passes; only when no other action is possible.
    Deadline(Deadline),
    // Faults. Each costs one of the budget.
    DeadlineTooEarly(Deadline),
    ConsumerForgetsAdd(usize),
    ConsumerRefusesState(usize),
    /// The next frame of the producer is a row, which the consumer refuses.
    ConsumerRefusesRow,
    /// The next frame of this side, an answer to CLOSE_STREAM, never comes.
    CloseAnswerLost(Side),
    ProducerAnswers(usize, Status),
    ProducerEnds(usize, StreamEndStatus),
    ProducerEndsAgain(usize),
    Lost(Side),
}

impl Action {
    pub const fn is_fault(self) -> bool {
        match self {
            Self::Give(_)
            | Self::Read(_)
            | Self::ConsumerAnswersAdd(_)
            | Self::ConsumerAnswersState(_)
            | Self::ProducerAccepts(_)
            | Self::ProducerHandsOver(_)
            | Self::ProducerSends(_)
            | Self::ConsumerRollsBack(_)
            | Self::Deadline(_) => false,
            Self::DeadlineTooEarly(_)
            | Self::ConsumerForgetsAdd(_)
            | Self::ConsumerRefusesState(_)
            | Self::ConsumerRefusesRow
            | Self::CloseAnswerLost(_)
            | Self::ProducerAnswers(..)
            | Self::ProducerEnds(..)
            | Self::ProducerEndsAgain(_)
            | Self::Lost(_) => true,
        }
    }
}

/// A seeded mistake, to show that the checker finds it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mistake {
    None,
    /// The pending vBucket is not removed when its stream ends (MB-53445).
    EndForgotten,
    /// The wait for the answer to ADD_STREAM has no deadline.
    NoDeadline,
    /// A refusal of the consumer is not given to the machine (wire/19).
    RefusalUnseen,
    /// An attempt that has to roll back is closed like any other (wire/20b).
    RollbackUnseen,
    /// The same, and its STREAM_REQ is dropped when it comes in the end (wire/20c).
    RequestSwallowed,
}

/// One state.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    pub machine: ConsumerMachine,
    pub consumer: Consumer,
    pub producer: Producer,
    /// Which commands were given.
    pub given: [bool; COMMANDS],
    /// How often each was answered.
    pub answers: [u8; COMMANDS],
    /// Rows of vBucket 0 at the producer.
    pub rows: u8,
    /// What was reported to the owner of the link about the consumer's copies.
    pub incomplete: BTreeMap<VbId, Seqno>,
    pub faults_left: u8,
    pub stopped: bool,
    /// Whether an answer to CLOSE_STREAM was lost. From then on the order of a node's frames proves
    /// nothing, and a STREAM_REQ may be attributed to a closed stream.
    pub lost_close: bool,
    /// Every deadline that was armed and is awaited.
    pub armed: BTreeSet<Deadline>,
    /// Opaques of streams whose failing end was seen: nothing may wait for them any more.
    pub ended: BTreeSet<Opaque>,
    /// Violations seen so far.
    pub wrong: Option<&'static str>,
}

impl World {
    /// A run with some of the commands; the others count as given and answered.
    pub fn new(used: [bool; COMMANDS], faults: u8, rows: u8) -> Self {
        Self {
            machine: ConsumerMachine::default(),
            consumer: Consumer::new(),
            producer: Producer::new(),
            given: used.map(|used| !used),
            answers: used.map(|used| u8::from(!used)),
            rows,
            incomplete: BTreeMap::new(),
            faults_left: faults,
            stopped: false,
            lost_close: false,
            armed: BTreeSet::new(),
            ended: BTreeSet::new(),
            wrong: None,
        }
    }

    pub fn actions(&self, actions: &mut Vec<Action>) {
        actions.extend((0..COMMANDS).filter(|&n| !self.given[n]).map(Action::Give));
        if self.stopped {
            return;
        }
        let late = if self.is_still() { Action::Deadline } else { Action::DeadlineTooEarly };
        actions.extend(self.armed.iter().copied().map(late));
        for (side, wire) in
            [(Side::Consumer, &self.consumer.wire), (Side::Producer, &self.producer.wire)]
        {
            if let Some(next) = wire.front() {
                actions.push(Action::Read(side));
                match next {
                    NodeFrame::Control(ControlFrame::CloseStreamResponse { .. }) => {
                        actions.push(Action::CloseAnswerLost(side));
                    }
                    NodeFrame::Row { .. } => actions.push(Action::ConsumerRefusesRow),
                    NodeFrame::Control(_) => {}
                }
            }
            actions.push(Action::Lost(side));
        }
        for at in 0..self.consumer.owed.len() {
            actions.extend([Action::ConsumerAnswersAdd(at), Action::ConsumerForgetsAdd(at)]);
        }
        actions.extend((0..self.consumer.rolling.len()).map(Action::ConsumerRollsBack));
        for vb in 0..VBS {
            if self.consumer.vbs[vb].asked.is_some() {
                actions.push(Action::ConsumerAnswersState(vb));
                actions.push(Action::ConsumerRefusesState(vb));
            }
            let producer = &self.producer.vbs[vb];
            if producer.asked.is_some() {
                actions.push(Action::ProducerAccepts(vb));
                actions.push(Action::ProducerAnswers(vb, Status::NOT_MY_VBUCKET));
                actions.push(Action::ProducerAnswers(vb, Status::ROLLBACK));
            }
            if let Some(stream) = producer.stream {
                let has_sent_all = vb > 0 || stream.sent == self.rows;
                if !has_sent_all {
                    actions.push(Action::ProducerSends(vb));
                }
                if stream.takeover && !producer.handing_over && has_sent_all {
                    actions.push(Action::ProducerHandsOver(vb));
                }
                actions.push(Action::ProducerEnds(vb, StreamEndStatus::OK));
                actions.push(Action::ProducerEnds(vb, StreamEndStatus::STATE_CHANGED));
            }
            if producer.older.is_some() {
                actions.push(Action::ProducerEndsAgain(vb));
            }
        }
        if self.faults_left == 0 {
            actions.retain(|action| !action.is_fault());
        }
    }

    #[allow(clippy::too_many_lines, reason = "one arm for each action")]
    pub fn step(&mut self, action: Action, mistake: Mistake) {
        self.faults_left -= u8::from(action.is_fault());
        match action {
            Action::Give(n) => {
                self.given[n] = true;
                let ticket = Ticket(n as u64);
                let command = commands(&self.incomplete)[n].clone();
                self.tell(Event::Command { ticket, command });
            }
            Action::Deadline(deadline) | Action::DeadlineTooEarly(deadline) => {
                self.armed.remove(&deadline);
                if mistake != Mistake::NoDeadline || deadline.step != LinkStep::AddStream {
                    self.tell(Event::DeadlinePassed(deadline));
                }
            }
            Action::Lost(side) => {
                self.tell(Event::LinkLost { side, why: String::new() });
                match side {
                    Side::Consumer => self.consumer.disconnect(),
                    Side::Producer => self.producer.disconnect(),
                }
            }
            Action::Read(Side::Consumer) => {
                let said = self.consumer.wire.pop_front().unwrap();
                let NodeFrame::Control(frame) = said else { panic!("no control frame: {said:?}") };
                if self.pump(frame, mistake) == Verdict::Forward {
                    self.producer.forwarded(frame);
                }
            }
            Action::Read(Side::Producer) => match self.producer.wire.pop_front().unwrap() {
                NodeFrame::Row { vb, opaque, seqno } => self.consumer.row(vb, opaque, seqno, false),
                NodeFrame::Control(frame) => {
                    if self.pump(frame, mistake) == Verdict::Forward {
                        self.consumer.forwarded(frame);
                    }
                }
            },
            Action::ConsumerRefusesRow => {
                let said = self.producer.wire.pop_front().unwrap();
                let NodeFrame::Row { vb, opaque, seqno } = said else { panic!("no row: {said:?}") };
                self.consumer.row(vb, opaque, seqno, true);
            }
            Action::ConsumerRollsBack(at) => self.consumer.rolls_back(at),
            Action::CloseAnswerLost(side) => {
                self.lost_close = true;
                match side {
                    Side::Consumer => drop(self.consumer.wire.pop_front()),
                    Side::Producer => drop(self.producer.wire.pop_front()),
                }
            }
            Action::ConsumerAnswersAdd(at) => {
                let (opaque, status) = self.consumer.owed.remove(at);
                let answer = ControlFrame::AddStreamResponse { opaque, status };
                self.consumer.wire.push_back(NodeFrame::Control(answer));
            }
            Action::ConsumerForgetsAdd(at) => drop(self.consumer.owed.remove(at)),
            Action::ConsumerAnswersState(vb) => self.consumer.answer_state(vb, Status::SUCCESS),
            Action::ConsumerRefusesState(vb) => self.consumer.answer_state(vb, Status::ETMPFAIL),
            Action::ProducerAccepts(vb) => self.producer.answer(vb, Status::SUCCESS),
            Action::ProducerAnswers(vb, status) => self.producer.answer(vb, status),
            Action::ProducerHandsOver(vb) => self.producer.hand_over(vb),
            Action::ProducerSends(vb) => self.producer.send_row(vb),
            Action::ProducerEnds(vb, status) => self.producer.end(vb, status),
            Action::ProducerEndsAgain(vb) => self.producer.end_again(vb),
        }
        if self.stopped {
            self.consumer.disconnect();
            self.producer.disconnect();
        }
        self.ended.retain(|&opaque| is_named(&self.machine, &self.producer, opaque));
    }

    /// Does what a pump does with a control frame: asks for the verdict, carries out the effects,
    /// then forwards the frame or not.
    fn pump(&mut self, frame: ControlFrame, mistake: Mistake) -> Verdict {
        if let ControlFrame::StreamEnd { vb, opaque, .. } = frame
            && mistake == Mistake::EndForgotten
            && self.machine.pending().contains(&vb)
            && self.machine.stream_opaque(vb) == Some(opaque)
        {
            self.note_end(frame);
            return Verdict::Forward;
        }
        if self.is_overlooked(frame, mistake) {
            return match frame {
                ControlFrame::StreamReq { .. } => Verdict::Withhold,
                _ => Verdict::Forward,
            };
        }
        let phase = self.machine.phase();
        let shut = phase == "shutting" || phase == "stopped";
        self.note_end(frame);
        let (verdict, effects) = self.machine.on_frame(frame);
        let is_over = shut || self.machine.stopped().is_some();
        let must_stop = is_over || self.must_stop(frame, phase, &effects);
        if (verdict == Verdict::Withhold) != must_stop && !self.lost_close {
            self.wrong = Some("a frame was withheld that should pass, or the reverse");
        }
        self.carry_out(effects);
        verdict
    }

    /// Whether a mistake keeps a frame from the machine.
    fn is_overlooked(&self, frame: ControlFrame, mistake: Mistake) -> bool {
        match (mistake, frame) {
            (Mistake::RefusalUnseen, ControlFrame::DataRefused { .. }) => true,
            (
                Mistake::RollbackUnseen | Mistake::RequestSwallowed,
                ControlFrame::StreamReqResponse { status, .. },
            ) => status == Status::ROLLBACK,
            (Mistake::RequestSwallowed, ControlFrame::StreamReq { vb, opaque, .. }) => {
                let known = self.machine.stream_opaque(vb);
                known.is_some() && known != Some(opaque)
            }
            _ => false,
        }
    }

    /// Whether a frame of a live link must end at the sidecar: an answer to a frame of ours, or one
    /// that the other side must not see.
    fn must_stop(&self, frame: ControlFrame, phase: &str, effects: &[Effect]) -> bool {
        let has_own = |opaque: Opaque| {
            let mut streams = self.consumer.vbs.iter().filter_map(|vb| vb.stream);
            streams.any(|stream| stream.opaque == opaque)
        };
        match frame {
            ControlFrame::AddStreamResponse { .. }
            | ControlFrame::CloseStreamResponse { .. }
            | ControlFrame::DataRefused { .. }
            | ControlFrame::NoopResponse { .. } => true,
            ControlFrame::StreamReq { .. } => effects.iter().any(|effect| {
                matches!(
                    effect,
                    Effect::Send(_, OwnFrame::Rollback { .. } | OwnFrame::RefuseRequest { .. })
                )
            }),
            ControlFrame::StreamReqResponse { opaque, .. } => !has_own(opaque),
            ControlFrame::SetVbucketState { .. } => {
                let barrier = |e: &Effect| matches!(e, Effect::Send(_, OwnFrame::Noop { .. }));
                effects.iter().any(barrier)
            }
            ControlFrame::SetVbucketStateResponse { .. } => phase != "taking-over",
            ControlFrame::StreamEnd { .. } | ControlFrame::ErrorAnswer(_) => false,
        }
    }

    fn note_end(&mut self, frame: ControlFrame) {
        if let ControlFrame::StreamEnd { vb, opaque, status } = frame
            && status != StreamEndStatus::OK
            && self.consumer.vbs[usize::from(vb.0)].state != VbState::Active
        {
            self.ended.insert(opaque);
        }
    }

    fn tell(&mut self, event: Event) {
        let effects = self.machine.on(event);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if self.stopped && !matches!(effect, Effect::Answer(..)) {
                self.wrong = Some("something was done after the end");
            }
            match effect {
                Effect::Send(Side::Consumer, frame) => self.consumer.own(frame),
                Effect::Send(Side::Producer, frame) => self.producer.own(frame),
                Effect::Arm(deadline) => drop(self.armed.insert(deadline)),
                Effect::Answer(ticket, outcome) => self.answered(ticket, &outcome),
                Effect::Stop(_) => self.stopped = true,
                Effect::Incomplete(vb, to) => drop(self.incomplete.insert(vb, to)),
                Effect::Complete(vb) => drop(self.incomplete.remove(&vb)),
                Effect::Ended(_) | Effect::Note(_) | Effect::Opened(_) | Effect::Progress => {}
            }
        }
        let awaited: BTreeSet<Deadline> = self.machine.deadlines().collect();
        if !awaited.is_subset(&self.armed) {
            self.wrong = Some("a deadline is awaited that was never armed");
        }
        self.armed = awaited;
    }

    fn answered(&mut self, ticket: Ticket, outcome: &Outcome) {
        let Ticket(n) = ticket;
        self.answers[usize::try_from(n).unwrap()] += 1;
        if let Outcome::Done(vbs) = outcome
            && vbs.get(&VbId(0)) == Some(&VbOutcome::TakenOver)
        {
            let moved = self.consumer.vbs[0].state == VbState::Active
                && self.producer.vbs[0].state == VbState::Dead
                && self.consumer.vbs[0].high == self.rows
                && self.consumer.vbs[0].gap.is_none();
            if !moved {
                self.wrong = Some("a takeover succeeded that did not happen");
            }
        }
    }

    /// Whether every command that was given has its answer.
    pub fn is_answered(&self) -> bool {
        (0..COMMANDS).all(|n| !self.given[n] || self.answers[n] == 1)
    }

    /// Whether every gap was reported to the owner, or its refusal is still on its way. Refusals
    /// lost with a connection are not counted.
    pub fn gaps_are_known(&self) -> bool {
        let is_on_its_way = |vb: VbId| {
            self.consumer.wire.iter().any(|said| match said {
                NodeFrame::Control(ControlFrame::DataRefused { status, .. }) => {
                    *status == Status::EINVAL && vb == VbId(0)
                }
                NodeFrame::Control(ControlFrame::StreamReq { vb: asked, opaque, .. }) => {
                    *asked == vb && self.machine.stream_opaque(vb) != Some(*opaque)
                }
                _ => false,
            })
        };
        (0..).map(VbId).zip(&self.consumer.vbs).all(|(vb, here)| {
            here.gap.is_none()
                || self.stopped
                || self.incomplete.contains_key(&vb)
                || is_on_its_way(vb)
        })
    }

    /// Whether no node has a frame to send or a decision to make.
    fn is_still(&self) -> bool {
        let decides = |vb: &crate::nodes::ConsumerVb| vb.asked.is_some();
        self.consumer.wire.is_empty()
            && self.consumer.owed.is_empty()
            && self.consumer.rolling.is_empty()
            && !self.consumer.vbs.iter().any(decides)
            && self.producer.is_quiet()
            && !self
                .producer
                .vbs
                .iter()
                .any(|vb| vb.stream.is_some_and(|stream| stream.takeover) && !vb.handing_over)
    }

    /// Whether nothing is pending.
    pub fn is_quiet(&self) -> bool {
        self.consumer.is_quiet() && self.producer.is_quiet()
    }

    /// The streams of each node, by vBucket; those of a takeover belong to the vBucket that moves.
    pub fn streams(&self) -> (BTreeSet<VbId>, BTreeSet<VbId>) {
        let ids = || (0..).map(VbId);
        let consumer = ids().zip(self.consumer.vbs).filter(|(_, vb)| vb.stream.is_some());
        let producer = ids().zip(self.producer.vbs).filter(|(_, vb)| vb.stream.is_some());
        (consumer.map(|(vb, _)| vb).collect(), producer.map(|(vb, _)| vb).collect())
    }
}

/// Whether a frame may still carry this opaque; keeps the set of ended streams small.
fn is_named(machine: &ConsumerMachine, producer: &Producer, opaque: Opaque) -> bool {
    let waiting = machine.pending();
    waiting.iter().any(|&vb| machine.stream_opaque(vb) == Some(opaque))
        || producer.vbs.iter().any(|vb| vb.older == Some(opaque))
}
