//! The subcommands as processes, against an API between played nodes and against a whole sidecar.

use std::path::Path;
use std::process::{Command, Output};

use mcbp::{Opcode, Status, VbId};
use relay::{Endpoint, Secret};
use serde_json::{Value, json};

use crate::Served;
use crate::common::{Process, same_documents, until};
use crate::nodes::{Link, calm};

/// The output of a subcommand.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("no JSON, {e}: {self:?}"))
    }
}

/// Runs the program in `folder`, with arguments separated by spaces.
pub(crate) async fn run(folder: &Path, line: &str) -> Said {
    let mut command = program(folder);
    command.args(line.split_whitespace());
    let run = tokio::task::spawn_blocking(move || command.output());
    let Output { status, stdout, stderr } = run.await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: status.code(), out: text(stdout), err: text(stderr) }
}

pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
    command.current_dir(folder).env_remove("RUST_LOG").env_remove("DCP_PROXY_TOKEN");
    command
}

impl Served {
    /// Runs a subcommand against this API.
    async fn run(&self, line: &str) -> Said {
        let token = self.http.token().map(|token| format!(" --token {token}")).unwrap_or_default();
        run(Path::new("."), &format!("{line} --admin {}{token}", self.http.url())).await
    }
}

#[tokio::test]
async fn status_is_a_table_for_people_and_json_for_programs() {
    let served = Served::start(calm()).await;
    let _link = served.open([0, 2]).await;
    let said = served.run("status").await;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    let lines: Vec<_> = said.out.lines().collect();
    assert!(lines[0].starts_with(concat!(
        "dcp-proxy ",
        env!("CARGO_PKG_VERSION"),
        ", running for "
    )));
    assert!(lines[0].ends_with(", ready"), "{}", said.out);
    assert_eq!(lines[2], "NODE   ROLE      HEARD  EMBEDDED".replace("HEARD  ", &heard(lines[2])));
    assert!(lines[4].ends_with("127.0.0.1:11210, synced"), "{}", said.out);
    let heading =
        "BUCKET   CONNECTIONS  LINKS  UP  STREAMS  OPEN  FAILED  MOVING  PAUSED  DRIFT  LAG";
    assert_eq!(lines[6], heading);
    assert!(
        lines[7].starts_with("default            1      1   1        2     2       0       0  ")
    );
    assert!(lines[7].ends_with("  ?"), "nobody was asked for seqnos: {}", said.out);
    let json = served.run("status --json").await.json();
    assert_eq!((&json["phase"], &json["buckets"][0]["open"]), (&json!("running"), &json!(2)));
}

/// The column `HEARD` as wide as it is in this heading.
fn heard(heading: &str) -> String {
    let (from, to) = (heading.find("HEARD").unwrap(), heading.find("EMBEDDED").unwrap());
    heading[from..to].to_owned()
}

#[tokio::test]
async fn streams_lists_every_vbucket() {
    let served = Served::start(calm()).await;
    assert_eq!(served.run("streams").await.out, "nothing is replicated\n");
    let _link = served.open([0, 2]).await;
    let said = served.run("streams default").await;
    let rows: Vec<Vec<_>> =
        said.out.lines().map(|line| line.split_whitespace().collect()).collect();
    let heading = ["BUCKET", "VB", "PRODUCER", "LINK", "PHASE", "OPAQUE", "SEQNO", "LAG"];
    assert_eq!(rows[0][..8], heading, "{}", said.out);
    assert_eq!(rows[1][..6], ["default", "0", "alpha", "0", "up", "open"], "{}", said.out);
    assert_eq!(rows[1][7..], ["?"; 3], "seqno, lag and progress are not known: {}", said.out);
    assert_eq!((rows[2][1], rows.len()), ("2", 3), "{}", said.out);
    let json = served.run("streams --json").await.json();
    assert_eq!(json["buckets"][0]["links"][0]["streams"][1]["vbucket"], 2);
    let unknown = served.run("streams other").await;
    assert_eq!(
        (unknown.code, unknown.err.as_str()),
        (Some(2), "the sidecar has no bucket \"other\"\n")
    );
}

#[tokio::test]
async fn replicate_waits_and_drain_takes_it_back() {
    let served = Served::start(calm()).await;
    let (said, link) = tokio::join!(served.run("replicate default alpha=0 alpha=2"), async {
        let mut link = served.nodes.accept().await;
        for stream in link.requests::<2>().await {
            link.open(&stream).await;
        }
        link
    });
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(0), "default: 2 streams are open\n"),
        "{said:?}"
    );
    let drain = served.run("drain --all --yes --json");
    let (said, ()) = tokio::join!(drain, close(link, 2));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(
        said.json(),
        json!({ "buckets": [{ "bucket": "default", "open": 0, "revision": 2 }] })
    );
    let said = served.run("drain default --yes").await;
    assert_eq!(said.out, "default: 0 streams are open\n");
}

