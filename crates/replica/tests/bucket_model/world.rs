//! The machine of one bucket, its links and tasks, and every action that is possible next.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mcbp::{Seqno, Side, Status, VbId, VbState};
use replica::backoff::Backoff;
use replica::bucket::{
    BucketCommand, BucketEffect, BucketEvent, BucketMachine, Cause, Change, CommandError,
    CopyReports, Done, Examine, ExamineAction, Finding, LinkDown, LinkId, LinkReport, Moment,
    MoveKind, MoveRequest, PollAnswer, Polled, Reopen, Restart, Settings, StreamPhase, TaskId,
};
use replica::link::{Command, LinkStep, Outcome, Reason, StopReason, Ticket, VbError, VbOutcome};
use replica::plan::{Connections, Desired, LinkKey};

use crate::nodes::{Nodes, Stage};

const VB: VbId = VbId(1);
const BACKOFF_MAX: Duration = Duration::from_secs(4);
const BACKOFF: Backoff = Backoff { min: Duration::from_secs(1), max: BACKOFF_MAX };

/// A command that is given once, at any time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Given {
    FromAlpha,
    FromGamma,
    TwoConnections,
    Takeover,
    MoveWithData,
    /// The map of the sources: the vBucket from alpha.
    FollowAlpha,
    RestartLink,
    RestartStream,
    RenewCopy,
    Stop,
}

impl Given {
    fn command(self) -> BucketCommand {
        let from = |name: &str| {
            let vbs = std::iter::once(VB).collect();
            Change::All(Desired::new([(name.to_owned(), vbs)].into()).unwrap())
        };
        let moved = |kind| MoveRequest { vb: VB, from: "alpha".to_owned(), kind };
        match self {
            Self::FromAlpha => BucketCommand::Change(from("alpha")),
            Self::FromGamma => BucketCommand::Change(from("gamma")),
            Self::TwoConnections => {
                BucketCommand::Change(Change::Connections(Connections::new(2).unwrap()))
            }
            Self::FollowAlpha => {
                let Change::All(desired) = from("alpha") else { panic!("a map") };
                let connections = Connections::ONE;
                BucketCommand::Change(Change::Follow { desired, connections })
            }
            Self::RestartLink => {
                let producer = "alpha".to_owned();
                BucketCommand::Restart(Restart::Links { producer, connection: None })
            }
            Self::RestartStream => {
                BucketCommand::Restart(Restart::Streams(std::iter::once(VB).collect()))
            }
            Self::RenewCopy => {
                BucketCommand::Restart(Restart::Copies(std::iter::once(VB).collect()))
            }
            Self::Takeover => BucketCommand::Move(moved(MoveKind::Takeover)),
            Self::MoveWithData => BucketCommand::Move(moved(MoveKind::WithData)),
            Self::Stop => BucketCommand::Stop { within: Duration::from_secs(100) },
        }
    }

    /// Whether a caller names the vBucket to be replicated.
    pub const fn names(self) -> bool {
        matches!(self, Self::FromAlpha | Self::FromGamma)
    }

    const fn is_move(self) -> bool {
        matches!(self, Self::Takeover | Self::MoveWithData)
    }
}

/// Whether the consumer is polled for its states.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Polls {
    Off,
    On,
    /// And the vBucket is active there at the start, after a move in an earlier process.
    ActiveHere,
}

/// A seeded mistake, to show that the checker finds it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mistake {
    None,
    /// A link reports that it is closed while the consumer still has its stream.
    ClosedTooEarly,
    /// The loss of a link is not reported to the bucket.
    LossUnheard,
    /// A takeover that failed counts as moved without asking the nodes.
    NotExamined,
    /// The producer's copy is set active while an order of the takeover is on its way.
    RepairedTooEarly,
    /// Reports of older incarnations count for the present one.
    IncarnationsMixed,
    /// The answer to a change is not given.
    AnswerLost,
    /// The consumer's report does not say which vBuckets are active.
    StatesUnheard,
    /// The map of the sources counts as a command that names its vBuckets.
    FollowNames,
    /// A stop cuts off the takeover that runs.
    CutOffByStop,
}

