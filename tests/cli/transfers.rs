//! Takeovers and moves: progress, the end, what is left, Ctrl-C; and the bounded drain.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::answers::{failures, reads, replications};
use crate::run::PATIENCE;
use crate::server::{Reply, Server};

/// A sidecar that answers a command once it is told to, and has these moves meanwhile.
fn slow(path: &'static str, moves: Value, answer: Reply) -> (Server, Sender<()>) {
    let (go, gone): (_, Receiver<()>) = channel();
    let gone = Arc::new(Mutex::new(gone));
    let server = Server::start(move |request| match request.line.as_str() {
        "GET /api/v1/replications" => {
            let mut all = replications();
            all["buckets"][0]["moves"] = moves.clone();
            Reply::ok(all)
        }
        line if line.ends_with(path) => {
            _ = gone.lock().unwrap().recv_timeout(PATIENCE);
            answer.clone()
        }
        _ => reads(request),
    });
    (server, go)
}

fn moves() -> Value {
    let moving = |vb: u16| {
        let (phase, estimate) = if vb == 4 { ("copying", Some(1200)) } else { ("queued", None) };
        json!({
            "vbucket": vb, "from": "alpha", "phase": phase, "estimate": estimate, "since_ms": 5,
        })
    };
    (4..9).map(moving).collect()
}

fn moved(vbs: impl Iterator<Item = u16>) -> Value {
    vbs.map(|vb| json!({ "bucket": "default", "vbucket": vb, "from": "alpha", "elapsed_ms": 40 }))
        .collect()
}

#[test]
fn a_move_shows_how_far_it_is_and_how_to_resume_it() {
    let mut body = failures([6, 7].into_iter(), "the producer does not have it");
    body["moved"] = moved((0..6).chain(8..9));
    let answer = Reply { status: 502, etag: None, body };
    let (server, go) = slow("/move", moves(), answer);
    let mut client = server.start_run("move default 0-8 --from alpha");
    client.warns("4 of 9 vBuckets done, vb:4 copying with 1200 changes to go\n");
    go.send(()).unwrap();
    let said = client.end();
    insta::assert_snapshot!(said.shown("move default 0-8 --from alpha", &server));

    let said = {
        go.send(()).unwrap();
        server.run("move default 0-8 --from alpha --json")
    };
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""), "{said:?}");
    let command = format!("dcp-proxy move default 6-7 --from alpha --admin {}", server.address());
    let left = json!({ "vbuckets": "6-7", "command": command });
    assert_eq!(said.json()["left"], left, "{said:?}");
    assert_eq!(said.json()["errors"][1]["vbucket"], 7);
}

#[test]
fn interrupted_the_client_says_that_the_sidecar_goes_on() {
    let (server, go) = slow("/takeover", moves(), Reply::ok(json!({ "moved": [] })));
    let mut client = server.start_run("takeover default 0-8 --from alpha");
    client.warns("4 of 9 vBuckets done");
    client.interrupt();
    let said = client.end();
    let err = said.err.rsplit_once("interrupted").unwrap().1;
    assert_eq!(said.code, Some(1), "{said:?}");
    insta::assert_snapshot!(format!("interrupted{err}").replace(&server.address(), "HOST:PORT"));
    go.send(()).unwrap();
}

#[test]
fn a_refusal_of_the_whole_has_nothing_to_resume_and_a_stop_has_all() {
    for (status, code, words) in [
        (400, 2, "unknown producer \"alpha\": give one of gamma\n".to_owned()),
        (
            503,
            1,
            "unknown producer \"alpha\": give one of gamma\n9 vBuckets are left; those that are \
             active here already count as done. To resume:\ndcp-proxy move default 0-8 --from \
             alpha --admin HOST:PORT\n"
                .to_owned(),
        ),
    ] {
        let error = Reply::error(status, "unknown producer \"alpha\": give one of gamma");
        let (server, go) = slow("/move", json!([]), error);
        go.send(()).unwrap();
        let said = server.run("move default 0-8 --from alpha");
        let err = said.err.replace(&server.address(), "HOST:PORT");
        assert_eq!((said.code, err), (Some(code), words));
    }
}

#[test]
fn a_drain_that_takes_too_long_says_what_is_open_and_that_the_sidecar_goes_on() {
    let (server, go) = slow("/replications", json!([]), Reply::ok(json!({ "open": 0 })));
    let line = "drain default --yes --timeout 1";
    let said = server.run(line);
    insta::assert_snapshot!(said.shown(line, &server));
    let mut client = server.start_run("drain default --yes --timeout 30");
    go.send(()).unwrap();
    go.send(()).unwrap();
    client.says("default: 0 streams are open\n");
    assert_eq!(client.end().code, Some(0));
}