/// Plays both nodes while this many streams are closed, on the consumer first.
async fn close(mut link: Link, streams: usize) {
    for _ in 0..streams {
        let close = link.consumer.expect(Opcode::DCP_CLOSE_STREAM).await;
        link.consumer.answer(&close, Status::SUCCESS).await;
    }
    link.consumer.expect_close().await;
}

#[tokio::test]
async fn what_failed_is_listed_and_the_exit_code_says_so() {
    let served = Served::start(calm()).await;
    let (said, _link) = tokio::join!(served.run("replicate default alpha=7"), async {
        let mut link = served.nodes.accept().await;
        let stream = link.request().await;
        link.added(&stream, Status::NOT_MY_VBUCKET).await;
        link
    });
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    let lines: Vec<_> = said.err.lines().collect();
    assert_eq!(lines[0], "1 vBucket failed:");
    let heading: Vec<_> = lines[1].split_whitespace().collect();
    assert_eq!(heading, ["VB", "PRODUCER", "REASON", "STATUS", "RETRY", "DETAIL"]);
    assert!(lines[2].trim_start().starts_with("7  alpha     refused"), "{}", said.err);
}

#[tokio::test]
async fn wrong_usage_is_told_from_failure() {
    let served = Served::start(calm()).await;
    let table = [
        ("replicate default", 2, "required arguments were not provided"),
        ("replicate default alpha", 2, "give PRODUCER=SET, such as alpha=0-511"),
        ("replicate default alpha=0-2000", 2, "vbucket 2000 is out of range: give 0 to 1023"),
        ("replicate default gamma=1", 2, "unknown producer \"gamma\": give one of alpha"),
        ("replicate other alpha=1", 2, "unknown bucket \"other\": give one of default"),
        ("takeover default 1", 2, "--from <PRODUCER>"),
        ("takeover default 1024 --from alpha", 2, "vbucket 1024 is out of range: give 0 to 1023"),
        ("takeover default 0-3,2 --from alpha", 2, "vbucket 2 is named twice"),
        ("move default 3- --from alpha", 2, "\"3-\" is not a vbucket or a range"),
        ("move default 1-5 --from gamma", 2, "unknown producer \"gamma\": give one of alpha"),
        ("move default 1 --from gamma", 2, "unknown producer \"gamma\": give one of alpha"),
        ("drain", 2, "required arguments were not provided"),
        ("drain default --all", 2, "cannot be used with"),
        ("drain other", 2, "unknown bucket \"other\": give one of default"),
        ("connections default 65", 2, "65 connections for each producer: give 1 to 64"),
        ("connections default many", 2, "\"many\" is not a number: give 1 to 64"),
        (
            "log-level loud",
            2,
            "unknown log level \"loud\": give off, error, warn, info, debug or trace",
        ),
    ];
    for (line, code, words) in table {
        let said = served.run(line).await;
        assert_eq!(said.code, Some(code), "{line}: {said:?}");
        assert!(said.err.contains(words), "{line}: {}", said.err);
    }
    let said = served.run("takeover default 1 --from gamma --json").await;
    let error = json!({ "error": "unknown producer \"gamma\": give one of alpha" });
    assert_eq!((said.code, said.json(), said.err.as_str()), (Some(2), error, ""));
}

#[tokio::test]
async fn a_sidecar_that_is_not_there_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let said = run(folder.path(), "status --admin http://127.0.0.1:1").await;
    assert_eq!(said.code, Some(1), "{said:?}");
    let start = "the sidecar at http://127.0.0.1:1 does not answer: ";
    assert!(said.err.starts_with(start) && said.err.contains("is it running"), "{}", said.err);
    let said = run(folder.path(), "status --json --admin http://127.0.0.1:1").await;
    assert!(said.json()["error"].as_str().unwrap().starts_with(start), "{said:?}");
    let said = run(folder.path(), "status --admin 127.0.0.1").await;
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("the port is missing: give HOST:PORT"), "{}", said.err);
}

#[tokio::test]
async fn the_file_says_where_to_ask_even_where_the_secrets_of_nodes_are_missing() {
    let served = Served::start(calm()).await;
    let folder = tempfile::tempdir().unwrap();
    let listen = served.admin.address();
    let text = format!(
        "[node]\nname = \"beta\"\naddress = \"127.0.0.1:1\"\nusername = \"dcp-proxy\"\n\
         password = {{ env = \"NOBODY_SETS_THIS\" }}\n[admin]\nlisten = \"{listen}\"\n"
    );
    std::fs::write(folder.path().join("proxy.toml"), &text).unwrap();
    let said = run(folder.path(), "status").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    std::fs::write(folder.path().join("proxy.toml"), text.replace("listen", "lisen")).unwrap();
    let said = run(folder.path(), "status").await;
    let words = "proxy.toml:7:1: admin: lisen: unknown key: did you mean listen? Known here: \
                 listen, token, ready_percent\n";
    assert_eq!((said.code, said.err.as_str()), (Some(2), words), "{said:?}");
}

