//! Which facts are which problems, with their words.

mod merge;
mod nodes;
mod process;
mod rolled_back;
mod streams;
mod verified;
mod wanted;

use std::time::{Duration, UNIX_EPOCH};

use dcp_actors::BucketStatus;

use super::facts::{Facts, MapFacts};
use super::ids::IDS;
use super::*;
use crate::admin::views::Phase;

/// A running sidecar of `beta` with these buckets, of which nothing but their status is known.
fn facts(buckets: &[BucketStatus]) -> Facts<'_> {
    Facts {
        now: UNIX_EPOCH + Duration::from_secs(24 * 3600),
        phase: Phase::Running,
        node: "beta",
        addresses: vec![
            ("alpha".to_owned(), "10.0.0.1:11210".to_owned()),
            ("beta".to_owned(), "10.0.0.2:11210".to_owned()),
        ],
        file: "proxy.toml".into(),
        expected: buckets.iter().map(|bucket| bucket.bucket.clone()).collect(),
        buckets,
        maps: Vec::new(),
        reload: None,
        state_error: None,
        etcd: None,
        certificates: Vec::new(),
        broken: Vec::new(),
        lines_lost: 0,
        failed_moves: Vec::new(),
        growing: Vec::new(),
        verified: crate::verification::Board::default(),
    }
}

/// What is wanted of the bucket `default`, without anything to say of it.
fn map() -> MapFacts {
    MapFacts {
        bucket: "default".to_owned(),
        wanted: 1024,
        paused: VbSet::default(),
        drift: 0,
        is_empty: false,
        dropped: Vec::new(),
    }
}

/// The problems, each with a known id and something to do.
fn all(facts: &Facts<'_>) -> Vec<Problem> {
    let problems = list(facts);
    for problem in &problems {
        assert!(!problem.remedy.is_empty() && !problem.what.is_empty(), "{problem:?}");
        let is_known = IDS.iter().any(|(id, _)| *id == problem.id);
        assert!(is_known, "{}: not in the table of ids", problem.id);
    }
    problems
}

/// Severity, id, number of vBuckets and text of each.
fn told(facts: &Facts<'_>) -> Vec<(Severity, &'static str, usize, String)> {
    let told = |it: Problem| (it.severity, it.id, it.count, it.what);
    all(facts).into_iter().map(told).collect()
}

/// The only problem.
#[track_caller]
fn only(facts: &Facts<'_>) -> Problem {
    let mut problems = all(facts);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0)
}

#[test]
fn the_worst_is_the_headline_and_nothing_is_fine() {
    assert_eq!(headline(&[]), "everything is replicated");
    let problem = |severity, what: &str| Problem::new(severity, "x", what, "do");
    let drift = problem(Severity::Notice, "6 settings differ");
    let headlined = headline(std::slice::from_ref(&drift));
    assert_eq!(headlined, "what is wanted is replicated; 6 settings differ");
    assert_eq!(headline(&[problem(Severity::Error, "it burns"), drift]), "it burns");
}

#[test]
fn every_id_is_in_the_documents_and_in_the_source_of_one_problem() {
    let text = include_str!("../../../../docs/admin-api.md");
    let source = [
        include_str!("../merge.rs"),
        include_str!("../nodes.rs"),
        include_str!("../process.rs"),
        include_str!("../rolled_back.rs"),
        include_str!("../streams.rs"),
        include_str!("../verified.rs"),
        include_str!("../wanted.rs"),
        include_str!("../words.rs"),
    ]
    .concat();
    for (id, meaning) in IDS {
        let row = format!("\n| `{id}` | {meaning} |\n");
        assert!(text.contains(&row), "docs/admin-api.md needs{row}");
        assert!(source.contains(&format!("\"{id}\"")), "{id} is the id of no problem");
    }
}
