//! Two data nodes and the sidecar between them, in a temporary folder.

use dcp_proxy::load::{Load, load};
use dcp_proxy::screen::Screen;
use dcp_proxy::verify::{Difference, Progress, Verify, verify};
use mcbp::VbId;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{Config, DataNode, Sidecar, same_documents, until};

const VBUCKETS: u16 = 8;
/// Enough for some deletions and some values that are stored out of line in each vBucket.
const SAMPLES: u64 = 400;

/// `alpha` has active vBuckets, and the sidecar replicates all of them to `beta`.
pub struct Cluster {
    pub alpha: DataNode,
    pub beta: DataNode,
    pub sidecar: Sidecar,
    // Dropped last, because the processes use it.
    pub folder: TempDir,
}

impl Cluster {
    /// Starts all three, without documents.
    pub async fn start() -> Self {
        Self::with(VBUCKETS).await
    }

    /// The same with this number of vBuckets.
    pub async fn with(vbuckets: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (alpha, beta) = nodes_with(&folder, vbuckets).await;
        Self::between(folder, alpha, beta)
    }

    /// Starts the sidecar between two running nodes.
    pub fn between(folder: TempDir, alpha: DataNode, beta: DataNode) -> Self {
        let vbuckets = format!("0-{}", alpha.vbuckets - 1);
        let config = Config::new(&beta.endpoint(), &alpha.endpoint(), &vbuckets);
        let sidecar = Sidecar::start(folder.path(), &config);
        Self { alpha, beta, sidecar, folder }
    }

    /// Writes sample documents of every kind and size into `alpha`.
    pub async fn fill(&self) {
        let (endpoint, vbuckets) = (self.alpha.endpoint(), self.alpha.vbuckets);
        let what = Load { endpoint, bucket: "default".to_owned(), vbuckets, documents: SAMPLES };
        let mut bar = Screen::new().bar("writing", SAMPLES);
        load(&what, &mut bar, &CancellationToken::new()).await.unwrap();
    }

    /// Waits until both nodes have equal seqnos and failover logs, then compares their documents.
    pub async fn converge(&self) {
        converge(&self.alpha, &self.beta).await;
    }

    /// Fails if a process logged a warning that has none of these words.
    #[track_caller]
    pub fn assert_quiet(&self, allowed: &[&str]) {
        for process in [&self.alpha.process, &self.beta.process, &self.sidecar.process] {
            process.assert_quiet(allowed);
        }
    }
}

/// Two nodes without documents: `alpha` active, `beta` replica.
pub async fn nodes(folder: &TempDir) -> (DataNode, DataNode) {
    nodes_with(folder, VBUCKETS).await
}

async fn nodes_with(folder: &TempDir, vbuckets: u16) -> (DataNode, DataNode) {
    let folder = folder.path();
    tokio::join!(
        DataNode::start(folder, "alpha", "active", vbuckets),
        DataNode::start(folder, "beta", "replica", vbuckets)
    )
}

/// See [`Cluster::converge`].
pub async fn converge(alpha: &DataNode, beta: &DataNode) {
    let (mut left, mut right) = (alpha.client().await, beta.client().await);
    until("seqnos and failover logs are equal", async || {
        let seqnos = left.get_all_vb_seqnos().await.unwrap();
        if seqnos != right.get_all_vb_seqnos().await.unwrap() {
            return None;
        }
        for vb in seqnos.into_iter().map(|(vb, _)| vb) {
            if left.failover_log(vb).await.unwrap() != right.failover_log(vb).await.unwrap() {
                return None;
            }
        }
        Some(())
    })
    .await;
    same_documents(&alpha.endpoint(), &beta.endpoint(), (0..alpha.vbuckets).map(VbId)).await;
    // The comparison of the program must have the same result.
    assert_eq!(compare(alpha, beta).await, Vec::<String>::new(), "the nodes hold the same");
}

/// The differences between two nodes.
async fn compare(alpha: &DataNode, beta: &DataNode) -> Vec<String> {
    let (producer, consumer) = (alpha.endpoint(), beta.endpoint());
    let vbs = (0..alpha.vbuckets).map(VbId).collect();
    let what = Verify::new(producer, consumer, "default".to_owned(), vbs, "test".to_owned());
    let (mut lines, stop) = (Vec::new(), CancellationToken::new());
    let mut each = |difference: Difference| lines.push(difference.to_string());
    let found = verify(&what, &Progress::default(), &mut each, &stop).await.unwrap();
    assert_eq!(found.vbuckets, usize::from(alpha.vbuckets));
    assert_eq!(found.differences(), lines.len() as u64);
    lines
}
