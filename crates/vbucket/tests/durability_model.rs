//! Every interleaving of durable writes, replication, acknowledgements, deadlines, restarts, failed
//! batches, failovers, moves and changes of the topology, for three copies of one vBucket. The
//! model checker drives the production machine of durable writes on each copy.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

#[path = "durability_model/checks.rs"]
mod checks;
#[path = "durability_model/mistakes.rs"]
mod mistakes;
#[path = "durability_model/node.rs"]
mod node;
#[path = "durability_model/run.rs"]
mod run;
#[path = "durability_model/steps.rs"]
mod steps;
#[path = "durability_model/world.rs"]
mod world;

use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};
use vbucket::durability::Answer;

use node::Node;
use run::{Budget, FAILOVER, FAULT, MOVE, NOTHING, ONE, RUN, Run, SAME_KEY, Shape, TWO_KEYS};
use world::{Action, Told, World};

const KEPT: &str = "what was committed is never lost or aborted";
const MAJORITY: &str = "what is committed was stored by a majority";
const ANSWERED_ONCE: &str = "no client is answered twice";
const ALL_ANSWERED: &str = "every client is answered in the end";
const ORDER: &str = "writes are completed once, in the order of their prepares";
const ONE_PREPARE: &str = "a key has one pending prepare";
const PENDING: &str = "each machine knows what is pending in its log";
const COMPLETED: &str = "with a majority nothing is pending in the end";
const READERS: &str = "readers wait for what may have been seen as committed";
const FUTURE: &str = "a deadline that has passed is not awaited";
const ACTIVE_ONLY: &str = "only the active copy decides";
const GIVEN_UP: &str = "a write that cannot be committed is given up at once";
const COMMITTED_AGAIN: &str = "what was seen as committed is committed again";
const ALL_COMMITTED: &str = "every write is committed";
const ALL_GIVEN_UP: &str = "every write is given up";

impl Model for Run {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, state: &World, actions: &mut Vec<Action>) {
        state.actions(self, actions);
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut next = last.clone();
        next.step(action, self);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn all(world: &World, holds: impl Fn(&Node) -> bool) -> bool {
            world.nodes.iter().all(holds)
        }
        fn is_told(world: &World, answer: Answer) -> bool {
            world.told.iter().all(|it| it.1 == Some(Told::Answer(answer)))
        }
        vec![
            Property::always(KEPT, |_, w: &World| w.keeps_what_is_committed()),
            Property::always(MAJORITY, |_, w: &World| !w.is_hasty),
            Property::always(ANSWERED_ONCE, |_, w: &World| !w.is_told_twice),
            Property::always(ALL_ANSWERED, |_, w: &World| w.is_answered()),
            Property::always(ORDER, |_, w: &World| all(w, checks::completes_in_order)),
            Property::always(ONE_PREPARE, |_, w: &World| all(w, checks::prepares_once)),
            Property::always(PENDING, |_, w: &World| all(w, checks::knows_what_is_pending)),
            Property::always(COMPLETED, |_, w: &World| w.is_completed()),
            Property::always(READERS, |_, w: &World| w.readers_wait()),
            Property::always(FUTURE, |_, w: &World| {
                w.leader().monitor.next_deadline().is_none_or(|at| at > w.now)
            }),
            Property::always(ACTIVE_ONLY, |_, w: &World| !w.is_presumptuous),
            Property::always(GIVEN_UP, |_, w: &World| w.gives_up_at_once()),
            Property::sometimes(COMMITTED_AGAIN, |_, w: &World| w.commits_again()),
            Property::sometimes(ALL_COMMITTED, |run: &Self, w: &World| {
                w.told.len() == run.writes.len() && is_told(w, Answer::Committed)
            }),
            Property::sometimes(ALL_GIVEN_UP, |run: &Self, w: &World| {
                w.told.len() == run.writes.len() && is_told(w, Answer::Ambiguous)
            }),
        ]
    }
}

