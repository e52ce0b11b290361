//! The actor of one bucket: passes events to its machine and carries out the effects. It holds
//! addresses, tasks and callers, and decides nothing.

mod links;
mod notes;
mod producers;
mod read;
mod tasks;
mod traffic;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, SpawnHandle};
use actix_rt::ArbiterHandle;
use events::Events;
use futures::channel::oneshot;
use relay::Endpoint;
use replica::bucket::{
    BucketCommand, BucketEffect, BucketEvent, BucketMachine, CommandError, Done, LinkReport,
    Moment, PollAnswer, TaskId,
};
use replica::link::Ticket;
use replica::liveness;
use replica::plan::Connections;
use tokio::time::Instant;

use self::links::OpenLink;
use self::traffic::Traffic;
use crate::config::ControlLimits;
use crate::link_actor::{FromLink, GiveUp, LinkOver, NameUse, Run};
use crate::moved::MovedOut;
use crate::recorders::Recorders;
use crate::status::Moved;
use crate::tasks::{LagPolls, NodePolled};
use crate::timings::{Running, Timings};

pub(crate) use self::producers::{End, Producers, SetProducers};
pub(crate) use self::read::ReadStatus;

/// Links are sampled four times within the stall limit, and at least each second.
const SAMPLES_PER_STALL: u32 = 4;
const SAMPLE_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// Sends the answer of a command.
pub(crate) type Answer = oneshot::Sender<Result<Done, CommandError>>;

/// A command for a bucket.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Submit {
    pub(crate) command: BucketCommand,
    pub(crate) answer: Answer,
}

/// What the buckets of one replication share, and the timings of one of them.
pub(crate) struct Parts {
    pub(crate) node: Endpoint,
    pub(crate) producers: BTreeMap<String, Endpoint>,
    pub(crate) limits: ControlLimits,
    pub(crate) arbiters: Vec<ArbiterHandle>,
    pub(crate) moved: MovedOut,
    pub(crate) timings: Arc<Timings>,
    pub(crate) events: Events,
    pub(crate) recorders: Recorders,
}

/// The actor of one bucket.
pub(crate) struct BucketActor {
    machine: BucketMachine,
    bucket: String,
    node: Endpoint,
    /// The configured producers, and removed ones that are still needed.
    producers: Producers,
    limits: ControlLimits,
    arbiters: Vec<ArbiterHandle>,
    moved: MovedOut,
    /// The present incarnation of each link that is not down, by index.
    links: BTreeMap<usize, OpenLink>,
    tasks: BTreeMap<TaskId, SpawnHandle>,
    callers: BTreeMap<Ticket, Answer>,
    next_ticket: u64,
    polls: LagPolls,
    traffic: Traffic,
    timings: Arc<Timings>,
    events: Events,
    recorders: Recorders,
    misfits: BTreeMap<String, String>,
    started: Instant,
    /// When the last event was handled.
    last_event: Duration,
    wake: Option<(Duration, SpawnHandle)>,
}