/// An action.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    Give(usize),
    /// The next report of this link reaches the bucket.
    Hear(usize),
    Opens(usize),
    /// The link has done its next command.
    Does(usize),
    TakeoverGoesOn(usize),
    Estimated(TaskId),
    Examined(TaskId),
    OrderTakesEffect,
    OrderIsLost,
    /// The consumer's control connection reports the states of its vBuckets.
    Polled,
    /// Time passes; only when no other action is possible.
    Wake,
    // Faults. Each costs one of the budget.
    WakeEarly,
    CannotOpen(usize),
    /// An operator sets the consumer's copy replica, and alpha's active.
    GivenBack,
    /// The link is lost, by an error or because a rival of the same name displaced it.
    Lost(usize),
    Refuses(usize),
    /// The stream opens and ends before its set-up is answered, which then leaves it out.
    OpensAndEnds(usize),
    Ends(usize),
    TakeoverFails(usize),
    EstimateFails(TaskId),
}

impl Action {
    const fn is_fault(self) -> bool {
        match self {
            Self::Give(_)
            | Self::Hear(_)
            | Self::Opens(_)
            | Self::Does(_)
            | Self::TakeoverGoesOn(_)
            | Self::Estimated(_)
            | Self::Examined(_)
            | Self::OrderTakesEffect
            | Self::OrderIsLost
            | Self::Polled
            | Self::Wake => false,
            Self::WakeEarly
            | Self::CannotOpen(_)
            | Self::GivenBack
            | Self::Lost(_)
            | Self::Refuses(_)
            | Self::OpensAndEnds(_)
            | Self::Ends(_)
            | Self::TakeoverFails(_)
            | Self::EstimateFails(_) => true,
        }
    }
}

/// The present pair of connections of one link.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Pair {
    id: LinkId,
    key: LinkKey,
    is_up: bool,
    commands: VecDeque<(Ticket, Command)>,
    stage: Stage,
    /// Whether the link has the stream of the vBucket.
    has_stream: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Task {
    Estimate,
    Examine(Examine),
}

/// One state.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    machine: BucketMachine,
    pub nodes: Nodes,
    /// Whether the nodes are polled at all.
    has_polls: bool,
    /// Whether the consumer misses rows when a takeover is cut off.
    is_behind: bool,
    now: Duration,
    pairs: BTreeMap<usize, Pair>,
    reports: BTreeMap<usize, VecDeque<(LinkId, LinkReport)>>,
    tasks: BTreeMap<TaskId, Task>,
    given: Vec<bool>,
    pub answers: Vec<u8>,
    faults_left: u8,
    pub wakes: u8,
    /// Whether the consumer is polled, and the state that it last reported.
    is_polled: bool,
    reported: Option<VbState>,
    /// Whether the vBucket was asked for although the last report calls it active.
    pub asked_active: bool,
    /// Whether the vBucket was moved here, and not given back since.
    pub was_moved: bool,
    /// Whether the consumer still has a stream of a link that reported to be closed.
    lingers: bool,
    /// Whether a command was given to a link that is not open.
    pub given_too_early: bool,
    /// Whether a link was closed while a takeover ran on it, which that cuts off.
    pub shut_too_early: bool,
    /// Whether a vBucket was asked for while another link had it.
    pub asked_twice: bool,
    /// Whether a move was answered with success, and the vBucket was not active here.
    pub moved_in_vain: bool,
    /// Whether a move was given, and no fault has happened since.
    pub move_was_undisturbed: bool,
    /// The failures of each link since the last command, and when it may be opened again.
    falls: BTreeMap<usize, (u32, Duration)>,
    /// Whether a link was opened again before its delay, which grows with each failure, was over.
    pub hurried: bool,
}

impl World {
    pub fn new(commands: usize, faults: u8, is_behind: bool, polls: Polls) -> Self {
        let has_polls = polls != Polls::Off;
        let mut nodes = Nodes::new();
        if polls == Polls::ActiveHere {
            (nodes.consumer, nodes.alpha) = (VbState::Active, VbState::Dead);
        }
        let settings = Settings {
            bucket: "default".to_owned(),
            node: "beta".to_owned(),
            producers: ["alpha", "gamma"].map(str::to_owned).into(),
            backoff: BACKOFF,
            command: Duration::from_secs(100),
            takeover: Duration::from_secs(100),
            data_move: Duration::from_secs(100),
            stall: Duration::from_secs(1000),
            poll_max_age: has_polls.then_some(Duration::from_secs(1000)),
            loop_failures: 100,
            loop_window: Duration::from_secs(1000),
        };
        Self {
            machine: BucketMachine::new(settings, Connections::ONE),
            nodes,
            has_polls,
            is_behind,
            now: Duration::ZERO,
            pairs: BTreeMap::new(),
            reports: BTreeMap::new(),
            tasks: BTreeMap::new(),
            given: vec![false; commands],
            answers: vec![0; commands],
            faults_left: faults,
            wakes: 0,
            is_polled: false,
            reported: None,
            asked_active: false,
            was_moved: false,
            lingers: false,
            given_too_early: false,
            shut_too_early: false,
            asked_twice: false,
            moved_in_vain: false,
            move_was_undisturbed: false,
            falls: BTreeMap::new(),
            hurried: false,
        }
    }

