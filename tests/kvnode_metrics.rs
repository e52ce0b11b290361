//! The metrics page of a data node as Prometheus' own tool sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::io::Write as _;
use std::process::{Command, Stdio};

use common::{Process, command, scrape};

/// The page of a node with a bucket.
async fn page(folder: &std::path::Path) -> (Process, String) {
    std::fs::write(folder.join("alpha.password"), "secret").unwrap();
    let mut command = command(folder, "alpha", "active", 8, 0);
    command.args(["--metrics", "127.0.0.1:0"]);
    let node = Process::start("alpha", folder, &mut command);
    node.logs(&["bucket is ready"]).await;
    let line = node.logs(&["metrics on http://"]).await;
    let (_, url) = line.split_once("http://").unwrap();
    let (address, _) = url.split_once('/').unwrap();
    (node, scrape(address))
}

#[tokio::test]
async fn probes_are_answered_beside_the_metrics() {
    use std::io::Read as _;

    let folder = tempfile::tempdir().unwrap();
    let (node, _) = page(folder.path()).await;
    let line = node.logs(&["metrics on http://"]).await;
    let (_, url) = line.split_once("http://").unwrap();
    for (path, expected) in [("/ready", "ready\n"), ("/live", "live\n")] {
        let mut stream = std::net::TcpStream::connect(url.split_once('/').unwrap().0).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(expected), "{answer}");
    }
}

#[tokio::test]
async fn promtool_finds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (_node, page) = page(folder.path()).await;
    assert!(page.contains("kvnode_disk_free_bytes{bucket=\"default\"} "), "{page}");
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = promtool.stderr(Stdio::piped()).spawn() else {
        eprintln!("skipped: promtool is not installed (apt-get install prometheus)");
        return;
    };
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
