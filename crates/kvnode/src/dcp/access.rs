//! vBuckets, in the form that the DCP machines read.

use std::sync::Arc;

use mcbp::{Seqno, VbId};
use vbucket::Row;
use vbucket::consumer::{Claim, Replicas};
use vbucket::producer::{LogRead, Source};
use vbucket::stream_req::VbFacts;

use super::claims::Claims;
use super::registry::ServedBucket;
use super::wakeups::Wakeups;
use crate::bucket::Bucket;

/// A bucket, for the machines of one connection.
#[derive(Clone)]
pub(super) struct Access(Arc<ServedBucket>);

impl Access {
    pub(super) const fn new(served: Arc<ServedBucket>) -> Self {
        Self(served)
    }

    pub(super) fn served(&self) -> &ServedBucket {
        &self.0
    }

    pub(super) fn bucket(&self) -> &Arc<Bucket> {
        &self.0.bucket
    }

    fn look(&self, vb: VbId) -> Option<VbFacts> {
        let view = self.bucket().vb(vb)?.view();
        Some(VbFacts {
            state: view.state,
            failover: view.failover,
            high_seqno: view.high_seqno,
            snapshot_start: view.snapshot_start,
            snapshot_end: view.snapshot_end,
            purge_seqno: view.purge_seqno,
            durable: view.durable,
            history_start: view.history_start,
            collections: view.collections,
        })
    }
}

impl Source for Access {
    fn facts(&self, vb: VbId) -> Option<VbFacts> {
        self.look(vb)
    }

    fn history_start(&self, vb: VbId) -> Seqno {
        if !self.bucket().options().retention.is_on() {
            return Seqno::ZERO;
        }
        self.bucket().vb(vb).map_or(Seqno::ZERO, |vb| vb.history_start())
    }

    fn read_log(&self, vb: VbId, after: Seqno, bytes_max: usize) -> LogRead {
        // The stream of a vBucket that is gone hears of that by an event.
        let Some(vb) = self.bucket().vb(vb) else { return LogRead::UpToDate };
        vb.read_log(after, bytes_max)
    }
}

/// A bucket, for the consumer of one connection.
#[derive(Clone)]
pub(super) struct ReplicaAccess {
    pub(super) access: Access,
    /// Notified of vBuckets that are released.
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
        &self.access.served().connections.claims
    }

    /// The connection has ended: it claims no other vBucket, and the streams to its own have ended.
    pub(super) fn ended(&self, vbuckets: impl Iterator<Item = VbId>) {
        self.claims().forget(&self.wakeups);
        vbuckets.for_each(|vb| self.claims().drains(vb));
    }
}

impl Replicas for ReplicaAccess {
    fn facts(&self, vb: VbId) -> Option<VbFacts> {
        self.access.look(vb)
    }

    fn prepared(&self, vb: VbId) -> Vec<Arc<Row>> {
        self.bucket().vb(vb).map_or_else(Vec::new, |vb| vb.prepares())
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