    pub fn actions(&self, actions: &mut Vec<Action>) {
        self.environment(actions);
        let is_still = actions.is_empty();
        actions.extend((0..self.given.len()).filter(|&n| !self.given[n]).map(Action::Give));
        if self.machine.wake_at().is_some() {
            actions.push(if is_still { Action::Wake } else { Action::WakeEarly });
        }
        let is_moving = self.machine.moves(self.now).next().is_some();
        if self.has_polls && self.nodes.consumer == VbState::Active && !is_moving {
            actions.push(Action::GivenBack);
        }
        for (&at, pair) in &self.pairs {
            if pair.is_up {
                actions.push(Action::Lost(at));
                let command = pair.commands.front().map(|(_, command)| command);
                match command {
                    Some(Command::SetupStreams { wanted, .. })
                        if wanted.contains(&VB) && !pair.has_stream =>
                    {
                        actions.extend([Action::Refuses(at), Action::OpensAndEnds(at)]);
                    }
                    Some(Command::Takeover { .. }) => actions.push(Action::TakeoverFails(at)),
                    _ => {}
                }
                if pair.has_stream {
                    actions.push(Action::Ends(at));
                }
            } else {
                actions.push(Action::CannotOpen(at));
            }
        }
        for (&task, what) in &self.tasks {
            if *what == Task::Estimate {
                actions.push(Action::EstimateFails(task));
            }
        }
        if self.faults_left == 0 {
            actions.retain(|action| !action.is_fault());
        }
    }

    /// The actions of links, tasks and nodes without a fault.
    fn environment(&self, actions: &mut Vec<Action>) {
        let waiting = self.reports.iter().filter(|(_, reports)| !reports.is_empty());
        actions.extend(waiting.map(|(&at, _)| Action::Hear(at)));
        for (&at, pair) in &self.pairs {
            match pair.commands.front() {
                // A link of the same name displaces the older one, whose orders have taken effect
                // by then, or are lost.
                None if !pair.is_up && self.nodes.on_its_way.is_none() => {
                    actions.push(Action::Opens(at));
                }
                None => {}
                Some((_, Command::Takeover { .. }))
                    if pair.stage != Stage::Begun || self.nodes.can_stream() =>
                {
                    actions.push(Action::TakeoverGoesOn(at));
                }
                Some(_) => actions.push(Action::Does(at)),
            }
        }
        if self.is_due() {
            actions.push(Action::Polled);
        }
        if self.nodes.on_its_way.is_some() {
            actions.extend([Action::OrderTakesEffect, Action::OrderIsLost]);
        }
        for (&task, what) in &self.tasks {
            match what {
                Task::Estimate => actions.push(Action::Estimated(task)),
                Task::Examine(examine) => {
                    // The task asks again while the copies may change.
                    let may_change = examine.may_change(&self.said());
                    if !may_change || self.nodes.on_its_way.is_none() {
                        actions.push(Action::Examined(task));
                    }
                }
            }
        }
    }

