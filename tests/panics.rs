//! A panic leaves a report that says what, where and before what.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::path::{Path, PathBuf};

use common::{Config, DataNode, FakeNode, Process, Sidecar, command, until};

const PANIC: (&str, &str) = ("FAILPOINTS", "reload-panics");

fn reports(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let is_report =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("panic-");
    files.filter(is_report).collect()
}

#[track_caller]
fn check(text: &str, program: &str) {
    for part in [
        &format!("{program} {} panicked.", env!("CARGO_PKG_VERSION")),
        "\nmessage: failpoint reload-panics\n",
        "\nplace: crates/failpoint/src/lib.rs:",
        "\nthread: ",
        "\ntime: 2",
        "\nuptime_s: ",
        "\ncommand: ",
        "\nbacktrace:\n",
        "\nlast lines of the log:\n",
        "level=INFO",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

async fn sidecar(folder: &Path, state: &str) -> (Sidecar, impl Sized) {
    let (alpha, beta) = (FakeNode::start("alpha").await, FakeNode::start("beta").await);
    let config = Config::new(&beta.endpoint, &alpha.endpoint, "0");
    let text = format!("{}[state]\ndirectory = \"{state}\"\n", config.as_str());
    std::fs::write(folder.join("proxy.toml"), text).unwrap();
    let sidecar = Sidecar::start_with(folder, &[PANIC]);
    sidecar.process.logs(&["admin API listens"]).await;
    (sidecar, (alpha, beta))
}

#[tokio::test]
async fn a_panic_of_the_sidecar_ends_it_with_a_report_that_the_next_start_names() {
    let folder = tempfile::tempdir().unwrap();
    let (mut sidecar, _peers) = sidecar(folder.path(), "state").await;
    sidecar.process.signal("HUP");
    assert_eq!(sidecar.process.exit_code().await, -1, "a signal ends it: SIGABRT");
    let found = reports(&folder.path().join("state"));
    assert_eq!(found.len(), 1, "{found:?}");
    let text = std::fs::read_to_string(&found[0]).unwrap();
    check(&text, "dcp-proxy");
    assert!(text.contains("admin API listens"), "the last lines of the log: {text}");
    let name = found[0].file_name().unwrap().to_str().unwrap();
    sidecar.process.logs(&["ERROR", "panic: ", "report=", name]).await;
    sidecar.restart();
    sidecar.process.logs(&["WARN", "an earlier run ended with a panic", name]).await;
    sidecar.process.logs(&["admin API listens"]).await;
    sidecar.stop().await;
}

#[tokio::test]
async fn a_report_that_cannot_be_written_goes_to_the_log() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let (mut sidecar, _peers) = sidecar(folder.path(), "file/state").await;
    sidecar.process.signal("HUP");
    assert_eq!(sidecar.process.exit_code().await, -1);
    sidecar.process.logs(&["ERROR", "panic: ", "report_not_written="]).await;
    sidecar.process.logs(&["ERROR", "msg=\"backtrace\"", "line=0"]).await;
}

#[tokio::test]
async fn a_panic_of_a_data_node_leaves_a_report_in_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = DataNode::start(folder.path(), "alpha", "active", 8).await;
    node.stop().await;
    let mut run = command(folder.path(), "alpha", "active", 8, 0);
    let process = Process::start("again", folder.path(), run.envs([PANIC]));
    process.logs(&["bucket is ready"]).await;
    process.signal("HUP");
    let data = node.data();
    let found = until("there is a report", async || {
        reports(&data).pop().filter(|path| std::fs::metadata(path).unwrap().len() > 0)
    })
    .await;
    process.logs(&["ERROR", "panic: ", "report="]).await;
    check(&std::fs::read_to_string(found).unwrap(), "kvnode");
}
