//! Recordings of links between real nodes against a data node of this project.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use mcbp::{VbId, VbState};

use super::common::{DataNode, Process};
use super::{WAIT_S, ended, is_known, wire};

/// Starts the replay of a recording to `node`.
fn start(folder: &Path, name: &str, node: &DataNode, arguments: &[&str]) -> Process {
    let endpoint = node.endpoint();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
    command.current_dir(folder).arg("replay").arg(wire(name));
    command.args(["--against", "node", "--node", &endpoint.address, "--wait", WAIT_S]);
    command.env("DCP_PROXY_USERNAME", &endpoint.username);
    command.env("DCP_PROXY_PASSWORD", endpoint.password.expose());
    Process::start(name, folder, command.args(arguments))
}

async fn results(folder: &Path, node: &DataNode, names: &[&str], arguments: &[&str]) -> String {
    let started: Vec<_> =
        names.iter().map(|name| (name, start(folder, name, node, arguments))).collect();
    let mut found = String::new();
    for (name, replay) in started {
        let (code, out) = ended(replay).await;
        _ = writeln!(found, "== {name}: exit code {code}\n{}", out.trim_end());
    }
    found
}

fn known(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay").join(file)
}

/// Its own differences are known: it has no durable writes, and no history to go on with.
#[tokio::test]
async fn a_data_node_as_consumer() {
    let folder = tempfile::tempdir().unwrap();
    let beta = DataNode::start(folder.path(), "beta", "replica", 64).await;
    let names = [
        "02-producer-has-no-vbucket",
        "03-rollback-to-zero",
        "06-disk-backfill-after-restart",
        "07-durable-writes",
        "08-stream-end-before-add-stream-answer",
    ];
    let arguments = ["--as", "consumer", "--yes"];
    let found = results(folder.path(), &beta, &names, &arguments).await;
    // Of 08: the node answers with what it has read by then. With the STREAM_END in a packet of its
    // own, that is the answer to STREAM_REQ alone.
    let [late, usual] = ["Success (0x00)", "NotMyVbucket (0x07)"]
        .map(|status| format!("sent DCP_ADD_STREAM_RESPONSE {status} of vb:1"));
    is_known(&known("consumer.txt"), &found.replace(&late, &usual));
}

#[tokio::test]
async fn a_data_node_as_producer() {
    let folder = tempfile::tempdir().unwrap();
    let alpha = DataNode::start(folder.path(), "alpha", "active", 64).await;
    let names = [
        "01-setup-four-vbuckets",
        "02-producer-has-no-vbucket",
        "03-rollback-to-zero",
        "04-rollback-partial",
        "06-disk-backfill-after-restart",
        "08-stream-end-before-add-stream-answer",
    ];
    let arguments = ["--as", "producer", "--compare", "control"];
    let found = results(folder.path(), &alpha, &names, &arguments).await;
    is_known(&known("producer.txt"), &found);
}

/// A file that somebody attached to a report takes no vBucket from the node, acknowledges nothing
/// in the name of a replica, and needs a word of the caller for more.
#[tokio::test]
async fn a_recorded_takeover_is_not_sent_to_a_producer_without_yes() {
    let folder = tempfile::tempdir().unwrap();
    let alpha = DataNode::start(folder.path(), "alpha", "active", 64).await;
    let arguments = ["--as", "producer", "--compare", "control"];
    let mut replay = start(folder.path(), "05-takeover", &alpha, &arguments);
    _ = replay.exit_code().await;
    let log = replay.log();
    assert!(log.contains("not sent: 1 DCP_STREAM_REQ: with what follows"), "{log}");
    assert!(log.contains("not sent: 1 DCP_CONTROL consumer_name: "), "{log}");
    assert_eq!(alpha.state(VbId(30)).await, VbState::Active);
}

/// [node] of a configuration file is the consumer.
#[tokio::test]
async fn a_producer_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
    command.current_dir(folder.path()).arg("replay").arg(wire("03-rollback-to-zero"));
    command.args(["--against", "node", "--as", "producer", "--json"]);
    let mut replay = Process::start("unnamed", folder.path(), &mut command);
    assert_eq!(replay.exit_code().await, 2);
    let out = replay.out();
    let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    let error = last["error"].as_str().unwrap();
    assert!(error.starts_with("replay --as producer needs --node"), "{error}");
}
