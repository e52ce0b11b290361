//! The alert rules and the dashboard in `deploy/`, with real metrics of real nodes and sidecars.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Config, DataNode, Process, Sidecar, until};
use serde_json::Value;
use tempfile::TempDir;

const RULES: &str = include_str!("../deploy/prometheus/dcp-proxy.rules.yml");
const DASHBOARD: &str = include_str!("../deploy/grafana/dcp-proxy.json");

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus").join(path)
}

/// `alpha` and `beta` as processes with metrics, and the sidecar between them.
struct Watched {
    alpha: DataNode,
    sidecar: Sidecar,
    /// The addresses of the metrics of `alpha` and `beta`.
    nodes: [String; 2],
    _beta: DataNode,
    // Dropped last, because the processes use it.
    folder: TempDir,
}

impl Watched {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let metrics = ["--metrics", "127.0.0.1:0"];
        let (alpha, beta) = tokio::join!(
            DataNode::start_with(folder.path(), "alpha", "active", 8, &metrics),
            DataNode::start_with(folder.path(), "beta", "replica", 8, &metrics)
        );
        let limits = "stall_ms = 3000\nlag_interval_ms = 200";
        let config = Config::new(&beta.endpoint(), &alpha.endpoint(), "0-7").limits(limits);
        let sidecar = Sidecar::start(folder.path(), &config);
        let mut nodes = Vec::new();
        for node in [&alpha, &beta] {
            let line = node.process.logs(&["metrics on http://"]).await;
            let (_, url) = line.split_once("http://").unwrap();
            nodes.push(url.split_once('/').unwrap().0.to_owned());
        }
        let nodes = nodes.try_into().unwrap();
        Self { alpha, sidecar, nodes, _beta: beta, folder }
    }

    async fn sidecar_address(&self) -> String {
        let line = self.sidecar.process.logs(&["admin API listens", "url="]).await;
        line.split_once("url=http://").unwrap().1.trim().to_owned()
    }
}

/// The metrics page at an address.
fn page(address: &str) -> String {
    let answer = ureq::get(format!("http://{address}/metrics")).call();
    answer.unwrap().body_mut().read_to_string().unwrap()
}

/// The metrics of a page, as queries name them. One without a sample is described all the same, so
/// that nothing has to happen before it can be known.
fn described(page: &str) -> BTreeSet<String> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types
        .flat_map(|(name, kind)| match kind {
            "histogram" => ["bucket", "count", "sum"].map(|part| format!("{name}_{part}")).to_vec(),
            _ => vec![name.to_owned()],
        })
        .collect()
}

/// The names of metrics in an expression: words of theirs, outside of label matchers and texts.
fn names(expression: &str) -> BTreeSet<String> {
    let mut plain = String::new();
    let mut depth = 0;
    for char in expression.chars() {
        depth += i32::from(char == '{') - i32::from(char == '}');
        plain.push(if depth == 0 && char != '}' { char } else { ' ' });
    }
    let words = plain.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'));
    let ours =
        |word: &&str| ["dcp_proxy_", "kvnode_", "process_"].iter().any(|it| word.starts_with(it));
    words.filter(ours).map(str::to_owned).collect()
}

#[test]
fn names_are_found_in_expressions() {
    let rate = r#"sum by (le) (rate(kvnode_commit_seconds_bucket{job=~"dcp_proxy_x"}[5m]))"#;
    let expression = &format!("{rate} - process_open_fds");
    let found = names(expression);
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        ["kvnode_commit_seconds_bucket", "process_open_fds"]
    );
}

/// The expressions of the rules: lines of `expr`, whole or folded.
fn rules() -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut is_in_expression = false;
    for line in RULES.lines() {
        let text = line.trim();
        if let Some(expression) = text.strip_prefix("expr: ") {
            found.push(expression.trim_start_matches(">-").to_owned());
            is_in_expression = true;
        } else if text.starts_with("for: ") {
            is_in_expression = false;
        } else if is_in_expression {
            found.last_mut().unwrap().push_str(&format!(" {text}"));
        }
    }
    found
}

