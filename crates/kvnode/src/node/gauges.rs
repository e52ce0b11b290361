//! What a node counts and holds, for whoever runs it inside another program. The page for
//! Prometheus has more.

use std::sync::{Arc, Weak};

use crate::bucket::Bucket;
use crate::context::Context;

/// The gauges of a node. They do not keep it from ending; cheap to clone.
#[derive(Clone, Debug)]
pub struct NodeGauges(Weak<Context>);

/// What a node counts and holds at one moment, over all its buckets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NodeFigures {
    /// Memory in use, counted towards the quotas.
    pub memory_bytes: u64,
    /// The quotas.
    pub quota_bytes: u64,
    /// Open connections.
    pub connections: u64,
    /// Documents written by clients since the start.
    pub sets: u64,
    /// Documents requested by clients since the start.
    pub gets: u64,
    /// Batches written to disk since the start.
    pub commits: u64,
}

impl NodeGauges {
    pub(super) fn of(context: &Arc<Context>) -> Self {
        Self(Arc::downgrade(context))
    }

    /// Reads what is in memory; `None` once the node has ended.
    #[must_use]
    pub fn figures(&self) -> Option<NodeFigures> {
        let node = self.0.upgrade()?;
        let sum = |of: fn(&Bucket) -> u64| node.buckets.iter().map(|it| of(&it.bucket)).sum();
        Some(NodeFigures {
            memory_bytes: sum(Bucket::used_bytes),
            quota_bytes: sum(|bucket| bucket.options().quota_bytes),
            connections: node.connection_count(),
            sets: sum(|bucket| bucket.counters().sets.get()),
            gets: sum(|bucket| bucket.counters().gets.get()),
            commits: sum(|bucket| bucket.counters().commits.get()),
        })
    }

    /// Counts the documents and the bytes of the files; `None` once the node has ended. Reads the
    /// disk, so call it where that may block, and seldom.
    #[must_use]
    pub fn documents_and_disk_bytes(&self) -> Option<(u64, u64)> {
        let node = self.0.upgrade()?;
        let buckets = || node.buckets.iter().map(|it| &it.bucket);
        // A vBucket that cannot be read is counted as a failed read.
        let of_bucket = |bucket: &Arc<Bucket>| -> u64 {
            bucket.all_vbs().filter_map(|vb| vb.item_count().ok()).sum()
        };
        Some((buckets().map(of_bucket).sum(), buckets().map(|it| it.store().disk_bytes()).sum()))
    }
}
