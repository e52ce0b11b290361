//! One bucket's replications: the desired map, the links that carry it, and their healing.
//!
//! Whatever happens, the manager compares what is wanted with what is there and does the next
//! thing; that one loop sets up, retries, moves and removes. Commands are served one at a time;
//! reading never waits for them.

mod absent;
mod commands;
mod copies;
mod heal;
mod link;
mod moves;
mod queue;
mod read;
mod spread;
mod tally;
mod tell;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, SpawnHandle};
use actix_rt::ArbiterHandle;
use futures::channel::oneshot;
use mcbp::VbId;
use relay::Endpoint;
use replica::link::{Command, Outcome, VbOutcome};
use replica::loops::Loops;
use replica::plan::{Connections, Desired};
use replica::wanted::Setup;
use tokio::time::Instant;

use self::copies::Incomplete;
use self::link::{Link, LinkState};
use self::queue::Pending;
use self::tally::Tally;
use crate::config::Limits;
use crate::consumer_conn::Run;
use crate::lag_monitor::LagMonitor;
use crate::link::LinkOver;
use crate::replicator::{FromLink, LinkId, LinkWord, Replicator};
use crate::traffic::TrafficMonitor;

pub(crate) use self::commands::{Change, SetWanted, Stop};
pub(crate) use self::moves::{MoveKind, StartMove};
pub(crate) use self::read::ReadStatus;

/// What became of the vBuckets of one command to a link.
type Outcomes = BTreeMap<VbId, VbOutcome>;

/// The actor of one bucket.
pub(crate) struct ReplicationManager {
    bucket: String,
    connections: Connections,
    node: Endpoint,
    producers: Arc<BTreeMap<String, Endpoint>>,
    limits: Limits,
    arbiters: Vec<ArbiterHandle>,
    desired: Desired,
    links: Vec<Link>,
    /// Copies of our node that may miss rows. They outlive the link that found them.
    incomplete: BTreeMap<VbId, Incomplete>,
    /// Refused by a consumer that may not serve them any more, since it was polled last.
    doubtful: BTreeSet<VbId>,
    /// Rollbacks that the consumer has given up, until it serves the vBucket again.
    given_up: BTreeSet<VbId>,
    /// The link that a takeover needs: it is kept, and set-ups wait.
    reserved: Option<usize>,
    commands: VecDeque<Pending>,
    /// When a command was last answered, or the one that is served took a step.
    progress: Duration,
    loops: Loops,
    /// Streams that failed or ended.
    stream_failures: Tally,
    /// Links that were lost, or could not be opened.
    link_failures: Tally,
    /// There from the start of the actor on.
    lag: Option<LagMonitor>,
    traffic: TrafficMonitor,
    stopping: Option<oneshot::Sender<()>>,
    started: Instant,
    wake: Option<SpawnHandle>,
}

