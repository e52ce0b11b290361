//! One stream on the producer's side: what it sends next, from memory or from disk.
//!
//! It performs no reads: rows come from a [`super::Source`], chunks of a backfill from the shell.
//! `memory` and `disk` have a turn from each of the two origins.

mod disk;
mod memory;

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use mcbp::dcp::stream_flags;
use mcbp::{Opaque, Seqno, StreamEndStatus, VbId, VbState, VbUuid};

use super::backfill::Backfill;
use super::marker::Markers;
use super::takeover::Takeover;
use super::turn::{AfterTurn, LOG_READ_BYTES, Turn};
use crate::Row;
use crate::collections::StreamFilter;
use crate::stream_req::{Granted, VbFacts};

/// How many bytes one stream writes before its turn ends: as many as one read from memory brings.
const TURN_BYTES: usize = LOG_READ_BYTES;

/// Where the rows of a stream come from.
#[derive(Debug)]
pub(super) enum Origin {
    /// The memory log. Holds the rows that were read and not written yet.
    Memory(VecDeque<Arc<Row>>),
    /// The disk.
    Disk(Backfill),
}

/// Where a stream belongs: its vBucket, and the id that the consumer gave it. Without the control
/// `enable_stream_id` a vBucket has one stream, of id 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamKey {
    /// The vBucket.
    pub vb: VbId,
    /// The stream id, or 0.
    pub sid: u16,
}

impl StreamKey {
    /// The keys of all streams of a vBucket.
    pub(super) const fn all_of(vb: VbId) -> RangeInclusive<Self> {
        Self { vb, sid: 0 }..=Self { vb, sid: u16::MAX }
    }
}

/// One stream of a connection. A consumer may ask again with the opaque of an older stream, so the
/// opaque alone does not tell whose disk read has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamId {
    /// The id that the consumer gave the stream, or 0: see [`StreamKey`].
    pub sid: u16,
    /// The opaque that all its frames carry.
    pub opaque: Opaque,
    /// Counts the streams of the connection.
    pub number: u64,
}

/// Whether the consumer may lack what rows of the memory log rely on: the prepare of a COMMIT, the
/// beginning of a collection that is gone by now. It is inside a snapshot, which may have come from
/// disk, without either. It would refuse such rows; a snapshot from disk relies on nothing.
fn needs_disk(granted: &Granted, facts: &VbFacts) -> bool {
    let is_inside = granted.snapshot_start < granted.start && granted.start < granted.snapshot_end;
    let completed = facts.durable.high_completed;
    let completes = completed > Seqno::ZERO && completed >= granted.snapshot_start;
    is_inside && (completes || facts.collections.uid() > 0)
}

/// One live stream.
#[derive(Debug)]
pub struct ActiveStream {
    pub(super) vb: VbId,
    pub(super) id: StreamId,
    pub(super) granted: Granted,
    /// State and branch of the vBucket when the stream began.
    state: VbState,
    branch: VbUuid,
    /// The last seqno that was written, or left out because the snapshot has a newer row of its
    /// key.
    pub(super) cursor: Seqno,
    /// The newest row up to the cursor that readers see.
    pub(super) visible: Seqno,
    pub(super) markers: Markers,
    pub(super) origin: Origin,
    pub(super) takeover: Option<Takeover>,
    /// Whether the stream is in the ready queue.
    pub(super) queued: bool,
    pub(super) items_sent: u64,
    pub(super) backfill_items_sent: u64,
}

impl ActiveStream {
    pub(super) fn new(
        vb: VbId,
        id: StreamId,
        granted: Granted,
        facts: &VbFacts,
        now: Duration,
    ) -> Self {
        let flags = granted.flags;
        let disk_only = flags & stream_flags::DISK_ONLY != 0 && granted.start < granted.end;
        let origin = if disk_only || needs_disk(&granted, facts) {
            Origin::Disk(Backfill::default())
        } else {
            Origin::Memory(VecDeque::new())
        };
        let takeover = flags & stream_flags::TAKEOVER != 0;
        Self {
            vb,
            id,
            state: facts.state,
            branch: facts.failover.newest().uuid,
            cursor: granted.start,
            visible: facts.durable.max_visible.min(granted.start),
            markers: Markers::new(granted.snapshot_start, granted.snapshot_end),
            granted,
            origin,
            takeover: takeover.then(|| Takeover::new(now)),
            queued: false,
            items_sent: 0,
            backfill_items_sent: 0,
        }
    }

    /// Which rows it has.
    #[must_use]
    pub(super) const fn filter(&self) -> &StreamFilter {
        &self.granted.filter
    }

    /// Which stream of the connection it is.
    #[must_use]
    pub const fn id(&self) -> StreamId {
        self.id
    }

    /// Returns why the stream cannot continue with the vBucket as it is now; `now` is `None` where
    /// the vBucket was removed.
    pub(super) fn misfit(&self, now: Option<&VbFacts>) -> Option<StreamEndStatus> {
        let changed = Some(StreamEndStatus::STATE_CHANGED);
        let Some(now) = now else { return changed };
        match &self.takeover {
            Some(takeover) if takeover.expects_dead() && now.state == VbState::Dead => None,
            _ if now.state != self.state || now.failover.newest().uuid != self.branch => changed,
            // A replica was rolled back to below what was sent (MB-62840).
            _ => (now.high_seqno < self.cursor).then_some(StreamEndStatus::ROLLBACK),
        }
    }

    /// Whether the stream ends with the snapshot that the disk has when it is read.
    pub(super) const fn is_disk_only(&self) -> bool {
        self.granted.flags & stream_flags::DISK_ONLY != 0
    }

    /// Whether everything up to the end of the stream was sent, and all of the snapshot that the
    /// end lies in: kv_engine sends that too.
    const fn is_complete(&self) -> bool {
        self.cursor.0 >= self.granted.end.0 && self.cursor.0 >= self.markers.end().0
    }

    pub(super) fn step(&mut self, turn: &mut Turn<'_>) -> AfterTurn {
        let is_complete = self.is_complete();
        match &mut self.origin {
            Origin::Memory(rows) if !rows.is_empty() => {
                let rows = std::mem::take(rows);
                self.write_rows(rows, turn)
            }
            Origin::Memory(_) if is_complete => AfterTurn::End(StreamEndStatus::OK),
            Origin::Memory(_) if self.takeover.as_ref().is_some_and(Takeover::is_waiting) => {
                AfterTurn::Idle
            }
            Origin::Memory(_) => self.read_memory(turn),
            Origin::Disk(_) => self.step_backfill(turn),
        }
    }
}
