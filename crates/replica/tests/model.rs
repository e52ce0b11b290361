//! Every interleaving of two set-ups, a takeover and a shutdown with stream ends, stale ends, late
//! and missing answers, refusals, rollbacks, passing deadlines and the loss of either side, for two
//! vBuckets: the model checker drives the production machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

#[path = "model/nodes.rs"]
mod nodes;
#[path = "model/world.rs"]
mod world;

use mcbp::VbState;
use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};

use world::{Action, COMMANDS, Mistake, World};

/// The checked properties, and the budget of faults in one run.
struct Run {
    used: [bool; COMMANDS],
    faults: u8,
    rows: u8,
    mistake: Mistake,
}

const ANSWERED_ONCE: &str = "no command is answered twice";
const ALL_ANSWERED: &str = "every command is answered in the end";
const WAY_ON: &str = "whatever is pending has a deadline that leads on";
const KNOWN_GAPS: &str = "every gap in a copy is known";
const NO_OPEN_GAP: &str = "no open stream has a gap below it";
const NOT_UPSET: &str = "the consumer gets no answer for a stream that it does not have";
const ENDED_NOT_AWAITED: &str = "a stream that has ended is not waited for";

impl Model for Run {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.used, self.faults, self.rows)]
    }

    fn actions(&self, state: &World, actions: &mut Vec<Action>) {
        state.actions(actions);
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut next = last.clone();
        next.step(action, self.mistake);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ANSWERED_ONCE, |_, w: &World| w.answers.iter().all(|&n| n <= 1)),
            Property::always(ALL_ANSWERED, |run: &Self, w: &World| {
                let mut actions = Vec::new();
                run.actions(w, &mut actions);
                !actions.is_empty() || w.is_answered()
            }),
            Property::always(WAY_ON, |_, w: &World| w.is_answered() || !w.armed.is_empty()),
            Property::always(ENDED_NOT_AWAITED, |_, w: &World| {
                w.machine.pending().iter().all(|&vb| {
                    w.machine.stream_opaque(vb).is_none_or(|opaque| !w.ended.contains(&opaque))
                })
            }),
            Property::always("open is what the nodes have, when all is quiet", |_, w: &World| {
                if w.machine.phase() != "idle" || !w.is_quiet() {
                    return true;
                }
                let open = w.machine.open().collect();
                w.streams() == (open, w.machine.open().collect())
            }),
            Property::always("the machine makes sense", |_, w: &World| {
                w.machine.check_invariants().is_ok()
            }),
            Property::always("nothing that must never be", |_, w: &World| w.wrong.is_none()),
            Property::always(KNOWN_GAPS, |_, w: &World| w.gaps_are_known()),
            Property::always(NO_OPEN_GAP, |_, w: &World| {
                let open = || w.machine.open().map(|vb| w.consumer.vbs[usize::from(vb.0)]);
                w.machine.phase() != "idle" || !w.is_quiet() || open().all(|vb| vb.gap.is_none())
            }),
            Property::always("no active copy has a gap", |_, w: &World| {
                let active = |vb: &&nodes::ConsumerVb| vb.state == VbState::Active;
                w.consumer.vbs.iter().filter(active).all(|vb| vb.gap.is_none())
            }),
            Property::always(NOT_UPSET, |_, w: &World| !w.consumer.upset),
            Property::always("never two active copies", |_, w: &World| {
                let pairs = w.consumer.vbs.iter().zip(&w.producer.vbs);
                pairs.clone().all(|(consumer, producer)| {
                    consumer.state != VbState::Active || producer.state != VbState::Active
                })
            }),
            Property::sometimes("both streams open", |_, w: &World| w.machine.open().count() == 2),
            Property::sometimes("a takeover succeeds", |_, w: &World| {
                w.answers[2] == 1 && w.consumer.vbs[0].state == VbState::Active
            }),
        ]
    }
}

/// Both set-ups, the takeover and the shutdown.
const ALL: [bool; COMMANDS] = [true, true, true, true, false, false];

/// Visits every state, prints their number, and returns the checker.
fn check(used: [bool; COMMANDS], faults: u8, mistake: Mistake) -> impl Checker<Run> {
    check_until(used, faults, mistake, HasDiscoveries::AnyFailures)
}

fn check_until(
    used: [bool; COMMANDS],
    faults: u8,
    mistake: Mistake,
    until: HasDiscoveries,
) -> impl Checker<Run> {
    check_rows(used, faults, 0, mistake, until)
}

