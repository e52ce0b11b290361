//! The subcommand as a process.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::common::{Config, DataNode, nodes};

/// Runs `dcp-proxy verify` to its end.
async fn verify(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
    command.arg("verify").args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env("DCP_PROXY_USERNAME", "dcp-proxy").env("DCP_PROXY_PASSWORD", "correct horse");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn expect(output: &Output, code: i32, stderr: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}{}", text(&output.stdout));
    for words in stderr {
        assert!(said.contains(words), "{words:?} is not in:\n{said}");
    }
}

async fn two() -> (TempDir, DataNode, DataNode, [String; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = nodes(&folder).await;
    let addresses = [&alpha, &beta].map(|node| node.address().to_string());
    (folder, alpha, beta, addresses)
}

#[tokio::test]
async fn differences_are_lines_of_json_and_a_run_goes_on_where_one_ended() {
    let (folder, alpha, _beta, [a, b]) = two().await;
    alpha.documents().await.set("only here", "1").await;
    let arguments = ["default", "--node", &a, "--node", &b, "--patience", "1", "--json"];
    let arguments = [&arguments[..], &["--state", "kept"]].concat();
    let output = verify(folder.path(), &arguments).await;
    // Each node has made its vBuckets by itself.
    expect(&output, 1, &["Comparing 8 vBuckets of default on ", "history", "the failover logs"]);
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let missing: Vec<_> = lines.iter().filter(|line| line["class"] == "missing").collect();
    assert_eq!(missing.len(), 1, "{lines:#?}");
    assert_eq!((&missing[0]["key"], &missing[0]["b"]), (&Value::from("only here"), &Value::Null));
    let summary = &lines.last().unwrap()["summary"];
    assert_eq!((&summary["identical"], &summary["vbuckets"]), (&false.into(), &8.into()));
    assert_eq!(summary["differences"], serde_json::json!({"history": 8, "missing": 1}));

    let again = verify(folder.path(), &arguments).await;
    expect(&again, 1, &["Compared before: 8 vBuckets, with 9 differences."]);
    let again = text(&again.stdout);
    assert_eq!(serde_json::from_str::<Value>(&again).unwrap()["summary"], *summary, "{again}");
}

#[tokio::test]
async fn the_nodes_of_the_configuration_are_compared_by_default() {
    let (folder, alpha, beta, _) = two().await;
    let config = Config::new(&beta.endpoint(), &alpha.endpoint(), "0-3");
    std::fs::write(folder.path().join("proxy.toml"), config.as_str()).unwrap();
    let output = verify(folder.path(), &["default", "--vb", "1-2"]).await;
    expect(&output, 1, &["Comparing 2 vBuckets of default on alpha and beta."]);
    let same =
        verify(folder.path(), &["default", "--node", "alpha", "--node", "beta", "--vb", "9"]);
    expect(&same.await, 1, &["absent"]);
    let output = verify(folder.path(), &["default", "--vb", "3-4"]).await;
    expect(&output, 2, &["vBuckets 4 of default come from no producer according to proxy.toml"]);
    let output = verify(folder.path(), &["other"]).await;
    expect(&output, 2, &["no bucket is called \"other\" in proxy.toml: give one of default"]);
}

#[tokio::test]
async fn a_node_is_identical_to_itself_and_wrong_usage_ends_with_2() {
    let (folder, alpha, beta, [a, b]) = two().await;
    alpha.documents().await.set("key", "1").await;
    drop(beta);
    let copy = format!("localhost:{}", alpha.address().port());
    let output = verify(folder.path(), &["default", "--node", &a, "--node", &copy]).await;
    expect(&output, 0, &[": identical, 1 key"]);
    assert_eq!(text(&output.stdout), "");
    let table: [(&[&str], i32, &str); 5] = [
        (&["default", "--node", &a], 2, "give --node twice: first A"),
        (&["default", "--node", &a, "--node", &a], 2, "give two nodes"),
        (&["default", "--rate", "5"], 2, "give 131072 bytes a second or more"),
        (&["default", "--node", &a, "--node", &b, "--vb", "0"], 1, "Failed: "),
        (&["none", "--node", &a, "--node", &copy], 2, "none"),
    ];
    for (arguments, code, words) in table {
        expect(&verify(folder.path(), arguments).await, code, &[words]);
    }
    std::fs::write(folder.path().join("notes"), "mine").unwrap();
    let state = ["default", "--node", &a, "--node", &copy, "--state", "notes"];
    expect(&verify(folder.path(), &state).await, 2, &["is no file of --state"]);
}

#[tokio::test]
async fn a_rate_is_kept_to() {
    let (folder, alpha, _beta, [a, _]) = two().await;
    let mut documents = alpha.documents().await;
    for number in 0..20 {
        documents.set(&format!("key-{number}"), &"x".repeat(10_000)).await;
    }
    let copy = format!("localhost:{}", alpha.address().port());
    let started = std::time::Instant::now();
    let output =
        verify(folder.path(), &["default", "--node", &a, "--node", &copy, "--rate", "200k"]).await;
    expect(&output, 0, &["identical, 20 keys"]);
    // 400,000 bytes of both nodes together.
    assert!(started.elapsed().as_millis() >= 1900, "{:?}", started.elapsed());
}
