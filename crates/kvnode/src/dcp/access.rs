//! vBuckets as the DCP machines see them.

use std::sync::Arc;

use mcbp::{Seqno, VbId};
use vbucket::FailoverTable;
use vbucket::consumer::Replicas;
use vbucket::producer::{LogRead, Source};
use vbucket::stream_req::VbFacts;

use crate::bucket::{self, Bucket};

/// A bucket, for the machines of one connection.
#[derive(Clone)]
pub(super) struct Access(pub(super) Arc<Bucket>);

impl Access {
    fn look(&self, vb: VbId) -> Option<VbFacts> {
        let view = self.0.vb(vb)?.view();
        Some(VbFacts {
            state: view.state,
            failover: FailoverTable::from_log(&view.failover).ok()?,
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
        let Some(vb) = self.0.vb(vb) else { return LogRead::UpToDate };
        match vb.read_log(after, bytes_max) {
            bucket::LogRead::UpToDate => LogRead::UpToDate,
            bucket::LogRead::Rows(rows) => LogRead::Rows(rows),
            bucket::LogRead::Behind => LogRead::Behind,
        }
    }
}

impl Replicas for Access {
    fn facts(&self, vb: VbId) -> Option<VbFacts> {
        self.look(vb)
    }

    fn claim(&self, vb: VbId) -> bool {
        self.0.dcp().claim(vb)
    }

    fn release(&self, vb: VbId) {
        self.0.dcp().release(vb);
    }
}
