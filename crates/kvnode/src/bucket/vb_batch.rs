//! What a batch does to one vBucket.

use std::sync::Arc;

use mcbp::Seqno;
use vbucket::collections::VbCollections;
use vbucket::consumer::Part;
use vbucket::{Kind, Row, VbMeta};

use super::batch::{Completes, NewRow};
use super::cell::{Tail, VbCell};
use super::events::event_of;
use super::options::BucketOptions;
use crate::sync::lock;

/// See the module.
pub(super) struct VbBatch {
    pub(super) vb: Arc<VbCell>,
    pub(super) meta: VbMeta,
    pub(super) rows: Vec<Arc<Row>>,
    /// The prepares that are completed.
    pub(super) completed: Vec<Seqno>,
    /// The rows are a copy of a producer's disk. They are not kept in the memory log: no stream
    /// waits for them, and they would push out the rows that streams do wait for.
    pub(super) from_disk: bool,
    /// The collections as the rows so far leave them, where change history is kept.
    collections: Option<Arc<VbCollections>>,
}

impl VbBatch {
    pub(super) fn new(vb: &Arc<VbCell>, options: &BucketOptions) -> Self {
        let inner = lock(&vb.inner);
        let meta = inner.meta.clone();
        let collections = options.retention.is_on().then(|| Arc::clone(&inner.durable_collections));
        let (rows, completed) = (Vec::new(), Vec::new());
        Self { vb: Arc::clone(vb), meta, rows, completed, from_disk: false, collections }
    }

    /// Follows a row that is of the change history or not. Returns before which seqno the row that
    /// it replaces is kept.
    pub(super) fn keeps_before(&mut self, row: &Row, history: bool) -> Seqno {
        let Some(collections) = &mut self.collections else { return Seqno::ZERO };
        if let Some(event) = event_of(row) {
            Arc::make_mut(collections).follow(row.seqno, &event);
        }
        if history { collections.keeps_before(row) } else { Seqno::ZERO }
    }

    /// Adds a client's change.
    pub(super) fn add(&mut self, new: &NewRow) {
        let mut tail = Tail::of(&self.meta);
        tail.follow(&new.row);
        tail.write_to(&mut self.meta);
        self.follow_durable(&new.row, new.completes.as_ref());
        (self.meta.snapshot_start, self.meta.snapshot_end) = (new.row.seqno, new.row.seqno);
        self.rows.push(Arc::clone(&new.row));
    }

    fn follow_durable(&mut self, row: &Row, completes: Option<&Arc<Row>>) {
        self.meta.durable.follow(row);
        let is_abort = matches!(row.kind, Kind::Aborted { .. });
        if let Some(prepare) = completes {
            self.meta.durable.complete(prepare.seqno);
            self.completed.push(prepare.seqno);
        } else if is_abort {
            self.completed.push(row.prepared);
        }
    }

    /// Adds what a producer sent.
    pub(super) fn receive(&mut self, received: &Part, completes: &Completes) {
        if self.collections.is_some() {
            received.follow_history(&mut self.meta.history_start, self.meta.high_seqno);
        }
        let (snapshot, ends) = match received {
            Part::Rows { rows, snapshot, from_disk, ends, .. } => {
                let mut tail = Tail::of(&self.meta);
                rows.iter().for_each(|row| tail.follow(row));
                tail.write_to(&mut self.meta);
                for row in rows {
                    self.follow_durable(row, completes.get(&row.seqno));
                }
                self.rows.extend(rows.iter().cloned());
                self.from_disk |= from_disk;
                (snapshot, ends)
            }
            Part::Advance { seqno, snapshot, ends, .. } => {
                self.meta.high_seqno = *seqno;
                self.meta.durable.max_visible = *seqno;
                (snapshot, ends)
            }
        };
        if let Some(end) = ends {
            end.follow(&mut self.meta.durable);
        }
        (self.meta.snapshot_start, self.meta.snapshot_end) = *snapshot;
    }
}
