//! Durable writes over kill -9: three data nodes and their sidecars as real processes, clients that
//! write at each level and read, and in each round a kill at a random moment, with a restart or a
//! failover after it, or a takeover. What clients were told has to be linearizable, key by key, and
//! all copies have to be the same in the end.
//!
//! `DURABLE_KILL_ROUNDS` is the number of rounds, `DURABLE_KILL_SEED` that of the first cluster.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod checker;
mod clients;
mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod copies;
mod event;
mod history;
mod keys;
mod rounds;
mod session;
mod takeover;

use rounds::Campaign;

const SEED: u64 = 20_261_129;
/// Rounds without the variable: few, for the default run of all tests.
const ROUNDS: u64 = 8;
/// Rounds of one cluster.
const ROUNDS_MAX: u64 = 20;

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

#[tokio::test]
async fn durable_writes_survive_kills_at_random_moments() {
    let all = variable("DURABLE_KILL_ROUNDS", ROUNDS);
    let seeds = variable("DURABLE_KILL_SEED", SEED)..;
    for (seed, first) in seeds.zip((0..all).step_by(ROUNDS_MAX as usize)) {
        let count = ROUNDS_MAX.min(all - first);
        let shown = Shown(seed);
        let mut campaign = Campaign::start(seed).await;
        for round in 1..=count {
            let checked = campaign.round().await;
            checked.unwrap_or_else(|flaw| panic!("seed {seed}, round {round}, {flaw}"));
        }
        campaign.verify().await;
        println!("seed {seed}, {count} rounds: {:#?}", campaign.report());
        drop(shown);
    }
}

/// Shows the seed when a test fails in any way.
struct Shown(u64);

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}", self.0);
        }
    }
}
