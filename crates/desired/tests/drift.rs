//! The rules of drift as a table: the source's entry before and after, what was changed at run
//! time, what was taken over; and what is in force and was dropped then.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use desired::{BucketMaps, Change, Entry, Mark, Refusal, Selection};
use mcbp::VbId;
use replica::plan::{Connections, Desired, VbSet};

/// A map in short: `alpha=0-9 gamma=20`.
fn map(text: &str) -> Desired {
    let sets = text.split_whitespace().map(|part| {
        let (producer, set) = part.split_once('=').unwrap();
        (producer.to_owned(), set.parse::<VbSet>().unwrap())
    });
    Desired::new(sets.collect()).unwrap()
}

/// An entry in short: `2: alpha=0-9`, the number of connections first.
fn entry(text: &str) -> Entry {
    let (count, sets) = text.split_once(':').unwrap();
    Entry { connections: Connections::new(count.parse().unwrap()).unwrap(), replicate: map(sets) }
}

fn text(entry: &Entry) -> String {
    let sets = entry.replicate.producers().iter().map(|(name, set)| format!(" {name}={set}"));
    format!("{}:{}", entry.connections.count(), sets.collect::<String>())
}

fn mark(at_ms: u64) -> Mark {
    Mark { by: "127.0.0.1:5000".to_owned(), at_ms }
}

fn producers() -> BTreeSet<String> {
    ["alpha", "gamma"].map(str::to_owned).into()
}

/// A change in short.
fn change(text: &str) -> Change {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let which = || {
        let (producer, set) = rest.split_once(' ').unwrap_or((rest, ""));
        let given = |text: &str| (!text.is_empty() && text != "-").then(|| text.to_owned());
        Selection {
            producer: given(producer),
            vbuckets: given(set).map(|set| set.parse().unwrap()),
        }
    };
    match verb {
        "replace" => Change::Replace(map(rest)),
        "add" => Change::Add(map(rest)),
        "remove" => Change::Remove(map(rest)),
        "connections" => Change::Connections(Connections::new(rest.parse().unwrap()).unwrap()),
        "pause" => Change::Pause(which()),
        "resume" => Change::Resume(which()),
        "none" => Change::One { vb: VbId(rest.parse().unwrap()), from: None },
        other => panic!("no change {other}"),
    }
}

struct Row {
    before: &'static str,
    /// Changes at run time; `took 7` for a takeover.
    changes: &'static [&'static str],
    in_force: &'static str,
    drift: usize,
    after: &'static str,
    then: &'static str,
    /// What the change of the source dropped: `set from` or `connections`.
    dropped: &'static [&'static str],
}

