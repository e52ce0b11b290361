//! What a stream received, as it is queued and passed to the shell.

use std::sync::Arc;

use mcbp::{Seqno, VbState};

use crate::{DurableSeqnos, Row};

/// Something that was received, to be written in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// Rows under one snapshot.
    Rows {
        /// In seqno order.
        rows: Vec<Arc<Row>>,
        /// Start and end of the snapshot.
        snapshot: (Seqno, Seqno),
        /// Whether the producer read the snapshot from its disk.
        from_disk: bool,
        /// Of a part that ends its snapshot.
        ends: Option<SnapshotEnd>,
    },
    /// The seqno of the vBucket advances without a row.
    Advance {
        /// The seqno after that.
        seqno: Seqno,
        /// Start and end of the snapshot.
        snapshot: (Seqno, Seqno),
        /// Of an advance that ends its snapshot.
        ends: Option<SnapshotEnd>,
    },
}

/// What a copy knows of durable writes once a snapshot is complete. The rows of some of them may
/// not be in it: the producer's disk has only the newest row of each document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotEnd {
    /// Every prepare up to this one was received, or is completed.
    pub high_prepared: Seqno,
    /// Every prepare up to this one is completed.
    pub high_completed: Seqno,
}

impl SnapshotEnd {
    /// Advances the seqnos of a copy to those at the end of the snapshot.
    pub fn follow(self, durable: &mut DurableSeqnos) {
        durable.complete(self.high_completed);
        durable.high_prepared = durable.high_prepared.max(self.high_prepared);
    }
}

impl Part {
    /// The seqno of the vBucket once this is written; `None` for no rows.
    #[must_use]
    pub fn last_seqno(&self) -> Option<Seqno> {
        match self {
            Self::Rows { rows, .. } => rows.last().map(|row| row.seqno),
            Self::Advance { seqno, .. } => Some(*seqno),
        }
    }
}

/// A part, or something that waits for all parts before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Item {
    Part(Part),
    /// The marker that asked for an answer is complete.
    AnswerMarker,
    /// The producer asks for this state.
    State(VbState),
}
