//! Captures of a link between real processes: what they have, what they never have, and that they
//! end; as a subcommand and over the API.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::path::Path;

use common::{Cluster, Process, until};
use mcbp::{Frame, Opcode};
use wirelog::{Reader, Record, Recorded};

/// A part of every document's value.
const SECRET: &str = "the-value-of-a-document";
const LINK: &str = "default/alpha";

/// What a file has, each line of which can be read.
struct Captured {
    text: String,
    records: Vec<Record>,
}

impl Captured {
    fn of(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let records = Reader::new(text.as_bytes()).collect::<Result<_, _>>().unwrap();
        Self { text, records }
    }

    fn frames(&self) -> impl Iterator<Item = &Recorded> {
        self.records.iter().filter_map(|record| match record {
            Record::Frame(frame) => Some(frame),
            _ => None,
        })
    }

    /// How many frames of `from` have this opcode.
    fn count(&self, from: &str, opcode: Opcode) -> usize {
        let is_meant = |frame: &&Recorded| {
            frame.from == from && Frame::parse(&frame.frame).unwrap().opcode() == opcode
        };
        self.frames().filter(is_meant).count()
    }

    /// No byte of a value, and no password: as text, and as digits.
    fn assert_redacted(&self, cluster: &Cluster) {
        let password = cluster.alpha.endpoint().password.expose();
        for secret in [SECRET, password.as_str()] {
            let digits: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(!self.text.contains(secret), "{secret}");
            assert!(!self.text.contains(&digits), "{secret}");
        }
    }
}

async fn write(cluster: &Cluster, keys: std::ops::Range<u32>) {
    let mut documents = cluster.alpha.documents().await;
    for number in keys {
        documents.set(&format!("key-{number}"), &format!("{{\"x\":\"{SECRET}\"}}")).await;
    }
}

async fn ask(cluster: &Cluster, file: &Path, more: &[&str]) -> Process {
    let file = file.to_str().unwrap();
    cluster.sidecar.ask(&[&["capture", LINK, file], more].concat()).await
}

/// Waits until the file has this many frames with documents.
async fn has_documents(file: &Path, count: usize) {
    until("documents are captured", async || {
        let text = std::fs::read_to_string(file).ok()?;
        (text.matches("DCP_MUTATION").count() >= count).then_some(())
    })
    .await;
}

