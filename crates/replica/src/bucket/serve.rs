//! Serves the command at the front of the queue: begins it, and answers it when it is settled or
//! its deadline has passed. The steps of a move are in `steps.rs`.

use std::time::Duration;

use mcbp::VbId;

use super::command::{BucketCommand, Change, CommandError, Done};
use super::effect::{BucketEffect, BucketEffects, LogLevel, LogLine};
use super::event::Moment;
use super::failure::{Cause, VbFailure};
use super::link::Link;
use super::machine::{BucketMachine, Lifecycle};
use super::moves::Move;
use super::queue::{Job, QueuedCommand};
use crate::link::Ticket;
use crate::plan::Desired;

/// Incomplete copies in one log line, whose length is bounded.
const COPIES_PER_LINE: usize = 100;

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
                    self.queue.push(ticket, Job::Change(change), at.now)
                }
                BucketCommand::Move(request) => {
                    self.queue.push(ticket, Job::Move(Box::new(Move::new(request))), at.now)
                }
                BucketCommand::Stop => {
                    self.stop(ticket, fx);
                    Ok(())
                }
            },
        };
        if let Err(error) = refused {
            fx.push(BucketEffect::Answer(ticket, Err(error)));
        }
    }

    fn check(&self, command: &BucketCommand) -> Result<(), CommandError> {
        if self.lifecycle != Lifecycle::Running {
            return Err(CommandError::Stopping);
        }
        let unknown = command.unknown_producer(|name| self.settings.producers.contains(name));
        let error = |name: &str| CommandError::NoProducer { producer: name.to_owned() };
        unknown.map_or(Ok(()), |name| Err(error(name)))
    }

    /// Refuses every queued command, and closes every stream.
    fn stop(&mut self, ticket: Ticket, fx: &mut BucketEffects) {
        for command in self.queue.take_all() {
            if let Job::Move(moving) = &command.job {
                fx.extend(moving.task().map(BucketEffect::Cancel));
            }
            fx.push(BucketEffect::Answer(command.ticket, Err(CommandError::Stopping)));
        }
        self.log_incomplete(fx);
        self.desired = Desired::default();
        self.links.release();
        self.spread(fx);
        self.lifecycle = Lifecycle::Stopping(ticket);
    }

    /// Logs every incomplete copy. This state is in memory only, so a new process would treat the
    /// copy as complete. Many copies are in one line, because repeated lines are suppressed.
    fn log_incomplete(&self, fx: &mut BucketEffects) {
        let (bucket, node) = (&self.settings.bucket, &self.settings.node);
        let copies: Vec<_> = self.copies.all_incomplete().collect();
        for copies in copies.chunks(COPIES_PER_LINE) {
            let vbs: Vec<_> = copies.iter().map(|(vb, _)| vb.0.to_string()).collect();
            let seqnos: Vec<_> = copies.iter().map(|(_, seqno)| seqno.0.to_string()).collect();
            let text = format!(
                "stopping with copies that may miss rows bucket={bucket} vb={} complete_to={} \
                 remedy=\"delete these vBuckets at {node} and make them again before they are \
                 used\"",
                vbs.join(","),
                seqnos.join(",")
            );
            fx.push(BucketEffect::Log(LogLine { level: LogLevel::Error, text }));
        }
    }

    /// Answers the command to stop once no link is left.
    pub(super) fn answer_stop(&mut self, fx: &mut BucketEffects) {
        if let Lifecycle::Stopping(ticket) = self.lifecycle
            && self.links.iter().all(Link::is_stopped)
        {
            self.lifecycle = Lifecycle::Stopped;
            fx.push(BucketEffect::Answer(ticket, Ok(Done::Stopped)));
        }
    }

    /// Begins the command at the front, or answers it if it is settled or late. Returns whether
    /// anything changed.
    pub(super) fn serve(&mut self, at: Moment, fx: &mut BucketEffects) -> bool {
        self.refuse_late(at, fx);
        let Some(mut front) = self.queue.pop() else { return false };
        let Some(deadline) = front.deadline else {
            front.deadline = Some(match &mut front.job {
                Job::Change(change) => self.begin_change(change, at, fx),
                Job::Move(moving) => self.begin_move(moving, at, fx),
            });
            self.queue.put_back(front);
            return true;
        };
        let is_late = deadline <= at.now;
        match &front.job {
            Job::Change(change) if is_late || self.is_settled(change) => {
                self.queue.note_progress(at.now);
                fx.push(BucketEffect::Answer(front.ticket, self.result_of(change)));
                true
            }
            Job::Change(_) => {
                self.queue.put_back(front);
                false
            }
            Job::Move(_) => self.serve_move(front, is_late, at, fx),
        }
    }

    /// Refuses the commands whose turn did not come before their deadline.
    fn refuse_late(&mut self, at: Moment, fx: &mut BucketEffects) {
        let waiting = self.queue.len();
        for QueuedCommand { ticket, .. } in self.queue.take_expired(&self.settings, at.now) {
            fx.push(BucketEffect::Answer(ticket, Err(CommandError::Busy { waiting })));
        }
    }

    /// Applies the change to the desired map. Returns the deadline of the command.
    fn begin_change(&mut self, change: &Change, at: Moment, fx: &mut BucketEffects) -> Duration {
        match change {
            Change::All(desired) => self.desired = desired.clone(),
            Change::Add(added) => {
                for (producer, vbs) in added.producers() {
                    vbs.iter().for_each(|vb| self.desired.assign(vb, Some(producer)));
                }
            }
            Change::One { vb, from } => self.desired.assign(*vb, from.as_deref()),
            Change::Connections(connections) => self.connections = *connections,
        }
        self.spread(fx);
        self.retry_now(change);
        at.now + self.settings.command
    }

    /// Ends the backoff of the vBuckets concerned, and of their links: the operator asked for them.
    fn retry_now(&mut self, change: &Change) {
        let concerns = |vb| !matches!(change, Change::Connections(_)) && change.concerns(vb);
        for link in self.links.iter_mut() {
            if link.wanted.streams().keys().any(|&vb| concerns(vb)) {
                link.streak.forget();
                self.failures.link_loops.reset(link.id.index);
            }
            link.retry_now(concerns);
            for &vb in link.wanted.streams().keys().filter(|&&vb| concerns(vb)) {
                self.failures.loops.reset(vb);
            }
        }
    }

    fn is_settled(&self, change: &Change) -> bool {
        self.links.iter().all(|link| match change {
            Change::All(_) | Change::Connections(_) => link.is_settled(),
            Change::Add(added) => {
                let mut vbs = added.producers().values().flat_map(|vbs| vbs.iter());
                vbs.all(|vb| link.is_settled_for(vb))
            }
            Change::One { vb, .. } => link.is_settled_for(*vb),
        })
    }

    /// Returns the result of a change, settled or not.
    fn result_of(&self, change: &Change) -> Result<Done, CommandError> {
        let failures = self.links.iter().flat_map(|link| {
            let failures = link.failures(|vb| change.concerns(vb));
            failures.map(|(vb, cause)| self.failure(vb, &link.key.producer, cause))
        });
        let failures: Vec<_> = failures.collect();
        let open = self.links.iter().map(|link| link.wanted.open_count()).sum();
        if failures.is_empty() {
            Ok(Done::Changed { open })
        } else {
            Err(CommandError::Failed(failures))
        }
    }

    /// Returns the failure of one vBucket of this bucket.
    pub(super) fn failure(&self, vb: VbId, producer: &str, cause: Cause) -> VbFailure {
        let cause = self.with_misfit(vb, producer, cause);
        let (bucket, producer) = (self.settings.bucket.clone(), producer.to_owned());
        VbFailure { bucket, producer, vb, cause }
    }
}
