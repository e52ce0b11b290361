//! The commands of `kvnode` for a running node, as processes against real nodes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{DataNode, Process, until};
use mcbp::{VbId, VbState};
use relay::testing::{Authority, Validity};

const VBUCKETS: u16 = 8;

/// A node, and how to run commands against it.
struct Fixture {
    folder: tempfile::TempDir,
    node: DataNode,
}

/// What a command has printed, and its exit code.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: Vec<u8>,
    err: String,
}

impl Ran {
    fn text(&self) -> String {
        String::from_utf8(self.out.clone()).unwrap()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Fixture {
    async fn start(state: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let node = DataNode::start(folder.path(), "alpha", state, VBUCKETS).await;
        Self { folder, node }
    }

    fn password(&self) -> PathBuf {
        self.folder.path().join("alpha.password")
    }

    /// The command with the arguments that reach the node.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = bare(words);
        command.args(["--node", &self.node.address().to_string(), "--username", "dcp-proxy"]);
        command.arg("--password-file").arg(self.password());
        command
    }

    fn run(&self, words: &[&str]) -> Ran {
        run(&mut self.command(words), b"")
    }

    /// The output with what differs from run to run replaced.
    fn shown(&self, words: &[&str]) -> String {
        let Ran { code, out, err } = self.run(words);
        let text = String::from_utf8(out).unwrap() + &err;
        let text = text.replace(&self.node.address().port().to_string(), "PORT");
        format!("$ kvnode {}\n{}exit code {code}\n", words.join(" "), without_chance(&text))
    }
}

fn bare(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvnode"));
    for name in ["RUST_LOG", "KVNODE_USERNAME", "KVNODE_PASSWORD"] {
        command.env_remove(name);
    }
    command.args(words);
    command
}

fn run(command: &mut Command, input: &[u8]) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A command that refuses its input early closes the pipe.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    Ran { code: output.status.code().unwrap(), out: output.stdout, err }
}

