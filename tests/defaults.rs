//! What an operator meets first: a state that does not fit, a file that is not there, an old
//! folder, too few descriptors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::{Cluster, Config, DataNode, Sidecar, until};
use mcbp::VbId;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dcp-proxy");

#[tokio::test]
async fn a_state_that_does_not_fit_is_said_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let alpha = DataNode::start(folder.path(), "alpha", "active", 8).await;
    let beta = DataNode::start(folder.path(), "beta", "active", 8).await;
    let config = Config::new(&beta.endpoint(), &alpha.endpoint(), "0-7");
    let sidecar = Sidecar::start(folder.path(), &config);
    let words = "active at beta, so it is not asked for";
    until("streams says which state does not fit", async || {
        let mut streams = sidecar.ask(&["streams"]).await;
        assert_eq!(streams.exit_code().await, 0);
        streams.out().contains(words).then_some(())
    })
    .await;
    let mut status = sidecar.ask(&["status"]).await;
    assert_eq!(status.exit_code().await, 1, "not ready");
    let warning = "warning: beta: vBuckets that need to be replica to be replicated are active \
                   here: 0-7";
    assert!(status.out().contains(warning), "{}", status.out());
    let mut replicate = sidecar.ask(&["replicate", "default", "alpha=0"]).await;
    assert_eq!(replicate.exit_code().await, 1);
    assert!(replicate.log().contains(words), "{}", replicate.log());
}

#[tokio::test]
async fn replicate_adds_and_with_replace_it_replaces() {
    let cluster = Cluster::start().await;
    cluster.converge().await;
    for (line, open) in [
        ("alpha=7", "8 streams are"),
        ("--replace --yes alpha=7", "1 stream is"),
        ("alpha=0-3", "5 streams are"),
    ] {
        let words: Vec<_> = ["replicate", "default"].into_iter().chain(line.split(' ')).collect();
        let mut replicate = cluster.sidecar.ask(&words).await;
        assert_eq!(replicate.exit_code().await, 0, "{line}");
        assert_eq!(replicate.out(), format!("default: {open} open\n"), "{line}");
    }
}

fn run(folder: &Path, line: &str) -> Output {
    let mut command = Command::new("sh");
    command.current_dir(folder).args(["-c", line]).env("PROGRAM", PROGRAM);
    command.env("NODE", env!("CARGO_BIN_EXE_kvnode")).output().unwrap()
}

#[track_caller]
fn refused(folder: &Path, line: &str, code: i32, words: &str) {
    let output = run(folder, line);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{line}: {said}");
    assert!(said.contains(words), "{line}: {said}");
}

#[test]
fn a_named_file_that_is_missing_is_wrong_usage_of_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["", "check", "status", "streams", "drain --all", "log-level"] {
        let line = format!("$PROGRAM --config no/such.toml {command}");
        refused(folder.path(), &line, 2, "no/such.toml: could not be read: No such file");
    }
}

#[test]
fn too_few_descriptors_are_an_error_text() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("proxy.toml"), Config::demonstration(8, 10).as_str())
        .unwrap();
    let words = "the limit of open files is 20, and this configuration needs ";
    refused(folder.path(), "ulimit -n 20; exec $PROGRAM", 1, words);
    std::fs::write(folder.path().join("password"), "secret").unwrap();
    let line = "ulimit -n 20; exec $NODE --listen 127.0.0.1:0 --data alpha --bucket default:8 \
                --state active --username u --password-file password";
    let words = "the limit of open files is 20, and a node needs 64 at least";
    refused(folder.path(), line, 1, words);
}

#[tokio::test]
async fn another_state_for_old_data_is_refused_and_the_same_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = DataNode::start(folder.path(), "alpha", "replica", 8).await;
    node.stop().await;
    let line = "exec $NODE --listen 127.0.0.1:0 --data alpha --bucket default:8 --state active \
                --username u --password-file alpha.password";
    refused(folder.path(), line, 2, "began as replica: give --state replica");
    node.restart().await;
    assert_eq!(node.state(VbId(0)).await, mcbp::VbState::Replica);
}

#[test]
fn configurations_are_printed_and_variables_override_them() {
    let folder = tempfile::tempdir().unwrap();
    let printed = |line: &str| {
        let output = run(folder.path(), line);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{line}: {said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let default = printed("$PROGRAM config --default");
    assert!(default.contains("\n#stall_ms = 20000\n"), "{default}");
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    for name in ["alpha", "beta"] {
        std::fs::write(folder.path().join("secrets").join(name), name).unwrap();
    }
    std::fs::write(folder.path().join("proxy.toml"), default).unwrap();
    printed("$PROGRAM check");
    let set = "DCP_PROXY__LIMITS__STALL_MS=30000 DCP_PROXY__ADMIN__TOKEN=hunter2";
    let effective = printed(&format!("{set} $PROGRAM config --effective"));
    let origin = "stall_ms = 30000 # environment variable DCP_PROXY__LIMITS__STALL_MS\n";
    assert!(effective.contains(origin) && !effective.contains("hunter2"), "{effective}");
    let wrong = "error: environment variable DCP_PROXY__LIMITS__STAL_MS: unknown setting: did you \
                 mean DCP_PROXY__LIMITS__STALL_MS?";
    refused(folder.path(), "DCP_PROXY__LIMITS__STAL_MS=1 $PROGRAM", 2, wrong);
    refused(folder.path(), "$PROGRAM config --default > /dev/full", 1, "standard output");

    let default = printed("$NODE --print-config default");
    std::fs::write(folder.path().join("node.toml"), default).unwrap();
    std::fs::write(folder.path().join("password"), "secret").unwrap();
    let effective = "$NODE --config node.toml --print-config effective";
    let effective = printed(&format!("KVNODE__BUCKET__DEFAULT__VBUCKETS=8 {effective}"));
    let origin = "vbuckets = 8 # environment variable KVNODE__BUCKET__DEFAULT__VBUCKETS\n";
    assert!(effective.contains(origin), "{effective}");
    let wrong = "error: environment variable KVNODE__LIMITS__WORKER_THREADS: limits: \
                 worker_threads: 0 is out of range: give 1 to 64";
    refused(folder.path(), "KVNODE__LIMITS__WORKER_THREADS=0 $NODE --config node.toml", 2, wrong);
    std::fs::write(folder.path().join("node.toml"), "[limits]\nworker_thread = 1\n").unwrap();
    let caret = "2 | worker_thread = *\n  | ^^^^^^^^^^^^^";
    refused(folder.path(), "$NODE --config node.toml", 2, caret);
}
