//! What the ledger keeps of single streams: open ones, those that are gone, and what is not
//! answered yet.

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
    /// Its STREAM_REQ, once one was seen.
    pub(super) request: Option<Request>,
}

/// An ADD_STREAM that went unanswered for so long that nobody waits for it any more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct LateAdd {
    pub(super) vb: VbId,
    /// Whether the producer has ended the stream, so that only the consumer may still have it.
    pub(super) ended: bool,
}

/// A CLOSE_STREAM to the consumer that nobody waits for, and what its answer will mean.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Unanswered {
    pub(super) vb: VbId,
    /// Whether the stream that was closed may still ask for itself: its STREAM_REQ, sent before the
    /// consumer was told, is on its way. None comes after the answer.
    pub(super) may_ask: bool,
    /// Whether the answer tells if a refused row has left a gap.
    pub(super) shows_gap: bool,
}

/// A vBucket that nothing is being done about any more, and how that came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Settled {
    Added(VbId, Stream),
    Finished(VbId),
    Closed(VbId),
    RolledBack(VbId),
    Failed(VbError),
}
