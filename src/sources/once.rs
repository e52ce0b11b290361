//! The map of a cluster's bucket, asked for once: for commands that need no running sidecar.

use std::time::Duration;

use clustermap::{Revision, Wanted};
use replica::plan::Desired;

use super::watched::{Watch, Watched};
use crate::config::Cluster;

/// A map that a node of the cluster has sent.
pub(crate) struct FoundMap {
    pub(crate) node: String,
    pub(crate) revision: Revision,
    pub(crate) wanted: Wanted,
}

/// Asks the nodes of a cluster one after the other, until one has a map of the bucket. `limit` is
/// the deadline of each step with a node.
///
/// # Errors
/// A text that names the node which failed last.
pub(crate) async fn map_of(
    cluster: &Cluster,
    bucket: &str,
    limit: Duration,
) -> Result<FoundMap, String> {
    let mut watch = Watch::new(cluster.clone(), bucket.to_owned(), Vec::new(), limit);
    loop {
        match watch.next().await {
            Watched::Map { node, revision, wanted } => {
                return Ok(FoundMap { node, revision, wanted });
            }
            Watched::Refused { node, reason } => return Err(format!("{node}: {reason}")),
            Watched::Away { error, .. } => return Err(error),
            // Only a map that is not newer than another one is followed without being told.
            Watched::Follows { .. } => {}
        }
    }
}

/// Takes what the own node has active by a map out of what is replicated: it comes from nobody.
pub(crate) fn without_own(replicate: &mut Desired, own: Option<&str>) {
    let ours = own.and_then(|own| replicate.producers().get(own)).cloned();
    ours.iter().flat_map(|set| set.iter()).for_each(|vb| replicate.assign(vb, None));
}
