//! What a stream received, in the form in which it waits and is handed over.

use std::sync::Arc;

use mcbp::{Seqno, VbState};

use crate::Row;

/// Something that was received, to be dealt with in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// Rows under one snapshot.
    Rows {
        /// In seqno order.
        rows: Vec<Arc<Row>>,
        /// Start and end of the snapshot.
        snapshot: (Seqno, Seqno),
        /// Whether the producer read the snapshot from its disk: a copy of what is old already.
        from_disk: bool,
    },
    /// The vBucket moves on without a row.
    Advance {
        /// Where it stands then.
        seqno: Seqno,
        /// Start and end of the snapshot.
        snapshot: (Seqno, Seqno),
    },
}

impl Part {
    /// Where the vBucket stands once this is written; `None` for no rows at all.
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
    /// The producer moves the vBucket on.
    State(VbState),
}
