//! kill -9 at random moments, of a node that is under load or still starting.

use std::time::Duration;

use crate::campaign::{Campaign, Until};

const SEED: u64 = 20_261_121;
/// Set by the environment variable for more.
const KILL_ROUNDS: u64 = 40;
/// Rounds on one folder, before its journals make every start a long one.
const ROUNDS_MAX: u64 = 40;
/// Acknowledged changes in a round, at most.
const CHANGES_MAX: u64 = 400;
const START_MS_MAX: u64 = 60;
/// Streams are compared in every so many rounds.
const STREAMS_EVERY: u64 = 8;

#[derive(Default, Debug)]
struct Report {
    killed_under_load: u64,
    killed_starting: u64,
    acknowledged: u64,
    streamed: usize,
}

fn rounds(rounds: u64, seed: u64, failpoints: &'static str) -> Result<Report, String> {
    let mut campaign = Campaign::new(seed, failpoints);
    // So that values become garbage, and are collected now and then.
    campaign.settings.undo_seqnos = 100;
    let mut report = Report::default();
    for round in 1..=rounds {
        let failed = |error| format!("round {round}: {error}");
        if round > 1 && campaign.rng().u8(..4) == 0 {
            let patience = Duration::from_millis(campaign.rng().u64(..START_MS_MAX));
            campaign.start().kill_within(patience);
            report.killed_starting += 1;
        }
        let node = campaign.start_and_check().map_err(failed)?;
        if round % STREAMS_EVERY == 0 {
            report.streamed += campaign.check_streams(&node).map_err(failed)?;
        }
        let changes = campaign.rng().u64(..CHANGES_MAX);
        report.acknowledged += campaign.load(node, &Until::Killed(changes));
        report.killed_under_load += 1;
    }
    let node = campaign.start_and_check()?;
    report.streamed += campaign.check_streams(&node)?;
    Ok(report)
}

#[test]
fn acknowledged_changes_survive_kills_at_random_moments() {
    let all = std::env::var("KILL_ROUNDS").map_or(KILL_ROUNDS, |text| text.parse().unwrap());
    for (seed, first) in (SEED..).zip((0..all).step_by(ROUNDS_MAX as usize)) {
        let count = ROUNDS_MAX.min(all - first);
        let report = rounds(count, seed, "").unwrap_or_else(|error| panic!("seed {seed}, {error}"));
        println!("seed {seed}, {count} rounds: {report:?}");
    }
}

/// The same rounds find a node that shows a new branch before it is on disk.
#[test]
fn mb_41942_the_rounds_find_a_node_without_the_early_commit() {
    let error = rounds(5, SEED, "no-early-commit").expect_err("nobody noticed");
    assert!(error.contains("a branch that was shown is lost"), "{error}");
}