    pub fn step(&mut self, action: Action, commands: &[Given], mistake: Mistake) {
        if action.is_fault() {
            self.faults_left -= 1;
            self.move_was_undisturbed = false;
        }
        match action {
            Action::Give(n) => self.give(n, commands, mistake),
            Action::Hear(at) => {
                let (id, report) = self.reports.get_mut(&at).unwrap().pop_front().unwrap();
                let id = match (mistake, self.pairs.get(&at)) {
                    (Mistake::IncarnationsMixed, Some(pair)) => pair.id,
                    _ => id,
                };
                self.note_fall(at, &report);
                self.tell(BucketEvent::Link(id, report), mistake);
            }
            Action::Opens(at) => {
                self.pairs.get_mut(&at).unwrap().is_up = true;
                self.report(at, LinkReport::Up);
            }
            Action::CannotOpen(at) | Action::Lost(at) => self.lose(at, mistake),
            Action::Does(at) => self.does(at, false, mistake),
            Action::Refuses(at) => self.does(at, true, mistake),
            Action::OpensAndEnds(at) => self.opens_and_ends(at),
            Action::Ends(at) => {
                self.pairs.get_mut(&at).unwrap().has_stream = false;
                self.report(at, LinkReport::Ended(refused()));
            }
            Action::TakeoverGoesOn(at) => self.takeover_goes_on(at),
            Action::TakeoverFails(at) => {
                let pair = self.pairs.get_mut(&at).unwrap();
                let (ticket, _) = pair.commands.pop_front().unwrap();
                // A takeover closes the stream of its own link first (MB-9343).
                (pair.stage, pair.has_stream) = (Stage::Begun, false);
                let reason = Reason::Deadline(LinkStep::Takeover);
                let error = VbError { vb: VB, side: Side::Producer, reason };
                self.answer(at, ticket, VbOutcome::Failed(error));
            }
            Action::Estimated(task) | Action::EstimateFails(task) => {
                self.tasks.remove(&task);
                let failed = action == Action::EstimateFails(task);
                let result = if failed { Err(Cause::Deadline) } else { Ok(()) };
                self.tell(BucketEvent::Copied(task, result), mistake);
            }
            Action::Examined(task) => self.examined(task, mistake),
            Action::OrderTakesEffect => {
                let order = self.nodes.on_its_way.take().unwrap();
                self.nodes.take_effect(order);
            }
            Action::OrderIsLost => self.nodes.on_its_way = None,
            Action::Polled => self.polled(mistake),
            Action::GivenBack => {
                (self.nodes.consumer, self.nodes.alpha) = (VbState::Replica, VbState::Active);
                self.was_moved = false;
            }
            Action::Wake | Action::WakeEarly => {
                self.wakes += 1;
                self.now = self.now.max(self.machine.wake_at().unwrap());
                self.tell(BucketEvent::Woken, mistake);
            }
        }
    }

    fn give(&mut self, n: usize, commands: &[Given], mistake: Mistake) {
        self.given[n] = true;
        // A command ends the delays of what it concerns.
        self.falls.clear();
        let given = match commands[n] {
            Given::FollowAlpha if mistake == Mistake::FollowNames => Given::FromAlpha,
            given => given,
        };
        if given == Given::Stop && mistake == Mistake::CutOffByStop {
            self.cut_off();
        }
        let (ticket, command) = (Ticket(n as u64), given.command());
        self.tell(BucketEvent::Command { ticket, command }, mistake);
        // A command that is refused, because the vBucket is being moved, begins nothing.
        self.move_was_undisturbed |= commands[n].is_move() && self.answers[n] == 0;
    }

    /// Every takeover that runs fails where it is.
    fn cut_off(&mut self) {
        let is_takeover =
            |pair: &Pair| matches!(pair.commands.front(), Some((_, Command::Takeover { .. })));
        let cut: Vec<_> =
            self.pairs.iter().filter(|(_, pair)| is_takeover(pair)).map(|(&at, _)| at).collect();
        for at in cut {
            let pair = self.pairs.get_mut(&at).unwrap();
            let (ticket, _) = pair.commands.pop_front().unwrap();
            (pair.stage, pair.has_stream) = (Stage::Begun, false);
            let error = VbError { vb: VB, side: Side::Producer, reason: Reason::Shut };
            self.answer(at, ticket, VbOutcome::Failed(error));
        }
    }

    fn opens_and_ends(&mut self, at: usize) {
        let (ticket, _) = self.pairs.get_mut(&at).unwrap().commands.pop_front().unwrap();
        self.report(at, LinkReport::Ended(refused()));
        self.report(at, LinkReport::Answered(ticket, Outcome::Done(BTreeMap::new())));
    }

