//! Three nodes for durable writes: `alpha` is active, the sidecars of `beta` and `gamma` replicate
//! from it.

use std::path::Path;
use std::process::Command;

use mcbp::{FrameBuilder, Opcode, VbId, VbState};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{Config, DataNode, Sidecar, converge};
use crate::run;

const VBUCKETS: u16 = 8;

/// See the module.
pub(crate) struct Trio {
    alpha: DataNode,
    beta: DataNode,
    gamma: DataNode,
    sidecars: [Sidecar; 2],
    // Dropped last, because the processes use it.
    folder: TempDir,
}

impl Trio {
    /// Starts all five, with the collection `shop.orders`, without topology and map of a cluster.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let (alpha, beta, gamma) = tokio::join!(
            DataNode::start(path, "alpha", "active", VBUCKETS),
            DataNode::start(path, "beta", "replica", VBUCKETS),
            DataNode::start(path, "gamma", "replica", VBUCKETS),
        );
        // A client asks any node for the number of a collection.
        for node in [&alpha, &beta, &gamma] {
            create_collection(path, node).await;
        }
        let sidecars = [&beta, &gamma].map(|node| sidecar(path, node, &alpha));
        for sidecar in &sidecars {
            sidecar.process.logs(&["streams settled", "open=8", "failed=0"]).await;
        }
        Self { alpha, beta, gamma, sidecars, folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Tells `alpha` which nodes have copies.
    pub(crate) async fn set_topology(&self, topology: Value) {
        let value = json!({ "topology": topology }).to_string();
        let mut client = self.alpha.client().await;
        for vb in (0..VBUCKETS).map(VbId) {
            let set = FrameBuilder::request(Opcode::SET_VBUCKET).vbucket(vb);
            let set = set.extras(&[VbState::Active as u8]).value(value.as_bytes());
            client.ask(set).await.unwrap();
        }
    }

    /// Tells all nodes the map of the cluster, with the replicas.
    pub(crate) async fn set_map(&self) {
        let nodes = [&self.alpha, &self.beta, &self.gamma];
        let hosts = nodes.map(
            |node| json!({ "hostname": "127.0.0.1", "services": { "kv": node.address().port() } }),
        );
        let chains = [[0, 1, 2]; VBUCKETS as usize];
        let map = json!({
            "rev": 1, "revEpoch": 2, "name": "default", "nodeLocator": "vbucket", "nodesExt": hosts,
            "bucketCapabilities": ["collections", "durableWrite", "xattr", "cccp", "nodesExt"],
            "vBucketServerMap": {
                "hashAlgorithm": "CRC", "numReplicas": 2,
                "serverList": nodes.map(|node| node.address().to_string()),
                "vBucketMap": chains,
            },
        });
        let map = map.to_string();
        let extras = [2_i64.to_be_bytes(), 1_i64.to_be_bytes()].concat();
        for node in nodes {
            let set = FrameBuilder::request(Opcode::SET_CLUSTER_CONFIG).extras(&extras);
            let set = set.key(b"default").value(map.as_bytes());
            node.client().await.ask(set).await.unwrap();
        }
    }

    /// The command with what scripts of durable writes get: the address and login of `alpha`, what
    /// is to be tried, and the processes of the sidecars.
    pub(crate) fn arguments<'a>(&self, command: &'a mut Command, cases: &str) -> &'a mut Command {
        let login = self.alpha.endpoint();
        command.args([&login.address, &login.username, &login.password.expose(), cases]);
        command.args(self.sidecars.each_ref().map(|sidecar| sidecar.process.id().to_string()))
    }

    /// Kills `alpha` and starts it again, on the same port.
    pub(crate) async fn restart_active(&mut self) {
        self.alpha.process.kill_9();
        self.alpha.restart().await;
    }

    /// Waits until the replicas have what `alpha` has, and compares all documents.
    pub(crate) async fn converge(&self) {
        converge(&self.alpha, &self.beta).await;
        converge(&self.alpha, &self.gamma).await;
    }
}

async fn create_collection(folder: &Path, node: &DataNode) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvnode"));
    command.args(["collections", "--create", "shop.orders"]);
    command.args(["--node", &node.endpoint().address, "--username", &node.endpoint().username]);
    command.arg("--password-file").arg(folder.join(format!("{}.password", node.name)));
    let (code, said) = run(folder, "collections", &mut command).await;
    assert_eq!(code, 0, "{said}");
}

fn sidecar(folder: &Path, node: &DataNode, producer: &DataNode) -> Sidecar {
    let folder = folder.join(format!("sidecar of {}", node.name));
    std::fs::create_dir(&folder).unwrap();
    Sidecar::start(&folder, &Config::new(&node.endpoint(), &producer.endpoint(), "0-7"))
}
