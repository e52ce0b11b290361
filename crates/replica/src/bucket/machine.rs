//! The machine of a bucket: the desired map, the links that carry it, and their recovery.
//!
//! After every event the machine compares the desired state with the actual one and takes the next
//! step; that one reconcile step sets up, retries, moves and removes. Commands are served one at a
//! time; reads never wait for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mcbp::VbId;

use super::copies::SuspectCopies;
use super::effect::{BucketEffect, BucketEffects};
use super::ending::Ending;
use super::event::{BucketEvent, LinkId, LinkReport, Moment, PollAnswer, Polled, TaskId};
use super::failures::Failures;
use super::link_state::{Decision, LinkState};
use super::links::Links;
use super::moves::MovesDone;
use super::nodes::Nodes;
use super::queue::Queue;
use super::rolled_back::RolledBack;
use super::settings::Settings;
use crate::link::{Command, Outcome, Ticket, VbOutcome};
use crate::outage::Outages;
use crate::plan::{Connections, Desired, LinkKey};
use crate::wanted::Setup;

/// The machine of one bucket.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct BucketMachine {
    pub(super) settings: Settings,
    pub(super) connections: Connections,
    pub(super) desired: Desired,
    pub(super) queue: Queue,
    pub(super) links: Links,
    pub(super) copies: SuspectCopies,
    pub(super) failures: Failures,
    pub(super) nodes: Nodes,
    pub(super) outages: Outages,
    /// The links of takeovers that failed after they began: their orders may still take effect.
    pub(super) interrupted: BTreeMap<VbId, LinkKey>,
    /// vBuckets that became active here in this process, until a change names them.
    pub(super) taken_over: BTreeSet<VbId>,
    pub(super) moves_done: MovesDone,
    /// Copies that lost changes in a rollback.
    pub(super) rolled_back: RolledBack,
    pub(super) lifecycle: Lifecycle,
    /// The time of the present event.
    pub(super) now: Duration,
    tasks: u64,
}

/// Whether the bucket accepts commands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Lifecycle {
    Running,
    /// Every command is refused but the one to stop. The command to remove is answered when no
    /// takeover runs any more; `None` once it is.
    Removing(Option<Ticket>),
    /// The command to stop is answered when no takeover runs and no link is left.
    Stopping(Ending),
    Stopped,
}

impl BucketMachine {
    /// Returns a bucket with an empty desired map.
    #[must_use]
    pub fn new(settings: Settings, connections: Connections) -> Self {
        Self {
            failures: Failures::new(&settings),
            settings,
            connections,
            desired: Desired::default(),
            queue: Queue::default(),
            links: Links::default(),
            copies: SuspectCopies::default(),
            nodes: Nodes::default(),
            outages: Outages::default(),
            interrupted: BTreeMap::new(),
            taken_over: BTreeSet::new(),
            moves_done: MovesDone::default(),
            rolled_back: RolledBack::default(),
            lifecycle: Lifecycle::Running,
            now: Duration::ZERO,
            tasks: 0,
        }
    }

    /// Handles an event. Returns the effects to carry out.
    pub fn on(&mut self, at: Moment, event: BucketEvent) -> BucketEffects {
        let mut fx = BucketEffects::new();
        self.now = at.now;
        match event {
            BucketEvent::Command { ticket, command } => self.command(ticket, command, at, &mut fx),
            BucketEvent::Producers { known, changed } => {
                self.producers_are(known, &changed, &mut fx)
            }
            BucketEvent::Link(id, report) => self.link(id, report, at, &mut fx),
            BucketEvent::Estimated(task, changes) => {
                let until = at.now + self.settings.data_move;
                if self.queue.front_move().is_some_and(|moving| moving.estimated(task, changes)) {
                    // The deadline of copying is for progress: a new minimum of missing changes
                    // restarts it.
                    self.queue.extend_front(until, at.now);
                }
            }
            BucketEvent::Copied(task, result) => {
                if let Some(moving) = self.queue.front_move() {
                    moving.copied(task, result);
                }
            }
            BucketEvent::Examined(task, finding) => {
                if let Some(moving) = self.queue.front_move() {
                    moving.examined(task, finding);
                }
            }
            BucketEvent::Polled(polled) => self.polled(polled, at, &mut fx),
            BucketEvent::Sampled(samples) => self.sampled(samples, at, &mut fx),
            BucketEvent::Resumed(pause) => self.resumed(pause, at.now, &mut fx),
            BucketEvent::Woken => {}
        }
        self.reconcile(at, &mut fx);
        fx
    }

