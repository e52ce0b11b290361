//! What a producer machine asks of its shell.

use std::time::Duration;

use mcbp::{Opaque, Seqno, VbId};

/// What is to be done, in order.
pub type Effects = Vec<Effect>;

/// What the shell has to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// A stream began: give [`super::Event::Changed`] now and whenever the vBucket changes, and
    /// [`super::Event::Committed`] whenever rows became durable.
    Watch(VbId),
    /// The stream is gone: its scan and its subscription may be dropped.
    Unwatch(VbId),
    /// Read the disk: open a scan of `start..=end`, or go on with the one that is open for this
    /// stream, then give [`super::Event::DiskRead`].
    ReadDisk {
        /// The vBucket.
        vb: VbId,
        /// The stream; to be given back, so that a report for an older one is recognised.
        stream: Opaque,
        /// First seqno, where no scan is open yet.
        start: Seqno,
        /// Last seqno.
        end: Seqno,
        /// A row whose frame is larger is not to be taken, but reported by
        /// [`super::ReadEnd::Large`].
        row_bytes_max: usize,
    },
    /// Set the vBucket dead, synced, then give [`super::Event::Dead`].
    SetDead {
        /// The vBucket.
        vb: VbId,
        /// The stream that is taken over.
        stream: Opaque,
    },
    /// Hold up clients' writes to the vBucket until [`Effect::Unwatch`].
    HoldWrites(VbId),
    /// A stream failed: to be counted and logged.
    Failed {
        /// The vBucket.
        vb: VbId,
        /// The last seqno that was sent.
        seqno: Seqno,
        /// What happened, for people.
        cause: String,
        /// Whether the disk is to blame.
        read_failed: bool,
    },
    /// The window has been full for so long without an acknowledgement: to be logged. Said once,
    /// until there is one.
    Silent(Duration),
    /// Close the connection; the reason is for people.
    Close(&'static str),
}
