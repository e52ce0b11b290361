//! Answers of a sidecar, for the tests.

use serde_json::{Value, json};

use super::answers::{Events, History, Overview};
use super::state::{Moment, State};

/// The states of 1,024 vBuckets that are open, but for these.
pub(super) fn states(others: &[(usize, char)]) -> String {
    let of = |vb| others.iter().find(|(other, _)| *other == vb).map_or('o', |(_, c)| *c);
    (0..1024).map(of).collect()
}

fn legend() -> Value {
    let of = |(char, word, severity): (&str, &str, &str)| {
        let meaning = format!("what {word} means");
        json!({ "char": char, "word": word, "meaning": meaning, "severity": severity })
    };
    Value::from_iter(
        [
            (".", "not wanted", "none"),
            ("o", "open", "ok"),
            ("u", "unresponsive", "error"),
            ("w", "waiting", "warning"),
            ("m", "moving", "notice"),
        ]
        .map(of),
    )
}

/// A sidecar that is well.
pub(super) fn healthy() -> Value {
    let link = |producer: &str, connection: u64, bytes: f64| {
        json!({
            "bucket": "default", "producer": producer, "connection": connection,
            "name": format!("replication:{producer}->beta:default"), "phase": "up",
            "wanted": 256, "open": 256, "failures": 0, "bytes_total": 1, "frames_total": 1,
            "bytes_per_s": bytes, "frames_per_s": bytes / 500.0, "lag_ms": 12, "lag_seqnos": 3,
            "lag_unknown": 0, "last_error": null, "later": "field",
        })
    };
    json!({
        "at": "2026-11-29T01:02:03.004Z", "version": "0.1.0", "uptime_ms": 3_723_000,
        "phase": "running", "ready": true, "not_ready": [], "problems": [],
        "headline": "everything is replicated",
        "node": { "name": "beta", "silent_ms": 3, "unresponsive": false, "error": null,
                  "warning": null },
        "producers": [
            { "name": "alpha", "silent_ms": 3, "unresponsive": false, "error": null,
              "warning": null },
        ],
        "buckets": [{
            "bucket": "default", "wanted": 1024, "open": 1024, "failed": 0, "moving": 1,
            "paused": 0, "drift": 0, "lag_ms_max": 12, "lag_seqnos_max": 3, "lag_unknown": 0,
            "bytes_per_s": 1_250_000.0, "frames_per_s": 2500, "vbuckets": 1024,
            "states": states(&[(20, 'm')]),
        }],
        "links": [link("alpha", 0, 1_000_000.0), link("alpha", 1, 250_000.0)],
        "moves": [{
            "bucket": "default", "vbucket": 20, "from": "alpha", "phase": "copying",
            "estimate": 250, "estimate_first": 1000, "since_ms": 4200,
        }],
        "embedded": [{
            "name": "alpha", "address": "127.0.0.1:40001", "durability": "synced",
            "documents": 100_000, "disk_bytes": 52_428_800, "memory_bytes": 10_485_760,
            "quota_bytes": 104_857_600, "connections": 4, "sets_total": 100_000,
            "gets_total": 7, "commits_total": 2000,
        }],
        "drift": [], "events_newest": "e-2", "legend": legend(),
    })
}

/// The same with a producer that does not answer, and text of peers that is not to be trusted.
pub(super) fn broken() -> Value {
    let mut body = healthy();
    body["ready"] = false.into();
    body["problems"] = json!([
        {
            "severity": "error", "id": "node-unresponsive", "bucket": "default", "node": "alpha",
            "vbuckets": "0-511", "count": 512,
            "what": "producer alpha does not answer; 512 vBuckets of default get no changes",
            "since": "2026-11-29T01:00:00.000Z",
            "remedy": "look whether the process of alpha runs and is not stopped",
        },
        {
            "severity": "warning", "id": "x",
            "what": "bad \u{1b}[31mname\u{202e} of \u{7bc0}\u{70b9}",
            "since": null, "remedy": "rename it",
        },
        { "severity": "notice", "id": "y", "what": "one vBucket is moved", "since": null },
    ]);
    body["headline"] = body["problems"][0]["what"].clone();
    body["producers"][0]["unresponsive"] = true.into();
    body["producers"][0]["silent_ms"] = 123_000.into();
    body["producers"][0]["error"] = "no answer to GET_ALL_VB_SEQNOS".into();
    body["links"][0]["phase"] = "waiting".into();
    body["links"][0]["open"] = 0.into();
    body["links"][0]["lag_ms"] = Value::Null;
    body["links"][0]["lag_unknown"] = 256.into();
    body["links"][0]["bytes_per_s"] = Value::Null;
    body["links"][0]["last_error"] = "alpha at 127.0.0.1:11210: \u{7}Connection refused".into();
    let bucket = &mut body["buckets"][0];
    bucket["open"] = 768.into();
    bucket["failed"] = 2.into();
    bucket["lag_unknown"] = 512.into();
    bucket["bytes_per_s"] = Value::Null;
    let mut others: Vec<_> = (0..256).map(|vb| (vb, 'u')).collect();
    others.extend([(700, 'w'), (701, 'w'), (702, 'Z'), (1023, '.')]);
    bucket["states"] = states(&others).into();
    body
}