    /// Returns when the machine needs [`BucketEvent::Woken`], if at all. Changes with every event.
    #[must_use]
    pub fn wake_at(&self) -> Option<Duration> {
        let command = self.queue.next_deadline(&self.settings);
        let states = self.nodes.states_due(self.now);
        let stop = self.stop_due();
        self.links.next_due().into_iter().chain(command).chain(states).chain(stop).min()
    }

    /// Takes the next step of every link, and answers settled commands.
    fn reconcile(&mut self, at: Moment, fx: &mut BucketEffects) {
        self.hold_back(at.now);
        loop {
            // First, because the next command may need a link that has no wanted stream.
            while self.serve(at, fx) {}
            for index in 0..self.links.count() {
                self.advance(index, at, fx);
            }
            if !self.serve(at, fx) {
                break;
            }
        }
        self.answer_stop(fx);
    }

    fn advance(&mut self, index: usize, at: Moment, fx: &mut BucketEffects) {
        self.renew(index, fx);
        let is_reserved = self.links.is_reserved(index);
        let Some(link) = self.links.at_mut(index) else { return };
        match link.decide(is_reserved, at.now) {
            Decision::Nothing => {}
            Decision::Connect => self.links.connect(index, fx),
            Decision::Rest => link.state = LinkState::Idle,
            Decision::Abandon => self.links.abandon(index, fx),
            Decision::Close => self.links.close(index, fx),
            Decision::SetUp => self.set_up(index, at, fx),
        }
    }

    fn set_up(&mut self, index: usize, at: Moment, fx: &mut BucketEffects) {
        if self.nodes.states_due(at.now).is_some() {
            return;
        }
        let (nodes, node) = (&self.nodes, &self.settings.node);
        let held_back = self.copies.held_back(|vb| nodes.consumer_lacks(vb, node));
        let setup = self.links.next_setup(index, &held_back, at.now);
        let Some((link, Setup { wanted, reopen })) = self.links.at_mut(index).zip(setup) else {
            return;
        };
        let incomplete = self.copies.to_roll_back_on(link.id, &wanted);
        self.links.run(index, Command::SetupStreams { wanted, reopen, incomplete }, fx);
    }

    fn link(&mut self, id: LinkId, report: LinkReport, at: Moment, fx: &mut BucketEffects) {
        let Some(link) = self.links.live(id) else { return };
        match report {
            LinkReport::Up => {
                let in_loop = self.failures.link_loops.broken(id.index, at.now).is_some();
                fx.extend(link.mark_up(self.settings.stall, in_loop, at.now));
            }
            LinkReport::Answered(ticket, outcome) => self.answered(id, ticket, outcome, at, fx),
            LinkReport::Ended(error) => {
                let backoff = self.settings.backoff;
                link.wanted.forget_lasting(at.now, |failures| backoff.lasting(failures));
                self.note_failure(id, &error, true, at, fx);
                let delay = self.failures.stream_delay(&self.copies, &self.settings, at);
                if let Some(link) = self.links.live(id) {
                    link.wanted.ended(error, at.now, delay);
                }
            }
            LinkReport::RollbackAsked(vb) => self.note_rollback(id, vb, at, fx),
            LinkReport::RollbackOver { vb, from, to } => {
                self.note_rolled_back(id, (vb, from, to), at, fx);
            }
            LinkReport::Copy(vb, complete_to) => self.note_copy(id, vb, complete_to, at, fx),
            LinkReport::Opened(vb) => {
                link.wanted.opened_early(vb, at.now);
                self.queue.extend_for_progress(&self.settings, at.now);
            }
            LinkReport::ErrorAnswer(answer) => self.error_answered(id, answer, at, fx),
            LinkReport::Progress => self.queue.extend_for_progress(&self.settings, at.now),
            LinkReport::Down(down) => self.link_down(id, down, at, fx),
        }
    }

