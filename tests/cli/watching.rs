//! `status --watch`: one block each time until Ctrl-C or until nobody reads it.

use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::answers::reads;
use crate::run::{program, rest};
use crate::server::{Reply, Server};

#[test]
fn a_block_each_time_until_ctrl_c() {
    let server = Server::start(reads);
    let mut client = server.start_run("status --watch=1");
    client.says("dcp-proxy 0.1.0, running for 1 min 1 s, ready\n");
    client.says("restart needed: admin: listen\n\ndcp-proxy 0.1.0");
    client.interrupt();
    let said = client.end();
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    assert!(!said.out.contains('\x1b'), "{said:?}");
}

#[test]
fn a_line_each_time_for_programs() {
    let server = Server::start(reads);
    let mut client = server.start_run("status --watch=1 --json");
    client.says("}\n{");
    client.interrupt();
    let said = client.end();
    assert_eq!(said.code, Some(0));
    for line in said.out.lines() {
        let status: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(status["phase"], "running");
    }
}

#[test]
fn a_sidecar_that_fails_may_come_back_and_a_wrong_token_does_not() {
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |request| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::error(503, "it is starting"),
        1 => reads(request),
        2 => reads(request),
        _ => Reply::error(401, "the admin token is missing or wrong"),
    });
    let said = server.run("status --watch=1");
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.out.starts_with("it is starting\n\ndcp-proxy 0.1.0"), "{said:?}");
    assert!(said.out.ends_with("the admin token is missing or wrong\n\n"), "{said:?}");
}

#[test]
fn a_reader_that_has_gone_ends_it_without_failure() {
    let server = Server::start(reads);
    let folder = tempfile::tempdir().unwrap();
    let line = format!("status --watch=1 --admin {}", server.address());
    let mut command = program(folder.path(), &line);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The reading end is closed, as by `head`.
    drop(child.stdout.take());
    let err = rest(child.stderr.take().unwrap());
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
    // Also where there is only one block.
    let line = format!("status --admin {}", server.address());
    let mut child = program(folder.path(), &line).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn on_a_terminal_it_is_drawn_again() {
    let server = Server::start(reads);
    let (code, text) = crate::terminal::interrupted(&server, "status --watch=1", "\x1b[2J", 2);
    assert_eq!(code, 0, "{text:?}");
    assert!(text.starts_with("\x1b[H\x1b[2Jdcp-proxy 0.1.0"), "{text:?}");
}

#[test]
fn a_wrong_interval_is_wrong_usage() {
    let server = Server::start(reads);
    for line in ["status --watch=0", "status --watch=x", "status --watch=100000"] {
        let said = server.run(line);
        assert_eq!(said.code, Some(2), "{line}: {said:?}");
        assert!(said.err.contains("is no number of seconds: give 1 to 86400"), "{said:?}");
    }
}