/// Replaces times and rates, and numbers of ten or more digits: UUIDs, CAS values.
fn without_chance(text: &str) -> String {
    let line = |line: &str| {
        let line = line
            .split_once(", in ")
            .map_or(line.to_owned(), |(kept, _)| format!("{kept}, in SECONDS, RATES"));
        let mut shown = String::new();
        let mut digits = String::new();
        for c in line.chars().chain(['\n']) {
            if c.is_ascii_digit() {
                digits.push(c);
                continue;
            }
            shown += if digits.len() < 10 { &digits } else { "LONG" };
            digits.clear();
            shown.push(c);
        }
        shown
    };
    let text: String = text.lines().map(line).collect();
    // Columns are as wide as their numbers.
    text.lines()
        .map(|line| line.split(' ').filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ") + "\n")
        .collect()
}

#[tokio::test]
async fn a_first_hour_needs_no_other_client() {
    let fixture = Fixture::start("active").await;
    let commands: &[&[&str]] = &[
        &["set", "hello", "{\"a\":1}"],
        &["get", "hello", "--json"],
        &["set", "hello", "world"],
        &["get", "hello", "--json"],
        &["set", "hello", "again", "--json"],
        &["delete", "hello"],
        &["delete", "hello"],
        &["get", "hello"],
        &["get", "hello", "--json"],
        &["seed", "200"],
        &["seed", "3", "--first", "200", "--size", "1000"],
        &["get", "sample-00000203"],
        &["vbuckets"],
        &["vbuckets", "0,9"],
        &["vbuckets", "7", "--json"],
        &["vbuckets", "--set-state", "replica", "0-3"],
        &["vbuckets", "--set-state", "dead", "3", "--json"],
        &["get", "hello", "--vbucket", "3"],
        &["set", "hello", "x", "--vbucket", "2", "--json"],
        &["get", "hello", "--vbucket", "77"],
        &["seed", "100"],
        &["vbuckets", "--set-state", "active", "0-3,9,10"],
        &["stats", "warmup"],
        &["stats", "failovers", "7"],
        &["stats", "nonsense"],
        &["stats", "vbucket", "--json"],
    ];
    let shown: Vec<_> = commands.iter().map(|words| fixture.shown(words)).collect();
    insta::assert_snapshot!(shown.join("\n"));
    assert_eq!(fixture.node.state(VbId(3)).await, VbState::Active);
    let json = fixture.run(&["seed", "2", "--json", "--size", "64"]).json();
    assert_eq!((json["documents"].as_u64(), json["bytes"].as_u64()), (Some(2), Some(128)));
    assert!(json["documents_per_s"].is_u64() && json["elapsed_ms"].is_u64(), "{json}");
    let stats = fixture.run(&["stats", "--json"]).json();
    assert_eq!(stats["stats"]["ep_max_vbuckets"], "8");
}

#[tokio::test]
async fn values_are_bytes_and_have_a_limit() {
    const LIMIT: usize = 20 * 1024 * 1024;
    let fixture = Fixture::start("active").await;
    let bytes: Vec<u8> = (0..=255).chain(*b"\r\n\n").collect();
    let set = |value: &[u8]| run(&mut fixture.command(&["set", "k", "-"]), value);
    for value in [bytes.as_slice(), b"", &vec![7; LIMIT]] {
        let ran = set(value);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(fixture.run(&["get", "k"]).out == value, "{} bytes", value.len());
    }
    let ran = set(&vec![7; LIMIT + 1]);
    assert_eq!((ran.code, ran.out.len()), (2, 0));
    assert!(ran.err.contains("too large: give at most 20 MiB (20971520 bytes)"), "{}", ran.err);
    assert_eq!(fixture.run(&["get", "k"]).out.len(), LIMIT, "the old value stays");
    set(&[0xff, 0]);
    assert_eq!(fixture.run(&["get", "k", "--json"]).json()["value_base64"], "/wA=");

    use std::os::unix::ffi::OsStrExt as _;
    let key = std::ffi::OsStr::from_bytes(b"\xff\x01");
    let words = |verb: &str| {
        let mut command = fixture.command(&[verb]);
        command.arg(key);
        command
    };
    assert_eq!(run(words("set").arg("v"), b"").code, 0);
    assert_eq!(run(&mut words("get"), b"").out, b"v");
    for key in [String::new(), "k".repeat(251)] {
        let ran = fixture.run(&["get", &key]);
        assert_eq!(ran.code, 2);
        assert!(ran.err.contains("bytes: give 1 to 250"), "{}", ran.err);
    }
    assert_eq!(fixture.run(&["set", &"k".repeat(250), "v"]).code, 0);
}

#[tokio::test]
async fn an_output_that_takes_nothing_is_exit_code_1_and_a_closed_one_is_not() {
    let fixture = Fixture::start("active").await;
    assert_eq!(fixture.run(&["set", "k", "v"]).code, 0);
    for words in [&["get", "k"][..], &["get", "k", "--json"], &["vbuckets"]] {
        let mut command = fixture.command(words);
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(err.starts_with("kvnode: standard output: No space left"), "{err}");

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = fixture.command(words).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    }
    let mut script = bare(&["completions", "bash"]);
    assert!(run(&mut script, b"").text().contains("--set-state"));
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut script = bare(&["completions", "bash"]);
    let script = script.stdout(full).stderr(Stdio::null());
    assert_eq!(script.status().unwrap().code(), Some(1));
    for words in ["--help", "--version"] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = bare(&[words]).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert!(err.starts_with("could not write to standard output: No space left"), "{err}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_named_with_what_to_do() {
    let fixture = Fixture::start("replica").await;
    let address = fixture.node.address().to_string();
    let wrong = fixture.folder.path().join("wrong");
    fs::write(&wrong, "not it").unwrap();
    let (wrong, right) = (wrong.display().to_string(), fixture.password().display().to_string());
    // Bound and not listened to for data nodes: whoever connects is closed at once.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let other_address = other.local_addr().unwrap().to_string();
    std::thread::spawn(move || other.incoming().take(1).for_each(drop));
    let get = |node: &str, file: &str, more: &[&str]| {
        let words =
            ["get", "k", "--username", "dcp-proxy", "--node", node, "--password-file", file];
        run(&mut bare(&[&words[..], more].concat()), b"")
    };
    let state = "the vBucket is replica here, and only an active one serves documents";
    for (ran, code, words) in [
        (fixture.run(&["get", "k"]), 1, ["NotMyVbucket", state]),
        (fixture.run(&["seed", "5"]), 1, ["(0 of 5 were written)", state]),
        (get(&address, &wrong, &[]), 2, ["refused user \"dcp-proxy\"", "check username and"]),
        (get(&address, &right, &["--bucket", "b"]), 2, ["has no bucket \"b\"", "another --bucket"]),
        (
            get("127.0.0.1:1", &right, &[]),
            1,
            ["could not connect", "is it running, is --node right?"],
        ),
        (get(&other_address, &right, &[]), 1, ["connection", "is it a data node, does it use TLS"]),
        (get(&address, "/nowhere", &[]), 2, ["/nowhere", "No such file"]),
        (run(&mut bare(&["get", "k"]), b""), 2, ["no user", "--config"]),
        (run(&mut bare(&["got", "k"]), b""), 2, ["unrecognized subcommand", "'get'"]),
    ] {
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.out.is_empty() && words.iter().all(|word| ran.err.contains(word)), "{ran:?}");
    }
    let json = fixture.run(&["get", "k", "--json"]).json();
    assert_eq!((&json["state"], &json["status"]), (&"replica".into(), &"NotMyVbucket".into()));
    let env = [("KVNODE_USERNAME", "dcp-proxy"), ("KVNODE_PASSWORD", "correct horse")];
    let ran = run(bare(&["vbuckets", "--node", &address]).envs(env), b"");
    assert!(ran.code == 0 && ran.text().contains("8 vBuckets, 8 replica, 0 documents"), "{ran:?}");
}

#[tokio::test]
async fn a_topology_lets_vbuckets_take_durable_writes() {
    let fixture = Fixture::start("active").await;
    let topology = |vb: u16| {
        let text = fixture.run(&["stats", "vbucket-details", &vb.to_string()]).text();
        let line = text.lines().find(|line| line.contains(":topology")).unwrap();
        line.split_once("topology").unwrap().1.trim_matches([':', ' ']).to_owned()
    };
    assert_eq!(topology(0), "null");
    let active = ["vbuckets", "--set-state", "active"];
    let set = |more: &[&str]| fixture.run(&[&active[..], more].concat());
    let ran = set(&["0-3", "--topology", "alpha,ns_1@10.0.0.2"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        (topology(3).as_str(), topology(4).as_str()),
        (r#"[["alpha","ns_1@10.0.0.2"]]"#, "null")
    );
    let ran = fixture.run(&["vbuckets", "--set-state", "replica", "4", "--topology", "alpha"]);
    assert!(ran.code == 1 && ran.err.contains("vBucket 4"), "{ran:?}");
    assert_eq!(set(&["0"]).code, 0);
    assert_eq!(topology(0), "null", "one that is not given is none");
}

#[tokio::test]
async fn a_seed_whose_node_dies_says_how_many_were_written_and_how_to_go_on() {
    let mut fixture = Fixture::start("active").await;
    let folder = fixture.folder.path().to_owned();
    let mut seed = fixture.command(&["seed", "1000000", "--size", "65536"]);
    let mut seed = Process::start("seed", &folder, &mut seed);
    until("documents", async || {
        // More than may be unanswered.
        let text = fixture.run(&["vbuckets"]).text();
        let count = text.split_once(" documents").unwrap().0.rsplit(' ').next().unwrap();
        (count.replace(',', "").parse::<u64>().unwrap() > 512).then_some(())
    })
    .await;
    fixture.node.process.kill_9();
    assert_eq!(seed.exit_code().await, 1);
    let log = seed.log();
    for words in ["does it still run?", " of 1,000,000 were written; go on with seed ", "--first "]
    {
        assert!(log.contains(words), "{log}");
    }
    assert!(!log.contains("does it use TLS") && !log.contains("(0 of"), "{log}");
}

#[test]
fn a_port_for_http_is_told_with_what_to_do() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let answer = std::thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // Until the other end has read it.
        _ = stream.read_to_end(&mut Vec::new());
    });
    let env = [("KVNODE_USERNAME", "u"), ("KVNODE_PASSWORD", "p")];
    let ran = run(bare(&["get", "k", "--node", &address]).envs(env), b"");
    answer.join().unwrap();
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err.contains("unknown magic 0x48") && ran.err.contains("not one for HTTP?"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn the_file_of_the_node_and_its_authority_are_enough() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let server = authority.sign("127.0.0.1", Validity::Now);
    // The file has to name the port, so it is one that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    fs::write(folder.path().join("p"), "secret\n").unwrap();
    let file = folder.path().join("node.toml");
    let toml = format!(
        "listen = \"0.0.0.0:{port}\"\ndata = \"data\"\n\
         tls = {{ certificate = {:?}, key = {:?} }}\n\
         [[bucket]]\nname = \"b\"\nvbuckets = 4\n\
         [[user]]\nname = \"u\"\npassword = {{ file = \"p\" }}\n",
        server.certificate, server.key,
    );
    fs::write(&file, toml).unwrap();
    let mut command = bare(&["--config"]);
    let node = Process::start("node", folder.path(), command.arg(&file));
    node.logs(&["bucket is ready"]).await;
    let with = |words: &[&str], ca: bool| {
        let mut command = bare(words);
        command.arg("--config").arg(&file);
        if ca {
            command.arg("--ca").arg(&authority.file);
        }
        run(&mut command, b"")
    };
    assert_eq!(with(&["set", "k", "over TLS"], true).code, 0);
    assert_eq!(with(&["get", "k"], true).text(), "over TLS");
    let ran = with(&["get", "k"], false);
    assert!(ran.code == 2 && ran.err.contains("the node uses TLS: give --ca FILE"), "{ran:?}");
    let plain = format!("127.0.0.1:{port}");
    let ran = with(&["get", "k", "--node", &plain], false);
    assert!(
        ran.code == 1
            && ran.err.contains("speaks TLS on this port")
            && ran.err.contains("--ca FILE"),
        "{ran:?}"
    );
    let ran = with(&["get", "k", "--server-name", "another"], true);
    assert!(ran.code == 1 && ran.err.contains("certificate"), "{ran:?}");
    until("it is still there", async || with(&["vbuckets"], true).out.len().checked_sub(1)).await;
}
