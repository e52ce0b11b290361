//! What one node has of a vBucket, by its statistics.

use mcbp::VbId;
use mcbp::dcp::FailoverEntry;

use crate::common::DataNode;

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