impl ReplicationManager {
    pub(crate) fn new(
        bucket: String,
        connections: Connections,
        node: Endpoint,
        producers: Arc<BTreeMap<String, Endpoint>>,
        limits: Limits,
        arbiters: Vec<ArbiterHandle>,
    ) -> Self {
        let loops = heal::loops(&limits);
        Self {
            bucket,
            connections,
            node,
            producers,
            limits,
            arbiters,
            desired: Desired::default(),
            links: Vec::new(),
            incomplete: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            given_up: BTreeSet::new(),
            reserved: None,
            commands: VecDeque::new(),
            progress: Duration::ZERO,
            loops,
            stream_failures: Tally::default(),
            link_failures: Tally::default(),
            lag: None,
            traffic: TrafficMonitor::default(),
            stopping: None,
            started: Instant::now(),
            wake: None,
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Does the next thing for every link, answers commands that are settled, and sets the clock.
    fn reconcile(&mut self, ctx: &mut Context<Self>) {
        loop {
            // First: the next command may need a link that nothing else is wanted of.
            while self.serve(ctx) {}
            for index in 0..self.links.len() {
                self.advance(index, ctx);
            }
            if !self.serve(ctx) {
                break;
            }
        }
        self.answer_stop();
        self.set_clock(ctx);
    }

    fn advance(&mut self, index: usize, ctx: &mut Context<Self>) {
        let now = self.now();
        let is_reserved = self.reserved == Some(index);
        let Some(link) = self.links.get_mut(index) else { return };
        let idle = link.wanted.streams().is_empty() && !is_reserved;
        match &link.state {
            LinkState::Idle if !idle => self.connect(index, ctx),
            LinkState::Waiting { .. } if idle => link.state = LinkState::Idle,
            LinkState::Waiting { until } if *until <= now => self.connect(index, ctx),
            LinkState::Connecting(addr) if idle => {
                addr.do_send(LinkOver);
                link.state = LinkState::Idle;
            }
            LinkState::Up { addr, .. } if idle => {
                let addr = addr.clone();
                link.state = LinkState::Closing(addr);
                self.run(index, Command::Shut);
            }
            LinkState::Up { running: false, .. } if !is_reserved => {
                if let Some(Setup { wanted, reopen }) = self.next_setup(index, now) {
                    let incomplete = self.incomplete_for(index, &wanted);
                    self.run(index, Command::SetupStreams { wanted, reopen, incomplete });
                }
            }
            LinkState::Idle
            | LinkState::Waiting { .. }
            | LinkState::Connecting(_)
            | LinkState::Up { .. }
            | LinkState::Closing(_) => {}
        }
    }

    fn next_setup(&mut self, index: usize, now: Duration) -> Option<Setup> {
        let held_back = self.held_back();
        let (before, rest) = self.links.split_at_mut_checked(index)?;
        let (link, after) = rest.split_first_mut()?;
        let is_held = |vb| before.iter().chain(&*after).any(|other| other.may_hold(vb));
        link.wanted.next_setup(now, |vb| !is_held(vb) && !held_back.contains(&vb))
    }

    fn connect(&mut self, index: usize, ctx: &mut Context<Self>) {
        let Some(link) = self.links.get_mut(index) else { return };
        link.life += 1;
        let id = LinkId { index, life: link.life };
        let (spec, manager) = (Arc::clone(&link.spec), ctx.address().recipient());
        let make = move |_: &mut Context<Replicator>| Replicator::new(id, spec, manager);
        let addr = match self.arbiters.get(index % self.arbiters.len().max(1)) {
            Some(arbiter) => Replicator::start_in_arbiter(arbiter, make),
            None => Replicator::create(make),
        };
        link.state = LinkState::Connecting(addr);
    }

    /// Sends a command to an open link; the answer comes as [`LinkWord::Answered`].
    fn run(&mut self, index: usize, command: Command) {
        let Some(link) = self.links.get_mut(index) else { return };
        if let Some(addr) = link.state.open_address() {
            addr.do_send(Run(command));
        }
        if let LinkState::Up { running, .. } = &mut link.state {
            *running = true;
        }
    }

    fn settled(&mut self, id: LinkId, outcome: Outcome) {
        let Some(link) = self.live_link(id) else { return };
        // A link that is down has made everything due for the next one.
        let LinkState::Up { running, .. } = &mut link.state else { return };
        *running = false;
        link.note_rollbacks(&outcome);
        match outcome {
            Outcome::Done(outcomes) => {
                let is_move = self.note_takeover(&outcomes);
                if !is_move {
                    self.note_outcomes(id, &outcomes);
                }
                let (now, delay) = (self.now(), self.stream_delay());
                if let Some(link) = self.live_link(id) {
                    link.wanted.settle(&outcomes, now, delay);
                    if !is_move {
                        link.note_settled(&outcomes);
                    }
                }
            }
            // Nothing was done; a link that is down says so itself.
            Outcome::Busy | Outcome::Down(_) => link.wanted.not_done(),
        }
    }

    fn live_link(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(id.index).filter(|link| link.life == id.life)
    }

    /// Wakes up when the next wait is over.
    fn set_clock(&mut self, ctx: &mut Context<Self>) {
        if let Some(wake) = self.wake.take() {
            ctx.cancel_future(wake);
        }
        // What waits on a reserved link goes on with the end of the takeover, not with time.
        let links = self.links.iter().enumerate();
        let links = links.filter(|(index, _)| self.reserved != Some(*index));
        let waits = links.filter_map(|(_, link)| link.next_due());
        if let Some(next) = waits.chain(self.next_command_deadline()).min() {
            let wait = next.saturating_sub(self.now());
            self.wake = Some(ctx.run_later(wait, |manager, ctx| {
                manager.wake = None;
                manager.reconcile(ctx);
            }));
        }
    }
}

impl Actor for ReplicationManager {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let told = ctx.address().recipient();
        let (bucket, node, limits) = (&self.bucket, &self.node, &self.limits);
        self.lag = Some(LagMonitor::new(bucket.clone(), node.clone(), limits.clone(), told));
        ctx.run_interval(heal::look_interval(limits), |manager, ctx| {
            manager.look_for_stalls();
            manager.look_for_standstill();
            manager.tell_the_rest();
            manager.reconcile(ctx);
        });
    }
}

impl Handler<FromLink> for ReplicationManager {
    type Result = ();

    fn handle(&mut self, FromLink { id, word }: FromLink, ctx: &mut Self::Context) {
        let now = self.now();
        let Some(link) = self.live_link(id) else { return };
        match word {
            LinkWord::Up(gauges) => link.is_up(gauges, now),
            LinkWord::Ended(error) => {
                self.note_end(id, &error);
                let delay = self.stream_delay();
                if let Some(link) = self.live_link(id) {
                    link.wanted.ended(error, now, delay);
                }
            }
            LinkWord::Answered(outcome) => self.settled(id, outcome),
            LinkWord::RollbackAsked(vb) => self.note_rollback(id, vb),
            LinkWord::RollbackOver(vb) => _ = link.rolling.remove(&vb),
            LinkWord::Copy(vb, complete_to) => self.note_copy(id, vb, complete_to),
            LinkWord::Opened(vb) => {
                link.wanted.opened_early(vb);
                self.goes_on();
            }
            LinkWord::Progress => self.goes_on(),
            LinkWord::Down(down) => self.link_down(id, down),
        }
        self.reconcile(ctx);
    }
}
