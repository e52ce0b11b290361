//! Configuration is read more than once: passwords, tokens and certificates at their next use, the
//! configuration file at SIGHUP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Config, DataNode, Process, Sidecar, until};
use relay::testing::{Authority, FakePeer, Identity, Validity};
use relay::{Client, Deadlines, Endpoint, LinkError, Login, Secret, Tls, TlsFiles};
use rustix::fs::{Mode, OFlags};

async fn log_in(endpoint: &Endpoint, password: &str) -> Result<Client, LinkError> {
    let deadlines = Deadlines::default();
    let login = Login { bucket: Some("default"), agent: "test", features: &[], deadlines };
    let mut endpoint = endpoint.clone();
    endpoint.password = Secret::new(password);
    Client::connect(&endpoint, login).await
}

/// mittwald/kube-httpcache#128 and others: a mounted secret is rotated, in the node and in the
/// sidecar.
#[tokio::test]
async fn a_password_that_was_rotated_is_used_at_the_next_login() {
    let folder = tempfile::tempdir().unwrap();
    let mut alpha = DataNode::start(folder.path(), "alpha", "active", 8).await;
    let beta = DataNode::start(folder.path(), "beta", "replica", 8).await;
    let mut config = Config::new(&beta.endpoint(), &alpha.endpoint(), "0-7").as_str().to_owned();
    // That of the producer is the last one.
    let written = "password = \"correct horse\"";
    let at = config.rfind(written).unwrap();
    config.replace_range(at..at + written.len(), "password = { file = \"alpha.password\" }");
    let mut sidecar = Sidecar::start(folder.path(), &Config::text(config));
    sidecar.process.logs(&["streams settled", "open=8"]).await;
    // A file that is being written must lock nobody out.
    alpha.set_password(Some(""));
    log_in(&alpha.endpoint(), "correct horse").await.unwrap();
    alpha.process.logs(&["WARN", "the last good one stays in use", "alpha.password"]).await;
    alpha.set_password(Some("battery staple"));
    log_in(&alpha.endpoint(), "battery staple").await.unwrap();
    assert!(log_in(&alpha.endpoint(), "correct horse").await.is_err(), "the old one is void");
    let before = sidecar.process.log().matches("streams settled").count();
    alpha.process.kill_9();
    alpha.restart().await;
    let opened = async || {
        let settled = sidecar.process.log().matches("streams settled").count();
        (settled > before).then_some(())
    };
    until("the link is up with the new password", opened).await;
    sidecar.stop().await;
}

#[tokio::test]
async fn a_token_that_was_rotated_is_asked_for_at_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "one").unwrap();
    let (alpha, beta) = (FakePeer::bind().await, FakePeer::bind().await);
    let config = Config::new(&beta.endpoint("beta"), &alpha.endpoint("alpha"), "0-7");
    let admin = "[admin]\ntoken = { file = \"token\" }\n";
    let config = Config::text(config.as_str().replace("[admin]\n", admin));
    let mut sidecar = Sidecar::start(folder.path(), &config);
    let answered = async |token: &str| {
        let mut asked = sidecar.ask(&["log-level", "--token", token]).await;
        asked.exit_code().await == 0
    };
    assert_eq!((answered("one").await, answered("two").await), (true, false));
    fs::write(folder.path().join("token"), "two").unwrap();
    assert_eq!((answered("one").await, answered("two").await), (false, true));
    fs::write(folder.path().join("token"), "").unwrap();
    assert_eq!((answered("one").await, answered("two").await), (false, true));
    sidecar.process.logs(&["WARN", "the last good one stays in use", "token"]).await;
    sidecar.stop().await;
}

/// The files of a node and of its client, and the authority that has signed both.
struct Live {
    node: Identity,
    client: Identity,
    ca: PathBuf,
}

impl Live {
    fn tls(&self) -> Tls {
        let identity = Some((self.client.certificate.as_path(), self.client.key.as_path()));
        Tls::load(TlsFiles { ca: &self.ca, identity, server_name: "alpha.example" }).unwrap()
    }

    /// Replaces them with files of a new authority; returns what a client of it trusts and shows.
    fn renew(&self, folder: &Path, name: &str) -> Tls {
        let authority = Authority::new(folder, name);
        let server = authority.sign("alpha.example", Validity::Now);
        let client = authority.sign("sidecar.example", Validity::Now);
        for (from, to) in [(&server, &self.node), (&client, &self.client)] {
            fs::copy(&from.certificate, &to.certificate).unwrap();
            fs::copy(&from.key, &to.key).unwrap();
        }
        fs::copy(&authority.file, &self.ca).unwrap();
        Self { node: server, client, ca: authority.file }.tls()
    }
}

