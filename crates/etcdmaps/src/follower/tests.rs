//! Scripts: events in, effects out, as lines of text.

mod values;

use replica::plan::Connections;

use super::*;

/// A sidecar of node beta with buckets default and other, and two members of etcd.
struct Script {
    follower: Follower,
    now_ms: u64,
}

fn known(buckets: &[&str], producers: &[&str]) -> Known {
    let buckets = buckets.iter().map(|&name| (name.to_owned(), Connections::ONE)).collect();
    Known { buckets, producers: producers.iter().map(|&name| name.to_owned()).collect() }
}

fn start() -> Script {
    let (keys, known) = (Keys::new("/p"), known(&["default", "other"], &["alpha"]));
    let endpoints = vec!["one:1".to_owned(), "two:2".to_owned()];
    Script { follower: Follower::new(keys, "beta", known, endpoints, 0), now_ms: 1_000 }
}

impl Script {
    /// Takes an event and compares the effects.
    fn on(&mut self, event: Event, expected: &[&str]) -> &mut Self {
        let after = format!("{event:?}");
        let effects = self.follower.on(event, self.now_ms, 1.0);
        let found: Vec<String> = effects.iter().map(shown).collect();
        assert_eq!(found, expected, "after {after}");
        self
    }

    fn wait(&mut self, ms: u64) -> &mut Self {
        self.now_ms += ms;
        self
    }

    /// Connects, reads these maps at revision 10 and watches; whatever is told.
    fn up(&mut self, items: &[Item]) -> &mut Self {
        for event in [Event::Retry, Event::Opened, read(10, items), Event::Watching] {
            self.follower.on(event, self.now_ms, 1.0);
        }
        self
    }
}

fn shown(effect: &Effect) -> String {
    match effect {
        Effect::Wait(pause) => format!("wait {} ms", pause.as_millis()),
        Effect::Open(member) => format!("open {member}"),
        Effect::Read => "read".to_owned(),
        Effect::Watch { from } => format!("watch from {from}"),
        Effect::Tell(Update::Map { bucket, entry, revision }) => {
            format!("{bucket} at {revision}: {}", crate::value::text(&entry.clone()))
        }
        Effect::Tell(Update::Refused { bucket, key, value, reason, revision }) => {
            let reason: String = reason.chars().take(24).collect();
            format!("{bucket} at {revision} refused: {key} {value} {reason}")
        }
        Effect::Tell(Update::Missing { bucket, key }) => format!("{bucket} missing: {key}"),
        Effect::Tell(Update::Connection(Connection::Connected { endpoint })) => {
            format!("connected to {endpoint}")
        }
        Effect::Tell(Update::Connection(Connection::Away { since_ms, error })) => {
            format!("away since {since_ms}: {error}")
        }
    }
}

fn item(bucket: &str, revision: i64, value: &str) -> Item {
    let value = Some(value.as_bytes().to_vec());
    Item { key: format!("/p/maps/beta/{bucket}").into_bytes(), value, revision }
}

fn deleted(bucket: &str, revision: i64) -> Item {
    Item { value: None, ..item(bucket, revision, "") }
}

fn read(revision: i64, items: &[Item]) -> Event {
    Event::Read { revision, items: items.to_vec() }
}

fn lost(error: &str) -> Event {
    Event::Lost { error: error.to_owned() }
}

const ALPHA_5: &str = r#"{"alpha":"5"}"#;

