//! What a running sidecar answers is what its OpenAPI document says: schemathesis sends it requests
//! that the document allows and some that it does not, and checks each answer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
mod narrow;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::{Config, DataNode, Process, Sidecar, until, until_within};
use serde_json::Value;

/// How long schemathesis may take, on a busy machine too.
const DEADLINE: Duration = Duration::from_secs(300);
/// What the nodes have; requests for others are errors of the nodes.
const VBUCKETS: u16 = 64;
const TOKEN: &str = "the token of the tests";
/// The version that `.ci/run` installs; others find other things.
const PROGRAM: &str = "schemathesis";

/// A sidecar between two real nodes, which wants a token for everything but probes.
struct Served {
    sidecar: Sidecar,
    url: String,
}

impl Served {
    async fn start(folder: &Path, alpha: &DataNode, beta: &DataNode) -> Self {
        let config = Config::new(&beta.endpoint(), &alpha.endpoint(), "0-63");
        let token = format!("[admin]\ntoken = {TOKEN:?}");
        let config = Config::text(config.as_str().replace("[admin]", &token));
        let sidecar = Sidecar::start(folder, &config);
        let line = sidecar.process.logs(&["admin API listens", "url="]).await;
        let url = line.split_once("url=").unwrap().1.trim().to_owned();
        let served = Self { sidecar, url };
        until("it is ready", async || (served.get("/ready").0 == 200).then_some(())).await;
        served
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.text(path);
        (status, serde_json::from_str(&body).unwrap())
    }

    fn text(&self, path: &str) -> (u16, String) {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = agent.get(format!("{}{path}", self.url));
        let mut answer = request.header("Authorization", format!("Bearer {TOKEN}")).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }
}

#[tokio::test]
async fn every_answer_is_as_the_document_says() {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = tokio::join!(
        DataNode::start(folder.path(), "alpha", "active", VBUCKETS),
        DataNode::start(folder.path(), "beta", "replica", VBUCKETS)
    );
    let mut served = Served::start(folder.path(), &alpha, &beta).await;
    let (status, document) = served.get("/api/v1/openapi.json");
    assert_eq!((status, document["openapi"].as_str()), (200, Some("3.1.0")));
    let document = narrow::narrowed(document, "default", "alpha");
    let path = folder.path().join("narrowed.json");
    std::fs::write(&path, serde_json::to_string_pretty(&document).unwrap()).unwrap();
    if let Some(code) = schemathesis(folder.path(), &path, &served.url).await {
        assert_eq!(code, 0, "see what schemathesis found above");
        let (status, page) = served.text("/metrics");
        assert_eq!(status, 200, "the sidecar has outlived it");
        assert!(!page.contains("\ndcp_proxy_invariants_broken_total{"), "{page}");
    }
    let stop = ureq::post(format!("{}/shutdown", served.url));
    let stop = stop.header("Authorization", format!("Bearer {TOKEN}"));
    assert_eq!(stop.send_empty().unwrap().status().as_u16(), 202);
    assert_eq!(served.sidecar.process.exit_code().await, 0);
}

/// Its exit code; `None` where it is not installed.
async fn schemathesis(folder: &Path, document: &Path, url: &str) -> Option<i32> {
    if Command::new(PROGRAM).arg("--version").output().is_err() {
        eprintln!("skipped: {PROGRAM} is not installed (pip install; .ci/run has the version)");
        return None;
    }
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi/schemathesis.toml");
    let mut command = Command::new(PROGRAM);
    command.arg("--config-file").arg(config).arg("run").arg(document);
    command.args(["--url", url, "--no-color"]).env("DCP_PROXY_TOKEN", TOKEN).current_dir(folder);
    let mut process = Process::start(PROGRAM, folder, &mut command);
    let ended = async || (!process.is_running()).then_some(());
    until_within(DEADLINE, "schemathesis ends", ended).await;
    let code = process.exit_code().await;
    if code != 0 {
        eprintln!("{}", process.out());
    }
    Some(code)
}