/// A configuration with two embedded nodes.
const EMBEDDED: &str = r#"
[node]
name = "beta"
[[producer]]
name = "alpha"
[[bucket]]
name = "default"
replicate = { alpha = "0-7" }
[admin]
listen = "127.0.0.1:0"
token = "open sesame"
[embedded]
password = "for tests"
[[embedded.node]]
name = "alpha"
state = "active"
vbuckets = 8
documents = 300
[[embedded.node]]
name = "beta"
state = "replica"
vbuckets = 8
"#;

/// Starts a whole sidecar in `folder`, and returns the URL of its admin API.
pub(crate) async fn sidecar(folder: &Path) -> (Process, String) {
    std::fs::write(folder.join("proxy.toml"), EMBEDDED).unwrap();
    let mut command = program(folder);
    let process = Process::start("sidecar", folder, command.args(["--admin-file", "admin"]));
    let file = folder.join("admin");
    let read = async || std::fs::read_to_string(&file).ok().filter(|url| url.ends_with('\n'));
    let url = until("the URL is written", read).await;
    (process, url.trim_end().to_owned())
}

#[tokio::test]
async fn a_whole_sidecar_is_watched_changed_and_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (mut sidecar, url) = sidecar(folder.path()).await;
    let folder = folder.path();
    // The file has port 0: the session file says which, and its token is for that address too.
    for line in ["status --json".to_owned(), format!("status --json --admin {url}")] {
        let said = run(folder, &line).await;
        assert!(said.json()["phase"].is_string(), "{line}: {said:?}");
    }
    let session = std::fs::read_to_string(folder.join("proxy.state/session.json")).unwrap();
    assert!(!session.contains("token") && session.contains(&url), "{session}");
    let elsewhere = tempfile::tempdir().unwrap();
    let said = run(elsewhere.path(), &format!("status --admin {url}")).await;
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.starts_with("the admin token is missing or wrong"), "{}", said.err);

    // With the address in the file, no options are needed.
    let listen = url.strip_prefix("http://").unwrap();
    std::fs::write(folder.join("proxy.toml"), EMBEDDED.replace("127.0.0.1:0", listen)).unwrap();
    let ready = async || {
        let said = run(folder, "status --json").await;
        (said.code == Some(0) && said.json()["ready"] == true).then(|| said.json())
    };
    let status = until("it is ready", ready).await;
    assert_eq!(status["embedded"][0]["durability"], "synced", "{status:#}");

    // What is moved during the comparison would be a difference.
    let goes_on = async || sidecar.out().contains("Replication continues").then_some(());
    until("both nodes have been compared", goes_on).await;
    let said = run(folder, "takeover default 3 --from alpha").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.starts_with("default: vb:3 is active here, dead at alpha, in "), "{said:?}");
    let said = run(folder, "move default 4 --from alpha --json").await;
    assert_eq!((said.code, &said.json()["vbucket"]), (Some(0), &json!(4)), "{said:?}");
    let nodes = [0, 1].map(|at| {
        let node = &status["embedded"][at];
        let (name, address) = (node["name"].as_str().unwrap(), node["address"].as_str().unwrap());
        Endpoint::new(name, address, "dcp-proxy", Secret::new("for tests"))
    });
    same_documents(&nodes[0], &nodes[1], [3, 4].map(VbId)).await;
    let said = run(folder, "connections default 3").await;
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(0), "default: 6 streams are open\n"),
        "{said:?}"
    );
    let said = run(folder, "log-level debug,relay=trace").await;
    let text = "debug,relay=trace\nconfigured: info (log-level --reset)\n";
    assert_eq!((said.code, said.out.as_str()), (Some(0), text), "{said:?}");
    let said = run(folder, "log-level rellay=trace").await;
    assert!(said.code == Some(2) && said.err.contains("unknown module \"rellay\""), "{said:?}");
    let said = run(folder, "log-level --reset").await;
    assert_eq!((said.code, said.out.as_str()), (Some(0), "info\n"), "{said:?}");
    let said = run(folder, "drain default --yes").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(run(folder, "streams").await.out, "nothing is replicated\n");

    let second = run(folder, "--once").await;
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains("is in use by process "), "{}", second.err);

    let http = crate::Http::to(listen.parse().unwrap());
    let token = [("Authorization", "Bearer open sesame")];
    assert_eq!(http.ask("POST", "/shutdown", &token, "").await.status, 202);
    assert_eq!(sidecar.exit_code().await, 0);
}