/// The same of a sidecar that says next to nothing.
pub(super) fn unknown() -> Value {
    json!({
        "phase": "starting", "node": { "name": "beta" }, "producers": [{ "name": "alpha" }],
        "buckets": [{ "bucket": "default" }],
        "links": [{ "bucket": "default", "producer": "alpha", "phase": "connecting" }],
        "moves": [{ "bucket": "default", "vbucket": 1, "from": "alpha", "phase": "queued" }],
        "embedded": [{ "name": "beta", "address": "127.0.0.1:1", "durability": "synced" }],
    })
}

/// Events up to this number.
pub(super) fn events(from: u64, to: u64) -> Value {
    let event = |number: u64| {
        let (level, kind, text) = match number % 3 {
            0 => ("info", "stream-opened", "opened"),
            1 => ("warn", "stream-failed", "failed reason=\"x\u{1b}[2J\""),
            _ => ("error", "link-down", "the connection was refused"),
        };
        json!({
            "id": format!("e-{number}"), "seq": number, "level": level, "kind": kind,
            "time": format!("2026-11-29T01:02:{:02}.004Z", number % 60), "bucket": "default",
            "link": "replication:alpha->beta:default", "node": null, "vbuckets": "7",
            "more": number % 2, "text": text,
        })
    };
    json!({
        "gap": null, "events": (from..=to).map(event).collect::<Vec<_>>(),
        "next": format!("e-{to}"),
    })
}

pub(super) fn history() -> Value {
    let values: Vec<_> = (0..24).map(|at| if at == 3 { Value::Null } else { at.into() }).collect();
    json!({
        "interval_ms": 5000, "at": "2026-11-29T01:02:03.004Z",
        "links": [{
            "bucket": "default", "producer": "alpha", "connection": 0, "name": "x",
            "samples": { "bytes_per_s": values, "frames_per_s": [], "lag_ms": [1, 5, null, 0] },
        }],
    })
}

/// The details of a vBucket.
pub(super) fn detail(vbucket: u16) -> Value {
    json!({
        "bucket": "default", "vbucket": vbucket, "state": "waiting", "char": "w",
        "meaning": "waits after an error", "producer": "alpha", "link": "x", "connection": 0,
        "stream": {
            "vbucket": vbucket, "phase": "waiting", "failures": 3,
            "last_error": { "detail": "alpha: the stream ended: BackfillFail\u{1b}c (5)" },
            "seqno": 98, "producer_seqno": null, "lag_seqnos": null, "lag_ms": 5000,
            "not_open_ms": 4000, "progress_ms": null,
        },
        "paused": false, "move": null, "active_here": null,
        "events": events(1, 10)["events"],
    })
}

/// A state with an overview, events and the past, on a terminal of this size.
pub(super) fn state(overview: &Value, size: (u16, u16)) -> State {
    let mut state = bare(size);
    let mut overview: Overview = serde_json::from_value(overview.clone()).unwrap();
    state.legend = std::mem::take(&mut overview.legend);
    state.overview = Some(overview);
    state.history = Some(serde_json::from_value::<History>(history()).unwrap());
    state.take_events(serde_json::from_value::<Events>(events(1, 30)).unwrap());
    state
}

/// A state without any answer.
pub(super) fn bare(size: (u16, u16)) -> State {
    let now = Moment { up: std::time::Duration::from_secs(9), wall_ms: 1_796_000_000_000 };
    State { url: "http://127.0.0.1:4870".to_owned(), size, now, ..State::default() }
}
