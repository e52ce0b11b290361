//! Each of node, producer and sidecar is stopped by SIGSTOP, is gone, or was never there: what
//! `/ready`, `/metrics` and `dcp-proxy status` show of it. Its kernel still acknowledges TCP, so
//! nothing fails: silence is all there is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::time::{Duration, Instant};

use common::{Cluster, Config, DataNode, Sidecar, nodes, until};
use relay::{Endpoint, Secret};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// Longer than a busy machine keeps a healthy node from answering.
const STALL: Duration = Duration::from_secs(3);
const LIMITS: &str = "stall_ms = 3000\nlag_interval_ms = 200";

/// Words of the log that no pause may cause: each is a restart or a false alarm.
const ALARMS: [&str; 4] = ["link down", "stalled", "node is unresponsive", "streams failed"];

impl Cluster {
    async fn watched() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (alpha, beta) = nodes(&folder).await;
        let cluster = Self::watching(folder, alpha, beta);
        cluster.sidecar.is_ready().await;
        cluster
    }

    fn watching(folder: TempDir, alpha: DataNode, beta: DataNode) -> Self {
        let config = Config::new(&beta.endpoint(), &alpha.endpoint(), "0-7").limits(LIMITS);
        let sidecar = Sidecar::start(folder.path(), &config);
        Self { alpha, beta, sidecar, folder }
    }
}

impl Sidecar {
    /// The status and the whole text of an answer; `None` where there is none in time.
    async fn get(&self, path: &str) -> Option<(u16, String)> {
        let line = self.process.logs(&["admin API listens", "url="]).await;
        let (_, address) = line.split_once("url=http://").unwrap();
        let ask = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head =
                format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
            (status, answer)
        };
        timeout(Duration::from_secs(2), ask).await.ok()
    }

    async fn is_ready(&self) {
        let ready = async || self.get("/ready").await.filter(|(status, _)| *status == 200);
        until("it is ready", ready).await;
    }

    /// Waits until it is not ready for a reason with all these words.
    async fn is_not_ready(&self, words: &[&str]) {
        let told = async || {
            let (status, text) = self.get("/ready").await?;
            let fits = status == 503 && words.iter().all(|word| text.contains(word));
            fits.then_some(())
        };
        until(&format!("it is not ready: {words:?}"), told).await;
    }

    /// The value of a sample, if there is one.
    async fn metric(&self, name: &str, labels: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics").await?;
        let start = format!("dcp_proxy_{name}{{bucket=\"default\",{labels}}} ");
        text.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok())
    }

    /// The exit code and the output of a subcommand.
    async fn said(&self, line: &[&str]) -> (i32, String) {
        let mut process = self.ask(line).await;
        (process.exit_code().await, process.out())
    }
}

const SIDES: [(&str, &str); 2] = [("alpha", "producer"), ("beta", "consumer")];