    fn lose(&mut self, at: usize, mistake: Mistake) {
        let pair = self.pairs.remove(&at).unwrap();
        if let Some((_, Command::Takeover { .. })) = pair.commands.front()
            && pair.stage != Stage::Begun
        {
            self.nodes.on_its_way = pair.stage.next();
        }
        if mistake != Mistake::LossUnheard || !pair.is_up {
            let side = Side::Producer;
            let down = LinkDown::stopped(&StopReason::LinkLost { side, why: String::new() });
            self.reports.entry(at).or_default().push_back((pair.id, LinkReport::Down(down)));
        }
    }

    /// A link runs its next command. The vBucket's stream fails where it is refused, or where the
    /// nodes cannot serve it.
    fn does(&mut self, at: usize, is_refused: bool, mistake: Mistake) {
        let can_stream = self.nodes.can_stream();
        let pair = self.pairs.get_mut(&at).unwrap();
        let (ticket, command) = pair.commands.pop_front().unwrap();
        let mut outcomes = BTreeMap::new();
        match command {
            // The link rolls the copy back, says so, and does not open its stream yet.
            Command::SetupStreams { wanted, incomplete, .. }
                if wanted.contains(&VB) && incomplete.contains_key(&VB) && can_stream =>
            {
                pair.has_stream = false;
                self.report(at, LinkReport::Copy(VB, None));
                self.answer(at, ticket, VbOutcome::RolledBack);
            }
            Command::SetupStreams { wanted, reopen, .. } => {
                let can_stream = can_stream || pair.key.producer == "gamma";
                let (is_wanted, had) = (wanted.contains(&VB), pair.has_stream);
                let keeps = had && !reopen.contains(&VB);
                pair.has_stream = is_wanted && (keeps || (can_stream && !is_refused));
                if is_wanted && !pair.has_stream {
                    outcomes.insert(VB, VbOutcome::Failed(refused()));
                } else if is_wanted {
                    let opened = if keeps { VbOutcome::AlreadyOpen } else { VbOutcome::Opened };
                    outcomes.insert(VB, opened);
                } else if had {
                    outcomes.insert(VB, VbOutcome::Closed);
                }
                let outcome = Outcome::Done(outcomes);
                self.report(at, LinkReport::Answered(ticket, outcome));
            }
            // Only where the nodes cannot serve the stream, which they refuse.
            Command::Takeover { .. } => self.answer(at, ticket, VbOutcome::Failed(refused())),
            Command::Shut => {
                let Pair { id, has_stream, .. } = self.pairs.remove(&at).unwrap();
                self.lingers |= has_stream && mistake == Mistake::ClosedTooEarly;
                let outcome = Outcome::Done(outcomes);
                let down = LinkDown::stopped(&StopReason::Shut);
                let reports = self.reports.entry(at).or_default();
                reports.push_back((id, LinkReport::Answered(ticket, outcome)));
                reports.push_back((id, LinkReport::Down(down)));
            }
            other => panic!("a bucket does not ask for {other:?}"),
        }
    }

    fn takeover_goes_on(&mut self, at: usize) {
        let pair = self.pairs.get_mut(&at).unwrap();
        pair.has_stream = false;
        let stage = pair.stage.next().unwrap();
        pair.stage = stage;
        self.nodes.take_effect(stage);
        if stage == Stage::ConsumerActive {
            pair.stage = Stage::Begun;
            let (ticket, _) = pair.commands.pop_front().unwrap();
            self.answer(at, ticket, VbOutcome::TakenOver);
        }
    }

    /// What the nodes say. A vBucket is given back if its consumer is behind when an interrupted
    /// takeover is examined.
    fn said(&self) -> CopyReports {
        let high = if self.is_behind { 9 } else { 10 };
        CopyReports {
            producer: Nodes::said(self.nodes.alpha, 10),
            consumer: Nodes::said(self.nodes.consumer, high),
        }
    }

    fn examined(&mut self, task: TaskId, mistake: Mistake) {
        let Some(Task::Examine(examine)) = self.tasks.remove(&task) else { panic!("{task:?}") };
        let finding = match examine.judge(&self.said()) {
            _ if mistake == Mistake::NotExamined => Finding::Moved,
            ExamineAction::Report(_)
                if mistake == Mistake::RepairedTooEarly && self.nodes.alpha == VbState::Dead =>
            {
                self.nodes.alpha = VbState::Active;
                Finding::GivenBack
            }
            ExamineAction::Report(finding) => finding,
            ExamineAction::Activate(side, finding) => {
                match side {
                    Side::Consumer => self.nodes.consumer = VbState::Active,
                    Side::Producer => self.nodes.alpha = VbState::Active,
                }
                finding
            }
        };
        if self.nodes.consumer != VbState::Active {
            // What was examined is newer than the last poll.
            self.reported = None;
        }
        self.tell(BucketEvent::Examined(task, finding), mistake);
    }

