//! Scripts for the machine of a bucket whose nodes freeze, are gone, or were never there: what it
//! says of them, and which links it restarts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use mcbp::{Seqno, Side, VbId};
use replica::backoff::Backoff;
use replica::bucket::{
    BucketCommand, BucketEffect, BucketEvent, BucketMachine, Change, LinkDown, LinkId, LinkPhase,
    LinkReport, Moment, PollAnswer, PollError, Polled, Settings,
};
use replica::link::{Outcome, ReasonCode, Ticket, VbOutcome};
use replica::liveness::Quiet;
use replica::plan::{Connections, Desired, VbSet};
use replica::stall::Sample;

const VB: VbId = VbId(1);
const STALL: u64 = 20;

/// What one node does from now on.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Node {
    /// It answers everywhere.
    Lives,
    /// It sends nothing on any connection.
    Frozen,
    /// It answers on its control connection, and sends nothing on its link.
    LinkDead,
    /// It sends NOOPs on its link, and nothing on its control connection.
    ControlDead,
    /// It refuses control requests, and sends nothing on its link.
    Refuses,
    /// It refuses connections, and sends nothing on its link.
    Gone,
}

/// A bucket with one link, whose clock runs a second at a time.
struct World {
    machine: BucketMachine,
    second: u64,
    /// Seconds at which each node was last heard on the link.
    heard: [u64; 2],
    nodes: [Node; 2],
    seqnos: [u64; 2],
    noop: Option<u64>,
    given_up: Vec<(u64, Side, ReasonCode)>,
    log: Vec<(u64, String)>,
    /// Commands that were answered with success.
    answers: usize,
    id: Option<LinkId>,
}

const SIDES: [(Side, &str); 2] = [(Side::Producer, "alpha"), (Side::Consumer, "beta")];

impl World {
    /// An open stream from alpha.
    fn open() -> Self {
        let mut world = Self::new();
        let id = world.id.expect("a link to open");
        // The first set-up waits for the states of the consumer.
        let answer = PollAnswer::Misfits(Some(Vec::new()));
        let (side, node) = (Side::Consumer, "beta".to_owned());
        world.on(BucketEvent::Polled(Polled { side, node, answer, age: Duration::ZERO }));
        world.on(BucketEvent::Link(id, LinkReport::Up));
        let opened = Outcome::Done([(VB, VbOutcome::Opened)].into());
        world.on(BucketEvent::Link(id, LinkReport::Answered(Ticket(0), opened)));
        world
    }

    fn new() -> Self {
        let settings = Settings {
            bucket: "default".to_owned(),
            node: "beta".to_owned(),
            producers: ["alpha".to_owned()].into(),
            backoff: Backoff { min: Duration::from_secs(1), max: Duration::from_secs(8) },
            command: Duration::from_secs(90),
            takeover: Duration::from_secs(60),
            data_move: Duration::from_secs(3600),
            stall: Duration::from_secs(STALL),
            poll_max_age: Some(Duration::from_secs(4)),
            loop_failures: 5,
            loop_window: Duration::from_secs(60),
        };
        let mut world = Self {
            machine: BucketMachine::new(settings, Connections::ONE),
            second: 0,
            heard: [0; 2],
            nodes: [Node::Lives; 2],
            seqnos: [10; 2],
            noop: Some(1),
            given_up: Vec::new(),
            log: Vec::new(),
            answers: 0,
            id: None,
        };
        let set: VbSet = std::iter::once(VB).collect();
        let desired = Desired::new(BTreeMap::from([("alpha".to_owned(), set)])).unwrap();
        let command = BucketCommand::Change(Change::All(desired));
        world.on(BucketEvent::Command { ticket: Ticket(0), command });
        world
    }

    fn on(&mut self, event: BucketEvent) {
        let at = Moment { now: Duration::from_secs(self.second), chance: 1.0 };
        for effect in self.machine.on(at, event) {
            match effect {
                BucketEffect::Connect(id, _) => self.id = Some(id),
                BucketEffect::GiveUp(_, side, LinkDown { code, .. }) => {
                    self.given_up.push((self.second, side, code));
                }
                BucketEffect::Answer(_, result) => {
                    result.expect("nothing has failed");
                    self.answers += 1;
                }
                BucketEffect::Log(line) => self.log.push((self.second, line.text)),
                _ => {}
            }
        }
    }