#[test]
fn maps_are_read_at_one_revision_and_watched_from_the_next() {
    start()
        .on(Event::Retry, &["open 0"])
        .on(Event::Opened, &["read"])
        .on(
            read(10, &[item("default", 7, ALPHA_5)]),
            &[
                r#"default at 7: {"connections":1,"replicate":{"alpha":"5"}}"#,
                "other missing: /p/maps/beta/other",
                "watch from 11",
            ],
        )
        .on(Event::Watching, &["connected to one:1"])
        .on(
            Event::Changed(vec![item("default", 11, r#"{"replicate":{},"connections":4}"#)]),
            &[r#"default at 11: {"connections":4,"replicate":{}}"#],
        )
        .on(
            Event::Changed(vec![item("other", 12, "{}"), item("default", 13, ALPHA_5)]),
            &[
                r#"default at 13: {"connections":1,"replicate":{"alpha":"5"}}"#,
                r#"other at 12: {"connections":1,"replicate":{}}"#,
            ],
        );
}

#[test]
fn what_was_told_is_not_told_again_and_what_was_missed_is() {
    let before = [item("default", 7, ALPHA_5), item("other", 8, "{}")];
    start()
        .up(&before)
        .on(lost("reset"), &["away since 1000: reset", "wait 100 ms"])
        .wait(100)
        .on(Event::Retry, &["open 1"])
        .on(Event::Opened, &["read"])
        .on(read(20, &before), &["watch from 21"])
        .on(Event::Watching, &["connected to two:2"])
        .on(Event::Changed(vec![before[0].clone()]), &[])
        .on(lost("reset"), &["away since 1100: reset", "wait 200 ms"])
        .on(Event::Retry, &["open 0"])
        .on(Event::Opened, &["read"])
        .on(
            read(30, &[item("other", 25, ALPHA_5)]),
            &[
                "default missing: /p/maps/beta/default",
                r#"other at 25: {"connections":1,"replicate":{"alpha":"5"}}"#,
                "watch from 31",
            ],
        );
}

#[test]
fn after_a_compaction_the_maps_are_read_again_without_a_gap() {
    let before = [item("default", 7, ALPHA_5), item("other", 8, "{}")];
    let after = [item("default", 40, "{}"), item("other", 8, "{}")];
    start()
        .up(&before)
        .on(Event::Compacted, &["read"])
        .on(
            read(50, &after),
            &[r#"default at 40: {"connections":1,"replicate":{}}"#, "watch from 51"],
        )
        .on(Event::Watching, &[])
        .on(Event::Compacted, &["read"])
        .on(read(60, &after), &["watch from 61"])
        .on(Event::Compacted, &["read"])
        .on(read(70, &after), &["watch from 71"])
        .on(
            Event::Compacted,
            &["away since 1000: the watch is behind compactions again and again", "wait 100 ms"],
        );
}

#[test]
fn an_etcd_that_went_back_to_a_backup_is_believed() {
    start().up(&[item("default", 70, ALPHA_5), item("other", 8, "{}")]).on(
        read(9, &[item("default", 5, "{}"), item("other", 8, "{}")]),
        &[r#"default at 5: {"connections":1,"replicate":{}}"#, "watch from 10"],
    );
}

#[test]
fn while_etcd_is_away_it_says_since_when_and_pauses_grow() {
    let mut script = start();
    script.on(Event::Retry, &["open 0"]);
    script.on(lost("refused"), &["away since 1000: refused", "wait 100 ms"]);
    for (member, pause) in [(1, 200), (0, 400), (1, 800), (0, 1_600)] {
        script.wait(1_000).on(Event::Retry, &[&format!("open {member}")]);
        script.on(lost("refused"), &[&format!("wait {pause} ms")]);
    }
    script.wait(1_000).on(lost("no route"), &["away since 1000: no route", "wait 3200 ms"]).on(
        Event::Known(known(&["default"], &["alpha"])),
        &["default missing: /p/maps/beta/default"],
    );
}

#[test]
fn failures_are_forgotten_only_after_a_watch_has_lasted() {
    let mut script = start();
    let up = [item("default", 7, ALPHA_5), item("other", 8, "{}")];
    script.on(lost("x"), &["away since 1000: x", "wait 100 ms"]);
    script.up(&up).on(lost("x"), &["away since 1000: x", "wait 200 ms"]);
    script.up(&up).wait(9_000).on(lost("x"), &["away since 10000: x", "wait 400 ms"]);
    script.up(&up).wait(10_000).on(lost("x"), &["away since 20000: x", "wait 100 ms"]);
}
