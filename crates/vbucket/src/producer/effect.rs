//! What a producer machine wants done.

use std::sync::Arc;
use std::time::Duration;

use mcbp::{Seqno, VbId};

use super::{StreamId, StreamKey};

/// What is to be done, in order.
pub type Effects = Vec<Effect>;

/// What the shell has to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// A stream began: give [`super::Event::Changed`] now and whenever the vBucket changes, and
    /// [`super::Event::Committed`] whenever rows became durable.
    Watch(StreamKey),
    /// The stream has ended: drop its scan and its subscription.
    Unwatch(StreamKey),
    /// Read the disk: open a scan from `start` on, or go on with the one that is open for this
    /// stream, then give [`super::Event::DiskRead`].
    ReadDisk {
        /// The vBucket.
        vb: VbId,
        /// The stream. The event repeats it, so that an event for an older stream is recognised.
        stream: StreamId,
        /// First seqno, if no scan is open yet.
        start: Seqno,
        /// A row whose frame is larger is not taken; the read ends with
        /// [`super::ReadEnd::Large`].
        row_bytes_max: usize,
    },
    /// Set the vBucket dead, synced, then give [`super::Event::Dead`].
    SetDead {
        /// The vBucket.
        vb: VbId,
        /// The stream of the takeover.
        stream: StreamId,
    },
    /// Block clients' writes to the vBucket until [`Effect::Unwatch`].
    HoldWrites(StreamKey),
    /// A stream failed: count it and log it.
    Failed {
        /// The vBucket.
        vb: VbId,
        /// The last seqno that was sent.
        seqno: Seqno,
        /// What happened, for the log.
        cause: String,
        /// Whether a read of the disk failed.
        read_failed: bool,
    },
    /// A replica of this name begins a stream: what it acknowledged before does not count.
    Joined {
        /// The vBucket.
        vb: VbId,
        /// The name that topologies give it.
        node: Arc<str>,
    },
    /// A replica of this name has every prepare up to a seqno.
    Acknowledged {
        /// The vBucket.
        vb: VbId,
        /// The name that topologies give it.
        node: Arc<str>,
        /// The seqno.
        prepared: Seqno,
    },
    /// Log that the window has been full for this long without an acknowledgement. Returned once
    /// until there is an acknowledgement.
    Silent(Duration),
    /// Close the connection; holds the reason for the log.
    Close(&'static str),
}