    fn answer(&mut self, at: usize, ticket: Ticket, outcome: VbOutcome) {
        let outcome = Outcome::Done([(VB, outcome)].into());
        self.report(at, LinkReport::Answered(ticket, outcome));
    }

    fn report(&mut self, at: usize, report: LinkReport) {
        let id = self.pairs[&at].id;
        self.reports.entry(at).or_default().push_back((id, report));
    }

    fn tell(&mut self, event: BucketEvent, mistake: Mistake) {
        let at = Moment { now: self.now, chance: 1.0 };
        for effect in self.machine.on(at, event) {
            self.carry_out(effect, mistake);
        }
    }

    fn carry_out(&mut self, effect: BucketEffect, mistake: Mistake) {
        match effect {
            BucketEffect::Connect(id, key) | BucketEffect::ConnectIfFree(id, key) => {
                let not_before = self.falls.get(&id.index).map(|(_, at)| *at);
                self.hurried |= not_before.is_some_and(|at| self.now < at);
                let pair = Pair {
                    id,
                    key,
                    is_up: false,
                    commands: VecDeque::new(),
                    stage: Stage::Begun,
                    has_stream: false,
                };
                let older = self.pairs.insert(id.index, pair);
                assert_eq!(older, None, "two pairs of one name");
            }
            BucketEffect::Run(id, ticket, command) => {
                self.note_asked(id, &command);
                if let Some(pair) = self.pairs.get_mut(&id.index).filter(|pair| pair.id == id) {
                    self.given_too_early |= !pair.is_up;
                    // A link that is closed does nothing else any more; only one whose time has
                    // passed may be cut off.
                    let is_takeover =
                        |(_, run): &(Ticket, Command)| matches!(run, Command::Takeover { .. });
                    self.shut_too_early |= self.wakes == 0
                        && command == Command::Shut
                        && pair.commands.iter().any(is_takeover);
                    pair.commands.push_back((ticket, command));
                }
            }
            BucketEffect::Abandon(id) => {
                self.pairs.remove(&id.index);
            }
            BucketEffect::Estimate(task, ..) => drop(self.tasks.insert(task, Task::Estimate)),
            BucketEffect::Examine(task, examine) => {
                self.tasks.insert(task, Task::Examine(examine));
            }
            BucketEffect::Cancel(task) => drop(self.tasks.remove(&task)),
            BucketEffect::Answer(ticket, result) => self.answered(ticket, &result, mistake),
            BucketEffect::GiveUp(..) => panic!("nothing stands still here"),
            BucketEffect::Poll(desired) => {
                let was_polled = self.is_polled;
                self.is_polled = self.has_polls && desired.is_some();
                if self.is_polled && !was_polled {
                    self.reported = None;
                }
            }
            BucketEffect::Moved { .. } => {
                self.was_moved = true;
                // The machine counts it as reported, until the next poll.
                self.reported = self.reported.map(|_| VbState::Active);
            }
            BucketEffect::Log(_) => {}
        }
    }

    /// Whether the consumer has something new to report.
    fn is_due(&self) -> bool {
        self.is_polled && self.reported != Some(self.nodes.consumer)
    }

    fn polled(&mut self, mistake: Mistake) {
        let state = self.nodes.consumer;
        self.reported = Some(state);
        let misfits = match state {
            VbState::Active | VbState::Dead if mistake != Mistake::StatesUnheard => {
                vec![(VB, state)]
            }
            _ => Vec::new(),
        };
        let is_served = matches!(state, VbState::Replica | VbState::Pending);
        if is_served {
            // A vBucket that its node serves again ends the delays of its links.
            self.falls.clear();
        }
        let seqnos = is_served.then_some((VB, Seqno(9))).into_iter().collect();
        for answer in [PollAnswer::Misfits(Some(misfits)), PollAnswer::Seqnos(Ok(seqnos))] {
            let (side, node) = (Side::Consumer, "beta".to_owned());
            self.tell(
                BucketEvent::Polled(Polled { side, node, answer, age: Duration::ZERO }),
                mistake,
            );
        }
    }

