//! Mistakes of a data node or an orchestrator, each of which the checker finds.

use stateright::{Checker, HasDiscoveries};

use crate::run::{
    Budget, FAILOVER, FAULT, MOVE, Mistake, NOTHING, RUN, Run, SAME_KEY, Shape, TWO_KEYS,
};
use crate::{
    ALL_ANSWERED, ANSWERED_ONCE, COMPLETED, KEPT, MAJORITY, ONE_PREPARE, ORDER, PENDING, READERS,
    check_until,
};

/// The checker finds the mistake by this property.
fn finds(mistake: Mistake, budget: Budget, what: &'static str) {
    finds_in(Run { budget, mistake, ..RUN }, what);
}

fn finds_in(run: Run, what: &'static str) {
    let checker = check_until(run, HasDiscoveries::AnyOf([what].into()));
    println!("found: {:?}", checker.assert_any_discovery(what).into_actions());
}

#[test]
fn an_acknowledgement_of_what_is_not_stored_is_found() {
    finds(Mistake::AckedTooEarly, NOTHING, MAJORITY);
    finds(Mistake::AckedTooEarly, FAILOVER, KEPT);
}

#[test]
fn an_acknowledgement_that_outlives_its_stream_is_found() {
    let run = Run { has_lost_disks: true, ..RUN };
    let budget = Budget { faults: 1, failovers: 1, ..NOTHING };
    for what in [MAJORITY, KEPT] {
        finds_in(Run { budget, mistake: Mistake::AcksKept, ..run }, what);
    }
    let (budget, shapes) = (Budget { faults: 1, topologies: 1, ..NOTHING }, &[Shape::Moving]);
    finds_in(Run { budget, shapes, mistake: Mistake::NotForgotten, ..run }, MAJORITY);
    let budget = Budget { faults: 2, failovers: 1, topologies: 2, ..NOTHING };
    let shapes = &[Shape::All, Shape::Alone];
    finds_in(Run { budget, shapes, mistake: Mistake::NotForgotten, ..run }, KEPT);
}

#[test]
fn an_acknowledgement_that_is_not_repeated_is_found() {
    finds(Mistake::AcksNotRepeated, MOVE, COMPLETED);
    finds(Mistake::AcksNotRepeated, FAILOVER, COMPLETED);
}

#[test]
fn a_promotion_that_loses_prepares_is_found() {
    finds(Mistake::PreparesDropped, FAILOVER, KEPT);
    finds(Mistake::AnyPromoted, FAILOVER, KEPT);
}

#[test]
fn an_answer_before_the_commit_is_found() {
    finds(Mistake::AnsweredTooEarly, FAILOVER, KEPT);
    finds(Mistake::AnsweredTooEarly, NOTHING, ANSWERED_ONCE);
    // The replica begins anew, and the batch of the commit fails.
    finds(Mistake::PromiseForgotten, Budget { faults: 2, ..FAULT }, READERS);
}

#[test]
fn a_majority_of_those_that_are_there_is_found() {
    finds(Mistake::NullLeftOut, Budget { topologies: 1, ..FAILOVER }, KEPT);
}

#[test]
fn a_write_that_is_completed_twice_or_out_of_order_is_found() {
    let run = Run { writes: TWO_KEYS, ..RUN };
    finds_in(Run { mistake: Mistake::OutOfOrder, ..run }, ORDER);
    for what in [ORDER, KEPT] {
        finds_in(Run { mistake: Mistake::AbortedAfterCommit, ..run }, what);
    }
}

#[test]
fn a_write_of_a_blocked_key_is_found() {
    finds_in(Run { writes: SAME_KEY, mistake: Mistake::BlockedIgnored, ..RUN }, ONE_PREPARE);
}

#[test]
fn a_machine_that_is_not_told_is_found() {
    finds(Mistake::FailureUnheard, FAULT, ALL_ANSWERED);
    finds(Mistake::FailureUnheard, FAULT, COMPLETED);
    finds(Mistake::CompletionUnheard, NOTHING, PENDING);
    finds(Mistake::CompletionUnheard, FAILOVER, ORDER);
}
