//! The history of a vBucket: where a branch begins, adopting a producer's, rolling back.

use std::sync::Arc;

use log::error;
use logline::value;
use mcbp::dcp::FailoverEntry;
use mcbp::{Seqno, VbId, VbState};
use vbucket::{DurableSeqnos, FailoverTable, Row, Store, StoreError, VbMeta};

use super::advance::note;
use super::error::VbError;
use super::moving::{Moving, blocking, to_its_end};
use super::options::BucketOptions;
use super::vb::Vb;
use crate::clock;
use crate::sync::lock;

impl Vb {
    /// Rolls a replica back to `to`, or to 0 if its store cannot go there. Returns its record then.
    ///
    /// # Errors
    /// [`VbError::WrongState`] unless it is replica or pending (MB-25258: it is unchanged then),
    /// [`VbError::NoVbucket`], [`VbError::Commit`] or [`VbError::Store`].
    pub async fn rollback(self: &Arc<Self>, to: Seqno) -> Result<VbMeta, VbError> {
        let vb = Arc::clone(self);
        to_its_end(async move {
            let moving = Moving::begin(&vb).await?;
            vb.check_replica(&moving)?;
            let (store, id) = (Arc::clone(&vb.shared.store), vb.id());
            let (on_disk, outcome) =
                blocking(move || Ok(roll_back(store.as_ref(), id, to))).await?;
            failpoint::reach("replica-rolled-back");
            match on_disk {
                Ok((meta, prepares)) => lock(&vb.cell.inner).reset(meta, prepares),
                Err(error) => {
                    let (bucket, id) = (vb.bucket_name(), id.0);
                    let text = value(&error);
                    error!("record unreadable, vbucket dead bucket={bucket} vb={id} error={text}");
                    lock(&vb.cell.inner).lose(error);
                }
            }
            note(&vb.shared, vb.id(), &mut lock(&vb.cell.inner));
            vb.tell_state_changed();
            vb.shared.counters.rollbacks.add(1);
            Ok(outcome?)
        })
        .await
    }

    /// Replaces the failover table by a producer's, newest entry first.
    ///
    /// # Errors
    /// [`VbError::Failover`] if it is malformed; else as [`Vb::rollback`].
    pub async fn replace_failover(
        self: &Arc<Self>,
        entries: &[FailoverEntry],
    ) -> Result<(), VbError> {
        let vb = Arc::clone(self);
        let table = FailoverTable::from_log(entries)?;
        to_its_end(async move {
            let moving = Moving::begin(&vb).await?;
            vb.check_replica(&moving)?;
            let mut meta = moving.meta()?;
            if meta.failover == table {
                return Ok(());
            }
            meta.failover = table;
            moving.commit(meta).await
        })
        .await
    }

    fn check_replica(&self, moving: &Moving) -> Result<(), VbError> {
        match moving.meta()?.state {
            VbState::Replica | VbState::Pending => Ok(()),
            state => Err(VbError::WrongState { vb: self.id(), state }),
        }
    }
}

/// What is on disk of a vBucket: its record and its prepares.
type OnDisk = (VbMeta, Vec<Row>);

/// Rolls back. Returns what is on disk then, also after a failure, and the outcome.
fn roll_back(
    store: &dyn Store,
    vb: VbId,
    to: Seqno,
) -> (Result<OnDisk, StoreError>, Result<VbMeta, StoreError>) {
    let (meta, outcome) = match store.rollback(vb, to) {
        Ok(meta) => (Ok(meta.clone()), Ok(meta)),
        Err(error) => {
            let metas = store.load();
            let on_disk = metas.and_then(|metas| {
                metas.into_iter().find(|meta| meta.vb == vb).ok_or(StoreError::NoVbucket(vb))
            });
            (on_disk, Err(error))
        }
    };
    (meta.and_then(|meta| Ok((meta, store.prepares(vb)?))), outcome)
}

/// The record of a new vBucket.
pub(super) fn new_meta(
    vb: VbId,
    state: VbState,
    topology: Option<String>,
    options: &BucketOptions,
) -> VbMeta {
    VbMeta {
        vb,
        state,
        failover: FailoverTable::new(clock::new_uuid()),
        high_seqno: Seqno::ZERO,
        snapshot_start: Seqno::ZERO,
        snapshot_end: Seqno::ZERO,
        purge_seqno: Seqno::ZERO,
        max_cas: 0,
        max_deleted_rev: 0,
        durable: DurableSeqnos::default(),
        history_start: options.history_start(Seqno::ZERO),
        topology: topology.unwrap_or_default(),
    }
}

/// Begins a branch of history at the last seqno that other copies can have in full: the high seqno
/// if the snapshot is complete, else the start of the snapshot (MB-41942 and its follow-ups).
pub(super) fn begin_branch(meta: &mut VbMeta) {
    let whole = meta.high_seqno == meta.snapshot_end;
    let from = if whole { meta.high_seqno } else { meta.snapshot_start };
    meta.failover.create_entry(clock::new_uuid(), from);
    meta.snapshot_start = meta.high_seqno;
    meta.snapshot_end = meta.high_seqno;
    // Whatever the rest of an incomplete snapshot would have been: all that follows is ours.
    meta.history_start = meta.history_start.min(meta.high_seqno.next());
}