    /// Whether every command was given and has its answer.
    pub fn is_all_answered(&self) -> bool {
        self.given.iter().all(|given| *given) && self.is_answered()
    }

    /// Whether a stream is wanted.
    pub fn is_wanted(&self) -> bool {
        self.machine.links().any(|link| link.wanted > 0)
    }

    /// Records a failure of a link. It is opened again after a delay that doubles, whatever the
    /// link did before it failed. The steps of a move open links at once.
    fn note_fall(&mut self, at: usize, report: &LinkReport) {
        // A link without a stream that may be asked for is closed, which is no failure.
        if self.given.len() > 1 || self.has_polls || self.machine.moves(self.now).next().is_some() {
            return;
        }
        if let LinkReport::Down(LinkDown { reopen: Reopen::AfterBackoff, .. }) = report {
            let (failures, not_before) = self.falls.entry(at).or_default();
            *not_before = self.now + BACKOFF.delay(*failures, 1.0);
            *failures += 1;
        }
    }

    /// Records whether the vBucket is asked for while another link has it, or is asked for it.
    fn note_asked(&mut self, id: LinkId, command: &Command) {
        let asks = |command: &Command| match command {
            Command::SetupStreams { wanted, .. } => wanted.contains(&VB),
            Command::Takeover { .. } => true,
            _ => false,
        };
        let has =
            |pair: &Pair| pair.has_stream || pair.commands.iter().any(|(_, command)| asks(command));
        let mut others = self.pairs.values().filter(|pair| pair.id.index != id.index);
        self.asked_twice |= asks(command) && (self.lingers || others.any(has));
        let is_set_up = matches!(command, Command::SetupStreams { .. }) && asks(command);
        let has_stream = self.pairs.get(&id.index).is_some_and(|pair| pair.has_stream);
        self.asked_active |= is_set_up && !has_stream && self.reported == Some(VbState::Active);
    }

    fn answered(&mut self, ticket: Ticket, result: &Result<Done, CommandError>, mistake: Mistake) {
        let n = usize::try_from(ticket.0).unwrap();
        if mistake == Mistake::AnswerLost && matches!(result, Ok(Done::Changed { .. })) {
            return;
        }
        self.answers[n] += 1;
        if matches!(result, Ok(Done::Moved { .. })) && self.nodes.consumer != VbState::Active {
            self.moved_in_vain = true;
        }
    }

    /// Whether no action is possible any more, and every command was given.
    pub fn is_over(&self) -> bool {
        let mut actions = Vec::new();
        self.environment(&mut actions);
        actions.is_empty()
            && self.given.iter().all(|given| *given)
            && self.machine.wake_at().is_none()
    }

    /// Whether every command that was given has its answer.
    pub fn is_answered(&self) -> bool {
        self.given.iter().zip(&self.answers).all(|(given, answers)| !given || *answers == 1)
    }

    pub fn open_streams(&self) -> usize {
        self.pairs.values().filter(|pair| pair.has_stream).count()
    }

    /// Whether the wanted stream, if any, is open at machine and link.
    pub fn is_all_open(&self) -> bool {
        let streams = self.machine.links().flat_map(|link| self.machine.streams(link.id, self.now));
        let phases: Vec<_> = streams.map(|stream| stream.phase).collect();
        let held = phases.iter().filter(|phase| **phase == StreamPhase::HeldBack).count();
        let open = phases.iter().filter(|phase| **phase == StreamPhase::Open).count();
        let is_rightly_held = held == 0 || self.reported == Some(VbState::Active);
        is_rightly_held && open + held == phases.len() && self.open_streams() == open
    }

    /// Whether what is wanted is retried soon, when no action is possible and no command waits.
    pub fn is_asked_again(&self) -> bool {
        let mut actions = Vec::new();
        self.environment(&mut actions);
        let is_waiting = self.machine.moves(self.now).next().is_some();
        let is_quiet = actions.is_empty() && !is_waiting;
        let soon = |at: Duration| at <= self.now + BACKOFF_MAX;
        !is_quiet || self.is_all_open() || self.machine.wake_at().is_some_and(soon)
    }
}

/// Why a node refuses a stream.
fn refused() -> VbError {
    let reason = Reason::Refused { step: LinkStep::AddStream, status: Status::NOT_MY_VBUCKET };
    VbError { vb: VB, side: Side::Producer, reason }
}
