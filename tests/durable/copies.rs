//! What the nodes have of a vBucket, by their statistics, and whether that is the same.

use std::process::Command;

use mcbp::VbId;
use mcbp::dcp::FailoverEntry;
use relay::Endpoint;
use tokio::time::timeout;

use crate::cluster::{Cluster, vbuckets};
use crate::common::{DataNode, PATIENCE, Process, looks};
use crate::keys::VBUCKETS;

/// One copy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Copy {
    pub(crate) history: Vec<FailoverEntry>,
    pub(crate) high_seqno: u64,
    pub(crate) high_prepared: u64,
    pub(crate) high_completed: u64,
    pub(crate) max_visible: u64,
    /// How many writes are not decided.
    pub(crate) prepared: u64,
}

pub(crate) async fn read(node: &DataNode, vb: VbId) -> Copy {
    let mut client = node.client().await;
    let stats = client.stats(&format!("vbucket-details {}", vb.0)).await.unwrap();
    let number = |what: &str| {
        let name = format!("vb_{}:{what}", vb.0);
        let (_, text) = stats.iter().find(|(stat, _)| *stat == name).expect(what);
        text.parse().unwrap()
    };
    Copy {
        history: client.failover_log(vb).await.unwrap(),
        high_seqno: number("high_seqno"),
        high_prepared: number("high_prepared_seqno"),
        high_completed: number("high_completed_seqno"),
        max_visible: number("max_visible_seqno"),
        prepared: number("num_prepared_sync_writes"),
    }
}

impl Cluster {
    /// Waits until all copies have everything and nothing is undecided.
    pub(crate) async fn settle(&self) -> Result<(), String> {
        for vb in vbuckets() {
            let mut all = Vec::new();
            let mut again = looks();
            let is_same = async {
                loop {
                    again.tick().await;
                    all = self.copies(vb).await;
                    if all.iter().all(|copy| *copy == all[0] && copy.prepared == 0) {
                        return;
                    }
                }
            };
            if timeout(PATIENCE, is_same).await.is_err() {
                let chain = &self.chains[usize::from(vb.0)];
                return Err(format!("{vb} with chain {chain:?} is not the same: {all:#?}"));
            }
        }
        Ok(())
    }

    /// Two nodes are the same for `dcp-proxy verify` too.
    pub(crate) async fn verify(&self, of: [usize; 2]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcp-proxy"));
        command.args(["verify", "default", "--vb", &format!("0-{}", VBUCKETS - 1)]);
        let endpoints = self.endpoints();
        for Endpoint { address, username, password, .. } in of.map(|node| &endpoints[node]) {
            command.args(["--node", address]).env("DCP_PROXY_USERNAME", username);
            command.env("DCP_PROXY_PASSWORD", password.expose());
        }
        let folder = self.folder();
        let mut verify = Process::start("verify", folder, command.current_dir(folder));
        assert_eq!(verify.exit_code().await, 0, "{}{}", verify.out(), verify.log());
    }

    async fn copies(&self, vb: VbId) -> Vec<Copy> {
        let mut all = Vec::new();
        for node in self.nodes() {
            all.push(read(node, vb).await);
        }
        all
    }
}
