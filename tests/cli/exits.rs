//! Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.

use std::fs::OpenOptions;

use serde_json::json;

use crate::answers::{reads, status};
use crate::run::{program, run_in};
use crate::server::{Reply, Server};

/// The end of the address of a server in a line.
const ADMIN: &str = "--admin";

#[test]
fn each_exit_code_has_its_meaning() {
    let server = Server::start(|request| match request.line.as_str() {
        "PUT /api/v1/buckets/default/connections" => {
            let (status, text) = match request.body["connections"].as_u64().unwrap() {
                1 => (200, ""),
                2 => (400, "wrong"),
                3 => (401, "the token is wrong"),
                4 => (403, "another site"),
                5 => (404, "unknown bucket"),
                6 => (409, "busy"),
                7 => (412, "revision"),
                8 => (500, "a defect"),
                9 => (502, "failed"),
                10 => (503, "stopping"),
                _ => (405, "method"),
            };
            match status {
                200 => Reply::ok(json!({ "open": 1, "revision": 8, "field of tomorrow": [] })),
                _ => Reply::error(status, text),
            }
        }
        "GET /log-level" => Reply::ok(json!("no object")),
        _ => reads(request),
    });
    for (count, code) in
        [(1, 0), (2, 2), (3, 2), (4, 2), (5, 2), (6, 1), (7, 1), (8, 1), (9, 1), (10, 1), (11, 1)]
    {
        let said = server.run(&format!("connections default {count}"));
        assert_eq!(said.code, Some(code), "{count}: {said:?}");
    }
    let said = server.run("log-level");
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.starts_with("unexpected response from http://"), "{said:?}");
    for (line, code) in [("--help", 0), ("--version", 0), ("help status", 0), ("statsu", 2)] {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(run_in(folder.path(), line).code, Some(code), "{line}");
    }
}

#[test]
fn not_ready_is_a_failure() {
    let server = Server::start(|request| match request.line.as_str() {
        "GET /api/v1/status" => {
            let mut status = status();
            status["ready"] = json!(false);
            status["not_ready"] = json!(["12 vBuckets: alpha: refused, since 12:03:05"]);
            Reply::ok(status)
        }
        _ => reads(request),
    });
    let said = server.run("status");
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.out
            .lines()
            .next()
            .unwrap()
            .ends_with("NOT READY: 12 vBuckets: alpha: refused, since 12:03:05")
    );
}

#[test]
fn wrong_usage_says_what_to_give() {
    let server = Server::start(reads);
    for (line, words) in [
        ("replicate default alpha=1 --add --replace", "cannot be used with"),
        ("replicate default alpha=1 --remove --replace", "cannot be used with"),
        ("replicate default alpha=1 --yes --dry-run", "cannot be used with"),
        ("restart default", "<SET|--producer <PRODUCER>>"),
        ("restart default 1 --producer alpha", "cannot be used with"),
        ("restart default 1 --connection 0", "cannot be used with"),
        ("streams --paused --failed", "cannot be used with"),
        ("streams --lagging=x", "invalid value 'x'"),
        ("streams --vb 1-", "\"1-\" is not a vbucket or a range"),
        ("streams other", "the sidecar has no bucket \"other\""),
        ("streams other --paused", "the sidecar has no bucket \"other\""),
        ("config diff other", "the sidecar has no bucket \"other\""),
        ("config discard other --yes", "the sidecar has no bucket \"other\""),
        ("drain default --timeout 0", "\"0\" is no number of seconds: give 1 to 86400"),
    ] {
        let said = server.run(line);
        assert_eq!(said.code, Some(2), "{line}: {said:?}");
        assert!(said.err.contains(words), "{line}: {}", said.err);
    }
}

#[test]
fn an_address_needs_no_scheme() {
    let server = Server::start(reads);
    let folder = tempfile::tempdir().unwrap();
    for (admin, code) in [
        (server.address(), 0),
        (format!("http://{}", server.address()), 0),
        (server.address().replace("127.0.0.1", "localhost"), 0),
        ("127.0.0.1".to_owned(), 2),
        (format!("https://{}", server.address()), 2),
    ] {
        let said = run_in(folder.path(), &format!("log-level {ADMIN} {admin}"));
        assert_eq!(said.code, Some(code), "{admin}: {said:?}");
    }
    // Nothing listens at a port of nobody.
    let said = run_in(folder.path(), "log-level --admin [::1]:1");
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.starts_with("the sidecar at http://[::1]:1 does not answer"), "{said:?}");
}

#[test]
fn a_full_disk_is_a_failure() {
    let server = Server::start(reads);
    let folder = tempfile::tempdir().unwrap();
    for line in ["status", "status --json", "status --watch=1", "streams", "log-level", "--help"] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let admin =
            if line == "--help" { String::new() } else { format!("{ADMIN} {}", server.address()) };
        let mut command = program(folder.path(), &format!("{line} {admin}"));
        let output = command.stdout(full).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {err}");
        let words = "could not write to standard output: No space left on device";
        assert!(err.starts_with(words), "{line}: {err}");
    }
}
