//! Durable writes as replicas, readers and the clock see them.

use std::sync::Arc;
use std::time::Duration;

use mcbp::{Seqno, VbState};
use tokio_util::sync::CancellationToken;
use vbucket::Row;
use vbucket::durability::Monitor;

use super::advance::advance;
use super::core::Bucket;
use super::draft::WriteRefusal;
use super::vb::Vb;
use crate::sync::lock;

/// How often deadlines are looked at. Source: kv_engine's `durability_timeout_task_interval`.
const TICK: Duration = Duration::from_millis(25);

impl Vb {
    /// A replica has every prepare up to a seqno. Ignored where this copy is not active.
    pub(crate) fn acknowledge(&self, node: &str, prepared: Seqno) {
        let mut inner = lock(&self.cell.inner);
        inner.durable.monitor.acknowledge(node, prepared);
        advance(&self.shared, &self.cell, &mut inner);
    }

    /// A replica begins a stream: what it acknowledged before does not count.
    pub(crate) fn forget_acknowledged(&self, node: &str) {
        lock(&self.cell.inner).durable.monitor.forget(node);
    }

    /// Checks that no durable write of the document is undecided.
    pub(crate) fn check_unblocked(&self, document: &[u8]) -> Result<(), WriteRefusal> {
        let blocked = self.read_monitor(|monitor| monitor.blocked(document));
        blocked.map_or(Ok(()), |blocked| Err(WriteRefusal::Blocked(blocked)))
    }

    /// Reads the machine, under the lock of the vBucket.
    pub(crate) fn read_monitor<T>(&self, read: impl FnOnce(&Monitor) -> T) -> T {
        read(&lock(&self.cell.inner).durable.monitor)
    }

    /// The prepares that are not completed.
    pub(crate) fn prepares(&self) -> Vec<Arc<Row>> {
        self.read_monitor(|monitor| monitor.rows().cloned().collect())
    }
}

impl Bucket {
    /// Gives up durable writes that are late, and completes those that could not be completed when
    /// it was decided, until `shutdown`. Clients that wait then are answered, so that no connection
    /// keeps the node from stopping.
    pub(crate) async fn run_durable_writes(self: Arc<Self>, shutdown: CancellationToken) {
        let ticks = async {
            loop {
                self.shared.tracking.any().await;
                tokio::time::sleep(TICK).await;
                self.advance_durable_writes();
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = ticks => {}
        }
        self.shared.tracking.stop();
        for vb in self.all_vbs() {
            lock(&vb.cell.inner).durable.leave();
        }
    }

    fn advance_durable_writes(&self) {
        let tracking = &self.shared.tracking;
        for id in tracking.all() {
            let Some(vb) = self.vb(id) else {
                tracking.remove(id);
                continue;
            };
            let mut inner = lock(&vb.cell.inner);
            advance(&self.shared, &vb.cell, &mut inner);
            let is_active = inner.meta.state == VbState::Active && !inner.removed;
            if inner.durable.monitor.is_empty() || !is_active {
                tracking.remove(id);
            }
        }
    }
}
