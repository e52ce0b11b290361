//! With `--history`, every version that the node keeps is shown.

use std::path::Path;
use std::process::Command;

use mcbp::{FrameBuilder, Opcode, Status};
use relay::testing::CREDENTIALS;
use relay::{Client, Deadlines, Endpoint, Login, Secret};
use serde_json::{Value, json};

use crate::common::{FakeNode, FakeProducer, Process, until};
use crate::runs::{at, checkpoint, parsed};

/// A node that keeps versions of documents of collection 8.
struct Node {
    process: Process,
    port: String,
}

impl Node {
    /// Starts it in `folder`; `port` is 0 for any free one.
    async fn start(folder: &Path, port: &str, retention: u64) -> Self {
        let file = |name: &str| folder.join(name);
        std::fs::write(file("password"), CREDENTIALS.1).unwrap();
        let text = format!(
            "data = \"data\"\n[[bucket]]\nname = \"default\"\nvbuckets = 1\n\
             history_retention_bytes = {retention}\n\
             [[user]]\nname = \"{}\"\npassword = {{ file = \"password\" }}\n",
            CREDENTIALS.0
        );
        std::fs::write(file("node.toml"), text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvnode"));
        command.arg("--config").arg(file("node.toml")).arg("--port-file").arg(file("port"));
        command.arg("--listen").arg(format!("127.0.0.1:{port}"));
        let process = Process::start("node", folder, &mut command);
        process.logs(&["bucket is ready"]).await;
        let port = until("the port", async || {
            Some(std::fs::read_to_string(file("port")).ok()?.trim().to_owned())
        });
        Self { process, port: port.await }
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    async fn client(&self) -> Client {
        let secret = Secret::new(CREDENTIALS.1);
        let endpoint = Endpoint::new("node", self.address(), CREDENTIALS.0, secret);
        let (features, deadlines) = (&[mcbp::Feature::COLLECTIONS], Deadlines::default());
        let login = Login { bucket: Some("default"), agent: "test", features, deadlines };
        Client::connect(&endpoint, login).await.unwrap()
    }

    async fn set_manifest(&self) {
        let collections = r#"{"name":"_default","uid":"0"},{"name":"c","uid":"8","history":true}"#;
        let scope = format!(r#"{{"name":"_default","uid":"0","collections":[{collections}]}}"#);
        let manifest = format!(r#"{{"uid":"1","scopes":[{scope}]}}"#);
        let request = FrameBuilder::request(Opcode::COLLECTIONS_SET_MANIFEST);
        self.client().await.ask(request.value(manifest.as_bytes())).await.unwrap();
    }

    /// Writes one document after the other, with the collection of its key.
    async fn set(&self, all: &[(&str, &str)]) {
        let mut client = self.client().await;
        for (key, value) in all {
            let request = FrameBuilder::request(Opcode::SET).extras(&[0; 8]);
            client.ask(request.key(key.as_bytes()).value(value.as_bytes())).await.unwrap();
        }
    }

    fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = at(&self.address(), arguments);
        command.args(["--username", CREDENTIALS.0, "--password-file"]);
        command.arg(folder.join("password"));
        command
    }

    /// The values that a run shows, which ends well.
    async fn values(&self, folder: &Path, arguments: &[&str]) -> Vec<Value> {
        let mut tail = Process::start("tail", folder, &mut self.command(folder, arguments));
        assert_eq!(tail.exit_code().await, 0, "{}", tail.log());
        values(&tail.out())
    }
}

fn values(out: &str) -> Vec<Value> {
    let documents = parsed(out).into_iter().filter(|line| line["op"] == "mutation");
    documents.map(|line| line["value"].clone()).collect()
}

const ALL: [(&str, &str); 5] =
    [("\x08a", "one"), ("\0a", "two"), ("\x08a", "three"), ("\0a", "four"), ("\x08a", "five")];

#[tokio::test]
async fn every_version_is_shown_once_over_a_restart_and_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut node = Node::start(folder, "0", 1 << 30).await;
    node.set_manifest().await;
    node.set(&ALL).await;
    // From memory, where versions of other collections are too, then from disk.
    let (mut all_shown, from_disk) =
        (&["one", "two", "three", "four", "five"][..], ["one", "three", "four", "five"]);
    for _ in 0..2 {
        let now = ["--from", "start", "--until", "now"];
        assert_eq!(node.values(folder, &now).await, ["four", "five"]);
        let all = [&now[..], &["--history"]].concat();
        assert_eq!(node.values(folder, &all).await, all_shown);
        let one = [&all[..], &["--collection", "c", "--snapshots"]].concat();
        assert_eq!(node.values(folder, &one).await, ["one", "three", "five"]);
        node.process.kill_9();
        node = Node::start(folder, &node.port, 1 << 30).await;
        all_shown = &from_disk;
    }
    let path = folder.join("checkpoint");
    let file = path.to_str().unwrap();
    let follow = ["--history", "--from", "start", "--checkpoint", file];
    let mut tail = Process::start("tail", folder, &mut node.command(folder, &follow));
    until("what is there", async || tail.out().contains("five").then_some(())).await;
    node.process.kill_9();
    node = Node::start(folder, &node.port, 1 << 30).await;
    node.set(&[("\x08a", "six"), ("\x08a", "seven")]).await;
    until("what came", async || tail.out().contains("seven").then_some(())).await;
    tail.signal("INT");
    assert_eq!(tail.exit_code().await, 0);
    assert_eq!(values(&tail.out()), ["one", "three", "four", "five", "six", "seven"]);
    node.set(&[("\x08a", "eight"), ("\x08a", "nine")]).await;
    let rest = ["--history", "--until", "now", "--checkpoint", file];
    assert_eq!(node.values(folder, &rest).await, ["eight", "nine"]);
    assert_eq!(checkpoint(&path)[&0], 10);
}

#[tokio::test]
async fn without_versions_the_newest_are_shown_or_the_node_says_that_it_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let node = Node::start(folder, "0", 0).await;
    node.set_manifest().await;
    node.set(&ALL).await;
    let all = ["--from", "start", "--until", "now", "--history"];
    let shown = node.values(folder, &all).await;
    assert_eq!(shown, [json!("four"), json!("five")], "no retention");

    let mut node = FakeNode::start("old").await;
    let mut command = at(&node.endpoint.address, &["--from", "start", "--vb", "0", "--history"]);
    command.args(["--username", CREDENTIALS.0, "--password-file"]).arg(folder.join("password"));
    let mut tail = Process::start("tail", folder, &mut command);
    let mut producer = FakeProducer(node.dcp().await);
    loop {
        let control = producer.0.expect(Opcode::DCP_CONTROL).await;
        let is_history = relay::testing::view(&control).key == b"change_streams";
        let status = if is_history { Status::NOT_SUPPORTED } else { Status::SUCCESS };
        producer.0.answer(&control, status).await;
        if is_history {
            break;
        }
    }
    assert_eq!(tail.exit_code().await, 2);
    assert!(tail.log().contains("with NotSupported"), "{}", tail.log());
    assert!(tail.log().contains("leave out --history"), "{}", tail.log());
}
