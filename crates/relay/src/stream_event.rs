//! What a stream reader requests, and the events that it returns.

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
    /// Changes up to this seqno, or to the end of the snapshot that contains it; [`Seqno::MAX`] for
    /// no end.
    pub to: Seqno,
    /// The branch of history to which `after` belongs; 0 with seqno 0.
    pub uuid: VbUuid,
    /// First and last seqno of the snapshot to which `after` belongs: twice `after` where all of it
    /// was received. Without them a stream that goes on within a snapshot could not be rolled back
    /// far enough.
    pub snapshot: (Seqno, Seqno),
    /// See [`mcbp::dcp::stream_flags`].
    pub flags: u32,
}

impl StreamRange {
    /// Everything of a vBucket up to `to`, from its first change.
    #[must_use]
    pub const fn all(vb: VbId, to: Seqno) -> Self {
        let after = Seqno::ZERO;
        Self { vb, after, to, uuid: VbUuid(0), snapshot: (after, after), flags: 0 }
    }
}

/// What a producer sent about a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamEvent {
    /// The stream is open.
    Opened {
        /// The vBucket.
        vb: VbId,
        /// Its failover log, newest entry first.
        failover_log: Vec<FailoverEntry>,
    },
    /// The producer has another history: request again from `to` or below. There is no stream.
    RolledBack {
        /// The vBucket.
        vb: VbId,
        /// The last seqno in common.
        to: Seqno,
    },
    /// The producer refused the request. There is no stream.
    Refused {
        /// The vBucket.
        vb: VbId,
        /// The status of its answer.
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
        /// The sequence number of the change.
        seqno: Seqno,
        /// The whole frame, for [`mcbp::Frame::parse`] and the decoders of [`mcbp::dcp`].
        frame: Bytes,
    },
    /// The stream advanced without a document.
    Advanced {
        /// The vBucket.
        vb: VbId,
        /// The seqno of the stream now.
        seqno: Seqno,
    },
    /// The stream has ended.
    Ended {
        /// The vBucket.
        vb: VbId,
        /// Why.
        status: StreamEndStatus,
    },
}
