//! A bucket that a script drives: events in, effects out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mcbp::{Side, Status, VbId};
use replica::backoff::Backoff;
use replica::bucket::{
    BucketCommand, BucketEffect, BucketEvent, BucketMachine, Cause, Change, CommandError, Done,
    Examine, LinkDown, LinkId, LinkReport, Moment, MoveKind, MoveRequest, PollAnswer, Polled,
    Settings, StreamPhase, TaskId,
};
use replica::link::{Command, LinkStep, Outcome, Reason, StopReason, Ticket, VbError, VbOutcome};
use replica::plan::{Connections, Desired, VbSet};

/// A bucket at beta, and its effects that were not checked yet.
pub struct Bucket {
    pub machine: BucketMachine,
    pub now: Duration,
    pub tickets: u64,
    pub effects: Vec<BucketEffect>,
}

impl Bucket {
    pub fn new() -> Self {
        Self::with_polls(None)
    }

    /// A bucket whose nodes are polled.
    pub fn polled() -> Self {
        Self::with_polls(Some(Duration::from_secs(4)))
    }

    fn with_polls(poll_max_age: Option<Duration>) -> Self {
        let settings = Settings {
            bucket: "default".to_owned(),
            node: "beta".to_owned(),
            producers: ["alpha", "gamma"].map(str::to_owned).into(),
            backoff: Backoff { min: Duration::from_secs(1), max: Duration::from_secs(8) },
            command: Duration::from_secs(90),
            takeover: Duration::from_secs(60),
            data_move: Duration::from_secs(3600),
            stall: Duration::from_secs(20),
            poll_max_age,
            loop_failures: 5,
            loop_window: Duration::from_secs(60),
        };
        let machine = BucketMachine::new(settings, Connections::ONE);
        Self { machine, now: Duration::ZERO, tickets: 0, effects: Vec::new() }
    }

    pub fn on(&mut self, event: BucketEvent) {
        let at = Moment { now: self.now, chance: 1.0 };
        self.effects.extend(self.machine.on(at, event));
    }

    /// A node answers a poll that began `age` ago.
    pub fn tell(&mut self, side: Side, age: Duration, answer: PollAnswer) {
        let node = if side == Side::Producer { "alpha" } else { "beta" }.to_owned();
        self.on(BucketEvent::Polled(Polled { side, node, answer, age }));
    }

    /// The consumer answers a poll at once.
    pub fn consumer_polled(&mut self, answer: PollAnswer) {
        self.tell(Side::Consumer, Duration::ZERO, answer);
    }

    /// The text of the error that a command had nothing to restart.
    pub fn nothing_to_restart(&mut self, ticket: Ticket) -> String {
        match self.answer(ticket) {
            Some(Err(error @ CommandError::NothingToRestart { .. })) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    pub fn ask(&mut self, command: BucketCommand) -> Ticket {
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        self.on(BucketEvent::Command { ticket, command });
        ticket
    }

    pub fn want(&mut self, map: &[(&str, &str)]) -> Ticket {
        let producers = map.iter().map(|(name, vbs)| ((*name).to_owned(), vbs.parse().unwrap()));
        let desired = Desired::new(producers.collect::<BTreeMap<_, VbSet>>()).unwrap();
        self.ask(BucketCommand::Change(Change::All(desired)))
    }

    pub fn move_here(&mut self, vb: u16, kind: MoveKind) -> Ticket {
        let from = "alpha".to_owned();
        self.ask(BucketCommand::Move(MoveRequest { vb: VbId(vb), from, kind }))
    }

    pub fn report(&mut self, id: LinkId, report: LinkReport) {
        self.on(BucketEvent::Link(id, report));
    }

    pub fn settle(&mut self, id: LinkId, ticket: Ticket, outcomes: &[(u16, VbOutcome)]) {
        let outcomes = outcomes.iter().map(|(vb, outcome)| (VbId(*vb), outcome.clone()));
        self.report(id, LinkReport::Answered(ticket, Outcome::Done(outcomes.collect())));
    }

    pub fn take<T>(&mut self, which: impl Fn(&BucketEffect) -> Option<T>) -> Option<T> {
        let at = self.effects.iter().position(|effect| which(effect).is_some())?;
        which(&self.effects.remove(at))
    }

    /// Returns the next link to open, by the name of its producer and its number.
    pub fn connect(&mut self) -> Option<(LinkId, String, u8)> {
        self.take(|effect| match effect {
            BucketEffect::Connect(id, key) | BucketEffect::ConnectIfFree(id, key) => {
                Some((*id, key.producer.clone(), key.connection))
            }
            _ => None,
        })
    }

    /// The next command for a link.
    pub fn run(&mut self) -> Option<(LinkId, Ticket, Command)> {
        self.take(|effect| match effect {
            BucketEffect::Run(id, ticket, command) => Some((*id, *ticket, command.clone())),
            _ => None,
        })
    }

    /// Opens the next link, and returns its first set-up.
    pub fn set_up(&mut self) -> (LinkId, Ticket, BTreeSet<VbId>) {
        let (id, ..) = self.connect().expect("a link to open");
        self.report(id, LinkReport::Up);
        let (of, ticket, command) = self.run().expect("a set-up");
        let Command::SetupStreams { wanted, .. } = command else { panic!("{command:?}") };
        assert_eq!(of, id);
        (id, ticket, wanted)
    }

    /// A link to alpha with the stream of vBucket 1.
    pub fn open() -> (Self, LinkId) {
        let mut bucket = Self::new();
        bucket.want(&[("alpha", "1")]);
        let (id, ticket, wanted) = bucket.set_up();
        assert_eq!(wanted, vbs(&[1]));
        bucket.settle(id, ticket, &[(1, VbOutcome::Opened)]);
        (bucket, id)
    }

    pub fn examine(&mut self) -> Option<(TaskId, Examine)> {
        self.take(|effect| match effect {
            BucketEffect::Examine(task, examine) => Some((*task, examine.clone())),
            _ => None,
        })
    }

    pub fn answer(&mut self, of: Ticket) -> Option<Result<Done, CommandError>> {
        self.take(|effect| match effect {
            BucketEffect::Answer(ticket, result) if *ticket == of => Some(result.clone()),
            _ => None,
        })
    }

    pub fn failure(&mut self, of: Ticket) -> Cause {
        match self.answer(of) {
            Some(Err(CommandError::Failed(failures))) => failures[0].cause.clone(),
            other => panic!("no failure: {other:?}"),
        }
    }

    pub fn phase(&self, vb: u16) -> StreamPhase {
        let mut links = self.machine.links();
        let stream = links.find_map(|link| {
            self.machine.streams(link.id, self.now).find(|stream| stream.vb == VbId(vb))
        });
        stream.expect("it is wanted").phase
    }

    pub fn wake_after(&mut self, wait: Duration) {
        self.now += wait;
        self.on(BucketEvent::Woken);
    }
}

/// A stop within ten seconds.
pub const STOP: BucketCommand = BucketCommand::Stop { within: Duration::from_secs(10) };

pub fn vbs(list: &[u16]) -> BTreeSet<VbId> {
    list.iter().copied().map(VbId).collect()
}

pub fn refused() -> VbError {
    let reason = Reason::Refused { step: LinkStep::AddStream, status: Status::NOT_MY_VBUCKET };
    VbError { vb: VbId(1), side: Side::Producer, reason }
}

pub fn lost() -> LinkDown {
    LinkDown::stopped(&StopReason::LinkLost { side: Side::Producer, why: "reset".to_owned() })
}
