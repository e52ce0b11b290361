//! What a service manager hears of both programs over `NOTIFY_SOCKET`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use common::{Cluster, Config, DataNode, Process, Sidecar, command, nodes, until};

/// Short, so that a hang is noticed soon; long enough for a loaded machine.
const WATCHDOG_USEC: &str = "1000000";

/// The socket of a service manager, and what has arrived on it.
struct Manager {
    socket: UnixDatagram,
    name: String,
    heard: Vec<String>,
}

impl Manager {
    fn on(address: &SocketAddr, name: String) -> Self {
        let socket = UnixDatagram::bind_addr(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, name, heard: Vec::new() }
    }

    fn at(path: &Path) -> Self {
        Self::on(&SocketAddr::from_pathname(path).unwrap(), path.display().to_string())
    }

    fn abstract_name(name: &str) -> Self {
        let name = format!("dcp-proxy-test-{name}-{}", std::process::id());
        Self::on(&SocketAddr::from_abstract_name(&name).unwrap(), format!("@{name}"))
    }

    /// The variables of a unit with a watchdog.
    fn variables(&self) -> [(&str, &str); 2] {
        [("NOTIFY_SOCKET", &self.name), ("WATCHDOG_USEC", WATCHDOG_USEC)]
    }

    fn read(&mut self) {
        let mut bytes = [0; 1024];
        while let Ok(length) = self.socket.recv(&mut bytes) {
            self.heard.push(String::from_utf8(bytes[..length].to_vec()).unwrap());
        }
    }

    /// Waits for a message with this text among those that were not waited for yet, and returns the
    /// ones before it.
    async fn hears(&mut self, text: &str) -> Vec<String> {
        let at = until(&format!("the service manager hears {text:?}"), async || {
            self.read();
            self.heard.iter().position(|message| message.contains(text))
        })
        .await;
        let before = self.heard.drain(..=at).collect::<Vec<_>>();
        before[..at].to_vec()
    }

    /// Forgets what was heard so far.
    fn forget(&mut self) {
        self.read();
        self.heard.clear();
    }

    fn has_heard(&mut self, text: &str) -> bool {
        self.read();
        self.heard.iter().any(|message| message.contains(text))
    }
}

#[tokio::test]
async fn the_life_of_a_sidecar_is_told_on_an_abstract_socket() {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = nodes(&folder).await;
    let config = Config::new(&beta.endpoint(), &alpha.endpoint(), "0-7");
    std::fs::write(folder.path().join("proxy.toml"), config.as_str()).unwrap();
    let mut manager = Manager::abstract_name("sidecar");
    let mut sidecar = Sidecar::start_with(folder.path(), &manager.variables());

    let before = manager.hears("READY=1\n").await;
    assert_eq!(before[0], "EXTEND_TIMEOUT_USEC=60000000\n", "{before:?}");
    assert!(!before.iter().any(|message| message.contains("WATCHDOG")), "{before:?}");
    manager.hears("WATCHDOG=1\n").await;
    manager.hears("STATUS=8 of 8 streams open\n").await;
    manager.hears("WATCHDOG=1\n").await;

    manager.forget();
    sidecar.process.signal("HUP");
    manager.hears("RELOADING=1\nMONOTONIC_USEC=").await;
    manager.hears("READY=1\n").await;

    sidecar.stop().await;
    manager.hears("STOPPING=1\n").await;
    manager.hears("EXTEND_TIMEOUT_USEC=").await;
    sidecar.process.assert_quiet(&[]);
}

#[tokio::test]
async fn a_control_plane_that_hangs_gets_no_watchdog_and_does_not_keep_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = nodes(&folder).await;
    let config =
        Config::new(&beta.endpoint(), &alpha.endpoint(), "0-7").limits("shutdown_ms = 300");
    std::fs::write(folder.path().join("proxy.toml"), config.as_str()).unwrap();
    let mut manager = Manager::at(&folder.path().join("notify"));
    let mut variables = manager.variables().to_vec();
    variables.push(("FAILPOINTS", "control-plane-hangs"));
    let mut sidecar = Sidecar::start_with(folder.path(), &variables);
    manager.hears("STATUS=8 of 8 streams open\n").await;
    manager.hears("WATCHDOG=1\n").await;

    // The command that hangs.
    let _restart = sidecar.ask(&["restart", "default", "--producer", "alpha"]).await;
    manager.hears("STATUS=the control plane has not answered for 1s\n").await;
    let lines = |process: &Process| process.log().matches("control plane does not answer").count();
    let count = lines(&sidecar.process);
    until("it is noticed again and again", async || {
        (lines(&sidecar.process) > count + 2).then_some(())
    })
    .await;
    assert!(!manager.has_heard("WATCHDOG"), "{:?}", manager.heard);

    sidecar.process.signal("TERM");
    assert_eq!(sidecar.process.exit_code().await, 0);
    sidecar.process.logs(&["WARN", "streams did not close in time"]).await;
}