impl BucketActor {
    /// Returns an actor without a desired map, which records how long its steps take in `timings`.
    pub(crate) fn new(bucket: String, connections: Connections, parts: Parts) -> Self {
        let Parts { node, producers, limits, arbiters, moved, timings, events, recorders } = parts;
        let names = producers.keys().cloned().collect();
        let settings = limits.settings(bucket.clone(), node.name.clone(), names);
        Self {
            machine: BucketMachine::new(settings, connections),
            bucket,
            node,
            producers: Producers::new(producers),
            limits,
            arbiters,
            moved,
            links: BTreeMap::new(),
            tasks: BTreeMap::new(),
            callers: BTreeMap::new(),
            next_ticket: 0,
            polls: LagPolls::default(),
            traffic: Traffic::default(),
            timings,
            events,
            recorders,
            misfits: BTreeMap::new(),
            started: Instant::now(),
            last_event: Duration::ZERO,
            wake: None,
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn event(&mut self, event: BucketEvent, ctx: &mut Context<Self>) {
        let at = Moment { now: self.now(), chance: fastrand::f64() };
        // Samples make events frequent, unless this process does not run.
        let since_last = at.now.saturating_sub(std::mem::replace(&mut self.last_event, at.now));
        let resumed = liveness::pause(since_last, self.limits.stall).map(BucketEvent::Resumed);
        for event in resumed.into_iter().chain([event]) {
            for effect in self.machine.on(at, event) {
                self.carry_out(effect, ctx);
            }
        }
        self.producers.retain(|name| self.machine.needs_producer(name));
        self.set_clock(ctx);
    }

    fn carry_out(&mut self, effect: BucketEffect, ctx: &mut Context<Self>) {
        match effect {
            BucketEffect::Connect(id, key) => self.connect(id, &key, NameUse::Displace, ctx),
            BucketEffect::ConnectIfFree(id, key) => {
                self.connect(id, &key, NameUse::OnlyIfFree, ctx);
            }
            BucketEffect::Run(id, ticket, command) => {
                let link = self.links.get_mut(&id.index).filter(|link| link.id == id);
                if let Some(link) = link {
                    link.running = Running::of(&command);
                    link.addr.do_send(Run { ticket, command });
                }
            }
            BucketEffect::Abandon(id) => {
                if let Some(link) = self.forget(id) {
                    link.addr.do_send(LinkOver);
                }
            }
            BucketEffect::GiveUp(id, side, down) => {
                if let Some(link) = self.link(id) {
                    link.addr.do_send(GiveUp { side, down });
                }
            }
            BucketEffect::Poll(desired) => {
                let reports = ctx.address().recipient();
                let nodes = (self.bucket.as_str(), &self.node, self.producers.all());
                self.polls.follow(desired.as_ref(), nodes, &self.limits, &reports);
            }
            BucketEffect::Estimate(task, key, vb) => {
                self.note_copying(&key, vb);
                self.estimate(task, &key, vb, ctx);
            }
            BucketEffect::Examine(task, examine) => self.examine(task, examine, ctx),
            BucketEffect::Cancel(task) => self.cancel(task, ctx),
            BucketEffect::Moved { vb, from, elapsed_ms } => {
                let bucket = self.bucket.clone();
                self.moved.send(Moved { bucket, vbucket: vb.0, from, elapsed_ms });
            }
            BucketEffect::Answer(ticket, result) => {
                if let Some(caller) = self.callers.remove(&ticket) {
                    // The caller may have gone; the command is done all the same.
                    _ = caller.send(result);
                }
            }
            BucketEffect::Log(line) => self.tell(&line),
        }
    }

    /// Sets the timer for [`BucketEvent::Woken`].
    fn set_clock(&mut self, ctx: &mut Context<Self>) {
        let wanted = self.machine.wake_at();
        if self.wake.as_ref().map(|(at, _)| *at) == wanted {
            return;
        }
        if let Some((_, wake)) = self.wake.take() {
            ctx.cancel_future(wake);
        }
        self.wake = wanted.map(|at| {
            let wait = at.saturating_sub(self.now());
            let wake = ctx.run_later(wait, |actor, ctx| {
                actor.wake = None;
                actor.event(BucketEvent::Woken, ctx);
            });
            (at, wake)
        });
    }
}

impl Actor for BucketActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let interval = self.limits.stall / SAMPLES_PER_STALL;
        let interval = interval.clamp(Duration::from_millis(1), SAMPLE_INTERVAL_MAX);
        ctx.run_interval(interval, Self::sample);
    }
}

impl Handler<Submit> for BucketActor {
    type Result = ();

    fn handle(&mut self, Submit { command, answer }: Submit, ctx: &mut Self::Context) {
        if matches!(command, BucketCommand::Restart(_)) {
            failpoint::hang_at("control-plane-hangs");
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.callers.insert(ticket, answer);
        self.event(BucketEvent::Command { ticket, command }, ctx);
    }
}

impl Handler<FromLink> for BucketActor {
    type Result = ();

    fn handle(&mut self, FromLink { id, report, gauges }: FromLink, ctx: &mut Self::Context) {
        self.time(id, &report);
        if let Some(link) = self.links.get_mut(&id.index).filter(|link| link.id == id)
            && gauges.is_some()
        {
            link.gauges = gauges;
        }
        if matches!(report, LinkReport::Down(_)) && self.link(id).is_some() {
            self.note_heard();
            self.forget(id);
        }
        self.event(BucketEvent::Link(id, report), ctx);
    }
}

impl Handler<NodePolled> for BucketActor {
    type Result = ();

    fn handle(&mut self, polled: NodePolled, ctx: &mut Self::Context) {
        let polled = polled.polled();
        let is_sign = match &polled.answer {
            PollAnswer::Seqnos(Err(error)) => error.is_sign,
            PollAnswer::Seqnos(Ok(_))
            | PollAnswer::Topology(_)
            | PollAnswer::Misfits(_)
            | PollAnswer::Branches(_) => true,
        };
        if is_sign {
            self.traffic.heard(&polled.node, self.now());
        }
        let node = matches!(polled.answer, PollAnswer::Misfits(_)).then(|| polled.node.clone());
        self.event(BucketEvent::Polled(polled), ctx);
        if let Some(node) = node {
            self.note_misfits(node);
        }
    }
}