/// ContentSquare/chproxy#198 and others: certificates are renewed on disk.
#[tokio::test]
async fn renewed_certificates_are_used_and_broken_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let identity = |name: &str| Identity {
        certificate: file(&format!("{name}.pem")),
        key: file(&format!("{name}.key")),
    };
    let live = Live { node: identity("live"), client: identity("me"), ca: file("ca") };
    let first = live.renew(folder.path(), "first");
    let own = live.tls();
    fs::write(file("alpha.password"), "secret").unwrap();
    let mut command = common::command(folder.path(), "alpha", "active", 8, 0);
    command.arg("--tls-cert").arg(&live.node.certificate).arg("--tls-key").arg(&live.node.key);
    let command = command.arg("--tls-client-ca").arg(&live.ca);
    let mut node = Process::start("alpha", folder.path(), command);
    node.logs(&["bucket is ready"]).await;
    let port = fs::read_to_string(file("alpha.port")).unwrap();
    let address = format!("127.0.0.1:{}", port.trim());
    let plain = Endpoint::new("alpha", address, "dcp-proxy", Secret::new(""));
    let logs_in = async |tls: &Tls| {
        let endpoint = plain.clone().with_tls(tls.clone());
        log_in(&endpoint, "secret").await.is_ok()
    };
    assert!(logs_in(&first).await && logs_in(&own).await);
    let second = live.renew(folder.path(), "second");
    assert_eq!((logs_in(&first).await, logs_in(&second).await), (false, true));
    assert!(logs_in(&own).await, "a client reads its files again too");
    for broken in [&live.node.certificate, &live.client.certificate, &live.ca] {
        fs::write(broken, "-----BEGIN CERTIFICATE-----\n").unwrap();
        assert!(logs_in(&second).await && logs_in(&own).await, "{broken:?}");
    }
    node.logs(&["WARN", "the last good one stays in use", "live.pem"]).await;
    let third = live.renew(folder.path(), "third");
    assert_eq!((logs_in(&second).await, logs_in(&third).await), (false, true));
    assert!(logs_in(&own).await);
    node.signal("TERM");
    assert_eq!(node.exit_code().await, 0);
}

/// prometheus-community/postgres_exporter#174 and others: SIGHUP kills.
#[tokio::test]
async fn sighup_reads_the_configuration_of_a_sidecar() {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = (FakePeer::bind().await, FakePeer::bind().await);
    let config = Config::new(&beta.endpoint("beta"), &alpha.endpoint("alpha"), "0-7");
    let path = folder.path().join("proxy.toml");
    let mut sidecar = Sidecar::start(folder.path(), &config);
    sidecar.process.logs(&["admin API listens"]).await;
    let with_log = format!("{}\n[log]\nlevel = \"debug\"\nformat = \"json\"\n", config.as_str());
    fs::write(&path, &with_log).unwrap();
    sidecar.process.signal("HUP");
    sidecar.process.logs(&["{", "configuration reloaded"]).await;
    let mut level = sidecar.ask(&["log-level"]).await;
    assert_eq!(level.exit_code().await, 0);
    assert!(level.out().contains("debug"), "{}", level.out());
    // A level that is removed is not in force any more.
    fs::write(&path, format!("{}\n[log]\nformat = \"json\"\n", config.as_str())).unwrap();
    sidecar.process.signal("HUP");
    until("the default level", async || {
        let mut level = sidecar.ask(&["log-level"]).await;
        assert_eq!(level.exit_code().await, 0);
        level.out().starts_with("info\n").then_some(())
    })
    .await;
    fs::write(&path, with_log.replace("retry_ms_min = 20", "retry_ms_min = 30")).unwrap();
    sidecar.process.signal("HUP");
    sidecar.process.logs(&["WARN", "need a restart"]).await;
    fs::write(&path, "[node\n").unwrap();
    sidecar.process.signal("HUP");
    sidecar.process.logs(&["ERROR", "the old one stays", "proxy.toml:1"]).await;
    sidecar.stop().await;
}

