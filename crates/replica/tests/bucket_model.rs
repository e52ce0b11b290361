//! Every interleaving of commands, links that open, fail, are lost or displaced, stream ends, moves
//! that are interrupted at each step, tasks and passing time, for one vBucket and two producers.
//! The model checker drives the production machine of a bucket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

#[path = "bucket_model/nodes.rs"]
mod nodes;
#[path = "bucket_model/world.rs"]
mod world;

use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};

use world::{Action, Given, Mistake, Polls, World};

/// The checked properties, and the budget of faults in one run.
struct Run {
    commands: &'static [Given],
    faults: u8,
    wakes: u8,
    /// Whether the consumer misses rows when a takeover is cut off.
    is_behind: bool,
    polls: Polls,
    mistake: Mistake,
}

const ANSWERED_ONCE: &str = "no command is answered twice";
const ALL_ANSWERED: &str = "every command is answered in the end";
const ASKED_AGAIN: &str = "what is wanted is asked for again within the backoff";
const ALL_OPEN: &str = "what is wanted is open in the end";
const ONE_LINK: &str = "no vBucket is asked for on two links";
const UP_ONLY: &str = "no command for a link that is not open";
const NOT_CUT_OFF: &str = "no link is closed while a takeover runs on it that has time";
const ONE_ACTIVE: &str = "never two active copies";
const MOVED: &str = "a move that succeeded has moved the vBucket";
const NOT_HURRIED: &str = "a link that falls is opened again after a delay that grows";
const NOT_ASKED: &str = "what is active at the consumer by its last report is not asked for";
const STAYS_OUT: &str = "what was moved stays out of the map of the sources";
const ACTIVE_AGAIN: &str = "exactly one active copy after a move was asked for again";

impl Model for Run {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.commands.len(), self.faults, self.is_behind, self.polls)]
    }

    fn actions(&self, state: &World, actions: &mut Vec<Action>) {
        state.actions(actions);
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut next = last.clone();
        next.step(action, self.commands, self.mistake);
        Some(next)
    }

    fn within_boundary(&self, state: &World) -> bool {
        state.wakes <= self.wakes
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ANSWERED_ONCE, |_, w: &World| w.answers.iter().all(|&n| n <= 1)),
            Property::always(ALL_ANSWERED, |_, w: &World| !w.is_over() || w.is_answered()),
            Property::always(ASKED_AGAIN, |_, w: &World| w.is_asked_again()),
            Property::always(ALL_OPEN, |_, w: &World| !w.is_over() || w.is_all_open()),
            Property::always(NOT_HURRIED, |_, w: &World| !w.hurried),
            Property::always(ONE_LINK, |_, w: &World| !w.asked_twice),
            Property::always(UP_ONLY, |_, w: &World| !w.given_too_early),
            Property::always(NOT_CUT_OFF, |_, w: &World| !w.shut_too_early),
            Property::always(ONE_ACTIVE, |_, w: &World| w.nodes.active_copies() <= 1),
            Property::always(MOVED, |_, w: &World| !w.moved_in_vain),
            Property::always(ACTIVE_AGAIN, |_, w: &World| {
                !w.is_over() || !w.move_was_undisturbed || w.nodes.active_copies() == 1
            }),
            Property::always(NOT_ASKED, |_, w: &World| !w.asked_active),
            Property::always(STAYS_OUT, |run: &Self, w: &World| {
                let is_named = run.commands.iter().any(|command| command.names());
                is_named || !w.is_all_answered() || !w.was_moved || !w.is_wanted()
            }),
            Property::sometimes("a stream opens", |_, w: &World| w.open_streams() > 0),
            Property::sometimes("all is answered", |_, w: &World| w.is_over() && w.is_answered()),
        ]
    }
}

fn check(commands: &'static [Given], faults: u8, wakes: u8) -> impl Checker<Run> {
    check_copies(commands, faults, wakes, false)
}