const ROWS: &[Row] = &[
    // Nothing was changed: the source is in force, before and after.
    Row {
        before: "1: alpha=0-9",
        changes: &[],
        in_force: "1: alpha=0-9",
        drift: 0,
        after: "2: gamma=0-9",
        then: "2: gamma=0-9",
        dropped: &[],
    },
    // The entry stays: so does the overlay.
    Row {
        before: "1: alpha=0-9",
        changes: &["add gamma=3-4", "none 0"],
        in_force: "1: alpha=1-2,5-9 gamma=3-4",
        drift: 3,
        after: "1: alpha=0-9",
        then: "1: alpha=1-2,5-9 gamma=3-4",
        dropped: &[],
    },
    // The entry changes: the source wins, and says what it dropped.
    Row {
        before: "1: alpha=0-9",
        changes: &["add gamma=3-4", "connections 4", "none 0"],
        in_force: "4: alpha=1-2,5-9 gamma=3-4",
        drift: 4,
        after: "1: alpha=0-19",
        then: "1: alpha=0-19",
        dropped: &["3-4 gamma", "0 -", "connections 4"],
    },
    // What the new entry says itself was not lost.
    Row {
        before: "1: alpha=0-9",
        changes: &["add gamma=3-4", "connections 4"],
        in_force: "4: alpha=0-2,5-9 gamma=3-4",
        drift: 3,
        after: "4: alpha=0-2,4-9 gamma=3",
        then: "4: alpha=0-2,4-9 gamma=3",
        dropped: &["4 gamma"],
    },
    // A change back to the source's word is no drift, and leaves nothing to drop.
    Row {
        before: "1: alpha=0-9",
        changes: &["replace gamma=0-9", "connections 2", "replace alpha=0-9", "connections 1"],
        in_force: "1: alpha=0-9",
        drift: 0,
        after: "1: alpha=0-8",
        then: "1: alpha=0-8",
        dropped: &[],
    },
    // A drained bucket stays drained.
    Row {
        before: "1: alpha=0-9",
        changes: &["replace"],
        in_force: "1:",
        drift: 10,
        after: "1: alpha=0-9",
        then: "1:",
        dropped: &[],
    },
    // A producer that is gone: its vBuckets go back to their source, though the entry stays.
    Row {
        before: "1: alpha=0-9",
        changes: &["add delta=3-4"],
        in_force: "1: alpha=0-2,5-9 delta=3-4",
        drift: 2,
        after: "1: alpha=0-9",
        then: "1: alpha=0-9",
        dropped: &["3-4 delta"],
    },
    // A pause outlives any change of the source.
    Row {
        before: "1: alpha=0-9",
        changes: &["pause alpha 0-3"],
        in_force: "1: alpha=4-9",
        drift: 4,
        after: "1: alpha=2-5",
        then: "1: alpha=4-5",
        dropped: &[],
    },
    // A paused bucket stays so for vBuckets that are added to it.
    Row {
        before: "1: alpha=0-9",
        changes: &["pause", "add alpha=10-11"],
        in_force: "1:",
        drift: 12,
        after: "1: alpha=0-20",
        then: "1:",
        dropped: &[],
    },
    // A pause of a producer concerns what came from it then.
    Row {
        before: "1: alpha=0-4 gamma=5-9",
        changes: &["pause gamma", "add gamma=0"],
        in_force: "1: alpha=1-4 gamma=0",
        drift: 6,
        after: "1: alpha=0-4 gamma=5-9",
        then: "1: alpha=1-4 gamma=0",
        dropped: &[],
    },
    Row {
        before: "1: alpha=0-4 gamma=5-9",
        changes: &["pause", "resume gamma", "resume - 0"],
        in_force: "1: alpha=0 gamma=5-9",
        drift: 4,
        after: "1: alpha=0-4 gamma=5-9",
        then: "1: alpha=0 gamma=5-9",
        dropped: &[],
    },
    // What is active here is never asked for, whatever the source says.
    Row {
        before: "1: alpha=0-9",
        changes: &["took 7"],
        in_force: "1: alpha=0-6,8-9",
        drift: 1,
        after: "1: alpha=0-19",
        then: "1: alpha=0-6,8-19",
        dropped: &[],
    },
    // A source that has left it out has no drift.
    Row {
        before: "1: alpha=0-6,8-9",
        changes: &["took 7"],
        in_force: "1: alpha=0-6,8-9",
        drift: 0,
        after: "1: alpha=0-9",
        then: "1: alpha=0-6,8-9",
        dropped: &[],
    },
    // Unless somebody asks for it by its number.
    Row {
        before: "1: alpha=0-9",
        changes: &["took 7", "add alpha=7"],
        in_force: "1: alpha=0-9",
        drift: 0,
        after: "1: alpha=0-9",
        then: "1: alpha=0-9",
        dropped: &[],
    },
];

#[test]
fn source_overlay_and_takeovers_by_the_table() {
    for (at, row) in ROWS.iter().enumerate() {
        let mut maps = BucketMaps::new(entry(row.before));
        for (step, asked) in row.changes.iter().enumerate() {
            let mark = mark(step as u64);
            match asked.strip_prefix("took ") {
                Some(vbs) => assert!(maps.took_over(vbs.parse().unwrap(), "alpha", &mark)),
                None => assert!(maps.change(&change(asked), &mark).unwrap(), "row {at}: {asked}"),
            }
        }
        assert_eq!(text(&maps.in_force()), row.in_force, "row {at}, before");
        assert_eq!(maps.drift(), row.drift, "row {at}, before");
        let (revision, changes) = (maps.revision(), entry(row.after) != *maps.source());
        let dropped = maps.follow(entry(row.after), &producers());
        assert_eq!(text(&maps.in_force()), row.then, "row {at}, after");
        let dropped: Vec<String> = dropped
            .iter()
            .map(|it| match it.connections {
                Some(connections) => format!("connections {}", connections.count()),
                None => format!("{} {}", it.vbuckets, it.from.as_deref().unwrap_or("-")),
            })
            .collect();
        let mut found: Vec<_> = dropped.iter().map(String::as_str).collect();
        found.sort_unstable();
        let mut expected = row.dropped.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "row {at}, dropped");
        assert_eq!(maps.revision() > revision, changes || !dropped.is_empty(), "row {at}");
    }
}

