//! The text of every subcommand's output.

use serde_json::json;

use crate::answers::{
    desired, failures, older_reads, opened, reads, replications, status, without_drift,
};
use crate::server::{Reply, Request, Server};

/// A sidecar whose commands succeed.
fn sidecar(request: &Request) -> Reply {
    let moved =
        |vb| json!({ "bucket": "default", "vbucket": vb, "from": "alpha", "elapsed_ms": 9 });
    let path = request.line.split_once(' ').unwrap().1;
    match path {
        _ if request.line.starts_with("GET ") => reads(request),
        _ if path.ends_with("?dry_run=true") => Reply::ok(json!({
            "dry_run": true, "opens": {}, "closes": {}, "stays": { "alpha": "0-1023" },
        }))
        .at("\"7\""),
        "/log-level" => Reply::ok(json!({ "level": request.body["level"] })),
        "/reload" => Reply::ok(json!({
            "reloaded": true, "changed": ["bucket default: replicate", "producer alpha: password"],
            "restart_needed": ["admin: listen"], "warnings": ["proxy.toml:7: nobody uses gamma"],
        })),
        "/api/v1/desired/discard" => Reply::ok(without_drift()),
        _ if path.ends_with("/vbuckets/7/takeover") => Reply::ok(moved(7)),
        _ if path.ends_with("/move") => Reply::ok(json!({ "moved": [moved(7), moved(8)] })),
        _ if path.ends_with("/restart") => opened(1012),
        _ => opened(1002),
    }
}

/// Compares the output of each line with a snapshot of this name.
#[track_caller]
fn compare(name: &str, server: &Server, lines: &[&str]) {
    let shown: Vec<_> = lines.iter().map(|line| server.run(line).shown(line, server)).collect();
    insta::assert_snapshot!(name, shown.join("\n\n"));
}

#[test]
fn commands_that_succeed() {
    let server = Server::start(sidecar);
    compare(
        "changes",
        &server,
        &[
            "replicate default alpha=0-1023",
            "replicate default alpha=0-1023 --dry-run",
            "connections default 2",
            "pause default",
            "pause default 0-9 --producer alpha",
            "resume default 5",
            "restart default --producer alpha",
            "restart default --producer alpha --connection 1",
            "restart default 0-9 --json",
            "drain default --yes",
            "drain --all --yes --json",
            "takeover default 7 --from alpha",
            "move default 7-8 --from alpha",
            "log-level",
            "log-level debug",
            "reload",
            "config discard --yes",
            "config discard --yes --json",
        ],
    );
    let bodies: Vec<_> = server
        .commands()
        .into_iter()
        .map(|Request { line, if_match, body, .. }| {
            format!("{line} {} {body}", if_match.as_deref().unwrap_or("-"))
        })
        .collect();
    insta::assert_snapshot!("requests", bodies.join("\n"));
}

#[test]
fn what_is_shown() {
    let server = Server::start(sidecar);
    compare(
        "shown",
        &server,
        &[
            "status",
            "streams",
            "streams default --failed",
            "streams --lagging",
            "streams --lagging=40 --vb 20-21",
            "streams --producer gamma --vb 0-1023",
            "streams --producer delta",
            "streams --paused",
            "streams --paused --vb 5-20 --json",
            "config diff",
        ],
    );
    let said = server.run("streams --failed --json").json();
    assert_eq!(said["buckets"][0]["links"][0]["streams"][1]["vbucket"], 23);
    assert_eq!(said["buckets"][0]["links"][0]["wanted"], 4, "all fields stay");
}

#[test]
fn a_sidecar_without_changes_that_has_not_reloaded_and_one_that_has_failed_to() {
    let server = Server::start(|request| match request.line.as_str() {
        "GET /api/v1/desired" => {
            let mut desired = without_drift();
            desired["source"] = json!({
                "kind": "etcd", "endpoints": ["127.0.0.1:2379"], "connected": false,
                "since_ms": 61_000, "error": "127.0.0.1:2379: connection refused",
            });
            Reply::ok(desired)
        }
        "GET /api/v1/status" => {
            let mut status = status();
            status["config"]["last_reload"] = json!({
                "at": "2026-11-29T01:30:00.000Z", "ok": false, "restart_needed": [],
                "error": "proxy.toml:3: node: unknown key \"nam\"",
            });
            status["buckets"][0]["drift"] = json!(0);
            Reply::ok(status)
        }
        "POST /reload" => Reply {
            status: 422,
            etag: None,
            body: json!({
                "error": "2 problems in proxy.toml",
                "problems": ["proxy.toml:3:1: a\n   |\n 3 | nam = 1\n", "proxy.toml:9: b"],
            }),
        },
        _ => reads(request),
    });
    compare(
        "nothing",
        &server,
        &["status", "config diff", "config save", "config discard", "streams --paused", "reload"],
    );
    assert_eq!(server.run("reload --json").json()["problems"][1], "proxy.toml:9: b");
}

#[test]
fn an_older_sidecar_shows_what_it_has_and_says_what_it_has_not() {
    let server = Server::start(older_reads);
    compare(
        "older",
        &server,
        &[
            "status",
            "streams --failed",
            "streams --paused",
            "config diff",
            "config save",
            "pause default",
            "reload",
        ],
    );
}

#[test]
fn what_failed_is_grouped() {
    let server = Server::start(|request| {
        let mut body = failures(0..1000, "the producer does not have it");
        let other = failures(1000..1001, "the consumer refused it")["errors"][0].clone();
        body["errors"].as_array_mut().unwrap().push(other);
        match request.line.as_str() {
            "GET /api/v1/desired" => Reply::ok(desired()),
            "GET /api/v1/replications" => Reply::ok(replications()),
            line if line.ends_with("?dry_run=true") => Reply::ok(json!({ "dry_run": true })),
            _ => Reply { status: 502, etag: None, body },
        }
    });
    compare(
        "failures",
        &server,
        &["replicate default alpha=0-1000", "resume default", "drain default"],
    );
}