    /// Lets this many seconds pass. Every second each node is polled, then the link is sampled.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.second += 1;
            self.poll();
            self.sample();
        }
    }

    fn poll(&mut self) {
        for (at, (side, name)) in SIDES.into_iter().enumerate() {
            let seqnos = match self.nodes[at] {
                Node::Lives | Node::LinkDead => Ok(vec![(VB, Seqno(self.seqnos[at]))]),
                Node::Refuses => Err(PollError { text: "refused".to_owned(), is_sign: true }),
                Node::Gone => Err(PollError { text: "no \"route\"".to_owned(), is_sign: false }),
                Node::Frozen | Node::ControlDead => continue,
            };
            let answer = PollAnswer::Seqnos(seqnos);
            self.on(BucketEvent::Polled(Polled {
                side,
                node: name.to_owned(),
                answer,
                age: Duration::ZERO,
            }));
        }
    }

    fn sample(&mut self) {
        for at in 0..2 {
            // A node without a NOOP has nothing to say.
            let says = self.noop.is_some();
            if says && matches!(self.nodes[at], Node::Lives | Node::ControlDead) {
                self.heard[at] = self.second;
            }
        }
        let silent = |at: usize| Duration::from_secs(self.second - self.heard[at]);
        let quiet = Quiet {
            producer: Some(silent(0)),
            consumer: Some(silent(1)),
            noop_interval: self.noop.map(Duration::from_secs),
        };
        let sample = Sample { quiet, ..Sample::default() };
        let id = self.id.unwrap();
        self.on(BucketEvent::Sampled(vec![(id, sample)]));
    }

    fn phase(&self) -> LinkPhase {
        self.machine.links().next().unwrap().phase
    }

    /// The names of the unresponsive nodes.
    fn unresponsive(&self) -> Vec<&str> {
        let nodes = self.machine.nodes(Duration::from_secs(self.second));
        let mut names: Vec<_> =
            nodes.filter(|node| node.is_unresponsive).map(|node| node.node).collect();
        names.sort_unstable();
        names
    }

    fn lag(&self) -> (Option<u64>, u64, Option<u64>) {
        let (link, now) = (self.machine.links().next().unwrap(), Duration::from_secs(self.second));
        let stream = self.machine.streams(link.id, now).next().unwrap();
        let secs = |time: Duration| time.as_secs();
        (stream.lag_seqnos(), secs(stream.behind_for().unwrap()), stream.lag.age.map(secs))
    }

    fn logged(&self, words: &str) -> Vec<u64> {
        let lines = self.log.iter().filter(|(_, text)| text.contains(words));
        lines.map(|(second, _)| *second).collect()
    }
}

#[test]
fn every_way_in_which_nodes_fall_silent() {
    use Node::{ControlDead, Frozen, Gone, LinkDead, Lives, Refuses};
    let unresponsive = ReasonCode::Unresponsive;
    // Producer, consumer; which are unresponsive after the limit; which link is restarted then.
    let table = [
        (Lives, Lives, vec![], None),
        (Frozen, Lives, vec!["alpha"], None),
        (Lives, Frozen, vec!["beta"], None),
        (Frozen, Frozen, vec!["alpha", "beta"], None),
        (Gone, Lives, vec!["alpha"], None),
        (Lives, Gone, vec!["beta"], None),
        (ControlDead, ControlDead, vec![], None),
        (ControlDead, Frozen, vec!["beta"], None),
        (LinkDead, Lives, vec![], Some((Side::Producer, unresponsive))),
        (Lives, LinkDead, vec![], Some((Side::Consumer, unresponsive))),
        (LinkDead, LinkDead, vec![], Some((Side::Producer, unresponsive))),
        (Refuses, Lives, vec![], Some((Side::Producer, unresponsive))),
        (Frozen, LinkDead, vec!["alpha"], None),
    ];
    for (producer, consumer, silent, restart) in table {
        // A missing change makes no difference: a frozen node is no stall.
        for missing in [0, 7] {
            let what = format!("{producer:?} {consumer:?} {missing}");
            let mut world = World::open();
            world.seqnos[0] += missing;
            world.pass(5);
            world.nodes = [producer, consumer];
            world.pass(STALL - 1);
            assert_eq!(world.unresponsive(), Vec::<&str>::new(), "{what}: too early");
            world.pass(2);
            let given_up = world.given_up.first().map(|&(_, side, code)| (side, code));
            let heard = silent.is_empty();
            if missing == 0 || !heard {
                assert_eq!(given_up, restart, "{what}");
            }
            assert_eq!(world.unresponsive(), silent, "{what}");
            let phase = if heard { LinkPhase::Up } else { LinkPhase::Unresponsive };
            assert_eq!(world.phase(), phase, "{what}");
            for (at, (_, name)) in SIDES.into_iter().enumerate() {
                let lines = world.logged(&format!(
                    "node is unresponsive bucket=default side={} node={name} ",
                    SIDES[at].0
                ));
                assert_eq!(lines.len(), usize::from(silent.contains(&name)), "{what}");
            }
        }
    }
}

