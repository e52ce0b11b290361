//! The main job as on the command line: one process with two embedded nodes, everything over
//! sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::net::TcpListener;
use std::path::Path;

use common::{Config, Process, run, until};
use mcbp::kv::StoreExtras;
use mcbp::{FrameBuilder, Opcode, VbId, VbState};
use relay::{Client, Deadlines, Endpoint, Login, Secret};

/// Small enough for a debug build, with every kind of document.
fn demonstration() -> Config {
    Config::demonstration(64, 500)
}

/// Runs the program to its end and checks its exit code and that its output has all these texts.
async fn expect(folder: &Path, config: &Config, arguments: &[&str], code: i32, texts: &[&str]) {
    let mut process = run(folder, config, arguments);
    let ended = process.exit_code().await;
    let said = process.out() + &process.log();
    assert_eq!(ended, code, "{said}");
    for text in texts {
        assert!(said.contains(text), "{text:?} is not in:\n{said}");
    }
}

async fn says(process: &Process, text: &str) -> String {
    let line = || process.out().lines().find(|line| line.contains(text)).map(str::to_owned);
    until(&format!("the sidecar says {text:?}"), async || line()).await
}

#[tokio::test]
async fn once_copies_compares_and_exits_and_the_next_start_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let copied = [
        "Starting data nodes in this process: alpha and beta, with their data in data.\n",
        "Writing 500 sample documents to alpha, unless it has them.\nWrote 500 sample documents",
        "Replicating 64 vBuckets from alpha to beta over TCP.\n\
         Copied to beta: 519 seqnos further in ",
        "64 of 64 streams are open.\nComparing 64 vBuckets on alpha and beta, row by row.\n",
        "identical, 501 rows",
        "The 519 changes are 500 documents written, 18 of them deleted again, 1 note that all are \
         written.\n",
        "so the 501 rows are 483 documents (the note is one) and 18 deletions.\n",
    ];
    expect(folder.path(), &demonstration(), &["--once"], 0, &copied).await;
    let found = [
        "alpha has 500 sample documents of an earlier run; they are not written again.",
        "copying resumed from there.",
        "Copied to beta: 0 seqnos further in ",
        "identical, 501 rows",
        "The 519 changes are 500 documents written, 18 of them deleted again, 1 note",
    ];
    expect(folder.path(), &demonstration(), &["--once"], 0, &found).await;
}

#[tokio::test]
async fn a_step_that_is_interrupted_says_so_and_once_ends_with_1() {
    let writing = ["Stopped before all sample documents were written", "Interrupted: nothing was"];
    // The copy may end before the signal comes; the comparison is interrupted then.
    let copying = ["Interrupted: "];
    let steps: [(&str, &[&str]); 2] =
        [("Writing 3,000", &writing), ("Replicating 1,024", &copying)];
    for (step, texts) in steps {
        for (arguments, code) in [(&["--once"][..], 1), (&[], 0)] {
            let folder = tempfile::tempdir().unwrap();
            let mut process = run(folder.path(), &Config::demonstration(1024, 3000), arguments);
            says(&process, step).await;
            process.signal("INT");
            let (ended, said) = (process.exit_code().await, process.out());
            assert_eq!(ended, code, "{said}");
            for text in texts {
                assert!(said.contains(text), "{text:?} is not in:\n{said}");
            }
            for text in ["identical", "Replication continues"] {
                assert!(!said.contains(text), "{text:?} is in:\n{said}");
            }
        }
    }
}

