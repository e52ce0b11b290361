//! The answers of a sidecar of node `beta`, in the form of `docs/admin-api.md`.

use serde_json::{Value, json};

use crate::server::{Reply, Request};

/// `GET /api/v1/status`.
pub(crate) fn status() -> Value {
    let node = |name| {
        json!({
            "name": name, "silent_ms": 3, "unresponsive": false, "error": null, "warning": null,
        })
    };
    json!({
        "version": "0.1.0", "uptime_ms": 61_000, "phase": "running", "ready": true,
        "not_ready": [], "node": node("beta"), "producers": [node("alpha"), node("gamma")],
        "buckets": [{
            "bucket": "default", "connections": 2, "links": 4, "links_up": 4, "wanted": 1012,
            "open": 1012, "unresponsive": 0, "failed": 0, "incomplete": 0, "moving": 0,
            "lag_seqnos_max": 0, "lag_unknown": 0, "lag_ms_max": 0, "lag_age_ms_max": 412,
            "revision": 7, "drift": 24, "paused": 10,
        }],
        "embedded": [],
        "config": {
            "file": "proxy.toml", "loaded_at": "2026-11-29T01:00:00.000Z",
            "last_reload": {
                "at": "2026-11-29T01:30:00.000Z", "ok": true, "error": null,
                "restart_needed": ["admin: listen"],
            },
        },
    })
}

/// `GET /api/v1/desired`.
pub(crate) fn desired() -> Value {
    let mark = |mut drift: Value| {
        drift["by"] = json!("127.0.0.1:5000");
        drift["at"] = json!("2026-11-29T01:02:03.004Z");
        drift
    };
    json!({
        "source": { "kind": "file", "file": "proxy.toml" },
        "buckets": [{
            "bucket": "default", "revision": 7,
            "source": { "connections": 1, "replicate": { "alpha": "0-1023" } },
            "in_force": {
                "connections": 2, "replicate": { "alpha": "20-1021", "gamma": "10-19" },
            },
            "drift": [
                mark(json!({
                    "what": "replicate", "vbuckets": "10-19", "from": "gamma", "source": "alpha",
                })),
                mark(json!({ "what": "connections", "connections": 2, "source": 1 })),
                mark(json!({ "what": "pause", "vbuckets": "0-9" })),
                mark(json!({ "what": "takeover", "vbuckets": "1022-1023", "from": "alpha" })),
            ],
            "dropped": [mark(json!({
                "why": "the entry of the source has changed", "vbuckets": "5", "from": "gamma",
            }))],
        }],
    })
}

/// The same without changes at run time.
pub(crate) fn without_drift() -> Value {
    let mut desired = desired();
    let bucket = &mut desired["buckets"][0];
    bucket["in_force"] = bucket["source"].clone();
    (bucket["drift"], bucket["dropped"]) = (json!([]), json!([]));
    desired
}

/// `GET /api/v1/replications`.
pub(crate) fn replications() -> Value {
    let stream = |vb: u16, phase: &str, lag: Option<u64>, error: Option<&str>| {
        json!({
            "vbucket": vb, "phase": phase, "rollbacks_before": null, "complete_to": null,
            "opaque": 16_777_216 + u32::from(vb), "failures": 0, "seqno": 98,
            "producer_seqno": lag.map(|lag| 98 + lag), "lag_seqnos": lag, "lag_ms": 0,
            "lag_age_ms": 412, "not_open_ms": error.map(|_| 61_000), "progress_ms": 12,
            "last_error": error.map(|detail| json!({
                "reason": "refused", "status": "NotMyVbucket (0x07)", "detail": detail,
                "retry": "after-new-topology",
            })),
        })
    };
    let link = |producer: &str, streams: Vec<Value>| {
        json!({
            "producer": producer, "connection": 0, "phase": "up", "last_error": null,
            "wanted": streams.len(), "streams": streams,
        })
    };
    json!({ "buckets": [{
        "bucket": "default",
        "desired": { "alpha": "20-23", "gamma": "10" },
        "connections": 2,
        "links": [
            link("alpha", vec![
                stream(20, "open", Some(0), None), stream(21, "open", Some(40), None),
                stream(22, "waiting", None, Some("vb:22: the producer does not have it")),
                stream(23, "waiting", None, Some("vb:23: the producer does not have it")),
            ]),
            link("gamma", vec![stream(10, "open", Some(0), None)]),
        ],
        "moves": [{
            "vbucket": 30, "from": "alpha", "phase": "copying", "estimate": 1200, "since_ms": 5000,
        }],
    }] })
}

/// What this sidecar answers to reads; anything else is no path of it.
pub(crate) fn reads(request: &Request) -> Reply {
    match request.line.as_str() {
        "GET /api/v1/status" => Reply::ok(status()),
        "GET /api/v1/desired" => Reply::ok(desired()),
        "GET /api/v1/replications" => Reply::ok(replications()),
        "GET /log-level" => Reply::ok(json!({ "level": "info" })),
        _ => Reply::no_such_path(request),
    }
}

/// Those of an older sidecar: without desired maps and their fields.
pub(crate) fn older_reads(request: &Request) -> Reply {
    let mut status = status();
    status.as_object_mut().unwrap().remove("config");
    for key in ["revision", "drift", "paused"] {
        status["buckets"][0].as_object_mut().unwrap().remove(key);
    }
    match request.line.as_str() {
        "GET /api/v1/status" => Reply::ok(status),
        "GET /api/v1/desired" => Reply::no_such_path(request),
        _ => reads(request),
    }
}

/// The answer to a change.
pub(crate) fn opened(open: u64) -> Reply {
    Reply::ok(json!({ "open": open, "revision": 8 })).at("\"8\"")
}

/// The body of a 502.
pub(crate) fn failures(vbs: impl Iterator<Item = u16>, detail: &str) -> Value {
    let errors: Vec<_> = vbs
        .map(|vb| {
            json!({
                "bucket": "default", "producer": "alpha", "vbucket": vb, "side": "producer",
                "reason": "refused", "status": "NotMyVbucket (0x07)",
                "detail": format!("vb:{vb}: {detail}"), "retry": "after-new-topology",
            })
        })
        .collect();
    json!({ "error": format!("{} vBuckets failed", errors.len()), "errors": errors })
}
