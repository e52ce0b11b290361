//! Serves the command at the front of the queue: begins it, and answers it when it is settled or
//! its deadline has passed. Changes and restarts are in
//! `changes.rs`, the steps of a move in `steps.rs`, the stop in `stop.rs`.

use std::time::Duration;

use super::command::{BucketCommand, CommandError, Done};
use super::effect::{BucketEffect, BucketEffects};
use super::event::Moment;
use super::machine::{BucketMachine, Lifecycle};
use super::moves::Move;
use super::queue::{Job, QueuedCommand};
use super::work::{Order, Work};
use crate::link::Ticket;

impl BucketMachine {
    /// Queues a command, or refuses it.
    pub(super) fn command(
        &mut self,
        ticket: Ticket,
        command: BucketCommand,
        at: Moment,
        fx: &mut BucketEffects,
    ) {
        let refused = match self.check(&command) {
            Err(error) => Err(error),
            Ok(()) => match command {
                BucketCommand::Change(change) => {
                    let work = Box::new(Work::new(Order::Change(change)));
                    self.queue.push(ticket, Job::Work(work), at.now)
                }
                BucketCommand::Restart(restart) => {
                    let work = Box::new(Work::new(Order::Restart(restart)));
                    self.queue.push(ticket, Job::Work(work), at.now)
                }
                BucketCommand::Move(request) => {
                    self.queue.push(ticket, Job::Move(Box::new(Move::new(request))), at.now)
                }
                BucketCommand::Remove => {
                    self.lifecycle = Lifecycle::Removing(Some(ticket));
                    self.refuse_for_removal(fx);
                    Ok(())
                }
                BucketCommand::Stop { within } => {
                    self.stop(ticket, within, at.now, fx);
                    Ok(())
                }
            },
        };
        if let Err(error) = refused {
            fx.push(BucketEffect::Answer(ticket, Err(error)));
        }
    }

    fn check(&self, command: &BucketCommand) -> Result<(), CommandError> {
        match (self.lifecycle, command) {
            (Lifecycle::Running, _) | (Lifecycle::Removing(_), BucketCommand::Stop { .. }) => {}
            (Lifecycle::Removing(_), _) => return Err(self.removed()),
            (Lifecycle::Stopping(_) | Lifecycle::Stopped, _) => return Err(CommandError::Stopping),
        }
        let unknown = command.unknown_producer(|name| self.settings.producers.contains(name));
        let error = |name: &str| CommandError::NoProducer { producer: name.to_owned() };
        unknown.map_or(Ok(()), |name| Err(error(name)))
    }

    fn removed(&self) -> CommandError {
        CommandError::Removed { bucket: self.settings.bucket.clone() }
    }

    /// Refuses every command of a bucket that is removed, but for a takeover that runs.
    fn refuse_for_removal(&mut self, fx: &mut BucketEffects) {
        let running = self.queue.is_half_done().then(|| self.queue.pop()).flatten();
        let error = self.removed();
        self.refuse_all(&error, fx);
        match running {
            Some(running) => self.queue.put_back(running),
            None => self.answer_removal(Ok(Done::Removed), fx),
        }
    }

    pub(super) fn answer_removal(
        &mut self,
        result: Result<Done, CommandError>,
        fx: &mut BucketEffects,
    ) {
        if let Lifecycle::Removing(ticket) = &mut self.lifecycle
            && let Some(ticket) = ticket.take()
        {
            fx.push(BucketEffect::Answer(ticket, result));
        }
    }

    /// Refuses every queued command.
    pub(super) fn refuse_all(&mut self, error: &CommandError, fx: &mut BucketEffects) {
        for command in self.queue.take_all() {
            if let Job::Move(moving) = &command.job {
                fx.extend(moving.task().map(BucketEffect::Cancel));
            }
            fx.push(BucketEffect::Answer(command.ticket, Err(error.clone())));
        }
    }

    /// Begins the command at the front, or answers it if it is settled or late. Returns whether
    /// anything changed.
    pub(super) fn serve(&mut self, at: Moment, fx: &mut BucketEffects) -> bool {
        // A takeover that failed does not begin again.
        if matches!(self.lifecycle, Lifecycle::Removing(Some(_))) && !self.queue.is_half_done() {
            self.refuse_for_removal(fx);
            return false;
        }
        if self.refuse_for_stop(fx) {
            return true;
        }
        self.refuse_late(at, fx);
        let Some(mut front) = self.queue.pop() else { return false };
        let Some(deadline) = front.deadline else {
            match self.begin_front(&mut front.job, at, fx) {
                Ok(deadline) => {
                    front.deadline = Some(deadline);
                    self.queue.put_back(front);
                    self.hold_back(at.now);
                }
                Err(error) => fx.push(BucketEffect::Answer(front.ticket, Err(error))),
            }
            return true;
        };
        let is_late = deadline <= at.now || self.is_out_of_time(&front.job, at.now);
        match &front.job {
            Job::Work(work) if is_late || self.is_settled(work) => {
                self.queue.note_progress(at.now);
                fx.push(BucketEffect::Answer(front.ticket, self.result_of(work)));
                true
            }
            Job::Work(_) => {
                self.queue.put_back(front);
                false
            }
            Job::Move(_) => self.serve_move(front, is_late, at, fx),
        }
    }

    /// Begins a command. Its producers may have been removed from the configuration while it was
    /// queued.
    fn begin_front(
        &mut self,
        job: &mut Job,
        at: Moment,
        fx: &mut BucketEffects,
    ) -> Result<Duration, CommandError> {
        if let Some(name) = job.unknown_producer(|name| self.settings.producers.contains(name)) {
            return Err(CommandError::NoProducer { producer: name.to_owned() });
        }
        match job {
            Job::Work(work) => self.begin(work, at, fx),
            Job::Move(moving) => Ok(self.begin_move(moving, at, fx)),
        }
    }

    /// Refuses the commands whose turn did not come before their deadline.
    fn refuse_late(&mut self, at: Moment, fx: &mut BucketEffects) {
        let waiting = self.queue.len();
        for QueuedCommand { ticket, job, .. } in self.queue.take_expired(&self.settings, at.now) {
            self.moves_done.failed += u64::from(job.as_move().is_some());
            fx.push(BucketEffect::Answer(ticket, Err(CommandError::Busy { waiting })));
        }
    }
}
