//! Wrong input: each is reported clearly, and nothing else is affected.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::net::SocketAddr;
use std::path::Path;

use common::{Cluster, Config, DataNode, Process, Sidecar, Writers, command, run, until};
use mcbp::{FrameBuilder, Header, Opcode, Status};
use relay::{Endpoint, Secret};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The configuration of a sidecar whose nodes are never reached.
fn unreached(vbuckets: &str) -> Config {
    let node = |name| Endpoint::new(name, "127.0.0.1:1", "dcp-proxy", Secret::new("secret"));
    Config::new(&node("beta"), &node("alpha"), vbuckets)
}

async fn expect_refusal(config: &Config, words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&[][..], &["check"]] {
        let mut process = run(folder.path(), config, arguments);
        assert_eq!(process.exit_code().await, 2);
        assert!(process.logged(words).is_some(), "{words:?}");
    }
}

#[tokio::test]
async fn an_unknown_key_is_refused_with_its_line() {
    let text = unreached("0-7").as_str().replace("address", "adress");
    let said = "error: node: adress: unknown key: did you mean address?";
    expect_refusal(&Config::text(text.clone()), &[said]).await;
    expect_refusal(&Config::text(text), &["--> ", "proxy.toml:3:1"]).await;
}

#[tokio::test]
async fn a_vbucket_out_of_range_is_refused_with_its_line() {
    let config = unreached("0-1024");
    let line = 1 + config.as_str().lines().position(|line| line.contains("replicate")).unwrap();
    let key = "bucket \"default\": replicate.alpha: ";
    expect_refusal(&config, &[key, "vbucket 1024 is out of range", "1023"]).await;
    expect_refusal(&config, &["--> ", &format!("proxy.toml:{line}:")]).await;
}

#[tokio::test]
async fn a_wrong_password_is_named_with_its_side_and_heals() {
    let folder = tempfile::tempdir().unwrap();
    let (mut alpha, mut beta) = common::nodes(&folder).await;
    alpha.documents().await.set("key", "value").await;
    for node in [&mut alpha, &mut beta] {
        node.set_password(Some("another"));
        node.stop().await;
        node.restart().await;
    }
    let mut cluster = Cluster::between(folder, alpha, beta);
    let refused = ["link down", "refused user", "dcp-proxy", "check username and password"];
    // Either of the two may be refused first.
    for side in ["consumer beta", "producer alpha"] {
        cluster.sidecar.process.logs(&[&refused[..], &[side]].concat()).await;
    }
    assert!(cluster.sidecar.process.is_running());
    for node in [&mut cluster.alpha, &mut cluster.beta] {
        node.process.logs(&["authentication failed", "dcp-proxy"]).await;
        node.set_password(None);
        node.stop().await;
        node.restart().await;
    }
    cluster.converge().await;
}

#[tokio::test]
async fn an_unknown_bucket_is_named_and_the_sidecar_goes_on_asking() {
    let cluster = Cluster::start().await;
    let config = Config::new(&cluster.beta.endpoint(), &cluster.alpha.endpoint(), "0-7");
    let config = Config::text(config.as_str().replace("\"default\"", "\"other\""));
    let folder = tempfile::tempdir().unwrap();
    let mut sidecar = Sidecar::start(folder.path(), &config);
    sidecar.process.logs(&["link down", "has no bucket", "other"]).await;
    let again = || sidecar.process.log().matches("has no bucket").count() > 1;
    until("it asks again", async || again().then_some(())).await;
    sidecar.stop().await;
    cluster.converge().await;
}

#[tokio::test]
async fn a_producer_that_is_not_there_is_named_and_followed_once_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (mut alpha, beta) = common::nodes(&folder).await;
    alpha.documents().await.set("key", "value").await;
    alpha.stop().await;
    let address = alpha.address().to_string();
    let mut cluster = Cluster::between(folder, alpha, beta);
    let sidecar = &mut cluster.sidecar.process;
    sidecar.logs(&["link down", "producer alpha", &address, "could not connect"]).await;
    assert!(sidecar.is_running());
    cluster.alpha.restart().await;
    cluster.converge().await;
}

async fn second_node(folder: &Path, name: &str, port: u16) -> Process {
    std::fs::write(folder.join(format!("{name}.password")), "secret").unwrap();
    let mut process =
        Process::start("second", folder, &mut command(folder, name, "active", 8, port));
    assert_eq!(process.exit_code().await, 1);
    process
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let node = DataNode::start(folder.path(), "alpha", "active", 8).await;
    let second = second_node(folder.path(), "another", node.address().port()).await;
    let address = node.address().to_string();
    second.logs(&["ERROR", "listening on", &address, "stop the program that uses it"]).await;
    node.documents().await.set("key", "value").await;
}

#[tokio::test]
async fn a_second_node_on_the_same_folder_is_refused_and_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = DataNode::start(folder.path(), "alpha", "active", 8).await;
    let writers = Writers::start(&[&node]);
    writers.acknowledge(50).await;
    let second = second_node(folder.path(), "alpha", 0).await;
    second.logs(&["ERROR", "default", "in use by process"]).await;
    writers.acknowledge(50).await;
    node.process.kill_9();
    node.set_password(None);
    node.restart().await;
    writers.stop(&[&node]).await;
}

/// Sends bytes and returns the statuses of the answers, if any, once the node has closed.
async fn send(address: SocketAddr, bytes: &[u8]) -> Vec<Status> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answers = Vec::new();
    // A reset counts as a close: the node had not read everything.
    let closed = tokio::time::timeout(common::PATIENCE, stream.read_to_end(&mut answers)).await;
    drop(closed.expect("the node closes the connection"));
    let (mut statuses, mut rest) = (Vec::new(), &answers[..]);
    while let Some(header) = Header::peek(rest).unwrap() {
        statuses.push(header.status());
        rest = &rest[header.frame_bytes()..];
    }
    statuses
}

#[tokio::test]
async fn garbage_closes_its_connection_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = DataNode::start(folder.path(), "alpha", "active", 8).await;
    let mut documents = node.documents().await;
    documents.set("key", "value").await;
    let (zeros, noise) = ([0; 4096], [0xa5; 4096]);
    for garbage in [b"GET / HTTP/1.1\r\nHost: data-node\r\n\r\n".as_slice(), &zeros, &noise] {
        assert_eq!(send(node.address(), garbage).await, []);
        assert_eq!(documents.get("key").await.as_deref(), Some("value"));
    }
    node.process.logs(&["malformed frame, closing", "peer=127.0.0.1:"]).await;
    assert!(node.process.is_running());
    node.process.assert_quiet(&["malformed frame, closing"]);
}

#[tokio::test]
async fn a_frame_that_claims_4_gib_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = DataNode::start(folder.path(), "alpha", "active", 8).await;
    let mut documents = node.documents().await;
    documents.set("key", "value").await;
    let mut claim = [0; 24];
    (claim[0], claim[1]) = (0x80, Opcode::SET.0);
    claim[8..12].fill(0xff);
    let login = format!("\0{}\0{}", node.endpoint().username, node.endpoint().password.expose());
    let login = FrameBuilder::request(Opcode::SASL_AUTH).key(b"PLAIN").value(login.as_bytes());
    for before in [&[][..], &login.build()] {
        let statuses = send(node.address(), &[before, &claim].concat()).await;
        assert_eq!(statuses.last(), Some(&Status::EINVAL));
        assert_eq!(documents.get("key").await.as_deref(), Some("value"));
    }
    node.process.logs(&["malformed frame, closing", "4294967295"]).await;
    assert!(node.process.is_running());
}
