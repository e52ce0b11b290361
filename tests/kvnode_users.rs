//! `kvnode user`, and a node whose file of users changes while it runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Process, until};
use mcbp::{FrameBuilder, Opcode, Status};
use relay::{Client, Deadlines, Endpoint, Fault, LinkError, Login, Secret};

/// Runs `kvnode user` in a folder. Returns the exit code, and what it printed and said.
fn user(folder: &Path, words: &str, input: &str) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvnode"));
    command.arg("user").args(words.split(' ')).args(["--users-file", "users"]);
    command.current_dir(folder).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that is refused ends without reading it.
    let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
    let ended = child.wait_with_output().unwrap();
    let text = [ended.stdout, ended.stderr].concat();
    (ended.status.code().unwrap(), String::from_utf8(text).unwrap())
}

async fn log_in(address: &str, user: &str, password: &str) -> Result<Client, LinkError> {
    let endpoint = Endpoint::new("node", address, user, Secret::new(password));
    let deadlines = Deadlines::default();
    let login = Login { bucket: Some("default"), agent: "test", features: &[], deadlines };
    Client::connect(&endpoint, login).await
}

#[test]
fn users_are_added_changed_listed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let run = |words: &str, input: &str| user(folder.path(), words, input);
    let ran = |code, text: &str| (code, text.to_owned());
    assert_eq!(run("add one", "secret\n"), ran(0, "user \"one\" added\n"));
    let file = folder.path().join("users");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let first = fs::read_to_string(&file).unwrap();
    assert!(!first.contains("secret") && first.contains("SCRAM-SHA512$15000:"), "{first}");
    let two = "add two --role read-only --bucket a --bucket b";
    assert_eq!(run(two, "other"), ran(0, "user \"two\" added\n"));
    let list = "one: admin of every bucket\ntwo: read-only of a, b\n";
    assert_eq!(run("list", ""), ran(0, list));
    let json: serde_json::Value = serde_json::from_str(&run("list --json", "").1).unwrap();
    assert_eq!(json["users"][1]["buckets"][1], "b");
    let before = fs::read_to_string(&file).unwrap();
    assert_eq!(run("passwd one", "changed\n").0, 0);
    let after = fs::read_to_string(&file).unwrap();
    let lines = before.lines().zip(after.lines()).filter(|(old, new)| old != new);
    assert_eq!(lines.count(), 3, "the verifiers of one user");
    assert_eq!(run("remove two", "").0, 0);
    assert_eq!(run("list", ""), ran(0, "one: admin of every bucket\n"));
    for (words, input, what) in [
        ("add one", "x", "user \"one\" exists: give it a password with passwd"),
        ("add three", "", "the password is empty"),
        ("add three --role reader", "x", "possible values: admin, read-write"),
        ("passwd two", "x", "there is no user \"two\" in users"),
        ("remove two", "", "there is no user \"two\" in users"),
        ("add three --password-file nowhere", "", "nowhere"),
    ] {
        let (code, said) = run(words, input);
        assert!(code == 2 && said.contains(what), "{words}: {code} {said}");
    }
    fs::write(&file, "salts = 1").unwrap();
    let (code, said) = run("list", "");
    assert!(code == 2 && said.contains("users: line 1: "), "{code} {said}");
}

#[tokio::test]
async fn a_running_node_follows_its_file_of_users() {
    let folder = tempfile::tempdir().unwrap();
    let run = |words: &str, input: &str| {
        let (code, said) = user(folder.path(), words, input);
        assert_eq!(code, 0, "{words}: {said}");
    };
    run("add admin", "1");
    run("add reader --role read-only", "2");
    let toml = "listen = \"127.0.0.1:0\"\ndata = \"data\"\nusers_file = \"users\"\n[[bucket]]\n\
                name = \"default\"\nvbuckets = 8\n";
    fs::write(folder.path().join("node.toml"), toml).unwrap();
    let file = |name: &str| folder.path().join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvnode"));
    command.arg("--config").arg(file("node.toml")).arg("--port-file").arg(file("port"));
    let mut node = Process::start("node", folder.path(), &mut command);
    node.logs(&["bucket is ready"]).await;
    let address = format!("127.0.0.1:{}", fs::read_to_string(file("port")).unwrap().trim());

    let mut admin = log_in(&address, "admin", "1").await.unwrap();
    let mut reader = log_in(&address, "reader", "2").await.unwrap();
    let enable = FrameBuilder::request(Opcode::ENABLE_TRAFFIC);
    assert_eq!(admin.call(enable).await.unwrap().status, Status::SUCCESS);
    assert_eq!(reader.call(enable).await.unwrap().status, Status::EACCESS);
    let refused = log_in(&address, "reader", "1").await.unwrap_err();
    assert!(matches!(refused.fault, Fault::Login { .. }), "{refused}");
    let words = ["authentication failed", "user=reader", "mechanism=SCRAM-SHA512"];
    let line = node.logs(&words).await;
    assert!(line.contains("reason=wrong-credentials"), "{line}");

    run("add late", "3");
    until("the new user", async || log_in(&address, "late", "3").await.ok()).await;
    run("passwd reader", "4");
    until("the new password", async || log_in(&address, "reader", "4").await.ok()).await;
    assert!(reader.call(enable).await.is_err(), "its connection was closed");
    assert_eq!(admin.call(enable).await.unwrap().status, Status::SUCCESS);

    // A file that is no good changes nothing.
    fs::write(file("users"), "salts = \"\"\n").unwrap();
    node.logs(&["configuration invalid, the old one stays", "64 hexadecimal digits"]).await;
    log_in(&address, "late", "3").await.unwrap();
    node.signal("TERM");
    assert_eq!(node.exit_code().await, 0);
}
