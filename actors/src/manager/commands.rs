//! The commands of a manager, served one at a time, each with a deadline. Reading is none of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actix::{Context, Handler, Message};
use futures::channel::oneshot;
use mcbp::VbId;
use replica::plan::{Connections, Desired, PlanError, VbSet};

use super::ReplicationManager;
use super::link::Link;
use super::moves::Move;
use crate::error::CommandError;

/// Commands that may wait. A person or a program sends one and waits for its answer; sixteen are
/// several programs at once.
const COMMANDS_MAX: usize = 16;

/// What to change about what is wanted.
#[derive(Debug)]
pub(crate) enum Change {
    /// The whole map, by producer.
    All(BTreeMap<String, BTreeSet<VbId>>),
    /// One vBucket, from a producer or from nobody.
    One { vb: VbId, from: Option<String> },
    /// How many connections carry the streams of a producer.
    Connections(Connections),
}

/// Where the one answer of a [`SetWanted`] goes: how many streams are open, or what failed.
type Changed = oneshot::Sender<Result<usize, CommandError>>;

/// Change what is wanted; answered when every stream concerned is open, closed or has failed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct SetWanted {
    pub(crate) change: Change,
    pub(crate) answer: Changed,
}

/// A command that waits for its turn or, at the front, for what it has begun.
pub(super) struct Pending {
    pub(super) job: Job,
    pub(super) has_begun: bool,
    /// When it came; times are since the manager's start.
    pub(super) asked: Duration,
    /// Until when it must have begun, or, once it has, until when it must be settled.
    pub(super) deadline: Duration,
}

/// See [`Pending`].
pub(super) enum Job {
    Change { change: Change, answer: Changed },
    Move(Box<Move>),
}

impl Job {
    fn refuse(self, error: CommandError) {
        // The caller may have gone.
        match self {
            Self::Change { answer, .. } => _ = answer.send(Err(error)),
            Self::Move(moving) => moving.answer(Err(error)),
        }
    }
}

impl Handler<SetWanted> for ReplicationManager {
    type Result = ();

    fn handle(&mut self, SetWanted { change, answer }: SetWanted, ctx: &mut Context<Self>) {
        self.queue(Job::Change { change, answer }, ctx);
    }
}

impl ReplicationManager {
    /// Queues a command, or refuses it.
    pub(super) fn queue(&mut self, job: Job, ctx: &mut Context<Self>) {
        if let Err(error) = self.check(&job) {
            return job.refuse(error);
        }
        let asked = self.now();
        let deadline = asked + self.limits.command;
        self.commands.push_back(Pending { job, has_begun: false, asked, deadline });
        self.reconcile(ctx);
    }

    fn check(&self, job: &Job) -> Result<(), CommandError> {
        if self.stopping.is_some() {
            return Err(CommandError::Stopping);
        }
        if self.commands.len() >= COMMANDS_MAX {
            return Err(CommandError::Busy { waiting: self.commands.len() });
        }
        let unknown = match job {
            Job::Change { change: Change::All(map), .. } => {
                checked(map)?;
                map.keys().find(|name| !self.producers.contains_key(*name))
            }
            Job::Change { change: Change::One { from, .. }, .. } => {
                from.as_ref().filter(|name| !self.producers.contains_key(*name))
            }
            Job::Change { change: Change::Connections(_), .. } => None,
            Job::Move(moving) => {
                Some(&moving.from).filter(|name| !self.producers.contains_key(*name))
            }
        };
        unknown.map_or(Ok(()), |name| Err(CommandError::NoProducer { producer: name.clone() }))
    }

    /// Begins the command at the front, or answers it where it is settled or its time is up. Says
    /// whether something has changed by that.
    pub(super) fn serve(&mut self, ctx: &mut Context<Self>) -> bool {
        self.refuse_late();
        let Some(mut front) = self.commands.pop_front() else { return false };
        if !front.has_begun {
            front.has_begun = true;
            front.deadline = self.now() + self.limits.command;
            self.begin(&mut front);
            self.commands.push_front(front);
            return true;
        }
        let is_late = front.deadline <= self.now();
        match &mut front.job {
            Job::Change { change, .. } if is_late || self.is_settled(change) => {
                self.answer_change(front.job);
                true
            }
            Job::Change { .. } => {
                self.commands.push_front(front);
                false
            }
            Job::Move(_) => self.serve_move(front, is_late, ctx),
        }
    }

