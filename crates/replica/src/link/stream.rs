//! Entries of the ledger: open streams, ended ones, and unanswered requests.

use mcbp::{Opaque, Seqno, VbId};

use super::VbError;

/// A STREAM_REQ that passed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Request {
    /// The opaque of the stream's frames.
    pub(super) opaque: Opaque,
    /// The last seqno that the consumer had.
    pub(super) start: Seqno,
}

/// A stream that the consumer has acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Stream {
    /// The opaque of the ADD_STREAM that opened it.
    pub(super) attempt: Opaque,
    /// Its STREAM_REQ, once seen.
    pub(super) request: Option<Request>,
}

/// An ADD_STREAM that was given up without an answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct LateAdd {
    pub(super) vb: VbId,
    /// Whether the producer has ended the stream, so that only the consumer may still have it.
    pub(super) ended: bool,
}

/// A CLOSE_STREAM to the consumer that no command waits for, and what its answer means.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Unanswered {
    pub(super) vb: VbId,
    /// Whether a STREAM_REQ of the closed attempt may still come: the consumer may have sent it
    /// before it received the CLOSE_STREAM. None comes after the answer.
    pub(super) may_ask: bool,
    /// Whether the answer shows if a refused row has left a gap.
    pub(super) shows_gap: bool,
}

/// A vBucket that is settled, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Settled {
    Added(VbId, Stream),
    Finished(VbId),
    Closed(VbId),
    RolledBack(VbId),
    Failed(VbError),
}
