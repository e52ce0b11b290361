//! The stop of a bucket. A takeover that has begun ends first, within a part of the time, because
//! its vBucket may be active nowhere if it is cut off. Everything else is closed at once.

use std::time::Duration;

use super::command::{CommandError, Done};
use super::effect::{BucketEffect, BucketEffects, LogLevel, LogLine};
use super::ending::Ending;
use super::examine::ANSWER_MAX;
use super::link::Link;
use super::machine::{BucketMachine, Lifecycle};
use super::moves::Move;
use super::queue::Job;
use crate::link::Ticket;
use crate::plan::Desired;

/// Incomplete copies in one log line, whose length is bounded.
const COPIES_PER_LINE: usize = 100;

impl BucketMachine {
    /// Refuses every queued command but a takeover that runs, and closes every stream but those on
    /// its link.
    pub(super) fn stop(
        &mut self,
        ticket: Ticket,
        within: Duration,
        now: Duration,
        fx: &mut BucketEffects,
    ) {
        let running = self.queue.is_half_done().then(|| self.queue.pop()).flatten();
        self.refuse_all(&CommandError::Stopping, fx);
        self.answer_removal(Err(CommandError::Stopping), fx);
        self.log_incomplete(fx);
        self.desired = Desired::default();
        match running {
            Some(running) => self.queue.put_back(running),
            None => self.links.release(),
        }
        self.lifecycle = Lifecycle::Stopping(Ending::new(ticket, within, now));
        self.spread(fx);
    }

    pub(super) const fn is_stopping(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::Stopping(_) | Lifecycle::Stopped)
    }

    /// Refuses a move that would begin again: its takeover failed, and the producer's copy is
    /// active. Returns whether there was one.
    pub(super) fn refuse_for_stop(&mut self, fx: &mut BucketEffects) -> bool {
        if !self.is_stopping() || self.queue.len() == 0 || self.queue.is_half_done() {
            return false;
        }
        self.refuse_all(&CommandError::Stopping, fx);
        self.desired = Desired::default();
        self.links.release();
        self.spread(fx);
        true
    }

    /// Whether the stop leaves a move no more time for its present step.
    pub(super) fn is_out_of_time(&self, job: &Job, now: Duration) -> bool {
        match (self.lifecycle, job) {
            (Lifecycle::Stopping(ending), Job::Move(moving)) => ending.limit(moving) <= now,
            _ => false,
        }
    }

    /// Returns when the stop ends the present step of the move that is left, if there is one.
    pub(super) fn stop_due(&self) -> Option<Duration> {
        match self.lifecycle {
            Lifecycle::Stopping(ending) => {
                self.queue.begun_move().map(|moving| ending.limit(moving))
            }
            _ => None,
        }
    }

    /// Returns how long a node may take for each of the two requests of an examination.
    pub(super) fn answer_max(&self) -> Duration {
        match self.lifecycle {
            Lifecycle::Stopping(ending) => {
                (ending.examination.saturating_sub(self.now) / 2).min(ANSWER_MAX)
            }
            _ => ANSWER_MAX,
        }
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

    /// The line about a vBucket whose takeover did not end; its reason is in the line before.
    pub(super) fn left_half_done(&self, moving: &Move) -> BucketEffect {
        let (bucket, vb, from) = (&self.settings.bucket, moving.vb().0, moving.from());
        let text = format!(
            "stopping with a vBucket that may be active nowhere bucket={bucket} vb={vb} \
             from={from} remedy=\"start this sidecar again, and take the vBucket over once more \
             as soon as both nodes answer: that examines both copies and ends what was begun\""
        );
        BucketEffect::Log(LogLine { level: LogLevel::Error, text })
    }

    /// Answers the command to stop once no takeover runs and no link is left.
    pub(super) fn answer_stop(&mut self, fx: &mut BucketEffects) {
        if let Lifecycle::Stopping(Ending { ticket, .. }) = self.lifecycle
            && self.queue.len() == 0
            && self.links.iter().all(Link::is_stopped)
        {
            self.lifecycle = Lifecycle::Stopped;
            fx.push(BucketEffect::Answer(ticket, Ok(Done::Stopped)));
        }
    }
}