    fn begin(&mut self, front: &mut Pending) {
        match &mut front.job {
            Job::Change { change, .. } => {
                self.change(change);
                self.spread();
                self.retry_now(change);
            }
            Job::Move(moving) => front.deadline = self.begin_move(moving),
        }
    }

    fn change(&mut self, change: &Change) {
        match change {
            // Checked before it was queued.
            Change::All(map) => self.desired = checked(map).unwrap_or_default(),
            Change::One { vb, from } => self.desired.assign(*vb, from.as_deref()),
            Change::Connections(connections) => self.connections = *connections,
        }
    }

    /// A person who asks again does not wait for the backoff.
    fn retry_now(&mut self, change: &Change) {
        let concerns = |vb| match change {
            Change::All(_) => true,
            Change::One { vb: one, .. } => vb == *one,
            Change::Connections(_) => false,
        };
        for link in &mut self.links {
            link.retry_now(concerns);
            for &vb in link.wanted.streams().keys().filter(|&&vb| concerns(vb)) {
                self.loops.mend(vb);
            }
        }
    }

    fn is_settled(&self, change: &Change) -> bool {
        self.links.iter().all(|link| match change {
            Change::All(_) | Change::Connections(_) => link.is_settled(),
            Change::One { vb, .. } => link.is_settled_for(*vb),
        })
    }

    /// Answers a change that is settled, or whose time is up.
    fn answer_change(&self, job: Job) {
        let Job::Change { change, answer } = job else { return };
        let concerns = |vb| match change {
            Change::All(_) | Change::Connections(_) => true,
            Change::One { vb: one, .. } => vb == one,
        };
        let failures: Vec<_> = self.links.iter().flat_map(|link| link.failures(concerns)).collect();
        let open = self.links.iter().map(|link| link.wanted.open_count()).sum();
        let result =
            if failures.is_empty() { Ok(open) } else { Err(CommandError::Failed(failures)) };
        // The caller may have gone; the streams are kept all the same.
        _ = answer.send(result);
    }

    /// What takes long goes on: so may the command that waits for it.
    pub(super) fn goes_on(&mut self) {
        let deadline = self.now() + self.limits.command;
        if let Some(Pending { job: Job::Change { .. }, has_begun: true, deadline: known, .. }) =
            self.commands.front_mut()
        {
            *known = deadline.max(*known);
        }
    }

    /// Commands whose turn did not come in time are not begun any more.
    fn refuse_late(&mut self) {
        let (now, waiting) = (self.now(), self.commands.len());
        let late = |command: &Pending| !command.has_begun && command.deadline <= now;
        let commands = std::mem::take(&mut self.commands);
        for command in commands {
            if late(&command) {
                command.job.refuse(CommandError::Busy { waiting });
            } else {
                self.commands.push_back(command);
            }
        }
    }
}

/// The desired map, where no vBucket is wanted twice.
fn checked(map: &BTreeMap<String, BTreeSet<VbId>>) -> Result<Desired, PlanError> {
    let set = |vbs: &BTreeSet<VbId>| {
        let mut set = VbSet::default();
        for &vb in vbs {
            set.insert(vb);
        }
        set
    };
    Desired::new(map.iter().map(|(producer, vbs)| (producer.clone(), set(vbs))).collect())
}

/// Close every stream and end; answered when no link is left.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Stop {
    pub(crate) answer: oneshot::Sender<()>,
}

impl Handler<Stop> for ReplicationManager {
    type Result = ();

    fn handle(&mut self, stop: Stop, ctx: &mut Context<Self>) {
        for command in std::mem::take(&mut self.commands) {
            if let Job::Move(moving) = &command.job {
                moving.abandon(ctx);
            }
            command.job.refuse(CommandError::Stopping);
        }
        self.desired = Desired::default();
        self.spread();
        self.reserved = None;
        self.stopping = Some(stop.answer);
        self.reconcile(ctx);
    }
}

impl ReplicationManager {
    pub(super) fn answer_stop(&mut self) {
        if self.links.iter().all(Link::is_stopped)
            && let Some(answer) = self.stopping.take()
        {
            // Whoever asked may have lost patience.
            _ = answer.send(());
        }
    }
}
