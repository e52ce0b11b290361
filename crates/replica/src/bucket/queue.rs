//! The queue of commands: served one at a time, each answered once. Reading is none of them.
//!
//! A command that waits has a deadline for progress, not for the whole wait: it starts anew with
//! each answer and each step of the command that is served.

use std::collections::VecDeque;
use std::time::Duration;

use mcbp::VbId;

use super::command::{Change, CommandError};
use super::moves::Move;
use super::settings::Settings;
use crate::link::Ticket;
use crate::plan::VBUCKETS_MAX;

/// Changes that may wait. A person or a program sends one and waits for its answer; sixteen are
/// several programs at once.
pub const CHANGES_MAX: usize = 16;

/// Moves that may wait: a set of vBuckets is a command for each, and each vBucket waits once.
pub const MOVES_MAX: usize = VBUCKETS_MAX as usize;

/// A command that waits for its turn or, at the front, for what it has begun.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct QueuedCommand {
    pub(super) ticket: Ticket,
    pub(super) job: Job,
    /// When it came.
    pub(super) asked: Duration,
    /// Until when it must be settled, or its present step done; `None` until it has begun.
    pub(super) deadline: Option<Duration>,
}

/// See [`QueuedCommand`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Job {
    Change(Change),
    Move(Box<Move>),
}

impl Job {
    pub(super) const fn as_move(&self) -> Option<&Move> {
        match self {
            Self::Move(moving) => Some(moving),
            Self::Change(_) => None,
        }
    }

    /// How long it may wait for its turn without any progress.
    ///
    /// A move waits longer than a change: as long as the longest step of a takeover. So a takeover
    /// that hangs does not fail the rest of its set.
    fn turn_limit(&self, settings: &Settings) -> Duration {
        match self {
            Self::Change(_) => settings.command,
            Self::Move(_) => settings.takeover_step(),
        }
    }
}

/// Commands in the order of their turns.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<QueuedCommand>,
    /// When a command was last answered, or the one that is served took a step.
    progress: Duration,
}

impl Queue {
    /// Adds a command, or says why there is no room for it.
    pub(super) fn push(
        &mut self,
        ticket: Ticket,
        job: Job,
        now: Duration,
    ) -> Result<(), CommandError> {
        let is_full = match &job {
            Job::Change(_) => self.waiting.len() - self.moves().count() >= CHANGES_MAX,
            Job::Move(moving) => {
                if let Some(from) = self.moving_from(moving.vb()) {
                    return Err(CommandError::AlreadyMoving { vb: moving.vb(), from });
                }
                self.moves().count() >= MOVES_MAX
            }
        };
        if is_full {
            return Err(CommandError::Busy { waiting: self.waiting.len() });
        }
        self.waiting.push_back(QueuedCommand { ticket, job, asked: now, deadline: None });
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Option<QueuedCommand> {
        self.waiting.pop_front()
    }

    pub(super) fn put_back(&mut self, front: QueuedCommand) {
        self.waiting.push_front(front);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &QueuedCommand> {
        self.waiting.iter()
    }

    /// Takes every command away.
    pub(super) fn take_all(&mut self) -> VecDeque<QueuedCommand> {
        std::mem::take(&mut self.waiting)
    }

    /// The move at the front, where a move is served.
    pub(super) fn front_move(&mut self) -> Option<&mut Move> {
        match self.waiting.front_mut() {
            Some(QueuedCommand { job: Job::Move(moving), .. }) => Some(moving),
            Some(QueuedCommand { job: Job::Change(_), .. }) | None => None,
        }
    }

    fn moves(&self) -> impl Iterator<Item = &Move> {
        self.waiting.iter().filter_map(|command| command.job.as_move())
    }

    fn moving_from(&self, vb: VbId) -> Option<String> {
        self.moves().find(|other| other.vb() == vb).map(|other| other.from().to_owned())
    }

    /// Restarts the deadlines of the commands that wait: one was answered, or the one that is
    /// served took a step.
    pub(super) fn note_progress(&mut self, now: Duration) {
        self.progress = now;
    }

    /// What takes long goes on at the nodes: so may the command that is served, and those after it.
    pub(super) fn extend_for_progress(&mut self, settings: &Settings, now: Duration) {
        self.note_progress(now);
        let Some(QueuedCommand { job, deadline: Some(deadline), .. }) = self.waiting.front_mut()
        else {
            return;
        };
        let limit = match job {
            Job::Change(_) => settings.command,
            Job::Move(moving) if moving.is_taking_over() => settings.takeover_step(),
            Job::Move(_) => return,
        };
        *deadline = (now + limit).max(*deadline);
    }

    /// There was progress: the present step of the command at the front has until then.
    pub(super) fn extend_front(&mut self, until: Duration, now: Duration) {
        self.note_progress(now);
        if let Some(front) = self.waiting.front_mut() {
            front.deadline = Some(until);
        }
    }

    /// Until when a command that waits must have its turn, unless there is progress before.
    fn turn_deadline(&self, command: &QueuedCommand, settings: &Settings) -> Duration {
        self.progress.max(command.asked) + command.job.turn_limit(settings)
    }

    /// The first deadline of any command, unless there is progress before.
    pub(super) fn next_deadline(&self, settings: &Settings) -> Option<Duration> {
        let turn = |command: &QueuedCommand| self.turn_deadline(command, settings);
        self.waiting.iter().map(|c| c.deadline.unwrap_or_else(|| turn(c))).min()
    }

    /// Takes away the commands whose turn did not come in time: they are not begun any more.
    pub(super) fn take_expired(
        &mut self,
        settings: &Settings,
        now: Duration,
    ) -> Vec<QueuedCommand> {
        let is_late = |command: &QueuedCommand| {
            command.deadline.is_none() && self.turn_deadline(command, settings) <= now
        };
        let late: Vec<bool> = self.waiting.iter().map(is_late).collect();
        if !late.contains(&true) {
            return Vec::new();
        }
        let (mut kept, mut taken) = (VecDeque::new(), Vec::new());
        for (command, is_late) in std::mem::take(&mut self.waiting).into_iter().zip(late) {
            if is_late {
                taken.push(command);
            } else {
                kept.push_back(command);
            }
        }
        self.waiting = kept;
        taken
    }
}