/// The queries of the dashboard, also those of its variables.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let mut found: Vec<_> =
        targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    found.extend(variables.filter_map(|it| Some(it["definition"].as_str()?.to_owned())));
    found
}

#[tokio::test]
async fn rules_and_dashboard_name_only_metrics_that_there_are() {
    let watched = Watched::start().await;
    let mut known = described(&page(&watched.sidecar_address().await));
    known.extend(described(&page(&watched.nodes[0])));
    assert!(known.contains("kvnode_commit_seconds_bucket"), "{known:?}");
    assert!(known.contains("dcp_proxy_invariants_broken_total"), "{known:?}");
    let (rules, queries) = (rules(), queries());
    assert!(rules.len() >= 35 && queries.len() >= 60, "{} {}", rules.len(), queries.len());
    for expression in rules.iter().chain(&queries) {
        let unknown: Vec<_> =
            names(expression).into_iter().filter(|it| !known.contains(it)).collect();
        assert!(unknown.is_empty(), "no such metric: {unknown:?} in {expression}");
    }
}

#[test]
fn what_the_documents_say_to_alert_on_has_an_alert() {
    let rules = rules().join("\n");
    let alerted = names(&rules);
    let page = include_str!("../docs/admin-api.md");
    let mut count = 0;
    for row in page.lines().filter(|line| line.starts_with("| `") && line.contains("**alert ")) {
        // Of two metrics in one row, one or the other is meant.
        let of_row = row.split(" | ").next().unwrap().split('`').skip(1).step_by(2);
        let of_row: Vec<_> = of_row.collect();
        assert!(of_row.iter().any(|name| alerted.contains(*name)), "no alert on {of_row:?}");
        count += 1;
    }
    assert!(count >= 15, "{count} rows");
    let mut severities = RULES.matches("          severity: ");
    assert_eq!(severities.by_ref().count(), rules.lines().count(), "each has a severity");
    for text in ["summary: >-", "description: >-", "remedy: >-"] {
        assert_eq!(RULES.matches(text).count(), rules.lines().count(), "each has {text}");
    }
}

/// Runs promtool in `deploy/prometheus`; `None` where it is not installed.
fn promtool(arguments: &[&str]) -> Option<()> {
    let output = Command::new("promtool").args(arguments).current_dir(deploy("")).output();
    let Ok(output) = output else {
        eprintln!("skipped: promtool is not installed (apt-get install prometheus)");
        return None;
    };
    let texts = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert!(output.status.success(), "promtool {arguments:?}: {texts:?}");
    Some(())
}

#[test]
fn promtool_passes_rules_their_tests_and_the_example() {
    _ = promtool(&["check", "rules", "--lint=all", "--lint-fatal", "dcp-proxy.rules.yml"]);
    _ = promtool(&["check", "config", "--lint-fatal", "prometheus.yml"]);
    _ = promtool(&["test", "rules", "tests.yml"]);
}

/// A real Prometheus that reads these targets each second.
struct Prometheus {
    process: Process,
    address: String,
}

