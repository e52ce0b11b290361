//! `dcp-proxy doctor` and `check --connect` against real nodes and a real sidecar: what they find
//! where something is wrong, and that they disturb nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::path::Path;

use common::{Cluster, Config, DataNode, Process, Sidecar, nodes, until};
use mcbp::{Opcode, Status, VbId, VbState};
use relay::testing::{Authority, FakePeer, Validity, view};
use relay::{Endpoint, Secret};
use serde_json::Value;
use tempfile::TempDir;

/// The result of a run.
struct Run {
    code: i32,
    out: String,
    log: String,
}

impl Run {
    /// Runs the program in a folder of its own.
    async fn of(config: &Config, line: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::within(folder.path(), config, line).await
    }

    async fn within(folder: &Path, config: &Config, line: &str) -> Self {
        let arguments: Vec<_> = line.split(' ').collect();
        let mut process = common::run(folder, config, &arguments);
        let code = process.exit_code().await;
        Self { code, out: process.out(), log: process.log() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {} {}", self.out, self.log))
    }

    /// The findings as `level check node: what`, without those that are ok.
    fn bad(&self) -> Vec<String> {
        let findings = self.json()["findings"].as_array().unwrap().clone();
        let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or("-").to_owned();
        let line = |finding: &Value| {
            let [level, check, node, what] =
                ["level", "check", "node", "what"].map(|key| text(finding, key));
            format!("{level} {check} {node}: {what}")
        };
        findings.iter().filter(|it| it["level"] != "ok").map(line).collect()
    }

    /// Whether this check of this node is ok.
    fn is_ok(&self, check: &str, node: &str) -> bool {
        let json = self.json();
        let mut findings = json["findings"].as_array().unwrap().iter();
        findings.any(|it| it["level"] == "ok" && it["check"] == check && it["node"] == node)
    }

    /// Fails unless exactly these are not ok, each given by how it begins.
    #[track_caller]
    fn expect(&self, code: i32, bad: &[&str]) {
        let found = self.bad();
        let fits = found.len() == bad.len()
            && found.iter().zip(bad).all(|(found, want)| found.starts_with(want));
        assert!(fits, "{found:#?} instead of {bad:#?}");
        assert_eq!(self.code, code, "{found:#?}");
    }
}

/// The configuration of tests has port 0, so that whether a sidecar runs is unknown.
const NO_PORT: &str =
    "note sidecar -: whether a sidecar runs is unknown: [admin] listen has port 0";

fn config(alpha: &Endpoint, beta: &Endpoint) -> Config {
    Config::new(beta, alpha, "0-7")
}

/// The same configuration with another `[admin] listen`.
fn listening(config: &Config, at: &str) -> Config {
    Config::text(config.as_str().replace("127.0.0.1:0", at))
}

async fn pair() -> (TempDir, DataNode, DataNode) {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = nodes(&folder).await;
    (folder, alpha, beta)
}

#[tokio::test]
async fn a_healthy_pair_is_fine_and_every_finding_has_a_line() {
    let (_folder, alpha, beta) = pair().await;
    let config = listening(&config(&alpha.endpoint(), &beta.endpoint()), "127.0.0.1:1");
    let run = Run::of(&config, "doctor --json --strict").await;
    run.expect(0, &["note sidecar -: no sidecar runs: nothing listens at 127.0.0.1:1"]);
    let run = Run::of(&config, "doctor").await;
    assert_eq!((run.code, run.log.as_str()), (0, ""));
    let mut text = run.out.replace(&alpha.address().to_string(), "ALPHA");
    text = text.replace(&beta.address().to_string(), "BETA");
    let known = |line: &str| match line.split_once(" accepts in ") {
        Some((before, _)) => format!("{before} accepts in TIME"),
        None if line.contains(": disk: ") => "ok: this machine: disk: ...".to_owned(),
        None => line.to_owned(),
    };
    let lines: Vec<_> = text.lines().map(known).collect();
    insta::assert_snapshot!(lines.join("\n"));
    for node in [&alpha, &beta] {
        node.process.assert_quiet(&[]);
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_of_its_node_and_the_other_is_checked() {
    let (_folder, mut alpha, beta) = pair().await;
    alpha.set_password(Some("another"));
    alpha.stop().await;
    alpha.restart().await;
    let run = Run::of(&config(&alpha.endpoint(), &beta.endpoint()), "doctor --json").await;
    run.expect(1, &[NO_PORT, "error login alpha: the node refused user \"dcp-proxy\""]);
    assert!(run.is_ok("dcp", "beta"));
}

#[tokio::test]
async fn the_nodes_of_a_cluster_are_found_by_its_map_and_checked() {
    let (_folder, alpha, beta) = pair().await;
    let following = |address: &str| {
        Config::following(&beta.endpoint(), &format!("address = \"couchbase://{address}\""))
    };
    let address = alpha.address().to_string();
    // The first node does not answer.
    let run = Run::of(&following(&format!("127.0.0.1:1,{address}")), "doctor --json").await;
    run.expect(0, &[NO_PORT]);
    for check in ["login", "privileges", "states", "dcp"] {
        assert!(run.is_ok(check, &address), "{check}: {}", run.out);
    }
    assert!(run.out.contains(&format!("of {address} it comes from 1 nodes")), "{}", run.out);
    let run = Run::of(&following("127.0.0.1:1"), "doctor --json").await;
    let none = "error cluster -: no map of the cluster can be read: 127.0.0.1:1 ";
    run.expect(1, &[NO_PORT, none]);
}

#[tokio::test]
async fn a_missing_bucket_is_told_of_both_nodes() {
    let (_folder, alpha, beta) = pair().await;
    let text = config(&alpha.endpoint(), &beta.endpoint()).as_str().replace("default", "missing");
    let run = Run::of(&Config::text(text), "doctor --json").await;
    let bad = ["beta", "alpha"]
        .map(|node| format!("error bucket {node}: the node has no bucket \"missing\""));
    run.expect(1, &[NO_PORT, &bad[0], &bad[1]]);
}

#[tokio::test]
async fn states_that_do_not_fit_are_told_by_sets() {
    let (_folder, alpha, beta) = pair().await;
    let (mut theirs, mut ours) = (alpha.client().await, beta.client().await);
    for vb in 0..4 {
        ours.set_vbucket(VbId(vb), VbState::Dead).await.unwrap();
    }
    theirs.set_vbucket(VbId(6), VbState::Replica).await.unwrap();
    let run = Run::of(&config(&alpha.endpoint(), &beta.endpoint()), "doctor --json").await;
    let bad = [
        NO_PORT,
        "error states beta: the copies here are dead, and must be replica",
        "error states alpha: the copies here are replica, and must be active",
    ];
    run.expect(1, &bad);
    let json = run.json();
    let errors = json["findings"].as_array().unwrap().iter().filter(|it| it["level"] == "error");
    let sets: Vec<_> = errors.map(|it| it["vbuckets"].as_str().unwrap()).collect();
    assert_eq!(sets, ["0-3", "6"]);
    assert_eq!(json["counts"]["error"], 2);
}

#[tokio::test]
async fn a_closed_port_and_an_unknown_name_do_not_keep_the_rest_from_being_checked() {
    let (_folder, _alpha, beta) = pair().await;
    for (address, bad) in [
        ("127.0.0.1:1", "error connect alpha: 127.0.0.1:1 accepts no connection: "),
        ("no.such.host.invalid:1", "error address alpha: the name in \"no.such.host.invalid:1\""),
    ] {
        let alpha = Endpoint::new("alpha", address, "dcp-proxy", Secret::new("secret"));
        // The password is sent to nobody, and the name may be that of any machine.
        let run = Run::of(&config(&alpha, &beta.endpoint()), "doctor --json").await;
        run.expect(1, &[NO_PORT, bad]);
        assert!(run.is_ok("states", "beta"), "{}", run.out);
    }
}

#[tokio::test]
async fn a_frozen_node_ends_with_its_deadline() {
    let (_folder, alpha, beta) = pair().await;
    alpha.process.signal("STOP");
    let config = config(&alpha.endpoint(), &beta.endpoint());
    let run = Run::of(&config, "doctor --json --timeout 1").await;
    run.expect(1, &[NO_PORT, "error answers alpha: SASL_LIST_MECHS had no answer within 1s"]);
    assert!(run.is_ok("dcp", "beta"));
    alpha.process.signal("CONT");
}

/// A node with the certificate of `subject`, and the configuration of its TLS.
async fn encrypted(
    folder: &Path,
    subject: &str,
    validity: Validity,
) -> (Process, Endpoint, String) {
    let authority = Authority::new(folder, "authority");
    let server = authority.sign(subject, validity);
    std::fs::write(folder.join("alpha.password"), "correct horse").unwrap();
    let mut command = common::command(folder, "alpha", "active", 8, 0);
    command.arg("--tls-cert").arg(&server.certificate).arg("--tls-key").arg(&server.key);
    let process = Process::start("alpha", folder, &mut command);
    process.logs(&["bucket is ready"]).await;
    let port: u16 = until("the port is told", async || {
        let text = std::fs::read_to_string(folder.join("alpha.port")).ok()?;
        text.strip_suffix('\n')?.parse().ok()
    })
    .await;
    let address = format!("127.0.0.1:{port}");
    let endpoint = Endpoint::new("alpha", address, "dcp-proxy", Secret::new("correct horse"));
    let tls = format!("[[producer]]\ntls = {{ ca = {:?} }}\n", authority.file);
    (process, endpoint, tls)
}

#[tokio::test]
async fn tls_is_told_with_what_is_wrong_with_the_certificate() {
    for (subject, validity, bad) in [
        ("127.0.0.1", Validity::Now, None),
        (
            "127.0.0.1",
            Validity::Past,
            Some("error tls alpha: the node shows a certificate that has expired"),
        ),
        (
            "alpha.example",
            Validity::Now,
            Some("error tls alpha: the node shows a certificate for alpha.example, not for 127."),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let beta = DataNode::start(folder.path(), "beta", "replica", 8).await;
        let (_alpha, alpha, tls) = encrypted(folder.path(), subject, validity).await;
        let text = config(&alpha, &beta.endpoint()).as_str().replace("[[producer]]\n", &tls);
        let run = Run::of(&Config::text(text), "doctor --json").await;
        let want: Vec<_> = [NO_PORT].into_iter().chain(bad).collect();
        run.expect(i32::from(bad.is_some()), &want);
        assert_eq!(run.is_ok("tls", "alpha") && run.is_ok("certificate", "alpha"), bad.is_none());
    }
}

#[tokio::test]
async fn a_rival_is_told_and_nobody_is_disturbed() {
    let cluster = Cluster::start().await;
    cluster.sidecar.process.logs(&["streams settled", "open=8 failed=0"]).await;
    // This configuration is that of a second sidecar with the same name, which does not run.
    let config = config(&cluster.alpha.endpoint(), &cluster.beta.endpoint());
    let run = Run::of(&listening(&config, "127.0.0.1:1"), "doctor --json").await;
    let rival = "warning rival NODE: open connections with the names of our links: \
                 replication:alpha->beta:default: no sidecar of ours answers at 127.0.0.1:1";
    let [beta, alpha] = ["beta", "alpha"].map(|node| rival.replace("NODE", node));
    let silent = "note sidecar -: no sidecar runs";
    run.expect(0, &[silent, &beta, &alpha]);
    let strict = Run::of(&listening(&config, "127.0.0.1:1"), "doctor --json --strict").await;
    strict.expect(1, &[silent, &beta, &alpha]);

    let at = address(&cluster.sidecar).await;
    let run = Run::of(&listening(&config, &at), "doctor --json").await;
    run.expect(0, &["warning sidecar -: the sidecar at http://"]);
    assert!(run.bad()[0].ends_with("runs other settings than this file: admin.listen"));
    assert!(run.is_ok("rival", "beta") && run.is_ok("rival", "alpha"));
    cluster.assert_quiet(&[]);
    assert!(cluster.sidecar.process.logged(&["link down"]).is_none());
    cluster.converge().await;
}

/// A full disk is a failure, and a reader that has read enough is none.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn output_that_cannot_be_written_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::demonstration(8, 0);
    std::fs::write(folder.path().join("proxy.toml"), config.as_str()).unwrap();
    for (command, code) in
        [("check > /dev/full", 1), ("doctor > /dev/full", 1), ("doctor | head -c 1 > out", 0)]
    {
        let script = format!("set -o pipefail; {:?} {command}", env!("CARGO_BIN_EXE_dcp-proxy"));
        let mut shell = std::process::Command::new("bash");
        shell.args(["-c", &script]).current_dir(folder.path());
        let mut process = Process::start("shell", folder.path(), &mut shell);
        assert_eq!(process.exit_code().await, code, "{command}: {}", process.log());
        let has_said = process.logged(&["could not write to standard output"]).is_some();
        assert_eq!(has_said, code == 1, "{}", process.log());
        assert!(process.logged(&["replication could not be started"]).is_none(), "{command}");
    }
}

/// A node that answers until it is logged in, and no further request.
#[tokio::test]
async fn a_node_that_falls_silent_after_the_login_is_told_with_the_request() {
    let folder = tempfile::tempdir().unwrap();
    let beta = DataNode::start(folder.path(), "beta", "replica", 8).await;
    let peer = FakePeer::bind().await;
    let alpha = peer.endpoint("alpha");
    let config = config(&alpha, &beta.endpoint());
    let node = async {
        let mut silent = Vec::new();
        loop {
            let mut conn = peer.accept_raw().await;
            while let Some(request) = conn.recv().await {
                let frame = view(&request);
                if frame.opcode() == Opcode::STAT {
                    silent.push(conn);
                    break;
                }
                let value: &[u8] = match frame.opcode() {
                    Opcode::HELLO => frame.value,
                    Opcode::SASL_LIST_MECHS => b"PLAIN",
                    _ => b"",
                };
                conn.answer_with(&request, Status::SUCCESS, &[], value).await;
            }
        }
    };
    let run = tokio::select! {
        run = Run::of(&config, "doctor --json --timeout 1") => run,
        () = node => unreachable!("it accepts for ever"),
    };
    let bad = [
        NO_PORT,
        "error answers alpha: STAT had no answer within 1s",
        "note clock alpha: the clock of the node is unknown",
        "note rival alpha: whether another sidecar uses our names is unknown",
    ];
    run.expect(1, &bad);
    assert!(run.is_ok("dcp", "beta") && run.is_ok("bucket", "alpha"), "{}", run.out);
}

#[tokio::test]
async fn check_connect_shows_the_configuration_then_the_findings() {
    let (_folder, alpha, beta) = pair().await;
    let good = config(&alpha.endpoint(), &beta.endpoint());
    let run = Run::of(&good, "check --connect").await;
    assert_eq!(run.code, 0, "{}", run.out);
    assert!(run.out.starts_with("proxy.toml is valid:\nnode      beta at "), "{}", run.out);
    assert!(run.out.contains("\nok: producer alpha, bucket default: dcp: "), "{}", run.out);
    assert!(run.out.trim_end().ends_with(" 0 warnings, 0 errors"), "{}", run.out);
    let wrong = Config::text(good.as_str().replace("0-7", "0-2000"));
    for line in ["check --connect", "doctor"] {
        let run = Run::of(&wrong, line).await;
        assert_eq!((run.code, run.out.as_str()), (2, ""));
        assert!(run.log.contains("vbucket 2000 is out of range"), "{}", run.log);
    }
}

#[tokio::test]
async fn embedded_nodes_are_checked_only_where_they_run() {
    let config = Config::demonstration(8, 0);
    let run = Run::of(&config, "doctor --json").await;
    let [beta, alpha] = ["beta", "alpha"]
        .map(|node| format!("note embedded {node}: not checked: {node} runs inside the sidecar"));
    run.expect(0, &[NO_PORT, &beta, &alpha]);

    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let state = format!("[state]\ndirectory = \"{}\"\n", state.display());
    let config = Config::text(format!("{}{state}", config.as_str()));
    let sidecar = Sidecar::start(folder.path(), &config);
    sidecar.process.logs(&["streams settled", "open=8 failed=0"]).await;
    let run = Run::of(&listening(&config, &address(&sidecar).await), "doctor --json").await;
    run.expect(0, &["warning sidecar -: the sidecar at http://"]);
    for node in ["alpha", "beta"] {
        assert!(run.is_ok("dcp", node) && run.is_ok("states", node), "{}", run.out);
    }
}

/// Where the admin API of a sidecar listens.
async fn address(sidecar: &Sidecar) -> String {
    let line = sidecar.process.logs(&["admin API listens", "url="]).await;
    line.split_once("url=http://").unwrap().1.to_owned()
}