fn check_rows(
    used: [bool; COMMANDS],
    faults: u8,
    rows: u8,
    mistake: Mistake,
    until: HasDiscoveries,
) -> impl Checker<Run> {
    let builder = Run { used, faults, rows, mistake }.checker().threads(2);
    let checker = builder.finish_when(until).spawn_bfs().join();
    let (unique, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{used:?} with {faults} faults, {rows} rows: {unique} unique states, depth {depth}");
    checker
}

#[test]
fn without_faults_everything_succeeds() {
    let checker = check(ALL, 0, Mistake::None);
    checker.assert_properties();
}

#[test]
fn no_interleaving_with_a_fault_hangs_or_answers_twice() {
    check(ALL, 1, Mistake::None).assert_properties();
}

/// More faults in one run, for fewer commands: the number of states is the limit.
#[test]
fn no_interleaving_with_several_faults_hangs_or_answers_twice() {
    for (used, faults) in [
        ([true, false, false, false, false, false], 3),
        ([true, true, false, false, false, false], 2),
        ([false, true, true, false, false, false], 2),
        ([true, false, false, true, false, false], 2),
        ([false, false, true, true, false, false], 2),
    ] {
        assert_nothing_fails(&check(used, faults, Mistake::None));
    }
}

#[test]
#[ignore = "a million states more: a minute without optimisation"]
fn no_interleaving_of_set_up_and_takeover_with_two_faults_hangs_or_answers_twice() {
    check([true, false, true, false, false, false], 2, Mistake::None).assert_properties();
}

/// Every "always" holds. What is reachable depends on the commands.
fn assert_nothing_fails(checker: &impl Checker<Run>) {
    for property in checker.model().properties() {
        if property.expectation == Expectation::Always {
            checker.assert_no_discovery(property.name);
        }
    }
}

#[test]
fn mb_53445_a_forgotten_pending_vbucket_is_found() {
    let found = check(ALL, 1, Mistake::EndForgotten).assert_any_discovery(ENDED_NOT_AWAITED);
    println!("found: {:?}", found.into_actions());
}

#[test]
fn a_lost_answer_without_a_deadline_is_found() {
    let set_up = [true, false, false, false, false, false];
    let until = HasDiscoveries::AllOf([ALL_ANSWERED, WAY_ON].into());
    let checker = check_until(set_up, 1, Mistake::NoDeadline, until);
    let found = checker.assert_any_discovery(ALL_ANSWERED);
    println!("nothing can happen any more, and the caller waits: {:?}", found.into_actions());
    checker.assert_any_discovery(WAY_ON);
}

/// Rows that are refused while later ones are taken, with set-ups, a takeover and a shutdown.
#[test]
fn no_interleaving_with_refused_rows_leaves_a_gap_below_an_open_stream() {
    for (used, faults, rows) in [
        (TWICE, 3, 2),
        ([true, false, true, false, false, false], 1, 2),
        ([false, false, true, true, true, false], 1, 2),
        ([false, true, false, true, true, false], 1, 2),
    ] {
        let until = HasDiscoveries::AnyFailures;
        assert_nothing_fails(&check_rows(used, faults, rows, Mistake::None, until));
    }
}

/// vBucket 0 alone, twice.
const TWICE: [bool; COMMANDS] = [false, false, false, false, true, true];

#[test]
fn wire_19_a_refusal_that_passes_unseen_is_found() {
    let until = HasDiscoveries::AllOf([KNOWN_GAPS, NO_OPEN_GAP].into());
    let checker = check_rows(TWICE, 1, 2, Mistake::RefusalUnseen, until);
    checker.assert_any_discovery(KNOWN_GAPS);
    println!("found: {:?}", checker.assert_any_discovery(NO_OPEN_GAP).into_actions());
}

#[test]
fn wire_20b_an_attempt_that_is_closed_while_it_rolls_back_is_found() {
    let until = HasDiscoveries::AnyOf([NOT_UPSET, NO_OPEN_GAP, KNOWN_GAPS].into());
    let checker = check_rows(TWICE, 3, 1, Mistake::RollbackUnseen, until);
    println!("found: {:?}", checker.discoveries().into_keys().collect::<Vec<_>>());
    assert!(!checker.discoveries().is_empty());
}

#[test]
fn wire_20c_a_stream_request_that_is_dropped_is_found() {
    let until = HasDiscoveries::AnyOf([NO_OPEN_GAP].into());
    let checker = check_rows(TWICE, 3, 1, Mistake::RequestSwallowed, until);
    println!("found: {:?}", checker.assert_any_discovery(NO_OPEN_GAP).into_actions());
}
