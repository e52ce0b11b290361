//! Events over HTTP, with followers of every kind, and the subcommand against a real sidecar that
//! starts again.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use ::events::{Event, Events, Kind, Level};
use dcp_proxy::admin::Admin;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::common::{Config, DataNode, Process, nodes, until};
use crate::config;
use crate::http::Http;
use crate::nodes::PATIENCE;

const PATH: &str = "/api/v1/events";
/// As many as there may be.
const FOLLOWERS: usize = 32;

struct Served {
    admin: Admin,
    http: Http,
    events: Events,
}

fn start() -> Served {
    let stop = CancellationToken::new();
    let configured = config("listen = \"127.0.0.1:0\"");
    let admin = Admin::start(&configured.sources, &stop).unwrap();
    let (http, events) = (Http::to(admin.address()), configured.sources.events());
    Served { admin, http, events }
}

/// What a follower has read so far.
struct Follower {
    stream: TcpStream,
    text: String,
}

impl Follower {
    async fn of(http: &Http, query: &str, headers: &[(&str, &str)]) -> Self {
        let stream = http.send("GET", &format!("{PATH}{query}"), headers, "").await;
        Self { stream, text: String::new() }
    }

    /// Reads until this text has arrived.
    async fn reads(&mut self, what: &str) {
        let mut bytes = vec![0; 65_536];
        let mut seen = 0;
        while !self.text.get(seen..).is_some_and(|new| new.contains(what)) {
            // Where the text is long, only what is new is searched.
            seen = self.text.len().saturating_sub(what.len());
            let read = timeout(PATIENCE, self.stream.read(&mut bytes)).await;
            let count = read.unwrap_or_else(|_| panic!("no {what:?}: {}", self.text)).unwrap();
            assert!(count > 0, "it ended without {what:?}: {}", self.text);
            self.text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    /// Reads to the end.
    async fn ends(mut self) -> String {
        let mut rest = Vec::new();
        timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await.expect("its end").unwrap();
        self.text + &String::from_utf8(rest).unwrap()
    }

    /// The ids so far.
    fn ids(&self) -> Vec<String> {
        self.text.lines().filter_map(|line| Some(line.strip_prefix("id: ")?.to_owned())).collect()
    }
}

fn failed(events: &Events, vbuckets: &str) {
    let mut event = Event::new(Level::Warn, Kind::StreamFailed, "stream failed");
    event.link = Some("a->b".to_owned());
    events.push(event.of_bucket("default").of_vbuckets(vbuckets.parse().unwrap()));
}

#[tokio::test]
async fn a_follower_gets_what_was_and_what_comes_and_goes_on_from_its_last_event() {
    let Served { admin, http, events } = start();
    failed(&events, "0-3,7");
    let mut first = Follower::of(&http, "", &[]).await;
    first.reads("\"vbuckets\":\"0-3,7\"").await;
    assert!(
        first.text.to_lowercase().contains("content-type: text/event-stream"),
        "{}",
        first.text
    );
    assert!(first.text.contains("event: started\n") && first.text.contains("retry: 1000\n"));
    events.note(Level::Info, Kind::ReloadDone, None, "read again");
    first.reads("event: reload-done\n").await;
    let ids = first.ids();
    assert_eq!(ids.len(), 3, "{}", first.text);

    let mut second = Follower::of(&http, "?after=1", &[("Last-Event-ID", &ids[1])]).await;
    second.reads("event: reload-done\n").await;
    assert_eq!(second.ids(), ids[2..], "the header counts, it is newer");
    let mut warnings = Follower::of(&http, "?level=warn&bucket=default", &[]).await;
    failed(&events, "9");
    warnings.reads("\"vbuckets\":\"9\"").await;
    assert!(!warnings.text.contains("reload-done"), "{}", warnings.text);

    let mut old = Follower::of(&http, "", &[("Last-Event-ID", "1234-5")]).await;
    old.reads("event: reload-done\n").await;
    let gap = old.text.lines().find(|line| line.contains("\"kind\":\"gap\"")).unwrap();
    let gap: Value = serde_json::from_str(gap.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!((&gap["missed"], &gap["reason"]), (&Value::Null, &json!("restarted")));

    // A stop ends every stream, after its last event.
    events.note(Level::Info, Kind::Other, None, "the last one");
    let (text, ()) = tokio::join!(first.ends(), admin.stop());
    assert!(text.contains("the last one"), "{text}");
}

#[tokio::test]
async fn a_list_ends_and_says_what_it_misses() {
    let Served { admin, http, events } = start();
    for number in 0..1500 {
        // Kinds in turn, so that they are not equal.
        let bucket = format!("b{}", number % 100);
        events.push(Event::new(Level::Info, Kind::LinkUp, "up").of_bucket(bucket));
    }
    let answer =
        http.ask("GET", &format!("{PATH}?after=1"), &[("Accept", "application/json")], "").await;
    let listed = answer.body["events"].as_array().unwrap();
    assert_eq!((answer.status, listed.len()), (200, 1000), "{}", answer.head);
    assert_eq!(answer.body["gap"]["missed"], 500, "{}", answer.body["gap"]);
    assert_eq!(answer.body["next"], listed[999]["id"]);
    let stream = Follower::of(&http, "?follow=false&kind=started,reload-done", &[]).await;
    let text = stream.ends().await;
    assert!(!text.contains("event: link-up"), "{text}");
    let counts = http.text("/metrics").await.1;
    assert!(counts.contains("dcp_proxy_events_total{kind=\"link-up\"} 1500\n"), "{counts}");
    assert!(counts.contains("dcp_proxy_event_followers 0\n"), "{counts}");
    admin.stop().await;
}

#[tokio::test]
async fn a_slow_follower_is_told_of_a_gap_and_nothing_is_queued_for_it() {
    let Served { admin, http, events } = start();
    let mut slow = Follower::of(&http, "", &[]).await;
    slow.reads("event: started\n").await;
    // More than the buffers of a connection take, so the history moves on without it.
    for _ in 0..40_000 {
        let mut event = Event::new(Level::Info, Kind::LinkUp, "x".repeat(1000));
        event.more = 1;
        events.push(event);
    }
    slow.reads("\"reason\":\"forgotten\"").await;
    assert!(slow.text.len() < 35_000_000, "{}", slow.text.len());
    events.note(Level::Info, Kind::Other, None, "the newest");
    slow.reads("\"the newest\"").await;
    admin.stop().await;
}

#[tokio::test]
async fn wrong_requests_are_named_and_followers_are_bounded() {
    let Served { admin, http, .. } = start();
    for (query, words) in [
        ("?kind=link-upp", "unknown kind of event \"link-upp\": give one or more of started"),
        ("?level=loud", "unknown level of events \"loud\": give error, warn or info"),
        ("?after=x", "\"x\" is not the id of an event: give the id of one"),
        ("?since=1", "give after, bucket, kind, level, vbucket or follow"),
        ("?kind=link-up&kind=started", "\"kind\" is given twice: give after, bucket, kind, level"),
        ("?follow=maybe", "give after, bucket, kind, level, vbucket or follow"),
    ] {
        let answer = http.get(&format!("{PATH}{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
        assert!(answer.error().contains(words), "{query}: {}", answer.error());
    }
    assert_eq!(http.get(&format!("{PATH}?bucket=other")).await.status, 404);
    assert!(http.head(PATH).await.contains("content-type: text/event-stream"));

    let mut followers = Vec::new();
    for _ in 0..FOLLOWERS {
        let mut follower = Follower::of(&http, "", &[]).await;
        follower.reads("event: started\n").await;
        followers.push(follower);
    }
    let refused = http.get(PATH).await;
    assert_eq!(refused.status, 503);
    assert!(refused.error().starts_with("32 clients follow the events already"), "{refused:?}");
    for path in ["/live", "/ready", "/metrics"] {
        let (head, _) = http.text(path).await;
        assert!(head.starts_with("HTTP/1.1 "), "probes are answered: {head}");
    }
    admin.stop().await;
}

#[tokio::test]
async fn seats_of_followers_that_have_gone_are_free_soon() {
    let Served { admin, http, .. } = start();
    let mut followers = Vec::new();
    for _ in 0..FOLLOWERS {
        let mut follower = Follower::of(&http, "", &[]).await;
        follower.reads("event: started\n").await;
        followers.push(follower);
    }
    drop(followers);
    let begun = std::time::Instant::now();
    until("a free seat", async || {
        let mut next = Follower::of(&http, "", &[]).await;
        next.reads("\r\n").await;
        next.text.starts_with("HTTP/1.1 200").then_some(())
    })
    .await;
    // Two comments: the first one finds the connection closed, the second one is refused.
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
    admin.stop().await;
}

fn subcommand(folder: &Path, name: &str, arguments: &[&str]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
    command.current_dir(folder).env_remove("DCP_PROXY_TOKEN").args(arguments);
    Process::start(name, folder, &mut command)
}

/// The configuration with an address of the admin API that stays over restarts.
fn on_fixed_port(alpha: &DataNode, beta: &DataNode) -> Config {
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = Config::new(&beta.endpoint(), &alpha.endpoint(), "0-7");
    Config::text(config.as_str().replace("127.0.0.1:0", &listen.to_string()))
}

#[tokio::test]
async fn the_subcommand_follows_a_sidecar_over_its_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (mut alpha, beta) = nodes(&folder).await;
    let config = on_fixed_port(&alpha, &beta);
    std::fs::write(folder.path().join("proxy.toml"), config.as_str()).unwrap();
    let mut sidecar = subcommand(folder.path(), "sidecar", &[]);
    sidecar.logs(&["streams settled"]).await;

    let mut follower = subcommand(folder.path(), "follower", &["events", "--follow"]);
    let shows = async |follower: &Process, words: &str| {
        until(words, async || follower.out().contains(words).then_some(())).await;
    };
    shows(&follower, "INFO  streams-settled replication:alpha->beta:default").await;
    alpha.process.kill_9();
    shows(&follower, "WARN  link-down replication:alpha->beta:default").await;

    let mut list = subcommand(folder.path(), "list", &["events", "--kind", "link-down", "--json"]);
    assert_eq!(list.exit_code().await, 0, "{}", list.log());
    let event: Value = serde_json::from_str(list.out().lines().next().unwrap()).unwrap();
    assert_eq!((&event["kind"], &event["bucket"]), (&json!("link-down"), &json!("default")));

    sidecar.kill_9();
    follower.logs(&["has ended the stream", "it is asked again until Ctrl-C"]).await;
    let mut sidecar = subcommand(folder.path(), "sidecar", &[]);
    follower.logs(&["answers again"]).await;
    shows(&follower, "is no event of this process: the sidecar has started again").await;
    until("the new process has started", async || {
        (follower.out().matches("INFO  started: dcp-proxy").count() == 2).then_some(())
    })
    .await;
    sidecar.signal("TERM");
    assert_eq!(sidecar.exit_code().await, 0);
    shows(&follower, "INFO  stopping: streams are closed").await;
    follower.signal("INT");
    assert_eq!(follower.exit_code().await, 0);

    let mut gone = subcommand(folder.path(), "gone", &["events", "--follow"]);
    assert_eq!(gone.exit_code().await, 1, "nothing listens at the first time");
    assert!(gone.log().contains("does not answer"), "{}", gone.log());
    let mut wrong = subcommand(folder.path(), "wrong", &["events", "--kind", "link-upp"]);
    assert_eq!(wrong.exit_code().await, 2);
}
