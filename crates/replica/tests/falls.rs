//! Links and streams that come up and fall again and again: how often they are opened, how much is
//! logged, and when their failures are forgotten. The machine of a bucket runs for hours of its
//! time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use mcbp::{Opaque, Opcode, Side, Status, StreamEndStatus, VbId};
use replica::backoff::Backoff;
use replica::bucket::{
    BucketCommand, BucketEffect, BucketEvent, BucketMachine, Change, LinkDown, LinkId, LinkReport,
    LogLevel, Moment, Reopen, Settings,
};
use replica::link::{
    Command, ErrorAnswer, Outcome, Reason, ReasonCode, StopReason, Ticket, VbError, VbOutcome,
};
use replica::loops::LoopKind;
use replica::plan::{Connections, Desired};
use replica::stall::Sample;

const VB: VbId = VbId(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// What an incarnation of the link does.
#[derive(Clone)]
enum Life {
    /// It cannot be opened.
    Fails(LinkDown),
    /// It comes up, and falls after this time.
    Up(Duration, LinkDown),
    /// As `Up`, and its stream opens and moves data.
    Streams(Duration, LinkDown),
    /// Its stream opens and ends after this time, again and again.
    Ends(Duration),
    /// It works for ever.
    Works,
}

/// A bucket at beta with one stream from alpha.
struct Sim {
    machine: BucketMachine,
    now: Duration,
    effects: Vec<BucketEffect>,
    /// Events to come, by their time.
    agenda: BTreeMap<(Duration, u64), BucketEvent>,
    numbers: u64,
    /// When the link was opened, and whether only if its name is free.
    opens: Vec<(Duration, bool)>,
    set_ups: Vec<Duration>,
    lines: Vec<(LogLevel, String)>,
    data: u64,
}

impl Sim {
    fn new() -> Self {
        let settings = Settings {
            bucket: "default".to_owned(),
            node: "beta".to_owned(),
            producers: ["alpha".to_owned()].into(),
            backoff: Backoff::default(),
            command: Duration::from_secs(90),
            takeover: Duration::from_secs(60),
            data_move: HOUR,
            stall: Duration::from_secs(20),
            poll_max_age: None,
            loop_failures: 5,
            loop_window: Duration::from_secs(60),
        };
        let mut sim = Self {
            machine: BucketMachine::new(settings, Connections::ONE),
            now: Duration::ZERO,
            effects: Vec::new(),
            agenda: BTreeMap::new(),
            numbers: 0,
            opens: Vec::new(),
            set_ups: Vec::new(),
            lines: Vec::new(),
            data: 0,
        };
        let vbs = std::iter::once(VB).collect();
        let desired = Desired::new([("alpha".to_owned(), vbs)].into()).unwrap();
        let command = BucketCommand::Change(Change::All(desired));
        sim.on(BucketEvent::Command { ticket: Ticket(0), command });
        sim
    }

    fn on(&mut self, event: BucketEvent) {
        let at = Moment { now: self.now, chance: 0.5 };
        self.effects.extend(self.machine.on(at, event));
    }

    fn later(&mut self, wait: Duration, event: BucketEvent) {
        self.numbers += 1;
        self.agenda.insert((self.now + wait, self.numbers), event);
    }

    /// Runs for `time`. `life` says what the incarnation of this number, from 0, does.
    fn run(&mut self, time: Duration, life: impl Fn(usize) -> Life) {
        self.run_by_time(time, |n, _| life(n));
    }

    /// As `run`; `life` knows the time too.
    fn run_by_time(&mut self, time: Duration, life: impl Fn(usize, Duration) -> Life) {
        let end = self.now + time;
        let mut sample_at = self.now;
        loop {
            for effect in std::mem::take(&mut self.effects) {
                self.carry_out(effect, &life);
            }
            if !self.effects.is_empty() {
                continue;
            }
            let event = self.agenda.keys().next().map(|(at, _)| *at);
            let next = [event, self.machine.wake_at(), Some(sample_at)];
            let next = next.into_iter().flatten().min().unwrap().max(self.now);
            if next > end {
                self.now = end;
                return;
            }
            self.now = next;
            if event.is_some_and(|at| at <= self.now) {
                let (_, event) = self.agenda.pop_first().unwrap();
                self.on(event);
            } else if sample_at <= self.now {
                sample_at = self.now + SECOND;
                let ids: Vec<_> = self.machine.links().map(|link| link.id).collect();
                let sample = Sample { data: self.data, ..Sample::default() };
                self.on(BucketEvent::Sampled(ids.into_iter().map(|id| (id, sample)).collect()));
            } else {
                self.on(BucketEvent::Woken);
            }
        }
    }

    fn carry_out(&mut self, effect: BucketEffect, life: &impl Fn(usize, Duration) -> Life) {
        match effect {
            BucketEffect::Connect(id, _) => self.open(id, false, &life(self.opens.len(), self.now)),
            BucketEffect::ConnectIfFree(id, _) => {
                self.open(id, true, &life(self.opens.len(), self.now))
            }
            BucketEffect::Run(id, ticket, Command::SetupStreams { .. }) => {
                self.set_ups.push(self.now);
                let life = life(self.opens.len() - 1, self.opens.last().unwrap().0);
                if matches!(life, Life::Up(..)) {
                    return;
                }
                self.data += 1;
                let outcome = Outcome::Done([(VB, VbOutcome::Opened)].into());
                self.on(BucketEvent::Link(id, LinkReport::Answered(ticket, outcome)));
                if let Life::Ends(after) = life {
                    let reason = Reason::StreamEnd(StreamEndStatus::SLOW);
                    let error = VbError { vb: VB, side: Side::Producer, reason };
                    self.later(after, BucketEvent::Link(id, LinkReport::Ended(error)));
                }
            }
            BucketEffect::Log(line) => self.lines.push((line.level, line.text)),
            BucketEffect::Poll(_) | BucketEffect::Answer(..) => {}
            other => panic!("{other:?}"),
        }
    }

    fn open(&mut self, id: LinkId, only_if_free: bool, life: &Life) {
        self.opens.push((self.now, only_if_free));
        let down = match life {
            Life::Fails(down) => {
                let report = LinkReport::Down(down.clone());
                return self.on(BucketEvent::Link(id, report));
            }
            Life::Up(after, down) | Life::Streams(after, down) => Some((*after, down.clone())),
            Life::Ends(_) | Life::Works => None,
        };
        self.on(BucketEvent::Link(id, LinkReport::Up));
        if let Some((after, down)) = down {
            self.later(after, BucketEvent::Link(id, LinkReport::Down(down)));
        }
    }

    fn opened_since(&self, since: Duration) -> usize {
        self.opens.iter().filter(|(at, _)| *at >= since).count()
    }

    fn failures(&self) -> u32 {
        self.machine.links().next().unwrap().failures
    }

    fn broken(&self) -> Option<LoopKind> {
        let link = self.machine.links().next().unwrap();
        self.machine.broken_link(link.id, self.now).map(|broken| broken.kind)
    }
}

fn lost() -> LinkDown {
    LinkDown::stopped(&StopReason::LinkLost { side: Side::Producer, why: "closed".to_owned() })
}

fn hung_up() -> LinkDown {
    LinkDown { hung_up: true, ..lost() }
}

fn warming_up() -> LinkDown {
    LinkDown { reopen: Reopen::Soon, detail: "is warming up".to_owned(), ..lost() }
}

fn rival() -> LinkDown {
    let detail = "has an open connection of this name".to_owned();
    LinkDown { code: ReasonCode::Rival, reopen: Reopen::Rival, detail, ..lost() }
}

/// One hour at delays of 15 to 30 s, after a fast start.
const OPENS_MAX: usize = 10 + 3600 / 15;

#[test]
fn whatever_a_link_does_before_it_falls_it_is_opened_ever_more_rarely() {
    let ms = Duration::from_millis;
    let lives: [(&str, Life); 8] = [
        ("cannot be opened", Life::Fails(lost())),
        ("warms up for ever", Life::Fails(warming_up())),
        ("comes up and falls", Life::Up(Duration::ZERO, lost())),
        ("is closed in an orderly way", Life::Up(ms(50), hung_up())),
        ("opens its stream and falls", Life::Streams(Duration::ZERO, lost())),
        ("sends one row and falls", Life::Streams(ms(300), hung_up())),
        ("works for three seconds", Life::Streams(3 * SECOND, lost())),
        ("works for nine seconds", Life::Streams(9 * SECOND, hung_up())),
    ];
    for (what, life) in lives {
        let mut sim = Sim::new();
        sim.run(HOUR, |_| life.clone());
        let first = sim.opens.iter().filter(|(at, _)| *at < 60 * SECOND).count();
        assert!(first <= 14, "{what}: {first} in the first minute");
        assert!((100..=OPENS_MAX).contains(&sim.opens.len()), "{what}: {}", sim.opens.len());
        let last = sim.opened_since(HOUR - 60 * SECOND);
        assert!(last <= 4, "{what}: {last} in the last minute");
    }
}

#[test]
fn kinds_of_failures_that_alternate_do_not_end_each_others_growth() {
    let mut sim = Sim::new();
    sim.run(HOUR, |n| match n % 3 {
        0 => Life::Fails(warming_up()),
        1 => Life::Fails(lost()),
        _ => Life::Fails(LinkDown { reopen: Reopen::Slowly, ..lost() }),
    });
    assert!(sim.opens.len() <= 3 * 10 + 3600 / 15, "{}", sim.opens.len());
}

#[test]
fn a_link_that_falls_at_once_trips_the_breaker_and_fills_no_log() {
    let mut sim = Sim::new();
    sim.run(HOUR, |_| Life::Streams(Duration::from_millis(50), hung_up()));
    assert_eq!(sim.broken(), Some(LoopKind::Flapping));
    let errors: Vec<_> = sim.lines.iter().filter(|(level, _)| *level == LogLevel::Error).collect();
    let [(_, error)] = errors.as_slice() else { panic!("{errors:?}") };
    assert!(error.contains("link in retry loop") && error.contains("kind=flapping"), "{error}");
    assert!(sim.lines.len() <= 20, "{:#?}", sim.lines);
    // The operator repairs it, and the log says so.
    let lines = sim.lines.len();
    let is_up = |line: &(LogLevel, String)| line.1.contains("link up");
    let last = sim.lines.iter().rposition(is_up).unwrap();
    let tripped = sim.lines.iter().position(|(level, _)| *level == LogLevel::Error).unwrap();
    assert!(last < tripped, "its last line is no false comfort: {:#?}", sim.lines);
    sim.run(300 * SECOND, |_| Life::Works);
    assert_eq!((sim.broken(), sim.failures()), (None, 0));
    assert!(sim.lines[lines..].iter().any(|(_, line)| line.contains("link works again")));
}

#[test]
fn a_node_that_restarts_is_back_within_two_seconds_and_each_outage_is_logged() {
    let mut sim = Sim::new();
    for _ in 0..3 {
        let (opens, down) = (sim.opens.len(), sim.now + 20 * SECOND);
        let is_first = opens == 0;
        sim.run_by_time(60 * SECOND, |n, now| match now.saturating_sub(down).as_millis() {
            0 if is_first && n == 0 => Life::Streams(20 * SECOND, hung_up()),
            _ if now < down => Life::Works,
            // A second of refused connections, then a moment of warm-up.
            0..1000 => Life::Fails(LinkDown { detail: "refused".to_owned(), ..lost() }),
            1000..1300 => Life::Fails(warming_up()),
            _ => Life::Works,
        });
        let back = sim.opens.last().unwrap().0;
        assert!(back < down + 2 * SECOND + SECOND / 2, "{:?}", back - down);
        assert_eq!((sim.failures(), sim.broken()), (0, None), "it has worked for long");
        let id = sim.machine.links().next().unwrap().id;
        sim.later(20 * SECOND, BucketEvent::Link(id, LinkReport::Down(hung_up())));
    }
    let count = |what: &str| sim.lines.iter().filter(|(_, l)| l.starts_with(what)).count();
    assert!(count("link down") >= 3 && count("link up") >= 2, "{:#?}", sim.lines);
}

#[test]
fn failures_are_forgotten_only_once_the_link_has_worked_for_long() {
    let mut sim = Sim::new();
    sim.run(10 * SECOND, |_| Life::Fails(lost()));
    let failures = sim.failures();
    assert!(failures >= 6, "{failures}");
    let opens = sim.opens.len();
    while sim.opens.len() == opens {
        sim.run(SECOND, |_| Life::Works);
    }
    sim.run(8 * SECOND, |_| Life::Works);
    assert_eq!(sim.failures(), failures, "it is up, which proves nothing");
    sim.run(30 * SECOND, |_| Life::Works);
    assert_eq!(sim.failures(), 0);
}

#[test]
fn a_rival_is_left_alone_for_a_long_pause_and_displaced_once_after_it() {
    let mut sim = Sim::new();
    let is_free = |sim: &Sim, n: usize| !sim.opens[n].1;
    // It is displaced at once, and finds the rival's connection at each attempt after that.
    sim.run(HOUR, |n| match n {
        0 => Life::Streams(5 * SECOND, hung_up()),
        _ => Life::Fails(rival()),
    });
    assert!(is_free(&sim, 0));
    let unasked: Vec<_> = (1..sim.opens.len()).filter(|&n| is_free(&sim, n)).collect();
    let first = sim.opens[unasked[0]].0;
    assert!((300 * SECOND..360 * SECOND).contains(&first), "{first:?}");
    assert!(sim.opens.len() <= OPENS_MAX, "{}", sim.opens.len());
    assert_eq!(sim.broken(), Some(LoopKind::Rival));
    let last = sim.machine.links().next().unwrap().last_error.unwrap();
    assert_eq!(last.code.name(), "rival");
    // The rival is gone: the next attempt, within the longest backoff, finds the name free.
    let opens = sim.opens.len();
    sim.run(31 * SECOND, |n| if n < opens { Life::Fails(rival()) } else { Life::Works });
    assert_eq!(sim.machine.links().next().unwrap().open, 1);
}

#[test]
fn one_reset_is_no_sign_of_a_rival_and_two_in_a_row_are() {
    let mut sim = Sim::new();
    sim.run(10 * SECOND, |n| if n < 2 { Life::Up(SECOND, lost()) } else { Life::Works });
    let asked: Vec<_> = sim.opens.iter().map(|(_, only_if_free)| *only_if_free).collect();
    assert_eq!(asked, [false, false, true]);
}

#[test]
fn a_stream_that_opens_and_ends_is_asked_for_ever_more_rarely() {
    for life in [Duration::ZERO, SECOND, 9 * SECOND] {
        let mut sim = Sim::new();
        sim.run(HOUR, |_| Life::Ends(life));
        assert!(sim.set_ups.len() <= OPENS_MAX, "{life:?}: {}", sim.set_ups.len());
        assert_eq!(sim.opens.len(), 1, "the link stays");
    }
}

#[test]
fn an_error_answer_explains_the_end_that_follows_it() {
    let mut sim = Sim::new();
    sim.run(SECOND, |_| Life::Works);
    let id = sim.machine.links().next().unwrap().id;
    let answer = ErrorAnswer {
        side: Side::Producer,
        opcode: Opcode::DCP_BUFFER_ACK,
        status: Status::EINVAL,
        opaque: Opaque(7),
    };
    sim.on(BucketEvent::Link(id, LinkReport::ErrorAnswer(answer)));
    sim.on(BucketEvent::Link(id, LinkReport::Down(hung_up())));
    let down = sim.machine.links().next().unwrap().last_error.unwrap().detail.clone();
    assert!(down.contains("before that, the producer answered DCP_BUFFER_ACK with"), "{down}");
}
