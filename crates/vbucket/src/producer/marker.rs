//! The snapshots of a stream and the markers that announce them.

use invariant::{Broken, broken};
use mcbp::dcp::{MarkerBody, SnapshotMarker, marker_flags};
use mcbp::{Opaque, Seqno, VbId};

use super::settings::MarkerVersion;
use super::takeover::Takeover;
use crate::DurableSeqnos;

/// The state of the vBucket when the scan was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskSnapshot {
    /// The highest seqno on disk: where the stream is after it.
    pub high_seqno: Seqno,
    /// Where the marker ends: the same, or of what a client without collections may get. Such a
    /// client does not know SEQNO_ADVANCED, and would wait for a change that is not for it.
    pub marker_end: Seqno,
    /// Tombstones up to this seqno may be missing.
    pub purge_seqno: Seqno,
    /// Of the durable writes then.
    pub durable: DurableSeqnos,
    /// The rows come in the order of their keys, and all of them are of one OSO snapshot.
    pub out_of_order: bool,
    /// From this seqno on the scan has every version of documents that are kept; `None` where it
    /// has the newest rows alone.
    pub history_start: Option<Seqno>,
}

/// A marker whose version is still to be chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Range {
    start: Seqno,
    end: Seqno,
    flags: u32,
}

/// The marker in the version that the consumer reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Marker(SnapshotMarker);

impl Range {
    /// `durable` are the seqnos of durable writes at the end of the snapshot.
    pub(super) fn with_body(
        self,
        version: MarkerVersion,
        purge: Seqno,
        durable: DurableSeqnos,
    ) -> Marker {
        let Self { start, end, flags } = self;
        let DurableSeqnos { high_prepared, high_completed, max_visible } = durable;
        let body = match version {
            MarkerVersion::V1 => MarkerBody::V1,
            MarkerVersion::V2_0 => MarkerBody::V2_0 { max_visible, high_completed },
            MarkerVersion::V2_2 => {
                MarkerBody::V2_2 { max_visible, high_completed, purge, high_prepared }
            }
        };
        Marker(SnapshotMarker { start, end, flags, body })
    }
}

impl Marker {
    pub(super) fn write(&self, vb: VbId, opaque: Opaque, out: &mut bytes::BytesMut) {
        self.0.write(vb, opaque, out);
    }
}

/// The snapshots of one stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Markers {
    /// Where the first marker starts; `None` once it was sent.
    first_start: Option<Seqno>,
    /// The first marker does not end before this seqno: the consumer is inside that snapshot.
    end_min: Seqno,
    /// End of the marker that was sent last.
    end: Seqno,
    /// The next marker from memory opens a checkpoint: it is the first, or the first after disk.
    new_checkpoint: bool,
    /// The end of the backfill that is in progress.
    backfill_end: Option<Seqno>,
    /// The cursor at which a backfill found nothing.
    empty_at: Option<Seqno>,
}

impl Markers {
    /// The snapshot that the consumer is inside of; from the seqno it has to the same where it is
    /// inside of none.
    pub(super) const fn new(snapshot_start: Seqno, snapshot_end: Seqno) -> Self {
        Self {
            first_start: Some(snapshot_start),
            end_min: snapshot_end,
            end: Seqno::ZERO,
            new_checkpoint: true,
            backfill_end: None,
            empty_at: None,
        }
    }

    /// Returns the marker before rows `first..=last` from memory; `None` where the last marker
    /// covers them.
    pub(super) fn memory(
        &mut self,
        first: Seqno,
        last: Seqno,
        takeover: Option<&mut Takeover>,
        is_history: bool,
    ) -> Option<Range> {
        if last <= self.end {
            return None;
        }
        let mut flags = marker_flags::MEMORY;
        if is_history {
            flags |= marker_flags::HISTORY;
        }
        if std::mem::take(&mut self.new_checkpoint) {
            flags |= marker_flags::CHECKPOINT;
        }
        if let Some(takeover) = takeover {
            takeover.marker_sent();
            flags |= marker_flags::ACK;
        }
        Some(self.next(first, last, flags))
    }

    /// Returns the marker of a backfill of all after `cursor`, `None` where there is nothing; and
    /// another one with the same bounds, if first come the newest rows and then, from the second
    /// marker on, the change history. The first one comes without rows too: it says that others
    /// may have been before the history.
    pub(super) fn disk(
        &mut self,
        cursor: Seqno,
        snapshot: &DiskSnapshot,
    ) -> (Option<Range>, Option<Range>) {
        let DiskSnapshot { high_seqno: end, marker_end, history_start, .. } = *snapshot;
        self.backfill_end = Some(end.max(cursor));
        self.empty_at = (end <= cursor).then_some(cursor);
        self.new_checkpoint = true;
        if marker_end <= cursor {
            return (None, None);
        }
        let flags = marker_flags::DISK | marker_flags::CHECKPOINT;
        let of_history = flags | marker_flags::HISTORY | marker_flags::MAY_CONTAIN_DUPLICATES;
        match history_start.filter(|start| *start <= marker_end) {
            None => (Some(self.next(cursor.next(), marker_end, flags)), None),
            Some(start) if start <= cursor.next() => {
                (Some(self.next(cursor.next(), marker_end, of_history)), None)
            }
            Some(_) => {
                // One snapshot: a document whose newest row is in the second part may have had one
                // in the first, which nobody has any more.
                let newest = self.next(cursor.next(), marker_end, flags);
                (Some(newest), Some(Range { flags: of_history, ..newest }))
            }
        }
    }

    /// An OSO snapshot of all up to `end` takes the place of a marker.
    pub(super) fn out_of_order(&mut self, end: Seqno) {
        self.backfill_end = Some(end);
        self.empty_at = None;
        self.new_checkpoint = true;
        self.first_start = None;
        self.end = end;
    }

    /// Takes the end of the backfill that was opened last.
    pub(super) fn take_backfill_end(&mut self) -> Result<Seqno, Broken> {
        self.backfill_end.take().ok_or_else(|| broken!("a backfill ended and was never opened"))
    }

    /// Whether the last backfill found nothing after `cursor`: another one would not either.
    pub(super) fn nothing_on_disk_after(&self, cursor: Seqno) -> bool {
        self.empty_at == Some(cursor)
    }

    /// Returns the last seqno that rows from `first` on may have: the end of the marker that was
    /// sent last where it covers `first`.
    pub(super) fn limit(&self, first: Seqno) -> Seqno {
        if first <= self.end { self.end } else { Seqno::MAX }
    }

    /// End of the marker that was sent last.
    pub(super) const fn end(&self) -> Seqno {
        self.end
    }

    fn next(&mut self, first: Seqno, last: Seqno, flags: u32) -> Range {
        let (start, end) = match self.first_start.take() {
            Some(start) => (start, last.max(self.end_min)),
            None => (first, last),
        };
        self.end = end;
        Range { start, end, flags }
    }
}
