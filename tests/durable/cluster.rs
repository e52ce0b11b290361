//! Three data nodes, a sidecar beside each that has replicas, and who has which copy. What a
//! cluster manager does is done here: topologies, failovers, the way back of a node.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mcbp::{FrameBuilder, Opcode, VbId, VbState};
use relay::Endpoint;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::common::{Config, DataNode, Sidecar, connect, until};
use crate::copies;
use crate::keys::VBUCKETS;
use crate::session::{NODES, Routes};

pub(crate) const NAMES: [&str; NODES] = ["alpha", "beta", "gamma"];

/// See the module.
pub(crate) struct Cluster {
    nodes: Vec<DataNode>,
    sidecars: [Option<Sidecar>; NODES],
    /// By vBucket: the nodes that have a copy, first the active one.
    pub(crate) chains: Vec<Vec<usize>>,
    pub(crate) routes: watch::Sender<Routes>,
    manifest: String,
    // Dropped last, because the processes use it.
    folder: TempDir,
}

impl Cluster {
    /// The first node is active, the others have replicas.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let node = |name, state| DataNode::start(folder.path(), name, state, VBUCKETS);
        let (alpha, beta, gamma) = tokio::join!(
            node("alpha", "active"),
            node("beta", "replica"),
            node("gamma", "replica")
        );
        let active = vec![Some(0); usize::from(VBUCKETS)];
        let (routes, _) = watch::channel(Routes { active, runs: [0; NODES], collection: None });
        let mut cluster = Self {
            nodes: vec![alpha, beta, gamma],
            sidecars: Default::default(),
            chains: vec![vec![0, 1, 2]; usize::from(VBUCKETS)],
            routes,
            manifest: String::new(),
            folder,
        };
        for vb in vbuckets() {
            cluster.activate(vb).await;
        }
        for node in 0..NODES {
            cluster.replicate(node);
        }
        cluster
    }

    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        self.nodes.iter().map(DataNode::endpoint).collect()
    }

    pub(crate) fn nodes(&self) -> &[DataNode] {
        &self.nodes
    }

    pub(crate) const fn sidecar(&self, node: usize) -> Option<&Sidecar> {
        self.sidecars[node].as_ref()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether the node has an active copy.
    pub(crate) fn is_active(&self, node: usize) -> bool {
        self.chains.iter().any(|chain| chain[0] == node)
    }

    /// Makes the first copy of the chain active, with the chain as the topology.
    pub(crate) async fn activate(&self, vb: VbId) {
        let chain = &self.chains[usize::from(vb.0)];
        let names: Vec<_> = chain.iter().map(|node| NAMES[*node]).collect();
        let value = serde_json::json!({ "topology": [names] }).to_string();
        self.set_state(chain[0], vb, VbState::Active, value.as_bytes()).await;
    }

    pub(crate) async fn set_state(&self, node: usize, vb: VbId, state: VbState, value: &[u8]) {
        let extras = [state as u8];
        let request = FrameBuilder::request(Opcode::SET_VBUCKET).vbucket(vb).extras(&extras);
        self.nodes[node].client().await.ask(request.value(value)).await.unwrap();
    }

    /// Starts the sidecar of a node anew: its replicas come from where the active copies are.
    fn replicate(&mut self, node: usize) {
        self.sidecars[node] = None;
        let Some(config) = self.config(node) else { return };
        let folder = self.sidecar_folder(node);
        std::fs::create_dir_all(&folder).unwrap();
        self.sidecars[node] = Some(Sidecar::start(&folder, &config));
    }

    fn sidecar_folder(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("sidecar-of-{}", NAMES[node]))
    }

    fn config(&self, node: usize) -> Option<Config> {
        let mut text = format!("[node]\n{}", login(&self.nodes[node].endpoint()));
        let mut replicate = Vec::new();
        for producer in (0..NODES).filter(|producer| *producer != node) {
            let chains = self.chains.iter().zip(0..);
            let vbs: Vec<_> = chains
                .filter(|(chain, _)| chain[0] == producer)
                .map(|(_, vb): (_, u16)| vb.to_string())
                .collect();
            if !vbs.is_empty() {
                _ = write!(text, "[[producer]]\n{}", login(&self.nodes[producer].endpoint()));
                replicate.push(format!("{} = \"{}\"", NAMES[producer], vbs.join(",")));
            }
        }
        let bucket =
            format!("[[bucket]]\nname = \"default\"\nreplicate = {{ {} }}\n", replicate.join(", "));
        (!replicate.is_empty()).then(|| Config::text(text + &bucket).limits(""))
    }

    /// The same without what it was told before: it would not replicate what it has taken over.
    pub(crate) fn start_sidecar_anew(&mut self, node: usize) {
        self.kill_sidecar(node);
        // There may be none.
        _ = std::fs::remove_dir_all(self.sidecar_folder(node));
        self.replicate(node);
    }

    /// Kills a node. Its connections are not used again.
    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].process.kill_9();
        self.routes.send_modify(|routes| routes.runs[node] += 1);
    }

    pub(crate) fn kill_sidecar(&mut self, node: usize) {
        self.sidecars[node] = None;
    }

    pub(crate) fn start_sidecar(&mut self, node: usize) {
        self.replicate(node);
    }

    /// Starts a killed node again, with the copies that it had.
    pub(crate) async fn restart(&mut self, node: usize) {
        self.nodes[node].restart().await;
        self.tell_manifest(node).await;
    }

    /// Goes on without a killed node: of each vBucket that was active there, the copy that has the
    /// most becomes active.
    pub(crate) async fn fail_over(&mut self, failed: usize) {
        self.routes.send_modify(|routes| {
            routes.active.iter_mut().filter(|at| **at == Some(failed)).for_each(|at| *at = None);
        });
        self.sidecars[failed] = None;
        for node in (0..NODES).filter(|node| *node != failed) {
            self.tell_manifest(node).await;
        }
        for vb in vbuckets() {
            let chain = &mut self.chains[usize::from(vb.0)];
            let was_active = chain[0] == failed;
            chain.retain(|node| *node != failed);
            if was_active {
                let mut best = Vec::new();
                for node in chain.iter() {
                    let copy = copies::read(&self.nodes[*node], vb).await;
                    best.push(((copy.high_prepared, copy.high_seqno), *node));
                }
                best.sort_unstable();
                *chain = best.into_iter().rev().map(|(_, node)| node).collect();
            }
            self.activate(vb).await;
        }
        for node in (0..NODES).filter(|node| *node != failed) {
            self.replicate(node);
        }
        let active = self.chains.iter().map(|chain| Some(chain[0])).collect();
        self.routes.send_modify(|routes| routes.active = active);
    }

    /// Starts a node again that was failed over: its copies become replicas, and members of the
    /// chains once they have what was written.
    pub(crate) async fn come_back(&mut self, node: usize) {
        self.nodes[node].restart().await;
        for vb in vbuckets() {
            self.set_state(node, vb, VbState::Replica, &[]).await;
        }
        self.tell_manifest(node).await;
        self.replicate(node);
        for vb in vbuckets() {
            let active = &self.nodes[self.chains[usize::from(vb.0)][0]];
            let goal = copies::read(active, vb).await;
            until(&format!("{vb} of {} is up to date", NAMES[node]), async || {
                let copy = copies::read(&self.nodes[node], vb).await;
                (copy.history == goal.history && copy.high_seqno >= goal.high_seqno).then_some(())
            })
            .await;
            self.chains[usize::from(vb.0)].push(node);
            self.activate(vb).await;
        }
    }

    /// The same collections everywhere, from now on. Nodes that are killed meanwhile are told when
    /// they are back.
    pub(crate) fn set_manifest(&mut self, uid: u64, collection: Option<u32>) -> JoinSet<()> {
        let mut collections = r#"{"name":"_default","uid":"0"}"#.to_owned();
        if let Some(id) = collection {
            _ = write!(collections, r#",{{"name":"c{id}","uid":"{id:x}"}}"#);
        }
        let scope = format!(r#"{{"name":"_default","uid":"0","collections":[{collections}]}}"#);
        self.manifest = format!(r#"{{"uid":"{uid:x}","scopes":[{scope}]}}"#);
        let mut told = JoinSet::new();
        for endpoint in self.endpoints() {
            let manifest = self.manifest.clone();
            told.spawn(async move {
                let request = FrameBuilder::request(Opcode::COLLECTIONS_SET_MANIFEST);
                if let Ok(mut client) = connect(&endpoint).await {
                    // It may be killed.
                    _ = client.ask(request.value(manifest.as_bytes())).await;
                }
            });
        }
        told
    }

    /// Tells a node of the collections once more.
    pub(crate) async fn tell_manifest(&self, node: usize) {
        let request = FrameBuilder::request(Opcode::COLLECTIONS_SET_MANIFEST);
        let mut client = self.nodes[node].client().await;
        client.ask(request.value(self.manifest.as_bytes())).await.unwrap();
    }
}

pub(crate) fn vbuckets() -> impl Iterator<Item = VbId> {
    (0..VBUCKETS).map(VbId)
}

fn login(node: &Endpoint) -> String {
    let Endpoint { name, address, username, password, .. } = node;
    let password = password.expose();
    format!(
        "name = {name:?}\naddress = {address:?}\nusername = {username:?}\npassword = {password:?}\n"
    )
}
