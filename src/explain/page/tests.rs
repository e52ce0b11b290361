//! The text at several widths, and the keys of the JSON.

use mcbp::dcp::FailoverEntry;
use mcbp::{Seqno, VbState, VbUuid};
use serde_json::json;

use super::*;
use crate::explain::facts::{DcpStream, Told, VbCopy, View, Wanted};

fn facts() -> Facts {
    let entry = |uuid, seqno| FailoverEntry { uuid: VbUuid(uuid), seqno: Seqno(seqno) };
    let copy = |state, high, log| VbCopy {
        state: Some(state),
        high: Some(high),
        log,
        topology: Some(Vec::new()),
        streams: vec![DcpStream {
            connection: "replication:alpha->beta:default".to_owned(),
            last_sent: Some(100),
            ..DcpStream::default()
        }],
        ..VbCopy::default()
    };
    let node = |name: &str, copy| Node {
        name: name.to_owned(),
        address: "127.0.0.1:11210".to_owned(),
        answer: Answer::Copy(Box::new(copy)),
    };
    let event = json!({
        "time": "2026-01-01T00:00:00Z", "level": "warn", "kind": "stream-failed",
        "text": "it \u{1b}[2Jfailed",
    });
    let body = json!({
        "state": "waiting", "meaning": "it failed", "producer": "alpha", "events": [event],
        "stream": { "phase": "waiting", "retry_in_ms": 2000 },
    });
    let view = serde_json::from_value(body.clone()).unwrap();
    Facts {
        bucket: "default".to_owned(),
        vb: 7,
        our_name: "beta".to_owned(),
        ours: node("beta", copy(VbState::Replica, 112, vec![entry(1, 0)])),
        producers: vec![node(
            "alpha",
            copy(VbState::Active, 120, vec![entry(2, 100), entry(1, 0)]),
        )],
        wanted: Wanted::From("alpha".to_owned()),
        sidecar: Sidecar::Says(Box::new(Told { view, body })),
        dropped: Some(Dropped::Rows {
            count: 20,
            more: false,
            lost: Some(12),
            keys: vec!["k\u{7}1".to_owned()],
        }),
    }
}

#[test]
fn the_first_line_is_the_sentence_and_nothing_acts_on_the_terminal() {
    let facts = facts();
    let story = rules::judge(&facts);
    let page = text(&facts, &story, None);
    let first = page.lines().next().unwrap();
    assert_eq!(first, story.first.sentence());
    assert!(first.starts_with("Our copy has 12 changes (seqno 101 to 112)"), "{first}");
    assert!(!page.contains(|c: char| c.is_control() && c != '\n'), "{page:?}");
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let page = page.lines().map(words).collect::<Vec<_>>().join("\n");
    for part in [
        "vBucket 7 of bucket default, wanted from alpha",
        "\nAT beta (our node) alpha\n",
        "\nhigh seqno 112 120\n",
        "\ndocuments ? ?\n",
        "\n2 - 100\n",
        "\n1 0 0 common\n",
        "the histories agree up to seqno 100; alpha would answer ROLLBACK to 100",
        "rows that are dropped: 20, of which only our copy has 12: k 1, ...",
        "\ntried again in 2.0 s\n",
        "stream-failed it [2Jfailed",
    ] {
        assert!(page.contains(part), "{part:?} is not in\n{page}");
    }
}

#[test]
fn a_narrow_terminal_gets_one_copy_below_the_other() {
    let facts = facts();
    let story = rules::judge(&facts);
    let page = text(&facts, &story, Some(50));
    let longest = page.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(longest <= 50, "{longest} columns:\n{page}");
    assert!(page.lines().any(|line| line.starts_with("AT ") && line.ends_with(" alpha")), "{page}");
    let wide = text(&facts, &story, Some(200));
    assert!(wide.contains("beta (our node)") && wide.lines().count() < page.lines().count());
}

#[test]
fn programs_get_every_part_by_its_key() {
    let facts = facts();
    let json = json(&facts, &rules::judge(&facts));
    assert_eq!((&json["kind"], &json["healthy"]), (&json!("parted"), &json!(false)));
    assert_eq!(json["nodes"][0]["copy"]["failover_log"][0], json!({ "uuid": 1, "seqno": 0 }));
    assert_eq!(json["nodes"][1]["side"], "producer");
    assert_eq!(json["history"]["rollback_to"], 100);
    let rows = ["dropped_rows", "lost_rows"].map(|key| &json["history"][key]);
    assert_eq!(rows, [&json!(20), &json!(12)]);
    assert_eq!(json["sidecar"]["vbucket"]["stream"]["retry_in_ms"], 2000);
    let unknown = &json["nodes"][0]["copy"]["documents"];
    assert!(unknown.is_null(), "unknown is null: {unknown}");
}

#[test]
fn what_passed_is_a_sample_and_no_sample_is_no_zero() {
    let of = |stream: serde_json::Value| {
        let view = serde_json::from_value(json!({ "stream": stream })).unwrap();
        let fields = sidecar_fields(&view).into_iter();
        fields.filter(|(name, _)| name.starts_with("passed")).collect::<Vec<_>>()
    };
    assert_eq!(of(json!({ "passed_frames": 0, "passed_bytes": 0 })), []);
    assert_eq!(
        of(json!({ "passed_frames": 2, "passed_bytes": 90, "passed_seqno": 7 })),
        [("passed, sampled", "2 frames, 90 bytes, up to seqno 7".to_owned())]
    );
}

/// Every key of every object, as a path.
fn keys(value: &serde_json::Value, path: &str, found: &mut std::collections::BTreeSet<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = format!("{path}/{key}");
        keys(value, &path, found);
        found.insert(path);
    }
}

#[test]
fn keys_are_the_same_whatever_the_sidecar_answers_and_unknown_is_null() {
    let of = |sidecar: Sidecar| {
        let facts = Facts { sidecar, wanted: Wanted::Unknown, ..facts() };
        json(&facts, &rules::judge(&facts))
    };
    let told = || Told { view: View::default(), body: json!(true) };
    let why = || "refused".to_owned();
    let mut all = std::collections::BTreeSet::new();
    let story = of(Sidecar::Says(Box::new(told())));
    keys(&story, "", &mut all);
    assert!(story["wanted"].is_null() && story["sidecar"]["why"].is_null(), "{story:#}");
    assert!(all.contains("/sidecar/why") && all.contains("/sidecar/vbucket"), "{all:?}");
    for other in [Sidecar::NotRunning(why()), Sidecar::Elsewhere(why()), Sidecar::Unknown(why())] {
        let story = of(other);
        let mut found = std::collections::BTreeSet::new();
        keys(&story, "", &mut found);
        assert_eq!(found, all);
        assert_eq!(
            (&story["sidecar"]["why"], &story["sidecar"]["vbucket"]),
            (&json!("refused"), &json!(null))
        );
    }
    // What could not be read is not empty.
    let mut facts = facts();
    if let Answer::Copy(copy) = &mut facts.ours.answer {
        copy.unread = vec![("dcp".to_owned(), why())];
        copy.log.clear();
    }
    let story = json(&facts, &rules::judge(&facts));
    let copy = &story["nodes"][0]["copy"];
    assert!(copy["streams"].is_null() && copy["failover_log"].is_null(), "{copy:#}");
}
