//! What a stream received, as it is queued and passed to the shell.

use std::sync::Arc;

use mcbp::{Seqno, VbState};

use crate::Row;

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
    },
    /// The seqno of the vBucket advances without a row.
    Advance {
        /// The seqno after that.
        seqno: Seqno,
        /// Start and end of the snapshot.
        snapshot: (Seqno, Seqno),
    },
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