#[tokio::test]
async fn a_frozen_producer_a_frozen_consumer_and_both() {
    for frozen in [&["alpha"][..], &["beta"], &["alpha", "beta"]] {
        let cluster = Cluster::watched().await;
        let (sidecar, log) = (&cluster.sidecar, &cluster.sidecar.process);
        let signal = |name: &str| {
            let node = if frozen.len() == 2 { "both" } else { frozen[0] };
            for it in [&cluster.alpha, &cluster.beta] {
                if node == "both" || it.name == node {
                    it.process.signal(name);
                }
            }
        };
        signal("STOP");
        let who = frozen.join(" and ");
        let why = format!("8 vBuckets: {who}: unresponsive: no answer on any connection, since ");
        sidecar.is_not_ready(&[&why]).await;
        for (node, side) in SIDES {
            let labels = format!("node=\"{node}\",side=\"{side}\"");
            let is_frozen = f64::from(u8::from(frozen.contains(&node)));
            assert_eq!(
                sidecar.metric("node_unresponsive", &labels).await,
                Some(is_frozen),
                "{who}"
            );
            assert_eq!(
                log.logged(&["node is unresponsive", &format!("node={node} ")]).is_some(),
                frozen.contains(&node)
            );
        }
        let alpha = "producer=\"alpha\"";
        let phase = format!("{alpha},phase=\"unresponsive\"");
        assert_eq!(sidecar.metric("links", &phase).await, Some(1.0), "{who}");
        assert_eq!(sidecar.metric("streams_unresponsive", alpha).await, Some(8.0), "{who}");
        let lag = sidecar.metric("lag_seconds_max", alpha).await.expect("a lag");
        assert!(lag >= 2.0, "{lag}");
        let grown =
            async || sidecar.metric("lag_seconds_max", alpha).await.filter(|now| *now > lag + 0.5);
        until("the lag grows by the clock", grown).await;
        assert!(sidecar.metric("lag_age_seconds", alpha).await.unwrap() >= 2.0, "{who}");
        let (code, out) = sidecar.said(&["status"]).await;
        let first = out.lines().next().unwrap();
        assert!(code == 1 && first.contains("NOT READY: 8 vBuckets: "), "{code} {out}");
        assert!(out.contains("UNRESPONSIVE") && out.contains(" by the clock, with "), "{out}");
        let (_, json) = sidecar.said(&["status", "--json"]).await;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["ready"], &json["buckets"][0]["links_up"]), (&false.into(), &0.into()));

        signal("CONT");
        sidecar.is_ready().await;
        for node in frozen {
            log.logs(&["node is responsive again", &format!("node={node} ")]).await;
        }
        assert_eq!(log.logged(&["link down"]), None, "{who}: it goes on where it was");
        for line in ["node is unresponsive", "node is responsive again"] {
            assert_eq!(log.log().matches(line).count(), frozen.len(), "{who}: {line}, once each");
        }
        assert_eq!(sidecar.said(&["status"]).await.0, 0, "{who}");
        let fresh =
            async || sidecar.metric("lag_seconds_max", alpha).await.filter(|lag| *lag == 0.0);
        until("the lag is known again", fresh).await;
    }
}

#[tokio::test]
async fn a_sidecar_that_was_stopped_blames_nobody_for_it() {
    let cluster = Cluster::watched().await;
    let (sidecar, log) = (&cluster.sidecar, &cluster.sidecar.process);
    log.signal("STOP");
    // What it did not take meanwhile arrives at once afterwards.
    cluster.fill().await;
    assert_eq!(sidecar.get("/ready").await, None, "a probe has no answer");
    let stopped = Instant::now();
    until("it was stopped for long", async || (stopped.elapsed() > 2 * STALL).then_some(())).await;
    log.signal("CONT");
    let running = Instant::now();
    sidecar.is_ready().await;
    log.logs(&["this process did not run", "pause_ms="]).await;
    until("it has run for long", async || (running.elapsed() > 2 * STALL).then_some(())).await;
    for words in ALARMS {
        assert_eq!(log.logged(&[words]), None);
    }
    sidecar.is_ready().await;
    cluster.converge().await;
}

#[tokio::test]
async fn two_nodes_that_are_gone_are_not_ready_and_their_streams_have_failed() {
    let mut cluster = Cluster::watched().await;
    cluster.alpha.process.kill_9();
    cluster.beta.process.kill_9();
    let sidecar = &cluster.sidecar;
    sidecar.is_not_ready(&["8 vBuckets: ", "Connection refused", ", since "]).await;
    let failed = async || {
        let (code, out) = sidecar.said(&["status"]).await;
        let row = out.lines().find(|line| line.starts_with("default"))?;
        let row: Vec<_> = row.split_whitespace().collect();
        assert_eq!(code, 1, "{out}");
        assert!(out.lines().next().unwrap().contains("NOT READY: 8 vBuckets: "), "{out}");
        // Streams, open, failed.
        (row[4..7] == ["8", "0", "8"]).then_some(())
    };
    until("all streams have failed", failed).await;
    let grouped = async || {
        let (_, out) = sidecar.said(&["streams"]).await;
        let lines: Vec<_> = out.lines().collect();
        (lines.len() == 2 && lines[1].contains(" 0-7 ") && lines[1].contains("8 vBuckets: "))
            .then_some(())
    };
    until("equal errors share a row", grouped).await;
    let alpha = "producer=\"alpha\"";
    let lag = sidecar.metric("lag_seconds_max", alpha).await.expect("a lag");
    let grown =
        async || sidecar.metric("lag_seconds_max", alpha).await.filter(|now| *now > lag + 0.5);
    until("the lag grows by the clock", grown).await;
}