/// Visits every state, prints their number, and returns the checker.
#[allow(clippy::disallowed_methods, reason = "the output says how long it took")]
fn check_until(run: Run, until: HasDiscoveries) -> impl Checker<Run> {
    let started = std::time::Instant::now();
    let checker = run.checker().threads(2).finish_when(until).spawn_bfs().join();
    let (unique, depth) = (checker.unique_state_count(), checker.max_depth());
    let (writes, ms) = (run.writes.len(), started.elapsed().as_millis());
    println!(
        "{writes} writes, {:?}, {:?}: {unique} unique states, depth {depth}, {ms} ms",
        run.budget, run.mistake
    );
    checker
}

/// Every "always" holds. What is reachable depends on the run.
fn check(run: Run) -> impl Checker<Run> {
    let checker = check_until(run, HasDiscoveries::AnyFailures);
    for property in checker.model().properties() {
        if property.expectation == Expectation::Always {
            checker.assert_no_discovery(property.name);
        }
    }
    checker
}

#[test]
fn without_faults_writes_are_committed_or_given_up() {
    for writes in [ONE, SAME_KEY, TWO_KEYS] {
        let checker = check(Run { writes, ..RUN });
        checker.assert_any_discovery(ALL_COMMITTED);
        checker.assert_any_discovery(ALL_GIVEN_UP);
    }
}

#[test]
fn restarts_failed_batches_and_lost_disks() {
    check(Run { writes: SAME_KEY, budget: FAULT, has_lost_disks: true, ..RUN });
    check(Run { writes: TWO_KEYS, budget: FAULT, ..RUN });
    let budget = Budget { faults: 2, failovers: 1, topologies: 1, ..NOTHING };
    check(Run { budget, has_lost_disks: true, ..RUN });
}

#[test]
fn failovers() {
    let budget = Budget { failovers: 2, ..NOTHING };
    let checker = check(Run { writes: SAME_KEY, budget, ..RUN });
    checker.assert_any_discovery(COMMITTED_AGAIN);
    check(Run { writes: TWO_KEYS, budget: FAILOVER, ..RUN });
    let budget = Budget { faults: 1, failovers: 2, moves: 1, topologies: 0 };
    check(Run { budget, ..RUN });
}

#[test]
fn moves() {
    check(Run { writes: SAME_KEY, budget: MOVE, ..RUN });
    check(Run { writes: TWO_KEYS, budget: MOVE, ..RUN });
    check(Run { budget: Budget { faults: 1, topologies: 2, ..MOVE }, ..RUN });
}

#[test]
fn changes_of_the_topology() {
    let budget = Budget { topologies: 1, ..NOTHING };
    check(Run { writes: TWO_KEYS, budget, ..RUN });
    let budget = Budget { topologies: 1, ..FAILOVER };
    check(Run { writes: SAME_KEY, shapes: &[Shape::Alone], budget, ..RUN });
    let budget = Budget { faults: 1, topologies: 2, ..NOTHING };
    check(Run { shapes: &[Shape::Single, Shape::All], budget, ..RUN });
    check(Run { budget: Budget { faults: 1, failovers: 1, moves: 1, topologies: 1 }, ..RUN });
}

#[test]
#[ignore = "nine million states more: three minutes"]
fn two_writes_and_much_that_happens() {
    for writes in [SAME_KEY, TWO_KEYS] {
        let budget = Budget { faults: 1, failovers: 1, ..NOTHING };
        check(Run { writes, budget, has_lost_disks: true, ..RUN });
        check(Run { writes, budget: Budget { topologies: 1, ..MOVE }, ..RUN });
        check(Run { writes, budget: Budget { topologies: 1, ..FAILOVER }, ..RUN });
        check(Run { writes, budget: Budget { topologies: 2, ..NOTHING }, ..RUN });
    }
    check(Run { budget: Budget { faults: 2, failovers: 2, moves: 1, topologies: 2 }, ..RUN });
}
