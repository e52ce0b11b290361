//! What closes streams is asked for, or refused where nobody can be asked.

use serde_json::{Value, json};

use crate::answers::{older_reads, opened, reads};
use crate::server::{Reply, Request, Server};
use crate::terminal::on_terminal;

const MAP: &str = "/api/v1/buckets/default/replications";

/// A sidecar that knows dry runs. A change that does not name the present revision is refused.
fn sidecar(dry_run: Value) -> Server {
    Server::start(move |request: &Request| {
        let is_change = request.line.starts_with("P");
        match &request.if_match {
            _ if request.line.ends_with("?dry_run=true") => Reply::ok(dry_run.clone()).at("\"7\""),
            Some(revision) if is_change && revision != "\"7\"" => {
                Reply::error(412, "the bucket is at revision 7")
            }
            _ if is_change => opened(1),
            _ => reads(request),
        }
    })
}

fn careless() -> Value {
    json!({
        "dry_run": true, "opens": {}, "closes": { "alpha": "0-6,8-1023" },
        "stays": { "alpha": "7" },
    })
}

fn request(line: String, if_match: Option<&str>, body: Value) -> Request {
    Request { line, if_match: if_match.map(str::to_owned), token: None, body }
}

#[test]
fn a_careless_replace_closes_nothing_unasked() {
    let server = sidecar(careless());
    let dry_run = request(format!("PUT {MAP}?dry_run=true"), None, json!({ "alpha": "7" }));
    let said = server.run("replicate --replace default alpha=7");
    insta::assert_snapshot!(said.shown("replicate --replace default alpha=7", &server));
    assert_eq!(server.commands(), [dry_run], "nothing but a question");
    let said = server.run("replicate --replace default alpha=7 --json");
    assert_eq!((said.code, said.err.as_str()), (Some(2), ""), "{said:?}");
    let json = said.json();
    assert!(json["error"].as_str().unwrap().starts_with("1023 streams of default would close"));
    assert_eq!(json["buckets"]["default"]["closes"], json!({ "alpha": "0-6,8-1023" }));

    let server = sidecar(careless());
    let said = server.run("replicate --replace default alpha=7 --yes");
    assert_eq!((said.code, said.out.as_str()), (Some(0), "default: 1 stream is open\n"));
    assert_eq!(server.commands(), [request(format!("PUT {MAP}"), None, json!({ "alpha": "7" }))]);
}

#[test]
fn on_a_terminal_a_person_decides_and_gets_what_was_shown() {
    let server = sidecar(careless());
    for no in ["n\n", "\n", "\u{4}", "nope\n"] {
        let (code, text) = on_terminal(&server, "replicate --replace default alpha=7", no);
        assert_eq!(code, 1, "{text}");
        assert!(text.ends_with("nothing was changed\n"), "{text}");
    }
    assert!(server.commands().iter().all(|command| command.line.ends_with("dry_run=true")));
    let (code, text) = on_terminal(&server, "replicate --replace default alpha=7", "y\n");
    assert_eq!(code, 0, "{text}");
    insta::assert_snapshot!(text);
    let change = request(format!("PUT {MAP}"), Some("\"7\""), json!({ "alpha": "7" }));
    assert_eq!(server.commands().last(), Some(&change));
}

#[test]
fn what_was_changed_meanwhile_is_not_changed() {
    let server = Server::start(|request| match &request.if_match {
        _ if request.line.ends_with("?dry_run=true") => Reply::ok(careless()).at("\"6\""),
        Some(_) => Reply::error(412, "revision 6 was changed in the meantime"),
        None => reads(request),
    });
    let (code, text) = on_terminal(&server, "replicate --replace default alpha=7", "y\n");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("default was changed by somebody else in the meantime"), "{text}");
    assert_eq!(server.commands().len(), 2);
}

#[test]
fn what_closes_nothing_is_done_unasked() {
    let server = sidecar(json!({ "dry_run": true, "opens": { "gamma": "5" }, "closes": {} }));
    for (line, method, path) in [
        ("replicate default gamma=5", "PATCH", MAP.to_owned()),
        ("replicate --add default gamma=5", "PATCH", MAP.to_owned()),
        ("replicate --remove default gamma=5", "POST", format!("{MAP}/remove")),
        ("replicate --replace default gamma=5", "PUT", MAP.to_owned()),
    ] {
        let said = server.run(line);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{line}: {said:?}");
        let change = request(format!("{method} {path}"), Some("\"7\""), json!({ "gamma": "5" }));
        assert_eq!(server.commands().last(), Some(&change), "{line}");
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let dry_run = json!({
        "dry_run": true, "opens": { "gamma": "5" }, "closes": { "alpha": "5" },
        "stays": { "alpha": "0-4" },
    });
    let server = sidecar(dry_run.clone());
    let line = "replicate default gamma=5 --dry-run";
    let said = server.run(line);
    insta::assert_snapshot!(said.shown(line, &server));
    assert_eq!(server.run(&format!("{line} --json")).json(), dry_run);
    assert!(server.commands().iter().all(|command| command.line.ends_with("dry_run=true")));
}

#[test]
fn drain_is_asked_for_too() {
    let server = sidecar(json!({ "dry_run": true, "closes": { "alpha": "0-1", "gamma": "2" } }));
    let said = server.run("drain --all");
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
    assert!(said.err.starts_with("3 streams of default would close: nothing was"), "{said:?}");
    let (code, text) = on_terminal(&server, "drain default", "yes\n");
    assert_eq!(code, 0, "{text}");
    let change = request(format!("PUT {MAP}"), Some("\"7\""), json!({}));
    assert_eq!(server.commands().last(), Some(&change));
}

#[test]
fn an_older_sidecar_is_not_asked_for_a_dry_run_which_it_would_take_for_the_change() {
    let server = Server::start(|request| match request.line.split(' ').next() {
        Some("GET") => older_reads(request),
        _ => Reply::ok(json!({ "open": 1 })),
    });
    let said = server.run("replicate --replace default alpha=20");
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.starts_with("4 streams of default would close: nothing was"), "{said:?}");
    assert_eq!(server.commands(), []);
    let said = server.run("replicate --replace default alpha=20 --dry-run");
    assert!(said.out.contains("default  closes  alpha           3  21-23"), "{said:?}");
    let said = server.run("replicate default alpha=20,50");
    assert_eq!((said.code, said.out.as_str()), (Some(0), "default: 1 stream is open\n"));
    let change = request(format!("PATCH {MAP}"), None, json!({ "alpha": "20,50" }));
    assert_eq!(server.commands(), [change]);
}