/// A sidecar between `beta` and a producer at this address.
async fn with_producer(address: &str) -> (Sidecar, DataNode, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let beta = DataNode::start(folder.path(), "beta", "replica", 8).await;
    let Endpoint { username, password, .. } = beta.endpoint();
    let alpha = Endpoint::new("alpha", address, username, Secret::new(password.expose()));
    let config = Config::new(&beta.endpoint(), &alpha, "0-7").limits(LIMITS);
    (Sidecar::start(folder.path(), &config), beta, folder)
}

#[tokio::test]
async fn a_producer_that_was_never_there_or_never_logs_in() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hangs = listener.local_addr().unwrap().to_string();
    // Connections are accepted by the kernel, and nobody reads them.
    let refuses = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    for (address, why) in
        [(&refuses, "alpha: could not connect: "), (&hangs, "alpha: unresponsive: ")]
    {
        let (sidecar, beta, _folder) = with_producer(address).await;
        sidecar.is_not_ready(&["8 vBuckets: ", why]).await;
        let silent = async || {
            let labels = "node=\"alpha\",side=\"producer\"";
            sidecar.metric("node_unresponsive", labels).await.filter(|it| *it == 1.0)
        };
        until("it counts as unresponsive", silent).await;
        assert!(sidecar.metric("node_silent_seconds", "node=\"alpha\"").await.unwrap() >= 2.9);
        let alpha = "producer=\"alpha\"";
        assert!(sidecar.metric("lag_seconds_max", alpha).await.unwrap() >= 2.9);
        assert!(sidecar.metric("lag_age_seconds", alpha).await.unwrap() >= 2.9);
        assert_eq!(sidecar.metric("lag_unknown", alpha).await, Some(8.0));
        let (code, out) = sidecar.said(&["status"]).await;
        assert!(code == 1 && out.contains("NOT READY: 8 vBuckets: alpha: "), "{out}");
        assert!(out.contains("never, UNRESPONSIVE"), "{out}");
        drop(beta);
    }
}

/// Forwards connections to `to` until `is_open` becomes false, then passes nothing more on them, in
/// either direction, and closes none. Connections that come later work.
async fn forward(listener: TcpListener, to: std::net::SocketAddr, is_open: watch::Receiver<bool>) {
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut is_open = is_open.clone();
        // Only a change counts, so that later connections work.
        is_open.mark_unchanged();
        tokio::spawn(async move {
            let mut far = TcpStream::connect(to).await.unwrap();
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                _ = is_open.changed() => std::future::pending().await,
            }
        });
    }
}

#[tokio::test]
async fn a_network_that_swallows_old_connections_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = nodes(&folder).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let Endpoint { username, password, .. } = alpha.endpoint();
    let address = listener.local_addr().unwrap().to_string();
    let behind = Endpoint::new("alpha", &address, username, Secret::new(password.expose()));
    let (swallow, is_open) = watch::channel(true);
    let network = tokio::spawn(forward(listener, alpha.address(), is_open));
    let config = Config::new(&beta.endpoint(), &behind, "0-7").limits(LIMITS);
    let sidecar = Sidecar::start(folder.path(), &config);
    sidecar.is_ready().await;
    swallow.send(false).unwrap();
    sidecar.is_not_ready(&["8 vBuckets: alpha: unresponsive: "]).await;
    // The control connection is opened anew after its deadline, the link once that has helped.
    sidecar.process.logs(&["link down", "answers on its control connection"]).await;
    sidecar.is_ready().await;
    network.abort();
}
