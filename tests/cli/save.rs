//! `config save`: the file, what it refuses, and what it says.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use serde_json::{Value, json};

use crate::answers::{desired, reads, without_drift};
use crate::run::{Said, run_in};
use crate::server::{Reply, Server};

const FILE: &str = r#"# Of the house.
[node]
name = 'beta' # the node

[[bucket]]
replicate = { alpha = "0-1023" } # all of it
name = "default"

[admin] # the end
"#;

/// A sidecar with changes at run time, and what it answers to a reload.
fn sidecar(reload: fn() -> Reply) -> Server {
    let saved = std::sync::atomic::AtomicBool::new(false);
    Server::start(move |request| match request.line.as_str() {
        "POST /reload" => {
            saved.store(true, std::sync::atomic::Ordering::SeqCst);
            reload()
        }
        "GET /api/v1/desired" if saved.load(std::sync::atomic::Ordering::SeqCst) => {
            Reply::ok(without_drift())
        }
        _ => reads(request),
    })
}

fn reloaded() -> Reply {
    let changed = ["bucket default: connections", "bucket default: replicate"];
    Reply::ok(json!({
        "reloaded": true, "changed": changed, "restart_needed": [], "warnings": [],
    }))
}

fn save(folder: &Path, server: &Server, line: &str) -> Said {
    run_in(folder, &format!("config save {line} --admin {}", server.address()))
}

fn text(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("proxy.toml")).unwrap()
}

#[test]
fn the_file_gets_the_changes_and_nothing_else_changes() {
    let (server, folder) = (sidecar(reloaded), tempfile::tempdir().unwrap());
    let folder = folder.path();
    std::fs::write(folder.join("real.toml"), FILE).unwrap();
    let mode = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(folder.join("real.toml"), mode).unwrap();
    symlink("real.toml", folder.join("proxy.toml")).unwrap();
    let said = save(folder, &server, "");
    insta::assert_snapshot!(said.shown("config save", &server));
    let want = FILE
        .replace("\"0-1023\" }", "\"0-9,20-1021\", gamma = \"10-19\" }")
        .replace("name = \"default\"\n", "name = \"default\"\nconnections = 2\n");
    assert_eq!(text(folder), want);
    assert!(std::fs::symlink_metadata(folder.join("proxy.toml")).unwrap().is_symlink());
    let mode = std::fs::metadata(folder.join("real.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 2, "nothing is left behind");

    let said = save(folder, &server, "");
    assert_eq!((said.code, said.out.as_str()), (Some(0), "nothing to save\n"), "{said:?}");
}

#[test]
fn a_file_that_says_something_else_is_not_overwritten_unasked() {
    let (server, folder) = (sidecar(reloaded), tempfile::tempdir().unwrap());
    let folder = folder.path();
    let file = FILE.replace("0-1023", "0-1022");
    std::fs::write(folder.join("proxy.toml"), &file).unwrap();
    let said = save(folder, &server, "");
    assert_eq!(said.code, Some(2), "{said:?}");
    insta::assert_snapshot!(said.shown("config save", &server));
    assert_eq!((text(folder), server.commands().len()), (file, 0));
    let said = save(folder, &server, "--yes --json");
    assert_eq!(said.code, Some(0), "{said:?}");
    let json = said.json();
    assert_eq!(json["saved"], json!(["default"]));
    assert!(json["diff"].as_str().unwrap().contains("\n+connections = 2\n"), "{json}");
    assert!(text(folder).contains("gamma = \"10-19\""));
}

#[test]
fn what_cannot_be_saved_says_why_and_leaves_the_file() {
    let (server, folder) = (sidecar(reloaded), tempfile::tempdir().unwrap());
    let folder = folder.path();
    let said = save(folder, &server, "");
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.starts_with("could not read proxy.toml: No such file"), "{said:?}");
    assert!(said.err.contains("--config"), "{said:?}");
    for (old, new, words) in [
        ("'beta'", "'gamma'", "[node] name \"gamma\", and the sidecar serves \"beta\""),
        ("0-1023\" }", "0-1023\"", "proxy.toml: TOML parse error at line 7"),
        ("0-1023", "0-2000", "bucket \"default\": replicate.alpha: vbucket 2000 is out of range"),
        ("name = \"default\"", "name = \"b\"", "something else of bucket \"b\", \"default\""),
    ] {
        let file = FILE.replace(old, new);
        std::fs::write(folder.join("proxy.toml"), &file).unwrap();
        let said = save(folder, &server, "");
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains(words), "{words}: {said:?}");
        assert_eq!(text(folder), file);
    }
    assert_eq!(server.commands(), []);
}

#[test]
fn a_file_that_the_sidecar_refuses_is_saved_and_said() {
    let refused = || Reply {
        status: 422,
        etag: None,
        body: json!({ "error": "1 problem", "problems": ["proxy.toml:9: admin: listen"] }),
    };
    let (server, folder) = (sidecar(refused), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("proxy.toml"), FILE).unwrap();
    let said = save(folder.path(), &server, "");
    assert_eq!(said.code, Some(1), "{said:?}");
    for words in ["saved to proxy.toml", "not reloaded, the old configuration stays: 1 problem"] {
        assert!(said.err.contains(words), "{said:?}");
    }
}

#[test]
fn maps_of_etcd_are_not_saved_to_the_file() {
    let server = Server::start(|request| match request.line.as_str() {
        "GET /api/v1/desired" => {
            let mut maps: Value = desired();
            maps["source"] = json!({ "kind": "etcd", "connected": true, "since_ms": 5 });
            Reply::ok(maps)
        }
        _ => reads(request),
    });
    let said = server.run("config save --yes");
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.starts_with("the desired maps come from etcd, not from"));
}