impl Prometheus {
    /// `None` where it is not installed. The rules are those of `deploy/`, but for two numbers: an
    /// alert waits for one second instead of its `for`, and rules are evaluated each second.
    async fn start(watched: &Watched) -> Option<Self> {
        if Command::new("prometheus").arg("--version").output().is_err() {
            eprintln!("skipped: prometheus is not installed (apt-get install prometheus)");
            return None;
        }
        let folder = watched.folder.path();
        let soon = |line: &str| match line.trim().strip_prefix("for: ") {
            Some(_) => "        for: 1s".to_owned(),
            None => line.to_owned(),
        };
        let rules: Vec<_> = RULES.lines().map(soon).collect();
        std::fs::write(folder.join("dcp-proxy.rules.yml"), rules.join("\n")).unwrap();
        let (sidecar, [alpha, beta]) = (watched.sidecar_address().await, &watched.nodes);
        let config = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\n\
             rule_files: [dcp-proxy.rules.yml]\n\
             scrape_configs:\n\
             - {{ job_name: dcp-proxy, static_configs: [{{ targets: [{sidecar:?}] }}] }}\n\
             - {{ job_name: kvnode, static_configs: [{{ targets: [{alpha:?}, {beta:?}] }}] }}\n"
        );
        std::fs::write(folder.join("prometheus.yml"), config).unwrap();
        let mut command = Command::new("prometheus");
        command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=prometheus"]);
        command.args(["--web.listen-address=127.0.0.1:0", "--log.format=logfmt"]);
        let process = Process::start("prometheus", folder, command.current_dir(folder));
        let line = process.logs(&["Listening on", "address="]).await;
        let (_, address) = line.rsplit_once("address=").unwrap();
        let address = address.trim().to_owned();
        Some(Self { process, address })
    }

    /// The data of an answer; `None` while Prometheus is starting.
    fn ask(&self, path: &str) -> Option<Value> {
        let answer = ureq::get(format!("http://{}/api/v1/{path}", self.address)).call();
        let text = answer.ok()?.body_mut().read_to_string().unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        Some(answer["data"].clone())
    }

    /// The alerts that fire, each with its labels; `None` while Prometheus is starting. What others
    /// do to the disk of this machine is not the matter of the test.
    fn firing(&self) -> Option<Vec<Value>> {
        let data = self.ask("alerts")?;
        let all = data["alerts"].as_array().unwrap().iter();
        let firing = all.filter(|alert| {
            alert["state"] == "firing" && alert["labels"]["alertname"] != "KvnodeDiskFull"
        });
        Some(firing.cloned().collect())
    }

    /// Waits until this alert fires.
    async fn fires(&self, name: &str) -> Value {
        let look =
            async || self.firing()?.into_iter().find(|alert| alert["labels"]["alertname"] == name);
        until(&format!("{name} fires"), look).await
    }
}

/// The labels of an alert, and its texts, which must have no hole in them.
#[track_caller]
fn labels_of(alert: &Value) -> Value {
    for key in ["summary", "description", "remedy"] {
        let text = alert["annotations"][key].as_str().unwrap();
        let is_whole = !text.is_empty() && !text.contains("<no value>") && !text.contains("<error");
        assert!(is_whole, "{key}: {text:?}");
    }
    alert["labels"].clone()
}

#[tokio::test]
async fn a_frozen_node_is_alerted_on_and_a_healthy_one_is_not() {
    let watched = Watched::start().await;
    let Some(mut prometheus) = Prometheus::start(&watched).await else { return };
    let address = watched.sidecar_address().await;
    // As long as it takes to see the targets, and to evaluate the rules on them.
    let seen = async || {
        let data = prometheus.ask("query?query=sum(dcp_proxy_streams_open)")?;
        (data["result"][0]["value"][1] == "8").then_some(())
    };
    until("Prometheus knows of all streams", seen).await;
    let quiet = async || prometheus.firing()?.is_empty().then_some(());
    until("nothing fires where all is well", quiet).await;

    watched.alpha.process.signal("STOP");
    let alert = labels_of(&prometheus.fires("DcpProxyNodeUnresponsive").await);
    let expected =
        [("node", "alpha"), ("side", "producer"), ("bucket", "default"), ("severity", "critical")];
    for (label, value) in expected.into_iter().chain([("instance", address.as_str())]) {
        assert_eq!(alert[label], value, "{label} of {alert}");
    }
    let down = labels_of(&prometheus.fires("KvnodeDown").await);
    assert_eq!(down["instance"], watched.nodes[0].as_str(), "{down}");
    for name in ["DcpProxyNotReady", "DcpProxyStreamsNotOpen", "DcpProxyLagUnknown"] {
        labels_of(&prometheus.fires(name).await);
    }
    let firing = prometheus.firing().unwrap();
    let names: Vec<_> =
        firing.iter().map(|it| it["labels"]["alertname"].as_str().unwrap()).collect();
    assert!(!names.contains(&"DcpProxyDown"), "the sidecar is well: {names:?}");

    watched.alpha.process.signal("CONT");
    until("all is well again", quiet).await;
    assert!(prometheus.process.is_running());
}
