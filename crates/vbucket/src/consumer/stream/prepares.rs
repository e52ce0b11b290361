//! The durable writes of a stream: the prepares that wait for their COMMIT, and what is to be
//! acknowledged to the producer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use mcbp::Seqno;
use mcbp::dcp::{MarkerBody, SnapshotMarker};

use super::PassiveStream;
use crate::collections::VbCollections;
use crate::consumer::part::SnapshotEnd;
use crate::{Kind, Row};

/// See the module.
#[derive(Default, Debug)]
pub(super) struct Prepares {
    /// By key of the document.
    waiting: BTreeMap<Bytes, Arc<Row>>,
    /// The newest prepare that was received, or that the producer says its disk snapshot has.
    newest: Seqno,
    /// The newest one that the producer says is completed at the end of the snapshot.
    completed: Seqno,
    acknowledged: Seqno,
    /// Where snapshots end that are not on disk yet, and the newest prepare up to there.
    due: VecDeque<(Seqno, Seqno)>,
}

impl Prepares {
    /// Those of the vBucket when the stream is requested; `whole` says whether its last snapshot is
    /// complete.
    pub(super) fn new(rows: Vec<Arc<Row>>, newest: Seqno, whole: bool) -> Self {
        let waiting = rows.into_iter().map(|row| (row.document(), row)).collect();
        // What it has is acknowledged as soon as the stream is open.
        let due = if whole { VecDeque::from([(Seqno::ZERO, newest)]) } else { VecDeque::new() };
        Self { waiting, newest, completed: Seqno::ZERO, acknowledged: Seqno::ZERO, due }
    }

    pub(super) fn begin_snapshot(&mut self, marker: &SnapshotMarker) {
        // Its own prepares may be completed, and not come.
        let (prepared, completed) = match marker.body {
            MarkerBody::V1 => return,
            MarkerBody::V2_0 { high_completed, .. } => (high_completed, high_completed),
            MarkerBody::V2_2 { high_prepared, high_completed, .. } => {
                (high_prepared, high_completed)
            }
        };
        self.newest = self.newest.max(prepared.min(marker.end));
        self.completed = self.completed.max(completed.min(marker.end));
    }

    fn follow(&mut self, row: &Arc<Row>, snapshot_end: Seqno) {
        match row.kind {
            Kind::Prepared { .. } => {
                self.newest = self.newest.max(row.seqno);
                self.waiting.insert(row.document(), Arc::clone(row));
            }
            // Any change of the document completes its write: a commit comes as one from disk.
            _ if !self.waiting.is_empty() => drop(self.waiting.remove(row.document_key())),
            _ => {}
        }
        if row.seqno >= snapshot_end {
            self.end_snapshot(row.seqno);
        }
    }

    /// Forgets those of collections that are gone: nothing completes them.
    pub(super) fn follow_collections(&mut self, there: &VbCollections) {
        self.waiting.retain(|document, row| there.shows(document, row.seqno));
    }

    fn end_snapshot(&mut self, seqno: Seqno) {
        let due = self.due.back().map_or(self.acknowledged, |(_, prepared)| *prepared);
        if self.newest > due {
            self.due.push_back((seqno, self.newest));
        }
    }
}

impl PassiveStream {
    /// What is known of durable writes if the snapshot ends at `seqno`.
    pub(super) fn ends_at(&self, seqno: Seqno) -> Option<SnapshotEnd> {
        let Prepares { newest: high_prepared, completed: high_completed, .. } = self.prepares;
        (seqno >= self.snapshot.1).then_some(SnapshotEnd { high_prepared, high_completed })
    }

    /// The prepare of a document that waits.
    pub(in crate::consumer) fn prepared(&self, document: &[u8]) -> Option<Arc<Row>> {
        self.prepares.waiting.get(document).cloned()
    }

    pub(super) fn follow_prepares(&mut self, row: &Arc<Row>) {
        self.prepares.follow(row, self.snapshot.1);
    }

    /// The stream has advanced to a seqno without a row.
    pub(super) fn advance_prepares(&mut self, seqno: Seqno) {
        if seqno >= self.snapshot.1 {
            self.prepares.end_snapshot(seqno);
        }
    }

    /// The newest prepare that is to be acknowledged now: everything that was passed to the shell
    /// is on disk.
    pub(in crate::consumer) fn take_acknowledgement(&mut self) -> Option<Seqno> {
        let due = &mut self.prepares.due;
        let complete = due.partition_point(|(end, _)| *end <= self.handed_seqno);
        let (_, newest) = due.drain(..complete).next_back()?;
        if newest <= self.prepares.acknowledged {
            return None;
        }
        self.prepares.acknowledged = newest;
        Some(newest)
    }
}