fn check_copies(
    commands: &'static [Given],
    faults: u8,
    wakes: u8,
    is_behind: bool,
) -> impl Checker<Run> {
    let (polls, mistake) = (Polls::Off, Mistake::None);
    let run = Run { commands, faults, wakes, is_behind, polls, mistake };
    check_until(run, HasDiscoveries::AnyFailures)
}

fn check_polls(commands: &'static [Given], faults: u8, polls: Polls) -> impl Checker<Run> {
    let (wakes, is_behind, mistake) = (4, false, Mistake::None);
    let run = Run { commands, faults, wakes, is_behind, polls, mistake };
    check_until(run, HasDiscoveries::AnyFailures)
}

/// Visits every state, prints their number, and returns the checker.
#[allow(clippy::disallowed_methods, reason = "the output says how long it took")]
fn check_until(run: Run, until: HasDiscoveries) -> impl Checker<Run> {
    let Run { commands, faults, wakes, mistake, .. } = run;
    let started = std::time::Instant::now();
    let checker = run.checker().threads(2).finish_when(until).spawn_bfs().join();
    let (unique, depth) = (checker.unique_state_count(), checker.max_depth());
    let ms = started.elapsed().as_millis();
    println!(
        "{commands:?} with {faults} faults, {wakes} wakes, {mistake:?}: {unique} unique states, \
         depth {depth}, {ms} ms"
    );
    checker
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
fn two_links_that_want_one_vbucket() {
    check(&[Given::FromAlpha, Given::FromGamma], 2, 5).assert_properties();
}

#[test]
fn a_link_lost_while_a_change_of_map_runs() {
    assert_nothing_fails(&check(&[Given::FromAlpha, Given::FromGamma, Given::FromAlpha], 2, 3));
}

#[test]
fn the_number_of_connections_changes_while_streams_open() {
    assert_nothing_fails(&check(&[Given::FromAlpha, Given::TwoConnections], 3, 5));
}

#[test]
fn a_move_that_is_cut_off_at_every_step_and_asked_for_again() {
    let commands = &[Given::Takeover, Given::Takeover];
    for is_behind in [false, true] {
        assert_nothing_fails(&check_copies(commands, 3, 6, is_behind));
    }
}

#[test]
fn a_move_with_data_that_is_cut_off_and_asked_for_again() {
    for is_behind in [false, true] {
        assert_nothing_fails(&check_copies(
            &[Given::MoveWithData, Given::Takeover],
            3,
            5,
            is_behind,
        ));
    }
}

#[test]
fn map_changes_while_moves_run() {
    assert_nothing_fails(&check(&[Given::FromAlpha, Given::Takeover, Given::FromGamma], 2, 4));
}

/// Whatever a link does before it falls: it cannot open, opens, sets up, has a stream that ends.
#[test]
fn a_link_that_falls_again_and_again() {
    assert_nothing_fails(&check(&[Given::FromAlpha], 5, 6));
}

#[test]
fn everything_is_answered_when_replication_stops() {
    assert_nothing_fails(&check(&[Given::FromAlpha, Given::MoveWithData, Given::Stop], 2, 3));
}

/// With no fault exactly one copy is active in the end, and at most one with any.
#[test]
fn a_stop_lets_a_takeover_end() {
    for commands in [&[Given::Takeover, Given::Stop], &[Given::MoveWithData, Given::Stop]] {
        assert_nothing_fails(&check(commands, 2, 4));
    }
    assert_nothing_fails(&check(&[Given::FromAlpha, Given::Takeover, Given::Stop], 1, 3));
}

#[test]
fn what_is_active_here_is_not_asked_for_and_opens_once_it_is_given_back() {
    assert_nothing_fails(&check_polls(&[Given::FromAlpha], 3, Polls::ActiveHere));
    let commands = &[Given::FromAlpha, Given::Takeover];
    assert_nothing_fails(&check_polls(commands, 2, Polls::ActiveHere));
}

#[test]
fn what_was_taken_over_stays_out_of_the_sources() {
    for polls in [Polls::Off, Polls::On] {
        let commands = &[Given::Takeover, Given::FollowAlpha];
        assert_nothing_fails(&check_polls(commands, 2, polls));
    }
    assert_nothing_fails(&check_polls(&[Given::MoveWithData, Given::FollowAlpha], 1, Polls::On));
}

#[test]
fn restarts_while_links_open_and_fall() {
    assert_nothing_fails(&check(&[Given::FromAlpha, Given::RestartLink], 3, 4));
    assert_nothing_fails(&check(&[Given::FromAlpha, Given::RestartStream], 3, 4));
    assert_nothing_fails(&check(&[Given::FromAlpha, Given::RestartLink, Given::FromGamma], 1, 3));
    assert_nothing_fails(&check(&[Given::FromAlpha, Given::RestartLink, Given::Takeover], 1, 3));
}

#[test]
fn copies_are_made_anew_while_links_open_and_fall() {
    assert_nothing_fails(&check(&[Given::FromAlpha, Given::RenewCopy], 3, 4));
    assert_nothing_fails(&check(&[Given::FromAlpha, Given::RenewCopy, Given::FromGamma], 1, 3));
    assert_nothing_fails(&check(&[Given::FromAlpha, Given::RenewCopy, Given::Takeover], 1, 3));
}

fn with(mistake: Mistake, commands: &'static [Given], faults: u8, what: &'static str) {
    with_polls(mistake, commands, faults, Polls::Off, what);
}

fn with_polls(
    mistake: Mistake,
    commands: &'static [Given],
    faults: u8,
    polls: Polls,
    what: &'static str,
) {
    let run = Run { commands, faults, wakes: 4, is_behind: false, polls, mistake };
    let checker = check_until(run, HasDiscoveries::AnyOf([what].into()));
    println!("found: {:?}", checker.assert_any_discovery(what).into_actions());
}

#[test]
fn mb_29354_a_stream_said_to_be_closed_that_is_not_is_found() {
    with(Mistake::ClosedTooEarly, &[Given::FromAlpha, Given::FromGamma], 0, ONE_LINK);
}

#[test]
fn a_loss_that_nobody_hears_of_is_found() {
    with(Mistake::LossUnheard, &[Given::FromAlpha], 1, ALL_OPEN);
}

#[test]
fn a_failed_takeover_that_counts_as_moved_unseen_is_found() {
    with(Mistake::NotExamined, &[Given::Takeover], 1, MOVED);
}

#[test]
fn a_repair_while_a_takeover_may_still_take_effect_is_found() {
    with(Mistake::RepairedTooEarly, &[Given::Takeover], 1, ONE_ACTIVE);
}

#[test]
fn a_report_of_an_older_incarnation_that_counts_is_found() {
    let commands = &[Given::FromAlpha, Given::FromGamma, Given::FromAlpha];
    with(Mistake::IncarnationsMixed, commands, 1, UP_ONLY);
}

#[test]
fn a_report_that_does_not_say_what_is_active_is_found() {
    with_polls(Mistake::StatesUnheard, &[Given::FromAlpha], 0, Polls::ActiveHere, NOT_ASKED);
}

#[test]
fn a_map_of_the_sources_that_brings_back_what_was_moved_is_found() {
    let commands = &[Given::Takeover, Given::FollowAlpha];
    with_polls(Mistake::FollowNames, commands, 0, Polls::Off, STAYS_OUT);
}

#[test]
fn a_stop_that_cuts_off_a_takeover_is_found() {
    with(Mistake::CutOffByStop, &[Given::Takeover, Given::Stop], 0, ACTIVE_AGAIN);
}

#[test]
fn an_answer_that_is_lost_is_found() {
    with(Mistake::AnswerLost, &[Given::FromAlpha, Given::Stop], 0, ALL_ANSWERED);
}

#[test]
#[ignore = "two million states more: two minutes"]
fn map_changes_while_moves_run_and_much_fails() {
    assert_nothing_fails(&check(&[Given::FromAlpha, Given::Takeover, Given::FromGamma], 3, 5));
    assert_nothing_fails(&check(&[Given::FromAlpha, Given::FromGamma, Given::FromAlpha], 3, 5));
}