#[tokio::test]
async fn a_file_that_blocks_its_reader_does_not_keep_the_sidecar_from_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = (FakePeer::bind().await, FakePeer::bind().await);
    let config = Config::new(&beta.endpoint("beta"), &alpha.endpoint("alpha"), "0-7");
    let path = folder.path().join("proxy.toml");
    let mut sidecar = Sidecar::start(folder.path(), &config);
    sidecar.process.logs(&["admin API listens"]).await;
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::rename(pipe, &path).unwrap();
    sidecar.process.signal("HUP");
    // It has the pipe open for reading, or has refused to.
    let mut held = None;
    until("the reload", async || {
        held = rustix::fs::open(&path, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty()).ok();
        let refused = sidecar.process.logged(&["the old one stays", "proxy.toml"]).is_some();
        (held.is_some() || refused).then_some(())
    })
    .await;
    sidecar.stop().await;
}

/// A password of the configuration file itself.
#[tokio::test]
async fn sighup_brings_a_new_password_to_the_links() {
    let folder = tempfile::tempdir().unwrap();
    let alpha = DataNode::start(folder.path(), "alpha", "active", 8).await;
    let beta = DataNode::start(folder.path(), "beta", "replica", 8).await;
    let good = Config::new(&beta.endpoint(), &alpha.endpoint(), "0-7");
    let bad = Config::text(good.as_str().replace("password = \"", "password = \"not "));
    let mut sidecar = Sidecar::start(folder.path(), &bad);
    sidecar.process.logs(&["link down", "consumer beta"]).await;
    fs::write(folder.path().join("proxy.toml"), good.as_str()).unwrap();
    sidecar.process.signal("HUP");
    sidecar.process.logs(&["streams settled", "open=8"]).await;
    sidecar.stop().await;
}

/// A user who is new in the file, and one who is gone.
#[tokio::test]
async fn sighup_reads_the_users_of_a_data_node_and_its_next_start_is_no_crash() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    fs::write(file("one"), "1").unwrap();
    let toml = |user: &str| {
        let text = format!(
            "listen = \"127.0.0.1:0\"\ndata = \"data\"\n[[bucket]]\nname = \"default\"\n\
             vbuckets = 8\n[[user]]\nname = {user:?}\npassword = {{ file = \"one\" }}\n"
        );
        fs::write(file("node.toml"), text).unwrap();
    };
    toml("one");
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvnode"));
        command.arg("--config").arg(file("node.toml")).arg("--port-file").arg(file("port"));
        Process::start("node", folder.path(), &mut command)
    };
    let mut node = start();
    node.logs(&["bucket is ready"]).await;
    let port = fs::read_to_string(file("port")).unwrap();
    let address = format!("127.0.0.1:{}", port.trim());
    let known = async |user: &str| {
        let endpoint = Endpoint::new("node", &address, user, Secret::new(""));
        log_in(&endpoint, "1").await.is_ok()
    };
    assert_eq!((known("one").await, known("two").await), (true, false));
    toml("two");
    node.signal("HUP");
    node.logs(&["configuration read again", "user one: removed, user two: added"]).await;
    assert_eq!((known("one").await, known("two").await), (false, true));
    fs::write(file("node.toml"), "[[user]]\n").unwrap();
    node.signal("HUP");
    node.logs(&["ERROR", "the old one stays"]).await;
    assert!(known("two").await);
    node.signal("TERM");
    assert_eq!(node.exit_code().await, 0);
    toml("two");
    let mut node = start();
    node.logs(&["bucket is ready"]).await;
    assert!(node.logged(&["not clean"]).is_none(), "{}", node.log());
    node.signal("TERM");
    assert_eq!(node.exit_code().await, 0);
}

/// From when on a stop is clean, SIGHUP does not end the process either.
#[tokio::test]
async fn a_hang_up_as_soon_as_it_can_be_stopped_is_a_reload_after_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (alpha, beta) = (FakePeer::bind().await, FakePeer::bind().await);
    let config = Config::new(&beta.endpoint("beta"), &alpha.endpoint("alpha"), "0-7");
    for _ in 0..5 {
        let mut sidecar = Sidecar::start(folder.path(), &config);
        let status = format!("/proc/{}/status", sidecar.process.id());
        // No pause between two looks, so that the moment is not missed.
        let caught = tokio::task::spawn_blocking(move || {
            loop {
                let status = fs::read_to_string(&status).unwrap();
                assert!(!status.contains("\nState:\tZ"), "it has ended");
                let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
                let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
                let is_caught = |signal: i32| mask >> (signal - 1) & 1 == 1;
                if is_caught(15) {
                    return is_caught(1);
                }
            }
        });
        assert!(caught.await.unwrap(), "SIGTERM is caught, SIGHUP is not");
        sidecar.process.signal("HUP");
        sidecar.process.logs(&["configuration reloaded", "by=SIGHUP"]).await;
        sidecar.stop().await;
    }
}