#[test]
fn a_node_that_stays_frozen_is_told_once_and_goes_on_where_it_was() {
    let mut world = World::open();
    world.pass(10);
    assert_eq!(world.lag(), (Some(0), 0, Some(0)));
    world.nodes[0] = Node::Frozen;
    world.pass(361);
    assert_eq!((world.phase(), world.given_up.len()), (LinkPhase::Unresponsive, 0));
    assert_eq!(world.lag(), (None, 361, Some(361)), "it grows, and says how old it is");
    assert_eq!(world.logged("node is unresponsive"), [10 + STALL]);
    world.nodes[0] = Node::Lives;
    world.pass(1);
    assert_eq!((world.phase(), world.unresponsive().len()), (LinkPhase::Up, 0));
    assert_eq!(world.logged("node is responsive again"), [372]);
    world.pass(60);
    assert_eq!((world.given_up.len(), world.lag()), (0, (Some(0), 0, Some(0))));
}

#[test]
fn a_link_that_stays_silent_after_its_node_answers_again_is_restarted() {
    // A network that swallowed the packets of old connections: new ones work.
    let mut world = World::open();
    world.pass(10);
    world.nodes[0] = Node::Frozen;
    world.pass(30);
    world.nodes[0] = Node::LinkDead;
    world.pass(STALL);
    assert_eq!(world.given_up, [], "the node has its time");
    world.pass(2);
    assert_eq!(world.given_up.len(), 1, "{:?}", world.given_up);
    world.pass(100);
    assert_eq!(world.given_up.len(), 1, "once for each incarnation");
}

#[test]
fn an_idle_link_without_noops_is_left_alone() {
    let mut world = World::open();
    world.noop = None;
    world.pass(1000);
    assert_eq!((world.given_up.len(), world.phase()), (0, LinkPhase::Up));
    assert_eq!(world.log.iter().filter(|(_, text)| text.contains("respons")).count(), 0);
}

#[test]
fn a_process_that_did_not_run_blames_nobody_for_it() {
    for missing in [0, 7] {
        let mut world = World::open();
        world.seqnos[0] += missing;
        world.pass(10);
        // Stopped for five minutes; nothing that arrived meanwhile is read yet.
        world.second += 300;
        world.on(BucketEvent::Resumed(Duration::from_secs(300)));
        world.sample();
        assert_eq!(world.logged("this process did not run"), [310]);
        let before = [Node::Frozen; 2];
        world.nodes = before;
        world.pass(2);
        assert_eq!((world.given_up.len(), world.unresponsive().len()), (0, 0), "{missing}");
        world.nodes = [Node::Lives; 2];
        world.seqnos[1] = world.seqnos[0];
        world.pass(200);
        assert_eq!((world.given_up.len(), world.unresponsive().len()), (0, 0), "{missing}");
        assert_eq!((world.logged("respons").len(), world.phase()), (0, LinkPhase::Up));
    }
}

#[test]
fn a_pause_of_this_process_fails_no_command_that_runs() {
    let mut world = World::new();
    let id = world.id.expect("a link to open");
    world.on(BucketEvent::Link(id, LinkReport::Up));
    world.second += 300;
    world.on(BucketEvent::Resumed(Duration::from_secs(300)));
    world.on(BucketEvent::Woken);
    assert_eq!(world.answers, 0, "the answers of the nodes are not read yet");
    let opened = Outcome::Done([(VB, VbOutcome::Opened)].into());
    world.on(BucketEvent::Link(id, LinkReport::Answered(Ticket(0), opened)));
    assert_eq!(world.answers, 1);
}

#[test]
fn a_producer_that_was_never_there_has_a_lag_that_grows_and_a_reason() {
    let mut world = World::new();
    world.nodes[0] = Node::Gone;
    world.pass(STALL + 1);
    assert_eq!(world.unresponsive(), ["alpha"]);
    assert_eq!(
        world.logged("node=alpha silent_ms=20000 reason=\"no 'route'\"").len(),
        1,
        "{:?}",
        world.log
    );
    assert_eq!(world.lag(), (None, STALL + 1, None));
    let (link, now) = (world.machine.links().next().unwrap(), Duration::from_secs(world.second));
    let stream = world.machine.streams(link.id, now).next().unwrap();
    assert_eq!(stream.not_open_for, Some(Duration::from_secs(STALL)), "since the first sample");
}
