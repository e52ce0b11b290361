//! The queue of commands. They are served one at a time, and each is answered once. Reads are not
//! queued.
//!
//! The deadline of a queued command is for progress, not for the whole wait: it restarts with each
//! answer and each step of the command that is served.

use std::collections::VecDeque;
use std::time::Duration;

use mcbp::VbId;

use super::command::CommandError;
use super::moves::Move;
use super::settings::Settings;
use super::work::Work;
use crate::link::Ticket;
use crate::plan::VBUCKETS_MAX;

/// Bound on queued changes. An operator or a program sends one and waits for its answer; 16 allow
/// for several programs at once.
pub const CHANGES_MAX: usize = 16;

/// Bound on queued moves. A set of vBuckets is one command for each, and each vBucket is queued
/// once.
pub const MOVES_MAX: usize = VBUCKETS_MAX as usize;

/// A command in the queue; the one at the front is served.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct QueuedCommand {
    pub(super) ticket: Ticket,
    pub(super) job: Job,
    /// When the command was queued.
    pub(super) asked: Duration,
    /// The deadline of the command, or of the present step of a move; `None` before it is begun.
    pub(super) deadline: Option<Duration>,
}

/// The work of a [`QueuedCommand`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Job {
    Work(Box<Work>),
    Move(Box<Move>),
}

impl Job {
    pub(super) const fn as_move(&self) -> Option<&Move> {
        match self {
            Self::Move(moving) => Some(moving),
            Self::Work(_) => None,
        }
    }

    /// Returns the first producer in the command that is not configured, if any.
    pub(super) fn unknown_producer(&self, is_known: impl Fn(&str) -> bool) -> Option<&str> {
        match self {
            Self::Work(work) => work.unknown_producer(is_known),
            Self::Move(moving) => Some(moving.from()).filter(|name| !is_known(name)),
        }
    }

    /// Returns how long the command may be queued without any progress of the queue.
    ///
    /// A move may wait as long as the longest step of a takeover, so that one stuck takeover does
    /// not fail the rest of its set.
    fn turn_limit(&self, settings: &Settings) -> Duration {
        match self {
            Self::Work(_) => settings.command,
            Self::Move(_) => settings.takeover_step(),
        }
    }
}

impl QueuedCommand {
    /// Returns the deadline of its turn, unless there is progress after `progress`.
    fn turn_deadline(&self, progress: Duration, settings: &Settings) -> Duration {
        progress.max(self.asked) + self.job.turn_limit(settings)
    }
}

/// The queued commands, first in, first out.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<QueuedCommand>,
    /// When a command was last answered, or the served one took a step.
    progress: Duration,
}

impl Queue {
    /// Queues a command. Returns an error where the queue is full, or has a move of the same
    /// vBucket.
    pub(super) fn push(
        &mut self,
        ticket: Ticket,
        job: Job,
        now: Duration,
    ) -> Result<(), CommandError> {
        let is_full = match &job {
            Job::Work(_) => self.waiting.len() - self.moves().count() >= CHANGES_MAX,
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

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &QueuedCommand> {
        self.waiting.iter()
    }

    /// Empties the queue and returns its commands.
    pub(super) fn take_all(&mut self) -> VecDeque<QueuedCommand> {
        std::mem::take(&mut self.waiting)
    }

    /// Returns the move at the front, if a move is served.
    pub(super) fn front_move(&mut self) -> Option<&mut Move> {
        match self.waiting.front_mut() {
            Some(QueuedCommand { job: Job::Move(moving), .. }) => Some(moving),
            Some(QueuedCommand { job: Job::Work(_), .. }) | None => None,
        }
    }

    /// Returns the change or restart at the front, if one is served.
    pub(super) fn front_work(&mut self) -> Option<&mut Work> {
        match self.waiting.front_mut() {
            Some(QueuedCommand { job: Job::Work(work), deadline: Some(_), .. }) => Some(work),
            Some(_) | None => None,
        }
    }

    /// Returns the move at the front, once it is begun.
    pub(super) fn begun_move(&self) -> Option<&Move> {
        self.waiting.front().filter(|front| front.deadline.is_some())?.job.as_move()
    }

    /// Whether the move at the front must not be cut off.
    pub(super) fn is_half_done(&self) -> bool {
        self.begun_move().is_some_and(Move::is_half_done)
    }

    fn moves(&self) -> impl Iterator<Item = &Move> {
        self.waiting.iter().filter_map(|command| command.job.as_move())
    }

    fn moving_from(&self, vb: VbId) -> Option<String> {
        self.moves().find(|other| other.vb() == vb).map(|other| other.from().to_owned())
    }

    /// Restarts the deadlines of the queued commands: one was answered, or the served one took a
    /// step.
    pub(super) fn note_progress(&mut self, now: Duration) {
        self.progress = now;
    }

    /// Extends the deadline of the served command because the nodes report progress, and restarts
    /// those of the queued ones.
    pub(super) fn extend_for_progress(&mut self, settings: &Settings, now: Duration) {
        self.note_progress(now);
        let Some(QueuedCommand { job, deadline: Some(deadline), .. }) = self.waiting.front_mut()
        else {
            return;
        };
        let limit = match job {
            Job::Work(_) => settings.command,
            Job::Move(moving) if moving.is_taking_over() => settings.takeover_step(),
            Job::Move(_) => return,
        };
        *deadline = (now + limit).max(*deadline);
    }

    /// Sets the deadline of the command at the front to `until`, because it made progress.
    pub(super) fn extend_front(&mut self, until: Duration, now: Duration) {
        self.note_progress(now);
        if let Some(front) = self.waiting.front_mut() {
            front.deadline = Some(until);
        }
    }

    /// Returns the earliest deadline of all commands.
    pub(super) fn next_deadline(&self, settings: &Settings) -> Option<Duration> {
        let turn = |command: &QueuedCommand| command.turn_deadline(self.progress, settings);
        self.waiting.iter().map(|c| c.deadline.unwrap_or_else(|| turn(c))).min()
    }

    /// Removes and returns the commands whose turn did not come before their deadline. They must
    /// not begin after their caller was told that they failed.
    pub(super) fn take_expired(
        &mut self,
        settings: &Settings,
        now: Duration,
    ) -> VecDeque<QueuedCommand> {
        let progress = self.progress;
        let is_late = |command: &QueuedCommand| {
            command.deadline.is_none() && command.turn_deadline(progress, settings) <= now
        };
        if !self.waiting.iter().any(is_late) {
            return VecDeque::new();
        }
        let (taken, kept) = std::mem::take(&mut self.waiting).into_iter().partition(is_late);
        self.waiting = kept;
        taken
    }
}