    /// Handles the answer of a link to a command.
    fn answered(
        &mut self,
        id: LinkId,
        ticket: Ticket,
        outcome: Outcome,
        at: Moment,
        fx: &mut BucketEffects,
    ) {
        self.note_unclosed(id, &outcome);
        let Some(link) = self.links.live(id) else { return };
        // An answer from before the link went down: its streams are already due on the next link.
        if link.state != (LinkState::Up { running: Some(ticket) }) {
            return;
        }
        link.state = LinkState::Up { running: None };
        link.asked.clear();
        link.note_rollbacks(&outcome);
        let Outcome::Done(outcomes) = outcome else {
            // The command was refused. A link that is down reports that itself.
            link.wanted.not_done();
            return;
        };
        let taken_over = self.queue.front_move().filter(|moving| moving.awaits(ticket));
        let is_takeover = taken_over.is_some();
        if let Some(moving) = taken_over {
            let outcome = outcomes.get(&moving.vb()).cloned();
            moving.taken_over(outcome);
        } else {
            for error in outcomes.values().filter_map(VbOutcome::error) {
                self.note_failure(id, error, false, at, fx);
            }
        }
        let delay = self.failures.stream_delay(&self.copies, &self.settings, at);
        let Some(link) = self.links.live(id) else { return };
        link.wanted.settle(&outcomes, at.now, delay);
        for (&vb, outcome) in &outcomes {
            match outcome {
                // Its set-up may have begun before the copy was to be made anew.
                VbOutcome::Opened if link.wanted.is_open(vb) && self.copies.opened(vb) => {
                    link.wanted.reopen(vb, None);
                }
                VbOutcome::Failed(_) => self.copies.not_accepted(vb),
                _ => {}
            }
        }
        // The set-up began before these copies were to be made anew.
        for vb in self.copies.to_renew().filter(|vb| outcomes.contains_key(vb)) {
            link.wanted.reopen(vb, None);
        }
        if !is_takeover {
            fx.extend(link.note_settled(outcomes.values(), at.now));
        }
    }

    fn polled(&mut self, polled: Polled, at: Moment, fx: &mut BucketEffects) {
        let of_consumer = polled.side == mcbp::Side::Consumer;
        let has_seqnos = matches!(polled.answer, PollAnswer::Seqnos(_));
        let has_states = matches!(polled.answer, PollAnswer::Misfits(Some(_)));
        let has_branches = matches!(polled.answer, PollAnswer::Branches(Some(_)));
        let asked = at.now.saturating_sub(polled.age);
        let appeared = self.nodes.record(polled, &self.settings.bucket, at.now, fx);
        if of_consumer && has_seqnos {
            self.consumer_polled(fx);
        }
        if of_consumer && has_states {
            self.end_active(asked, at, fx);
        }
        if has_branches {
            self.end_parted(at, fx);
        }
        if let Some(appeared) = appeared {
            self.serves_again(&appeared, at.now);
        }
    }

    /// Assigns the desired map to links and polls.
    pub(super) fn spread(&mut self, fx: &mut BucketEffects) {
        self.links.spread(self.desired.links(self.connections), &self.settings, fx);
        let polled = self.polled_map().cloned();
        self.nodes.follow(polled.as_ref(), &self.settings, self.now);
        fx.push(BucketEffect::Poll(polled));
    }

    /// Returns the map whose nodes are polled; `None` once the bucket stops.
    pub(super) fn polled_map(&self) -> Option<&Desired> {
        matches!(self.lifecycle, Lifecycle::Running | Lifecycle::Removing(_))
            .then_some(&self.desired)
    }

    pub(super) const fn next_task(&mut self) -> TaskId {
        self.tasks += 1;
        TaskId(self.tasks)
    }
}
