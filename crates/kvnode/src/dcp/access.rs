//! vBuckets as the DCP machines see them.

use std::sync::Arc;

use mcbp::{Seqno, VbId};
use vbucket::consumer::{Claim, Replicas};
use vbucket::producer::{LogRead, Source};
use vbucket::stream_req::VbFacts;

use super::claims::Claims;
use super::served::ServedBucket;
use super::wakeups::Wakeups;
use crate::bucket::Bucket;

/// A bucket, for the machines of one connection.
#[derive(Clone)]
pub(super) struct Access(pub(super) Arc<ServedBucket>);

impl Access {
    pub(super) fn bucket(&self) -> &Arc<Bucket> {
        &self.0.bucket
    }
}

impl Access {
    fn look(&self, vb: VbId) -> Option<VbFacts> {
        let view = self.bucket().vb(vb)?.view();
        Some(VbFacts {
            state: view.state,
            failover: view.failover,
            high_seqno: view.high_seqno,
            snapshot_start: view.snapshot_start,
            snapshot_end: view.snapshot_end,
            purge_seqno: view.purge_seqno,
        })
    }
}

impl Source for Access {
    fn facts(&self, vb: VbId) -> Option<VbFacts> {
        self.look(vb)
    }

    fn read_log(&self, vb: VbId, after: Seqno, bytes_max: usize) -> LogRead {
        // A vBucket that is gone has nothing; its stream hears of that by a notification.
        let Some(vb) = self.bucket().vb(vb) else { return LogRead::UpToDate };
        vb.read_log(after, bytes_max)
    }
}

/// A bucket, for the consumer of one connection.
#[derive(Clone)]
pub(super) struct ReplicaAccess {
    pub(super) access: Access,
    /// Hears of vBuckets that are free.
    pub(super) wakeups: Arc<Wakeups>,
}

impl ReplicaAccess {
    pub(super) fn new(access: Access) -> Self {
        Self { access, wakeups: Arc::default() }
    }

    pub(super) fn bucket(&self) -> &Arc<Bucket> {
        self.access.bucket()
    }

    fn claims(&self) -> &Claims {
        &self.access.0.connections.claims
    }

    /// The connection has ended: nobody streams to these vBuckets any more, and it wants none.
    pub(super) fn ended(&self, vbuckets: &[VbId]) {
        self.claims().forget(&self.wakeups);
        vbuckets.iter().for_each(|vb| self.claims().drains(*vb));
    }
}

impl Replicas for ReplicaAccess {
    fn facts(&self, vb: VbId) -> Option<VbFacts> {
        self.access.look(vb)
    }

    fn claim(&self, vb: VbId) -> Claim {
        self.claims().claim(vb, &self.wakeups)
    }

    fn drains(&self, vb: VbId) {
        self.claims().drains(vb);
    }

    fn release(&self, vb: VbId) {
        self.claims().release(vb);
    }
}
