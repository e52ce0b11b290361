//! Which finding follows from which facts: a healthy pair, and what each change of it leads to.

mod machine;
mod maps;
mod node;
mod pairs;
mod reach;

use std::collections::BTreeMap;
use std::time::Duration;

use mcbp::{Feature, Side, Status, VbId, VbState};
use relay::LINK_FEATURES;

use super::*;
use crate::descriptors::TooFew;
use crate::doctor::facts::{
    BucketFacts, Clock, DcpConnection, Folder, Machine, Member, Need, Running, Sidecar, TlsFacts,
    Tried,
};
use crate::doctor::failure::Failure;
use crate::doctor::finding::Level::{self, Error, Note, Ok as Fine, Warning};

/// The clock of the tests, in seconds since 1970.
const NOW_S: i64 = 1_800_000_000;
const DAY_S: i64 = 24 * 3600;
const LINK: &str = "replication:alpha->beta:default";

fn config() -> Config {
    let node = |name: &str, port: u16| {
        format!(
            "name = {name:?}\naddress = \"127.0.0.1:{port}\"\nusername = \"u\"\npassword = \"p\"\n"
        )
    };
    let text = format!(
        "[node]\n{}[[producer]]\n{}[[bucket]]\nname = \"default\"\n\
         replicate = {{ alpha = \"0-7\" }}\n",
        node("beta", 11310),
        node("alpha", 11210)
    );
    crate::config::parse("proxy.toml".as_ref(), &text, &|_| None)
        .unwrap_or_else(|error| panic!("{error}"))
}

fn bucket(state: VbState) -> BucketFacts {
    let needs = [Need::Seqnos, Need::Statistics, Need::Connections];
    let mut answers: BTreeMap<_, _> = needs.map(|need| (need, Status::SUCCESS)).into();
    answers.insert(Need::SetState, Status::EINVAL);
    BucketFacts {
        bucket: "default".to_owned(),
        opened: Some(Ok(())),
        answers,
        states: Some((0..8).map(|vb| (VbId(vb), state)).collect()),
        vbuckets_max: Some(8),
        clock: Some(clock(0)),
        connections: Some(Vec::new()),
        dcp: Some(Ok(())),
        window_bytes: Some(10 << 20),
        ..BucketFacts::default()
    }
}

/// A clock that is ahead of this machine's.
fn clock(ahead_s: i64) -> Clock {
    Clock { node_s: NOW_S + ahead_s, asked_ms: NOW_S * 1000, answered_ms: NOW_S * 1000 + 2 }
}

fn node(side: Side, name: &str, state: VbState) -> NodeFacts {
    NodeFacts {
        addresses: Some(Ok(vec![tried(1, Ok(Duration::from_micros(500)))])),
        mechanisms: Some(Ok(vec!["PLAIN".to_owned()])),
        login: Some(Ok(LINK_FEATURES.to_vec())),
        version: Some("8.0.2-1".to_owned()),
        buckets: vec![bucket(state)],
        ..NodeFacts::new(side, name, "host:1", false)
    }
}

fn tried(host: u8, connected: Result<Duration, &str>) -> Tried {
    Tried {
        address: ([127, 0, 0, host], 1).into(),
        connected: connected.map_err(str::to_owned),
        is_here: true,
    }
}

fn folder(writable: Result<(), &str>, free_bytes: Option<u64>) -> Folder {
    Folder {
        key: "[state] directory",
        path: "proxy.state".into(),
        existing: ".".into(),
        writable: writable.map_err(str::to_owned),
        free_bytes,
    }
}

fn running() -> Running {
    Running {
        url: "http://127.0.0.1:4870".to_owned(),
        node: "beta".to_owned(),
        links_up: [("default".to_owned(), 1)].into(),
        ..Running::default()
    }
}

fn healthy() -> Facts {
    Facts {
        now_s: NOW_S,
        machine: Machine {
            descriptors: Ok(()),
            folders: vec![folder(Ok(()), Some(1 << 40))],
            certificates: Vec::new(),
        },
        sidecar: Sidecar::Runs(running()),
        nodes: vec![
            node(Side::Consumer, "beta", VbState::Replica),
            node(Side::Producer, "alpha", VbState::Active),
        ],
        etcd: Vec::new(),
        maps: Vec::new(),
    }
}

/// The bucket of our node (0) or the producer (1).
fn at(facts: &mut Facts, node: usize) -> &mut BucketFacts {
    &mut facts.nodes[node].buckets[0]
}

fn open(name: &str) -> DcpConnection {
    DcpConnection { name: name.to_owned(), is_ending: false, window_bytes: None }
}

#[test]
fn a_healthy_pair_is_fine_in_every_check() {
    let report = judge(&healthy(), &config());
    let bad: Vec<_> = report.findings.iter().filter(|it| it.level != Fine).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(report.passes(true));
}

/// Changes the healthy facts; the finding that must follow, with a part of its text. A level of ok
/// says that nothing worse follows.
type Case = (fn(&mut Facts), Level, Check, &'static str);

#[track_caller]
fn hold(cases: &[Case]) {
    for (at, (change, level, check, part)) in cases.iter().enumerate() {
        let mut facts = healthy();
        change(&mut facts);
        let report = judge(&facts, &config());
        let found = report
            .findings
            .iter()
            .any(|it| (it.level, it.check) == (*level, *check) && it.what.contains(part));
        assert!(found, "case {at}: no {level:?} {check:?} with {part:?} in {:#?}", brief(&report));
        let worst = report.findings.iter().map(|it| it.level).max();
        assert_eq!(worst, Some(*level), "case {at}: {:#?}", brief(&report));
        for finding in report.findings.iter().filter(|it| it.level >= Level::Warning) {
            assert!(finding.remedy.as_ref().is_some_and(|it| !it.is_empty()), "{finding:?}");
        }
    }
}

fn brief(report: &Report) -> Vec<String> {
    report.findings.iter().map(|it| format!("{:?} {:?} {}", it.level, it.check, it.what)).collect()
}

#[test]
fn every_check_is_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/doctor.md");
    let text = std::fs::read_to_string(path).unwrap();
    for check in Check::ALL {
        let row = format!("\n| `{}` |", check.name());
        assert!(text.contains(&row), "docs/doctor.md has no row of {:?}", check.name());
    }
}
