//! What is to be replicated, and where that comes from.

use events::{Event, Events, Filter};
use replica::bucket::{LogLevel, LogLine};

use super::super::facts::FailedMoves;
use super::super::gather::failed_of;
use super::*;
use crate::sources::{Connection, Origin, OriginOfBucket, RefusedMap};

fn set(text: &str) -> VbSet {
    text.parse().unwrap()
}

#[test]
fn what_is_paused_or_drifts_is_a_notice() {
    let mut facts = facts(&[]);
    facts.maps = vec![MapFacts { paused: set("0-7"), drift: 8, ..map() }];
    let problem = only(&facts);
    assert_eq!((problem.id, problem.severity), ("paused", Severity::Notice));
    assert_eq!(problem.what, "8 vBuckets of default are paused: they get no changes");
    assert_eq!(problem.remedy, "dcp-proxy resume default --config proxy.toml");
    facts.maps = vec![MapFacts { drift: 6, ..map() }];
    let problem = only(&facts);
    assert_eq!((problem.id, problem.count), ("drift", 6));
    assert_eq!(problem.what, "6 vBuckets and settings of default differ from the source");
    facts.maps = vec![MapFacts { drift: 1, ..map() }];
    assert_eq!(only(&facts).what, "1 vBucket or setting of default differ from the source");
    facts.maps = vec![map()];
    assert_eq!(told(&facts), []);
}

#[test]
fn that_all_is_replicated_is_never_said_while_something_is_paused() {
    for (wanted, paused, severity, what) in [
        (1024, "0-1023", Severity::Warning, "all 1,024 vBuckets of default are paused: they get"),
        (1, "7", Severity::Warning, "the only vBucket of default is paused: it gets"),
        (1024, "7", Severity::Notice, "1 vBucket of default is paused: it gets"),
        (1024, "0-1022", Severity::Notice, "1,023 vBuckets of default are paused: they get"),
    ] {
        let mut facts = facts(&[]);
        // More differs than is paused, and is told after it all the same.
        facts.maps = vec![MapFacts { wanted, paused: set(paused), drift: 4000, ..map() }];
        let problems = all(&facts);
        assert_eq!((problems[0].id, problems[0].severity), ("paused", severity));
        assert_eq!((problems[0].what.clone(), problems[1].id), (headline(&problems), "drift"));
        assert_eq!(headline(&problems), format!("{what} no changes"));
    }
}

#[test]
fn a_change_that_was_dropped_is_told_with_its_reason() {
    let mut facts = facts(&[]);
    let dropped = vec![(set("3-4"), "source-changed".to_owned(), UNIX_EPOCH)];
    facts.maps = vec![MapFacts { dropped, ..map() }];
    let problem = only(&facts);
    assert_eq!((problem.id, problem.count), ("drift-dropped", 2));
    assert_eq!(
        problem.what,
        "the run-time change of 2 vBuckets of default was dropped: source-changed"
    );
    assert_eq!(problem.since.as_deref(), Some("1970-01-01T00:00:00.000Z"));
}

#[test]
fn moves_that_failed_are_told_with_the_command_that_repeats_them() {
    for (bucket, command) in [
        ("default", "dcp-proxy move --from=alpha default 3,5 --config proxy.toml"),
        ("--yes", "dcp-proxy move --from=alpha --config proxy.toml -- --yes 3,5"),
    ] {
        let mut facts = facts(&[]);
        facts.failed_moves = vec![FailedMoves {
            bucket: bucket.to_owned(),
            how: "move",
            from: "alpha".to_owned(),
            vbuckets: set("3,5"),
            why: "no answer".to_owned(),
            since: UNIX_EPOCH,
        }];
        let problem = only(&facts);
        assert_eq!((problem.id, problem.vbuckets.as_deref()), ("move-failed", Some("3,5")));
        let what = format!("the move of 2 vBuckets of {bucket} from producer alpha failed: ");
        assert_eq!(problem.what, what + "no answer");
        assert!(problem.remedy.ends_with(command), "{}", problem.remedy);
    }
}

#[test]
fn a_failed_move_is_read_from_the_line_of_the_log() {
    let events = Events::start();
    let tell = |text: &str| {
        let line = LogLine { level: LogLevel::Warn, text: text.to_owned() };
        events.push(Event::of_line(&line, "default"));
    };
    let failed = |vb: u16, how: &str, why: &str| {
        let reason = logline::value(why);
        tell(&format!(
            "vbucket not moved bucket=default vb={vb} from=alpha how={how} reason={reason}"
        ));
    };
    let known = || {
        let failed = failed_of(&events.last(&Filter::default(), usize::MAX), SystemTime::now());
        let told = |it: FailedMoves| (it.how, it.from, it.vbuckets.to_string(), it.why);
        failed.into_iter().map(told).collect::<Vec<_>>()
    };
    let of = |how, set: &str, why: &str| (how, "alpha".to_owned(), set.to_owned(), why.to_owned());
    failed(3, "move", "vb:3: not settled");
    failed(5, "move", "vb:5: no answer: \"x\"");
    failed(7, "takeover", "it is gone");
    assert_eq!(known(), [of("move", "3,5", "no answer: \"x\""), of("takeover", "7", "it is gone")]);
    tell("vbucket moved bucket=default vb=5 from=alpha ms=12");
    failed(3, "takeover", "vb:3: still not");
    assert_eq!(known(), [of("takeover", "3,7", "still not")]);
}

#[test]
fn etcd_that_is_away_and_maps_that_cannot_be_used_are_told() {
    let away = Connection::Away { since: "then".to_owned(), error: "refused".to_owned() };
    let of = |connection: Option<&Connection>, bucket: Option<OriginOfBucket>, is_empty| {
        let mut facts = facts(&[]);
        let buckets = bucket.map(|it| ("default".to_owned(), it)).into_iter().collect();
        facts.etcd = Some(Origin { is_cluster: false, connection: connection.cloned(), buckets });
        facts.maps = vec![MapFacts { is_empty, ..map() }];
        told(&facts).into_iter().map(|(severity, id, ..)| (severity, id)).collect::<Vec<_>>()
    };
    let known = OriginOfBucket { revision: Some(7), missing: false, refused: None };
    let connected = Connection::Connected { endpoint: "h:1".to_owned() };
    assert_eq!(of(Some(&connected), Some(known.clone()), false), []);
    assert_eq!(of(Some(&away), Some(known.clone()), false), [(Severity::Warning, "source-away")]);
    assert_eq!(
        of(Some(&away), None, true),
        [(Severity::Error, "map-unknown"), (Severity::Warning, "source-away")]
    );
    let missing = OriginOfBucket { missing: true, ..known.clone() };
    assert_eq!(of(Some(&connected), Some(missing), false), [(Severity::Warning, "map-missing")]);
    let text = "x".to_owned();
    let refused =
        RefusedMap { key: "/k".to_owned(), value: text.clone(), reason: text, revision: 8 };
    let refused = Some(refused);
    let kept = OriginOfBucket { refused: refused.clone(), ..known };
    assert_eq!(of(Some(&connected), Some(kept), false), [(Severity::Warning, "map-refused")]);
    let first = OriginOfBucket { revision: None, missing: false, refused };
    assert_eq!(of(Some(&connected), Some(first), true), [(Severity::Error, "map-refused")]);
}
