//! The log of both programs: it stops nobody, its lines are short and well-formed, and a peer
//! cannot fill a disk with it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{Config, DataNode, FakeConsumer, FakeNode, Process, command, run, until};
use mcbp::{FrameBuilder, Opaque, Opcode, Status};
use relay::testing::FakePeer;
use relay::{Client, Deadlines, Endpoint, Login, Secret};

/// A process that writes both outputs to one pipe. It is killed when dropped.
struct Piped(Child);

impl Piped {
    fn start(command: &mut Command, pipe: &PipeWriter) -> Self {
        let [out, error] = [(); 2].map(|()| Stdio::from(pipe.try_clone().unwrap()));
        let command = command.env_remove("RUST_LOG").stdin(Stdio::null());
        Self(command.stdout(out).stderr(error).spawn().unwrap())
    }

    /// Stops it with a signal; it must end by itself.
    async fn stop(&mut self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.0.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let code = until("it ends", async || self.0.try_wait().unwrap()).await.code();
        assert_eq!(code, Some(0));
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        // An error means that it has exited already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A pipe that takes no byte more, and one whose reader is gone.
fn bad_pipes() -> [(PipeWriter, Option<PipeReader>); 2] {
    let (reader, mut full) = std::io::pipe().unwrap();
    // The size of a pipe on Linux.
    full.write_all(&[b'\n'; 65_536]).unwrap();
    let (_, closed) = std::io::pipe().unwrap();
    [(full, Some(reader)), (closed, None)]
}

async fn text_of(path: &Path) -> String {
    until("the file is there", async || {
        std::fs::read_to_string(path).ok().filter(|text| text.ends_with('\n'))
    })
    .await
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_no_sidecar() {
    for (signal, (pipe, _reader)) in ["TERM", "INT"].into_iter().zip(bad_pipes()) {
        let folder = tempfile::tempdir().unwrap();
        let (alpha, beta) = (FakePeer::bind().await, FakePeer::bind().await);
        let config = Config::new(&beta.endpoint("beta"), &alpha.endpoint("alpha"), "0-7");
        drop((alpha, beta));
        std::fs::write(folder.path().join("proxy.toml"), config.as_str()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
        command.current_dir(folder.path()).args(["--log", "trace", "--admin-file", "url"]);
        let mut sidecar = Piped::start(&mut command, &pipe);
        let url = text_of(&folder.path().join("url")).await;
        let ask = |words: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
            command.current_dir(folder.path()).args(words).args(["--admin", url.trim()]);
            Process::start("subcommand", folder.path(), &mut command)
        };
        for words in [&["log-level", "debug"][..], &["streams"]] {
            let mut asked = ask(words);
            assert_eq!(asked.exit_code().await, 0, "{words:?}");
        }
        sidecar.stop(signal).await;
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_no_data_node() {
    for (signal, (pipe, _reader)) in ["INT", "TERM"].into_iter().zip(bad_pipes()) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.password"), "secret").unwrap();
        let mut command = command(folder.path(), "a", "active", 8, 0);
        let mut node = Piped::start(command.args(["--log", "trace"]), &pipe);
        let port = text_of(&folder.path().join("a.port")).await;
        let client = async || log_in(port.trim(), "secret").await.ok();
        let mut client = until("a client logs in", client).await;
        // Some lines each.
        for _ in 0..50 {
            log_in(port.trim(), "secret").await.unwrap();
        }
        client.stats("").await.unwrap();
        node.stop(signal).await;
    }
}

#[tokio::test]
async fn a_result_that_cannot_be_written_is_no_success_and_no_lost_log() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::demonstration(8, 10);
    std::fs::write(folder.path().join("proxy.toml"), config.as_str()).unwrap();
    let log = folder.path().join("log");
    let (full, file) =
        (std::fs::File::create("/dev/full").unwrap(), std::fs::File::create(&log).unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
    let command = command.current_dir(folder.path()).arg("--once").env_remove("RUST_LOG");
    let mut once = Piped(command.stdin(Stdio::null()).stdout(full).stderr(file).spawn().unwrap());
    let code = until("it ends", async || once.0.try_wait().unwrap()).await.code();
    let said = std::fs::read_to_string(&log).unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the result could not be written to standard output"), "{said}");
    assert!(!said.contains("dropped"), "{said}");
}

async fn log_in(port: &str, password: &str) -> Result<Client, relay::LinkError> {
    let deadlines = Deadlines::default();
    let login = Login { bucket: Some("default"), agent: "test", features: &[], deadlines };
    let (address, password) = (format!("127.0.0.1:{port}"), Secret::new(password));
    Client::connect(&Endpoint::new("a", address, "dcp-proxy", password), login).await
}

#[tokio::test]
async fn no_program_ends_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let used = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = used.local_addr().unwrap();
    let config = Config::demonstration(8, 0);
    let config = Config::text(config.as_str().replace("127.0.0.1:0", &address.to_string()));
    let mut sidecar = run(folder.path(), &config, &["--log", "off"]);
    assert_eq!(sidecar.exit_code().await, 1);
    sidecar.logs(&["ERROR", "could not listen on", &address.to_string()]).await;
    std::fs::write(folder.path().join("a.password"), "secret").unwrap();
    let mut command = command(folder.path(), "a", "active", 8, address.port());
    let mut node = Process::start("a", folder.path(), command.args(["--log", "off"]));
    assert_eq!(node.exit_code().await, 1);
    node.logs(&["ERROR", "listening on", &address.to_string()]).await;
    // What is wrong with a configuration is for people, unless the log is for programs.
    for (format, word) in [("logfmt", "error: missing.toml"), ("json", r#""level":"ERROR""#)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvnode"));
        let options = ["--log", "off", "--log-format", format, "--config", "missing.toml"];
        let mut node = Process::start("b", folder.path(), command.args(options));
        assert_eq!(node.exit_code().await, 2);
        node.logs(&[word, "missing.toml: could not be read"]).await;
    }
}

#[tokio::test]
async fn each_problem_of_a_configuration_is_a_json_line_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let wrong: String = (0..90).map(|at| format!("wrong_{at:060} = 1\n")).collect();
    let mut sidecar =
        run(folder.path(), &Config::text(wrong.clone()), &["--log-format", "json", "check"]);
    std::fs::write(folder.path().join("node.toml"), &wrong).unwrap();
    let file = folder.path().join("node.toml").display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvnode"));
    let options = ["--log-format", "json", "--config", &file];
    let mut node = Process::start("a", folder.path(), command.args(options));
    for process in [&mut sidecar, &mut node] {
        assert_eq!(process.exit_code().await, 2);
        let last = format!("wrong_{:060}: unknown key", 89);
        process.logs(&[&last]).await;
        let log = process.log();
        let lines: Vec<serde_json::Value> =
            log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let wrong = lines.iter().filter(|line| line["msg"].as_str().unwrap().contains("wrong_"));
        assert_eq!(wrong.count(), 90, "{log}");
    }
}

#[tokio::test]
async fn every_line_of_both_programs_is_logfmt_or_json() {
    for format in ["logfmt", "json"] {
        let folder = tempfile::tempdir().unwrap();
        let (alpha, beta) = (FakePeer::bind().await, FakePeer::bind().await);
        let config = Config::new(&beta.endpoint("beta"), &alpha.endpoint("alpha"), "0-7");
        drop((alpha, beta));
        let config = Config::text(format!("{}\n[log]\nformat = {format:?}\n", config.as_str()));
        let mut sidecar = run(folder.path(), &config, &["--log", "trace"]);
        sidecar.logs(&["link down", "reason"]).await;
        sidecar.signal("TERM");
        assert_eq!(sidecar.exit_code().await, 0);
        std::fs::write(folder.path().join("a.password"), "secret").unwrap();
        let mut command = command(folder.path(), "a", "active", 8, 0);
        let mut node = Process::start("a", folder.path(), command.args(["--log-format", format]));
        node.logs(&["bucket is ready"]).await;
        node.signal("TERM");
        assert_eq!(node.exit_code().await, 0);
        for line in (sidecar.log() + &node.log()).lines() {
            if format == "json" {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(line["time"].is_string() && line["msg"].is_string(), "{line}");
            } else {
                assert!(is_logfmt(line), "{line}");
            }
        }
    }
}

/// Whether a line is `key=value key="quoted value"`, from `time` on.
fn is_logfmt(line: &str) -> bool {
    let mut rest = line;
    while !rest.is_empty() {
        let Some((key, value)) = rest.split_once('=') else { return false };
        if key.is_empty() || key.contains([' ', '"']) {
            return false;
        }
        let after = match value.strip_prefix('"') {
            None => value.find(' ').map_or("", |at| &value[at..]),
            Some(quoted) => {
                let mut escaped = false;
                let end = quoted.find(|char| {
                    let is_end = char == '"' && !escaped;
                    escaped = char == '\\' && !escaped;
                    is_end
                });
                let Some(end) = end else { return false };
                &quoted[end + 1..]
            }
        };
        rest = match after.strip_prefix(' ') {
            Some(next) => next,
            None if after.is_empty() => "",
            None => return false,
        };
    }
    line.starts_with("time=")
}

/// fail2ban/fail2ban#1277 and others: whoever can connect can fill the disk with the log.
#[tokio::test]
async fn strangers_write_no_long_log_of_a_data_node() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = DataNode::start(folder.path(), "alpha", "active", 8).await;
    let mut peer = node.client().await;
    let mut name = "\u{1b}[2J\nlevel=ERROR \"".repeat(700).into_bytes();
    name.truncate(15_000);
    let proof = [b"\0", &name[..], b"\0wrong"].concat();
    // Each answer is delayed, so that guessing is slow.
    for _ in 0..5 {
        let request = FrameBuilder::request(Opcode::SASL_AUTH).key(b"PLAIN").value(&proof);
        assert_eq!(peer.call(request).await.unwrap().status, Status::AUTH_ERROR);
    }
    let request = FrameBuilder::request(Opcode::SELECT_BUCKET).key(&name);
    assert!(!peer.call(request).await.unwrap().status.is_success());
    for _ in 0..200 {
        let mut stream = std::net::TcpStream::connect(node.address()).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        // Until the node has closed it, and logged why.
        _ = stream.read_to_end(&mut Vec::new());
    }
    node.stop().await;
    let log = node.process.log();
    assert!(log.lines().count() < 100 && log.len() < 200_000, "{} bytes", log.len());
    assert!(log.lines().all(|line| line.len() < 4096 && is_logfmt(line)), "{log}");
    assert!(!log.contains('\u{1b}'), "{log}");
    let told = ["log lines suppressed", "malformed frame", "count=180"];
    assert!(node.process.logged(&told).is_some(), "{log}");
}

/// A consumer that sends what nobody asked for, some thousand times.
#[tokio::test]
async fn a_peer_writes_no_long_log_of_a_sidecar() {
    let folder = tempfile::tempdir().unwrap();
    let (mut alpha, mut beta) = (FakeNode::start("alpha").await, FakeNode::start("beta").await);
    let config = Config::new(&beta.endpoint, &alpha.endpoint, "0");
    let mut sidecar = run(folder.path(), &config, &[]);
    let (consumer, _producer) = tokio::join!(beta.dcp(), alpha.dcp());
    let mut consumer = FakeConsumer(consumer);
    let asked = consumer.asked().await;
    for number in 0..5000 {
        let frame = FrameBuilder::response(Opcode::DCP_ADD_STREAM, Status::SUCCESS);
        consumer.0.send(frame.opaque(Opaque(number))).await;
    }
    consumer.request(&asked).await;
    sidecar.logs(&["answer to an unknown request withheld"]).await;
    sidecar.signal("TERM");
    sidecar.exit_code().await;
    let log = sidecar.log();
    assert!(log.lines().count() < 100, "{} lines", log.lines().count());
    assert!(sidecar.logged(&["log lines suppressed", "unknown request"]).is_some(), "{log}");
}