#[tokio::test]
async fn a_data_node_is_ready_after_its_warm_up_and_watched_by_what_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = DataNode::start(folder.path(), "alpha", "active", 8).await;
    node.stop().await;
    let mut manager = Manager::at(&folder.path().join("notify"));
    let port = node.address().port();
    let mut run = command(folder.path(), "alpha", "active", 8, port);
    run.envs(manager.variables()).env("FAILPOINTS", "commit-hangs");
    let mut process = Process::start("again", folder.path(), &mut run);
    let before = manager.hears("READY=1\n").await;
    assert!(before.iter().any(|message| message.starts_with("STATUS=opening the data in ")));
    process.logs(&["bucket is ready"]).await;
    manager.hears("WATCHDOG=1\n").await;
    manager.hears("STATUS=serves 8 vBuckets of 1 bucket, 0 connections\n").await;
    process.signal("HUP");
    manager.hears("RELOADING=1\nMONOTONIC_USEC=").await;
    manager.hears("READY=1\n").await;

    let mut client = node.client().await;
    let write = tokio::spawn(async move {
        let extras = mcbp::kv::StoreExtras::default().encode();
        let set = mcbp::FrameBuilder::request(mcbp::Opcode::SET).extras(&extras);
        _ = client.call(set.vbucket(mcbp::VbId(0)).key(b"key").value(b"value")).await;
    });
    manager.hears("STATUS=a commit of bucket default has taken").await;
    let lines = |process: &Process| process.log().matches("the node does not work").count();
    let count = lines(&process);
    until("it is noticed again and again", async || (lines(&process) > count + 2).then_some(()))
        .await;
    assert!(!manager.has_heard("WATCHDOG"), "{:?}", manager.heard);
    write.abort();
    process.kill_9();
}

#[tokio::test]
async fn a_stop_of_a_data_node_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = DataNode::start(folder.path(), "alpha", "active", 8).await;
    node.stop().await;
    let mut manager = Manager::abstract_name("node");
    let mut run = command(folder.path(), "alpha", "active", 8, 0);
    let mut process = Process::start("again", folder.path(), run.envs(manager.variables()));
    manager.hears("READY=1\n").await;
    process.signal("TERM");
    assert_eq!(process.exit_code().await, 0);
    manager.hears("STOPPING=1\n").await;
    process.assert_quiet(&[]);
}

#[tokio::test]
async fn a_service_manager_that_is_gone_is_a_warning_and_nothing_else() {
    let mut cluster = Cluster::start().await;
    cluster.sidecar.process.logs(&["admin API listens"]).await;
    cluster.sidecar.stop().await;
    let gone = cluster.folder.path().join("gone").display().to_string();
    let mut sidecar = Sidecar::start_with(cluster.folder.path(), &[("NOTIFY_SOCKET", &gone)]);
    sidecar.process.logs(&["WARN", "the service manager was not told", &gone]).await;
    sidecar.process.logs(&["streams settled"]).await;
    sidecar.stop().await;
    assert_eq!(sidecar.process.log().matches("was not told").count(), 1);
}

/// What it hears is what `/ready` says, also while streams are open.
#[tokio::test]
async fn a_frozen_producer_and_a_drain_are_told_as_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = nodes(&folder).await;
    let limits = "stall_ms = 1000\nlag_interval_ms = 200\ndrain_ms = 600_000";
    let config = Config::new(&beta.endpoint(), &alpha.endpoint(), "0-7").limits(limits);
    std::fs::write(folder.path().join("proxy.toml"), config.as_str()).unwrap();
    let mut manager = Manager::at(&folder.path().join("notify"));
    let mut sidecar = Sidecar::start_with(folder.path(), &manager.variables());
    manager.hears("STATUS=8 of 8 streams open\n").await;
    alpha.process.signal("STOP");
    manager.hears("STATUS=not ready: 8 vBuckets: alpha: ").await;
    alpha.process.signal("CONT");
    manager.hears("STATUS=8 of 8 streams open\n").await;

    sidecar.process.signal("TERM");
    manager.hears("STOPPING=1\n").await;
    manager.hears("STATUS=not ready: the sidecar is stopping; 8 of 8 streams open\n").await;
    let mut heard = manager.hears("WATCHDOG=1\n").await;
    heard.extend(manager.hears("WATCHDOG=1\n").await);
    assert!(!heard.iter().any(|text| text.starts_with("STATUS=")), "{heard:?}");
    sidecar.process.kill_9();
}
