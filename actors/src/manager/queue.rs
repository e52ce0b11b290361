//! The queue of commands: served one at a time, each answered once. Reading is none of them.
//!
//! A command that waits has a deadline for progress, not for the whole wait: it starts anew with
//! each answer and each step of the command that is served.

use std::time::Duration;

use actix::Context;
use replica::plan::VBUCKETS_MAX;

use super::ReplicationManager;
use super::commands::{Change, Changed, checked};
use super::moves::Move;
use crate::error::CommandError;

/// Changes that may wait. A person or a program sends one and waits for its answer; sixteen are
/// several programs at once.
const CHANGES_MAX: usize = 16;

/// Moves that may wait: a set of vBuckets is a command for each, and each vBucket waits once.
const MOVES_MAX: usize = VBUCKETS_MAX as usize;

/// A command that waits for its turn or, at the front, for what it has begun.
pub(super) struct Pending {
    pub(super) job: Job,
    /// When it came; times are since the manager's start.
    pub(super) asked: Duration,
    /// Until when it must be settled; `None` until it has begun.
    pub(super) deadline: Option<Duration>,
}

/// See [`Pending`].
pub(super) enum Job {
    Change { change: Change, answer: Changed },
    Move(Box<Move>),
}

impl Job {
    pub(super) fn refuse(self, error: CommandError) {
        // The caller may have gone.
        match self {
            Self::Change { answer, .. } => _ = answer.send(Err(error)),
            Self::Move(moving) => moving.answer(Err(error)),
        }
    }

    const fn as_move(&self) -> Option<&Move> {
        match self {
            Self::Move(moving) => Some(moving),
            Self::Change { .. } => None,
        }
    }

    /// The producer that it names and nobody has, if any.
    fn unknown_producer(&self, is_known: impl Fn(&str) -> bool) -> Option<&str> {
        let is_unknown = |name: &&str| !is_known(name);
        match self {
            Self::Change { change: Change::All(map), .. } => {
                map.keys().map(String::as_str).find(is_unknown)
            }
            Self::Change { change: Change::One { from, .. }, .. } => {
                from.as_deref().filter(is_unknown)
            }
            Self::Change { change: Change::Connections(_), .. } => None,
            Self::Move(moving) => Some(moving.from.as_str()).filter(is_unknown),
        }
    }
}

impl ReplicationManager {
    /// Queues a command, or refuses it.
    pub(super) fn queue(&mut self, job: Job, ctx: &mut Context<Self>) {
        if let Err(error) = self.check(&job) {
            return job.refuse(error);
        }
        self.commands.push_back(Pending { job, asked: self.now(), deadline: None });
        self.reconcile(ctx);
    }

    fn check(&self, job: &Job) -> Result<(), CommandError> {
        if self.stopping.is_some() {
            return Err(CommandError::Stopping);
        }
        self.check_room(job)?;
        if let Job::Change { change: Change::All(map), .. } = job {
            checked(map)?;
        }
        let unknown = job.unknown_producer(|name| self.producers.contains_key(name));
        let error = |name: &str| CommandError::NoProducer { producer: name.to_owned() };
        unknown.map_or(Ok(()), |name| Err(error(name)))
    }

    fn check_room(&self, job: &Job) -> Result<(), CommandError> {
        let moves = || self.commands.iter().filter_map(|command| command.job.as_move());
        let is_full = match job {
            Job::Change { .. } => self.commands.len() - moves().count() >= CHANGES_MAX,
            Job::Move(moving) => {
                if let Some(other) = moves().find(|other| other.vb == moving.vb) {
                    let (vb, from) = (other.vb, other.from.clone());
                    return Err(CommandError::AlreadyMoving { vb, from });
                }
                moves().count() >= MOVES_MAX
            }
        };
        if is_full {
            return Err(CommandError::Busy { waiting: self.commands.len() });
        }
        Ok(())
    }

    /// Begins the command at the front, or answers it where it is settled or its time is up. Says
    /// whether something has changed by that.
    pub(super) fn serve(&mut self, ctx: &mut Context<Self>) -> bool {
        self.refuse_late();
        let Some(mut front) = self.commands.pop_front() else { return false };
        let Some(deadline) = front.deadline else {
            front.deadline = Some(self.begin(&mut front.job));
            self.commands.push_front(front);
            return true;
        };
        let is_late = deadline <= self.now();
        match front.job {
            Job::Change { change, answer } if is_late || self.is_settled(&change) => {
                self.note_progress();
                self.answer_change(&change, answer);
                true
            }
            Job::Change { .. } => {
                self.commands.push_front(front);
                false
            }
            Job::Move(_) => self.serve_move(front, is_late, ctx),
        }
    }

    /// Begins a command; returns until when it must be settled, or its first step done.
    fn begin(&mut self, job: &mut Job) -> Duration {
        match job {
            Job::Change { change, .. } => {
                self.change(change);
                self.spread();
                self.retry_now(change);
                self.now() + self.limits.command
            }
            Job::Move(moving) => self.begin_move(moving),
        }
    }

    /// Restarts the deadlines of the commands that wait: one was answered, or the one that is
    /// served took a step.
    pub(super) fn note_progress(&mut self) {
        self.progress = self.now();
    }

    /// What takes long goes on at the nodes: so may the command that is served, and those after it.
    pub(super) fn goes_on(&mut self) {
        self.note_progress();
        let now = self.now();
        let (command, takeover) = (self.limits.command, self.takeover_limit());
        let Some(Pending { job, deadline: Some(deadline), .. }) = self.commands.front_mut() else {
            return;
        };
        let limit = match job {
            Job::Change { .. } => command,
            Job::Move(moving) if moving.is_taking_over() => takeover,
            Job::Move(_) => return,
        };
        *deadline = (now + limit).max(*deadline);
    }

    /// Until when a command that waits must have its turn, unless there is progress before.
    ///
    /// A move waits longer than a change: as long as the longest step of a takeover. So a takeover
    /// that hangs does not fail the rest of its set.
    fn turn_deadline(&self, command: &Pending) -> Duration {
        let limit = match command.job {
            Job::Change { .. } => self.limits.command,
            Job::Move(_) => self.takeover_limit(),
        };
        self.progress.max(command.asked) + limit
    }

    /// Returns the first deadline of any command, unless there is progress before.
    pub(super) fn next_command_deadline(&self) -> Option<Duration> {
        let deadlines = self.commands.iter();
        deadlines.map(|c| c.deadline.unwrap_or_else(|| self.turn_deadline(c))).min()
    }

    /// Commands whose turn did not come in time are not begun any more.
    fn refuse_late(&mut self) {
        let (now, waiting) = (self.now(), self.commands.len());
        let is_late = |manager: &Self, command: &Pending| {
            command.deadline.is_none() && manager.turn_deadline(command) <= now
        };
        if !self.commands.iter().any(|command| is_late(self, command)) {
            return;
        }
        for command in std::mem::take(&mut self.commands) {
            if is_late(self, &command) {
                command.job.refuse(CommandError::Busy { waiting });
            } else {
                self.commands.push_back(command);
            }
        }
    }
}