/// The lines of a demonstration that continues, from where it says what to look at.
async fn look(sidecar: &Process) -> Vec<String> {
    says(sidecar, "Dashboard: ").await;
    let out = sidecar.out();
    let (_, look) = out.split_once("Where to look:\n").unwrap();
    look.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn its_commands_can_be_pasted_and_its_last_line_is_the_dashboard() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("it's")).unwrap();
    std::fs::write(folder.path().join("it's/own.toml"), demonstration().as_str()).unwrap();
    let arguments = ["--config", "it's/own.toml"];
    let mut sidecar = run(folder.path(), &demonstration(), &arguments);
    let look = look(&sidecar).await;
    let commands = look.iter().filter(|line| line.contains("dcp-proxy status"));
    let commands: Vec<_> = commands.collect();
    assert_eq!(commands.len(), 1, "{look:#?}");
    assert!(commands[0].contains(r"--config 'it'\''s/own.toml' --admin http://127.0.0.1:"));
    let mut shell = std::process::Command::new("sh");
    let output = shell.args(["-c", commands[0]]).current_dir(folder.path()).output().unwrap();
    let status = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && status.contains("default"), "{output:?}");
    let dashboard = look.last().unwrap().strip_prefix("Dashboard: http://").unwrap();
    let (address, token) = dashboard.split_once("/#token=").unwrap();
    assert!(address.starts_with("127.0.0.1:") && token.len() == 64, "{dashboard}");
    // What the plots show moves: writes go on.
    let bytes = || {
        let page = common::scrape(address);
        let of_link = |line: &str| {
            line.strip_prefix("dcp_proxy_link_bytes_total{")?
                .rsplit_once(' ')?
                .1
                .parse::<f64>()
                .ok()
        };
        page.lines().filter_map(of_link).sum::<f64>()
    };
    let before = bytes();
    until("more is replicated", async || (bytes() > before + 1000.0).then_some(())).await;
    sidecar.signal("TERM");
    assert_eq!(sidecar.exit_code().await, 0, "{}", sidecar.log());
    let last = sidecar.out().lines().last().unwrap().to_owned();
    assert!(last.starts_with("Stopping; ") && last.ends_with("were acknowledged."), "{last}");
}

#[tokio::test]
async fn a_vbucket_that_cannot_be_replicated_is_named_and_its_difference_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let config = demonstration().limits("once_idle_ms = 2000");
    let known = config.as_str().replace("[embedded]", "[embedded]\npassword = \"for tests\"");
    let config = Config::text(known);
    let mut sidecar = run(folder.path(), &config, &[]);
    let beta = says(&sidecar, "  beta: 127.0.0.1:").await;
    let address = beta.trim_start_matches("  beta: ").split(',').next().unwrap();
    write_on(address, VbId(5), b"intruder").await;
    sidecar.signal("TERM");
    assert_eq!(sidecar.exit_code().await, 0, "{}", sidecar.log());

    let differs = [
        "No progress for 2s",
        "vb:5: active at beta, so it is not asked for",
        "key \"intruder\" is on beta and not on alpha",
    ];
    expect(folder.path(), &config, &["--once"], 1, &differs).await;
}

/// Makes the vBucket active at this address and writes a document that no other node has.
async fn write_on(address: &str, vb: VbId, key: &[u8]) {
    let endpoint = Endpoint::new("beta", address, "dcp-proxy", Secret::new("for tests"));
    let (agent, deadlines) = ("test", Deadlines::default());
    let login = Login { bucket: Some("default"), agent, features: &[], deadlines };
    let mut client = Client::connect(&endpoint, login).await.unwrap();
    client.set_vbucket(vb, VbState::Active).await.unwrap();
    let extras = StoreExtras::default().encode();
    let set = FrameBuilder::request(Opcode::SET).vbucket(vb).extras(&extras);
    client.ask(set.key(key).value(b"only here")).await.unwrap();
}

#[tokio::test]
async fn every_problem_of_a_configuration_is_printed_and_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        demonstration().as_str().replace("vbuckets = 64\ndocuments", "vbuckets = 0\ndocuments");
    let config = Config::text(text.replace("state = \"replica\"", "state = \"dead\""));
    let problems = [
        "vbuckets: 0 is out of range: give 1 to 1024",
        "state: \"dead\" is not a state: give active or replica",
    ];
    for arguments in [&["--once"][..], &["check"]] {
        expect(folder.path(), &config, arguments, 2, &problems).await;
    }
    let missing = ["other.toml: could not be read"];
    expect(folder.path(), &config, &["--config", "other.toml"], 2, &missing).await;
    expect(folder.path(), &config, &["--twice"], 2, &["--twice"]).await;
}

#[tokio::test]
async fn check_prints_what_the_configuration_comes_to() {
    let folder = tempfile::tempdir().unwrap();
    let good = ["proxy.toml is valid:", "from alpha: 0-63", "500 sample documents"];
    expect(folder.path(), &demonstration(), &["check"], 0, &good).await;
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap();
    let listen = format!("state = \"active\"\nlisten = \"{taken}\"");
    let config = Config::text(demonstration().as_str().replace("state = \"active\"", &listen));
    // Quotes within a value of a log line are escaped.
    let said = format!(r#"embedded node \"alpha\": listening on {taken}"#);
    expect(folder.path(), &config, &["--once"], 1, &[&said]).await;
    drop(listener);
}