#[test]
fn a_refused_change_changes_nothing() {
    let mut maps = BucketMaps::new(entry("1: alpha=0-9 gamma=10"));
    let before = maps.clone();
    for asked in ["pause delta", "pause gamma 0-9", "resume delta"] {
        let refused = maps.change(&change(asked), &mark(1)).unwrap_err();
        assert!(matches!(refused, Refusal::NothingMeant(_)), "{asked}: {refused}");
    }
    let refused = maps.change(&change("remove alpha=9-10"), &mark(1)).unwrap_err();
    let actual = Some("gamma".to_owned());
    let of = |vb, actual| Refusal::NotFrom { vb: VbId(vb), producer: "alpha".to_owned(), actual };
    assert_eq!(refused, of(10, actual));
    let text = "vb:10 is not replicated from alpha, but from gamma: name its own producer";
    assert_eq!(refused.to_string(), text);
    let refused = maps.change(&change("remove alpha=11"), &mark(1)).unwrap_err();
    assert_eq!(refused, of(11, None));
    assert_eq!(maps, before);
}

#[test]
fn a_change_that_changes_nothing_has_no_revision_and_keeps_the_mark() {
    let mut maps = BucketMaps::new(entry("1: alpha=0-9"));
    assert!(maps.change(&change("add gamma=3"), &mark(1)).unwrap());
    let before = maps.clone();
    assert!(!maps.change(&change("add gamma=3"), &mark(2)).unwrap());
    assert!(!maps.change(&change("resume"), &mark(2)).unwrap());
    assert!(!maps.change(&change("connections 1"), &mark(2)).unwrap());
    assert_eq!(maps, before);
    assert_eq!(maps.overlay().assigned.first().unwrap().mark, mark(1));
}

#[test]
fn what_was_taken_over_is_released_once_it_is_active_elsewhere() {
    let mut maps = BucketMaps::new(entry("1: alpha=0-9"));
    maps.took_over("3,7".parse().unwrap(), "alpha", &mark(1_000));
    let set = |text: &str| text.parse::<VbSet>().unwrap();
    let none = VbSet::default();
    // A report from before the takeover may come after it.
    assert_eq!(maps.observe(&none, 2_000), none);
    assert_eq!(maps.observe(&set("3,7"), 100_000), none);
    assert_eq!(maps.observe(&set("3"), 100_000), set("7"));
    assert_eq!(text(&maps.in_force()), "1: alpha=0-2,4-9");
}

#[test]
fn discard_and_removal_say_what_is_lost_and_keep_what_is_active_here() {
    let mut maps = BucketMaps::new(entry("1: alpha=0-9"));
    maps.took_over("7".parse().unwrap(), "alpha", &mark(0));
    for asked in ["add gamma=3", "connections 3", "pause - 0-1"] {
        maps.change(&change(asked), &mark(1)).unwrap();
    }
    assert_eq!(maps.clone().into_dropped().len(), 4, "takeovers are said too");
    assert_eq!(maps.discard().len(), 3);
    assert_eq!(text(&maps.in_force()), "1: alpha=0-6,8-9");
    assert!(maps.discard().is_empty());
}

#[test]
fn maps_are_written_and_read_back() {
    let mut maps = BucketMaps::new(entry("2: alpha=0-9"));
    maps.took_over("7".parse().unwrap(), "alpha", &mark(0));
    for asked in ["add gamma=3", "connections 3", "pause - 0-1", "none 9"] {
        maps.change(&change(asked), &mark(1)).unwrap();
    }
    let text = serde_json::to_string(&maps).unwrap();
    assert_eq!(serde_json::from_str::<BucketMaps>(&text).unwrap(), maps);
    let all: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(all.len(), 3);
    for wrong in ["\"0-9\"", "{\"source\":{}}"] {
        assert!(serde_json::from_str::<BucketMaps>(wrong).is_err());
    }
}
