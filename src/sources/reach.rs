//! Connects to the nodes of a cluster, one at a time, so that another node can be asked meanwhile.

use std::time::Duration;

use clustermap::Address;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use mcbp::Feature;
use relay::{Client, Deadlines, LinkError, Login};
use tokio::time::timeout;

use super::hosts::Hosts;
use super::turns::Turns;
use crate::config::Cluster;

/// What a node is asked for. The brief notification has no map, which is then asked for.
const FEATURES: [Feature; 4] = [
    Feature::DUPLEX,
    Feature::CLUSTERMAP_NOTIFICATION,
    Feature::GET_CLUSTER_CONFIG_WITH_VERSION,
    Feature::CLUSTERMAP_NOTIFICATION_BRIEF,
];

/// A node with a connection to it; or a node that could not be reached, and the error.
pub(super) type Reached = Result<(Address, Client), (String, String)>;

/// See the module.
pub(super) struct Reach {
    cluster: Cluster,
    bucket: String,
    deadlines: Deadlines,
    /// The nodes of the newest map, and those to begin with.
    pub(super) turns: Turns,
    connecting: Option<BoxFuture<'static, Reached>>,
}

impl Reach {
    /// Begins with the nodes of the configuration; `nodes` are those of the last map.
    pub(super) fn new(
        cluster: Cluster,
        bucket: String,
        nodes: Vec<Address>,
        limit: Duration,
    ) -> Self {
        let turns = Turns::new(Hosts::new(&cluster, bucket.clone(), limit), nodes);
        let deadlines = Deadlines { connect: limit, request: limit };
        Self { cluster, bucket, deadlines, turns, connecting: None }
    }

    /// Connects to the next node; `None` after the last one. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Reached> {
        let connecting = match self.connecting.take() {
            Some(connecting) => connecting,
            None => {
                let node = self.turns.next().await?;
                connect(self.cluster.clone(), self.bucket.clone(), self.deadlines, node).boxed()
            }
        };
        let reached = self.connecting.insert(connecting).await;
        self.connecting = None;
        Some(reached)
    }
}

async fn connect(cluster: Cluster, bucket: String, deadlines: Deadlines, node: Address) -> Reached {
    let failed = |error: String| (node.to_string(), error);
    let endpoint = cluster.endpoint(&node).map_err(failed)?;
    let login = Login { bucket: Some(&bucket), agent: "dcp-proxy", features: &FEATURES, deadlines };
    let whole = deadlines.connect.saturating_mul(2);
    let client = timeout(whole, Client::connect(&endpoint, login)).await;
    let late = |_| format!("{node} did not log in within {whole:?}");
    let client = client.map_err(|error| failed(late(error)))?;
    let client = client.map_err(|error: LinkError| failed(error.to_string()))?;
    Ok((node, client))
}
