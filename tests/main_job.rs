//! The main job as a person runs it: one process, two data nodes inside, everything over sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::fs;
use std::net::TcpListener;

use mcbp::kv::StoreExtras;
use mcbp::{FrameBuilder, Opcode, VbId, VbState};
use relay::{Client, Deadlines, Endpoint, Login, Secret};
use support::Process;
use tempfile::TempDir;

/// Small enough for a debug build, with every kind of document.
const CONFIG: &str = r#"
[node]
name = "beta"
[[producer]]
name = "alpha"
[[bucket]]
name = "default"
connections = 2
replicate = { alpha = "0-63" }
[limits]
stall_ms = 2000
[embedded]
password = "for tests"
[[embedded.node]]
name = "alpha"
state = "active"
vbuckets = 64
documents = 500
[[embedded.node]]
name = "beta"
state = "replica"
vbuckets = 64
"#;

fn folder(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("proxy.toml"), config).unwrap();
    folder
}

#[test]
fn once_copies_compares_and_exits_and_the_next_start_goes_on_from_there() {
    let folder = folder(CONFIG);
    let first = Process::sidecar(folder.path(), &["--once"]).ended();
    first.expect(0, &["Wrote 500 sample documents", "64 of 64 streams are open", "identical, 501"]);
    let second = Process::sidecar(folder.path(), &["--once"]).ended();
    let none_again = "alpha has 500 sample documents of an earlier run; none is written again.";
    second.expect(0, &[none_again, "Copied 0 changes to beta", "identical, 501"]);
}

#[tokio::test]
async fn a_difference_is_printed_and_ends_with_1() {
    let folder = folder(CONFIG);
    let mut sidecar = Process::sidecar(folder.path(), &[]);
    let beta = sidecar.wait_for("  beta: 127.0.0.1:");
    let address = beta.trim_start_matches("  beta: ").split(',').next().unwrap().to_owned();
    let endpoint = Endpoint::new("beta", address, "@proxy", Secret::new("for tests"));
    let login = Login {
        bucket: Some("default"),
        agent: "test",
        features: &[],
        deadlines: Deadlines::default(),
    };
    let mut client = Client::connect(&endpoint, login).await.unwrap();
    client.set_vbucket(VbId(5), VbState::Active).await.unwrap();
    let extras = StoreExtras::default().encode();
    let set = FrameBuilder::request(Opcode::SET).vbucket(VbId(5)).extras(&extras);
    client.ask(set.key(b"intruder").value(b"only here")).await.unwrap();
    sidecar.terminate();
    sidecar.ended().expect(0, &["Replication goes on", "Stopping;"]);

    let once = Process::sidecar(folder.path(), &["--once"]).ended();
    let intruder = "key \"intruder\" is on beta and not on alpha";
    once.expect(
        1,
        &["Nothing moved for 2s", "NotMyVbucket", "differences, the first are", intruder],
    );
}

#[test]
fn wrong_configuration_ends_with_2_and_names_every_line() {
    let config = CONFIG.replace("vbuckets = 64\ndocuments", "vbuckets = 6400\ndocuments");
    let config = config.replace("connections = 2", "connections = 100");
    let folder = folder(config.trim_start());
    for arguments in [&["--once"][..], &["check"]] {
        Process::sidecar(folder.path(), arguments).ended().expect(
            2,
            &[
                "proxy.toml:7: bucket \"default\": connections: 100 connections",
                "proxy.toml:16: embedded node \"alpha\": vbuckets: 6400 is out of range: give 1 to",
            ],
        );
    }
    fs::write(folder.path().join("proxy.toml"), CONFIG.replace("stall_ms", "stal_ms")).unwrap();
    Process::sidecar(folder.path(), &[])
        .ended()
        .expect(2, &["proxy.toml:11: unknown field `stal_ms`"]);
    let missing = Process::sidecar(folder.path(), &["--config", "other.toml"]).ended();
    missing.expect(2, &["other.toml: could not be read"]);
    Process::sidecar(folder.path(), &["--twice"]).ended().expect(2, &["--twice"]);
}

#[test]
fn check_prints_what_the_configuration_comes_to_without_its_secrets() {
    let folder = folder(CONFIG);
    let check = Process::sidecar(folder.path(), &["check"]).ended();
    check.expect(0, &["proxy.toml is good:", "from alpha: 0-63", "500 sample documents"]);
    assert!(!check.output.contains("for tests"), "{}", check.output);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("state = \"active\"\nlisten = \"{}\"", taken.local_addr().unwrap());
    let folder = folder(&CONFIG.replace("state = \"active\"", &listen));
    let said = format!("embedded node \"alpha\": listening on {}", taken.local_addr().unwrap());
    Process::sidecar(folder.path(), &["--once"]).ended().expect(1, &[&said]);
}