/// Waits until a capture has begun, or so many.
async fn has_begun(cluster: &Cluster, count: usize) {
    until("captures have begun", async || {
        let log = cluster.sidecar.process.log();
        (log.matches("capture begins").count() >= count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_link_is_captured_over_a_restart_without_values_and_passwords() {
    let cluster = Cluster::start().await;
    cluster.converge().await;
    let file = cluster.folder.path().join("one.jsonl");
    let other = cluster.folder.path().join("two.jsonl");
    let mut one = ask(&cluster, &file, &["--seconds", "600"]).await;
    let mut two = ask(&cluster, &other, &["--seconds", "600", "--anonymise"]).await;
    has_begun(&cluster, 2).await;
    write(&cluster, 0..20).await;
    // What is on its way when a link ends is sent again.
    cluster.converge().await;
    let mut restart = cluster.sidecar.ask(&["restart", "default", "--producer", "alpha"]).await;
    assert_eq!(restart.exit_code().await, 0);
    write(&cluster, 20..40).await;
    cluster.converge().await;
    for (process, file) in [(&mut one, &file), (&mut two, &other)] {
        has_documents(file, 40).await;
        process.signal("INT");
        assert_eq!(process.exit_code().await, 0, "Ctrl-C ends it cleanly: {}", process.log());
        let text = Captured::of(file).text;
        assert!(text.contains("its client has ended it"), "END: {}", process.log());
    }
    let captured = Captured::of(&file);
    captured.assert_redacted(&cluster);
    assert_eq!(captured.count("producer", Opcode::DCP_MUTATION), 40);
    assert_eq!(captured.count("proxy", Opcode::SASL_AUTH), 2, "the handshake of the restart");
    assert_eq!(captured.count("proxy", Opcode::DCP_OPEN), 2);
    assert_eq!(captured.count("proxy", Opcode::DCP_ADD_STREAM), 8);
    assert_eq!(captured.count("consumer", Opcode::DCP_STREAM_REQ), 8);
    let withheld = captured.frames().filter(|frame| frame.note.as_deref() == Some("withheld"));
    assert!(withheld.count() >= 8, "the answers to ADD_STREAM");
    let key = |text: &str| text.contains("6b65792d3331");
    assert!(key(&captured.text), "keys are shown");
    let anonymous = Captured::of(&other);
    anonymous.assert_redacted(&cluster);
    assert_eq!(anonymous.count("producer", Opcode::DCP_MUTATION), 40, "the same frames");
    assert!(!key(&anonymous.text) && !anonymous.text.contains("key-31"));
    let mut events =
        cluster.sidecar.ask(&["events", "--kind", "capture-begun,capture-ended"]).await;
    assert_eq!(events.exit_code().await, 0);
    let log = events.out();
    assert_eq!(log.matches("capture-begun").count(), 2, "{log}");
    assert_eq!(log.matches("its client has ended it").count(), 2, "{log}");
}

#[tokio::test]
async fn what_has_passed_is_captured_after_the_fact() {
    let cluster = Cluster::start().await;
    write(&cluster, 0..20).await;
    cluster.converge().await;
    let file = cluster.folder.path().join("last.jsonl");
    let mut last = ask(&cluster, &file, &["--last", "--seconds", "0"]).await;
    assert_eq!(last.exit_code().await, 0, "{}", last.log());
    let captured = Captured::of(&file);
    captured.assert_redacted(&cluster);
    assert_eq!(captured.count("proxy", Opcode::DCP_OPEN), 2, "the handshake");
    assert_eq!(captured.count("proxy", Opcode::DCP_ADD_STREAM), 8);
    assert_eq!(captured.count("producer", Opcode::DCP_MUTATION), 0, "data is not kept");
    assert!(captured.text.contains("\"UNKEPT\""), "which the file says");
    assert!(captured.text.contains("all that was kept is shown"));

    let config = cluster.folder.path().join("proxy.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text + "[capture]\nring_bytes = 1000000\n").unwrap();
    let mut reload = cluster.sidecar.ask(&["reload"]).await;
    assert_eq!(reload.exit_code().await, 0);
    let mut number = 100;
    until("data is kept after the reload", async || {
        write(&cluster, number..number + 1).await;
        number += 1;
        let mut last = ask(&cluster, &file, &["--last", "--force"]).await;
        assert_eq!(last.exit_code().await, 0);
        let captured = Captured::of(&file);
        captured.assert_redacted(&cluster);
        (captured.count("producer", Opcode::DCP_MUTATION) > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_capture_ends_at_its_bounds_and_refuses_what_it_cannot_do() {
    let cluster = Cluster::start().await;
    cluster.converge().await;
    let file = cluster.folder.path().join("bounded.jsonl");
    let mut timed = ask(&cluster, &file, &["--seconds", "1"]).await;
    assert_eq!(timed.exit_code().await, 0);
    assert!(Captured::of(&file).text.contains("the time is over"));

    let mut again = ask(&cluster, &file, &["--seconds", "1"]).await;
    assert_eq!(again.exit_code().await, 2, "the file exists");
    let mut none = ask(&cluster, &cluster.folder.path().join("0"), &["--seconds", "0"]).await;
    assert_eq!(none.exit_code().await, 2);
    assert!(none.log().contains("--seconds 0 is for --last alone"), "{}", none.log());
    let mut wrong = cluster.sidecar.ask(&["capture", "default/gamma", "x.jsonl"]).await;
    assert_eq!(wrong.exit_code().await, 2);
    assert!(wrong.log().contains("default/alpha/0"), "{}", wrong.log());
    assert!(!cluster.folder.path().join("x.jsonl").exists());

    let mut small = ask(&cluster, &file, &["--force", "--bytes", "20K"]).await;
    has_begun(&cluster, 2).await;
    write(&cluster, 0..200).await;
    assert_eq!(small.exit_code().await, 0);
    let captured = Captured::of(&file);
    assert!(captured.text.len() <= 20 * 1024, "{}", captured.text.len());
    assert!(captured.text.contains("the bound of bytes is reached"));
}

/// It was said that "the time is over" or that all is well, whatever had happened.
#[tokio::test]
async fn a_capture_tells_of_a_link_that_is_down_a_full_disk_and_a_sidecar_that_stops() {
    let mut cluster = Cluster::start().await;
    cluster.converge().await;
    let mut full = ask(&cluster, Path::new("/dev/full"), &["--force", "--last"]).await;
    assert_eq!(full.exit_code().await, 1);
    assert!(full.log().contains("No space left"), "{}", full.log());
    assert!(full.log().contains("0 frames in 0 bytes"), "{}", full.log());

    cluster.alpha.process.kill_9();
    until("the link is down", async || {
        let mut status = cluster.sidecar.ask(&["streams", "--json"]).await;
        status.exit_code().await;
        let status = serde_json::from_str::<serde_json::Value>(&status.out()).ok()?;
        let link = &status["buckets"][0]["links"][0];
        let is_down = link["phase"] != "up" && link["phase"] != "unresponsive";
        link["last_error"]["detail"].as_str().filter(|_| is_down)?;
        Some(())
    })
    .await;
    let file = cluster.folder.path().join("down.jsonl");
    let mut down = ask(&cluster, &file, &["--seconds", "1"]).await;
    assert_eq!(down.exit_code().await, 0);
    assert_eq!(down.log().matches(", not up").count(), 2, "at begin and end: {}", down.log());
    assert!(down.log().contains("at the end replication:"), "{}", down.log());

    let file = cluster.folder.path().join("stopped.jsonl");
    let mut stopped = ask(&cluster, &file, &["--seconds", "600"]).await;
    has_begun(&cluster, 3).await;
    cluster.sidecar.process.signal("TERM");
    assert_eq!(stopped.exit_code().await, 1, "{}", stopped.log());
    assert!(stopped.log().contains("the sidecar stops: the file has what"), "{}", stopped.log());
    assert!(Captured::of(&file).text.contains("the sidecar stops"));
}

/// A client that is killed while it does not read: the history said that nothing was missing.
#[tokio::test]
async fn the_history_counts_what_a_client_that_left_has_missed() {
    let cluster = Cluster::start().await;
    cluster.converge().await;
    let file = cluster.folder.path().join("left.jsonl");
    let mut left = ask(&cluster, &file, &["--seconds", "600", "--bytes", "1G"]).await;
    has_begun(&cluster, 1).await;
    left.signal("STOP");
    let mut documents = cluster.alpha.documents().await;
    let large = SECRET.repeat(40_000);
    for number in 0..40 {
        documents.set(&format!("large-{number}"), &large).await;
    }
    cluster.converge().await;
    left.kill_9();
    let ended = cluster.sidecar.process.logs(&["capture ended"]).await;
    assert!(ended.contains("the client has left and may lack the last"), "{ended}");
    assert!(!ended.contains(" 0 frames missing"), "{ended}");
}

/// A client that does not read: replication goes on, and the client is told what it misses.
#[tokio::test]
async fn a_slow_reader_stops_nothing_and_a_fifth_capture_is_refused() {
    let cluster = Cluster::start().await;
    cluster.converge().await;
    let file = |number: u32| cluster.folder.path().join(format!("slow-{number}.jsonl"));
    let mut captures = Vec::new();
    for number in 0..4 {
        captures.push(ask(&cluster, &file(number), &["--seconds", "600", "--bytes", "1G"]).await);
    }
    has_begun(&cluster, 4).await;
    let mut fifth = ask(&cluster, &file(4), &[]).await;
    assert_eq!(fifth.exit_code().await, 1);
    assert!(fifth.log().contains("4 captures run already"), "{}", fifth.log());
    for capture in &captures[1..] {
        capture.signal("INT");
    }
    let slow = &mut captures[0];
    slow.signal("STOP");
    let mut documents = cluster.alpha.documents().await;
    let large = SECRET.repeat(40_000);
    for number in 0..40 {
        documents.set(&format!("large-{number}"), &large).await;
    }
    cluster.converge().await;
    slow.signal("CONT");
    until("it is told of frames that it misses", async || {
        std::fs::read_to_string(file(0)).ok()?.contains("DROPPED").then_some(())
    })
    .await;
    slow.signal("INT");
    assert_eq!(slow.exit_code().await, 0, "{}", slow.log());
    let captured = Captured::of(&file(0));
    assert!(captured.text.contains("its client has ended it"), "all up to the end");
    captured.assert_redacted(&cluster);
    let missing: u64 = captured
        .records
        .iter()
        .map(|record| match record {
            Record::Dropped { frames, .. } => *frames,
            _ => 0,
        })
        .sum();
    assert!(missing > 0 && captured.count("producer", Opcode::DCP_MUTATION) < 40);
}
