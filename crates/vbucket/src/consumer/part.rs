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
        /// Which versions of documents of collections with `history` are among them.
        versions: Versions,
        /// Of a part that ends its snapshot.
        ends: Option<SnapshotEnd>,
    },
    /// The seqno of the vBucket advances without a row.
    Advance {
        /// The seqno after that.
        seqno: Seqno,
        /// Start and end of the snapshot.
        snapshot: (Seqno, Seqno),
        /// As of rows.
        versions: Versions,
        /// Of an advance that ends its snapshot.
        ends: Option<SnapshotEnd>,
    },
}

/// Which versions of documents a part has, of collections with `history`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Versions {
    /// The newest ones of their snapshot.
    Newest,
    /// All since the part before.
    All,
    /// All from its first row on. What was before that may be missing.
    AllFromHere,
}

impl Versions {
    /// Whether a row with `next` may follow in the same part.
    pub(super) fn goes_on_with(self, next: Self) -> bool {
        match next {
            Self::Newest => self == Self::Newest,
            Self::All => self != Self::Newest,
            Self::AllFromHere => false,
        }
    }
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
    /// Moves the start of a copy's change history over this part, which follows seqno `high`: to
    /// where from then on every version was received, or behind a snapshot that has the newest rows
    /// alone. For a copy that keeps history; 0 is none so far.
    pub fn follow_history(&self, start: &mut Seqno, high: Seqno) {
        let (first, snapshot, versions) = match self {
            Self::Rows { rows, snapshot, versions, .. } => {
                (rows.first().map(|row| row.seqno), snapshot, versions)
            }
            Self::Advance { seqno, snapshot, versions, .. } => {
                (Some(seqno.next()), snapshot, versions)
            }
        };
        let Some(first) = first else { return };
        // What is between is of the part before, which has the newest rows alone.
        let is_apart = *start == Seqno::ZERO || *start > high.next();
        match versions {
            Versions::Newest => *start = snapshot.1.next(),
            Versions::All if !is_apart => {}
            Versions::All | Versions::AllFromHere => *start = first,
        }
    }

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
