//! What a stream reader asks for and what it tells.

use bytes::Bytes;
use mcbp::dcp::{FailoverEntry, SnapshotMarker};
use mcbp::{Seqno, Status, StreamEndStatus, VbId, VbUuid};

/// What to stream of one vBucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamRange {
    /// The vBucket.
    pub vb: VbId,
    /// Changes after this seqno.
    pub after: Seqno,
    /// Changes up to this seqno, or to the end of the snapshot that holds it; [`Seqno::MAX`]
    /// never ends.
    pub to: Seqno,
    /// The branch of history that `after` belongs to; 0 with seqno 0.
    pub uuid: VbUuid,
    /// See [`mcbp::dcp::stream_flags`].
    pub flags: u32,
}

/// What a producer says about a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamEvent {
    /// The stream is open.
    Opened {
        /// The vBucket.
        vb: VbId,
        /// Its failover log, newest entry first.
        failover_log: Vec<FailoverEntry>,
    },
    /// The producer does not share that history: ask again from `to` or below. No stream.
    RolledBack {
        /// The vBucket.
        vb: VbId,
        /// The last seqno in common.
        to: Seqno,
    },
    /// The producer does not want to. No stream.
    Refused {
        /// The vBucket.
        vb: VbId,
        /// Its reason.
        status: Status,
    },
    /// A snapshot begins.
    Marker {
        /// The vBucket.
        vb: VbId,
        /// Its range.
        marker: SnapshotMarker,
    },
    /// A document was changed, or a durable write prepared, committed or aborted.
    Change {
        /// The vBucket.
        vb: VbId,
        /// Where the change stands in its history.
        seqno: Seqno,
        /// The whole frame, for [`mcbp::Frame::parse`] and the decoders of [`mcbp::dcp`].
        frame: Bytes,
    },
    /// The stream moved on without a document to show.
    Advanced {
        /// The vBucket.
        vb: VbId,
        /// Where it stands now.
        seqno: Seqno,
    },
    /// The stream is over.
    Ended {
        /// The vBucket.
        vb: VbId,
        /// Why.
        status: StreamEndStatus,
    },
}
