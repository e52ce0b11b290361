//! Rivals, and the states of both copies.

use super::*;
use crate::doctor::rules::states::{CopyState, Fit, fit};

const RIVALS_OF_OUR_NAMES: &[Case] = &[
    (
        |f| at(f, 1).connections = Some(vec![open(LINK)]),
        Fine,
        Check::Rival,
        "1 connection of our sidecar",
    ),
    (
        |f| {
            at(f, 1).connections = Some(vec![open("replication:alpha->beta:default/7")]);
            f.sidecar =
                Sidecar::Runs(Running { links_up: [("default".into(), 0)].into(), ..running() });
        },
        Warning,
        Check::Rival,
        "our sidecar has no link of this bucket open",
    ),
    (
        |f| {
            at(f, 0).connections = Some(vec![open(LINK)]);
            f.sidecar = Sidecar::Unknown("port 0".into());
        },
        Note,
        Check::Rival,
        "is unknown: port 0",
    ),
    (
        |f| at(f, 0).connections = Some(vec![DcpConnection { is_ending: true, ..open(LINK) }]),
        Fine,
        Check::Rival,
        "no connection has the name",
    ),
    (
        |f| at(f, 0).connections = Some(vec![open("replication:gamma->beta:default")]),
        Note,
        Check::Rival,
        "others replicate to this node too: replication:gamma->beta:default",
    ),
    (|f| at(f, 0).connections = None, Note, Check::Rival, "does not list its connections"),
];

#[test]
fn rivals_of_our_names() {
    let silent = |facts: &mut Facts| facts.sidecar = Sidecar::Silent("refused".to_owned());
    let mut facts = healthy();
    at(&mut facts, 0).connections = Some(vec![open(LINK)]);
    silent(&mut facts);
    let report = judge(&facts, &config());
    let rival = report.findings.iter().find(|it| it.level == Warning).unwrap();
    assert_eq!(rival.check, Check::Rival);
    assert_eq!(
        rival.what,
        "open connections with the names of our links: replication:alpha->beta:default: no sidecar \
         of ours answers at 127.0.0.1:4870"
    );
    hold(RIVALS_OF_OUR_NAMES);
}

#[test]
fn every_pair_of_copies_has_one_meaning() {
    let of = CopyState::is;
    let (active, replica, dead) = (of(VbState::Active), of(VbState::Replica), of(VbState::Dead));
    let (pending, absent, unknown) = (of(VbState::Pending), CopyState::Absent, CopyState::Unknown);
    // Rows: ours; columns: active, replica, pending, dead, absent, unknown at the producer.
    let table = [
        (
            active,
            [
                Fit::TwoActive,
                Fit::TakenOver,
                Fit::TakenOver,
                Fit::TakenOver,
                Fit::TakenOver,
                Fit::OursActive,
            ],
        ),
        (replica, [Fit::Good, Fit::Theirs, Fit::Theirs, Fit::Theirs, Fit::Theirs, Fit::Good]),
        (pending, [Fit::Good, Fit::Theirs, Fit::Theirs, Fit::Theirs, Fit::Theirs, Fit::Good]),
        (dead, [Fit::Ours, Fit::Neither, Fit::Neither, Fit::Neither, Fit::Neither, Fit::Ours]),
        (absent, [Fit::Ours, Fit::Neither, Fit::Neither, Fit::Neither, Fit::Neither, Fit::Ours]),
        (unknown, [Fit::Good, Fit::Theirs, Fit::Theirs, Fit::Theirs, Fit::Theirs, Fit::Good]),
    ];
    for (ours, row) in table {
        for (theirs, want) in [active, replica, pending, dead, absent, unknown].into_iter().zip(row)
        {
            assert_eq!(fit(ours, theirs), want, "{ours:?} here, {theirs:?} there");
        }
    }
}

const STATES_ARE_TOLD_BY_SETS: &[Case] = &[
    (
        |f| {
            at(f, 0).states.as_mut().unwrap().insert(VbId(5), VbState::Active);
        },
        Error,
        Check::States,
        "the copies here and at alpha are both active",
    ),
    (
        |f| {
            at(f, 0).states.as_mut().unwrap().insert(VbId(5), VbState::Active);
            at(f, 1).states.as_mut().unwrap().insert(VbId(5), VbState::Dead);
        },
        Note,
        Check::States,
        "they were taken over",
    ),
    (
        |f| {
            at(f, 1).states.as_mut().unwrap().remove(&VbId(5));
        },
        Error,
        Check::States,
        "are not there, and must be active",
    ),
    (
        |f| {
            at(f, 0).states.as_mut().unwrap().remove(&VbId(5));
        },
        Error,
        Check::States,
        "are not there, and must be replica",
    ),
    (
        |f| {
            at(f, 0).states.as_mut().unwrap().insert(VbId(5), VbState::Active);
            at(f, 1).states = None;
        },
        Warning,
        Check::States,
        "the copies here are active; those of alpha are unknown",
    ),
];

#[test]
fn states_are_told_by_sets() {
    let mut facts = healthy();
    let set = |facts: &mut BucketFacts, vbs: std::ops::Range<u16>, state| {
        facts.states.as_mut().unwrap().extend(vbs.map(|vb| (VbId(vb), state)));
    };
    set(at(&mut facts, 0), 0..2, VbState::Dead);
    set(at(&mut facts, 1), 4..6, VbState::Replica);
    let report = judge(&facts, &config());
    let states = report.findings.iter().filter(|it| it.check == Check::States);
    let told: Vec<_> = states
        .map(|it| {
            (it.place.side.unwrap(), it.place.vbuckets.as_ref().unwrap().to_string(), it.level)
        })
        .collect();
    let want = [
        (Side::Consumer, "2-3,6-7", Fine),
        (Side::Consumer, "0-1", Error),
        (Side::Producer, "2-3,6-7", Fine),
        (Side::Producer, "4-5", Error),
        (Side::Producer, "0-1", Fine),
    ];
    assert_eq!(told, want.map(|(side, set, level)| (side, set.to_owned(), level)));
    hold(STATES_ARE_TOLD_BY_SETS);
}
