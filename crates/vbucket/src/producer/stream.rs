//! One stream on the producer's side: what it sends next, from memory or from disk.
//!
//! It performs no reads: rows come from a [`super::Source`], chunks of a backfill from the shell.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use invariant::broken;
use mcbp::dcp::{SeqnoAdvanced, stream_flags};
use mcbp::{Opaque, Seqno, StreamEndStatus, VbId, VbState, VbUuid};

use super::backfill::Backfill;
use super::marker::Markers;
use super::takeover::Takeover;
use super::turn::{AfterTurn, Keys, LOG_READ_BYTES, LogRead, Turn};
use crate::Row;
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

/// One live stream.
#[derive(Debug)]
pub struct ActiveStream {
    pub(super) vb: VbId,
    pub(super) opaque: Opaque,
    pub(super) granted: Granted,
    /// State and branch of the vBucket when the stream began.
    state: VbState,
    branch: VbUuid,
    /// The last seqno that was written, or left out because the snapshot has a newer row of its
    /// key.
    pub(super) cursor: Seqno,
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
        opaque: Opaque,
        granted: Granted,
        facts: &VbFacts,
        now: Duration,
    ) -> Self {
        let has = |flag| granted.flags & flag != 0;
        let disk_only = has(stream_flags::DISK_ONLY) && granted.start < granted.end;
        let origin = if disk_only {
            Origin::Disk(Backfill::default())
        } else {
            Origin::Memory(VecDeque::new())
        };
        Self {
            vb,
            opaque,
            granted,
            state: facts.state,
            branch: facts.failover.newest().uuid,
            cursor: granted.start,
            markers: Markers::new(granted.start, granted.snapshot_end),
            origin,
            takeover: has(stream_flags::TAKEOVER).then(|| Takeover::new(now)),
            queued: false,
            items_sent: 0,
            backfill_items_sent: 0,
        }
    }

    /// The opaque that all its frames carry.
    #[must_use]
    pub const fn opaque(&self) -> Opaque {
        self.opaque
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

    pub(super) fn step(&mut self, turn: &mut Turn<'_>) -> AfterTurn {
        match &mut self.origin {
            Origin::Memory(rows) if !rows.is_empty() => {
                let rows = std::mem::take(rows);
                self.write_rows(rows, turn)
            }
            Origin::Memory(_) if self.cursor >= self.granted.end => {
                AfterTurn::End(StreamEndStatus::OK)
            }
            Origin::Memory(_) if self.takeover.as_ref().is_some_and(Takeover::is_waiting) => {
                AfterTurn::Idle
            }
            Origin::Memory(_) => self.read_memory(turn),
            Origin::Disk(_) => self.step_backfill(turn),
        }
    }

    /// Writes rows from memory, and keeps those that have to wait for the window or the next turn.
    fn write_rows(&mut self, mut rows: VecDeque<Arc<Row>>, turn: &mut Turn<'_>) -> AfterTurn {
        let stop_at = turn.out.len() + TURN_BYTES;
        while turn.window.is_open()
            && turn.out.len() < stop_at
            && let Some(row) = rows.pop_front()
        {
            let encoder = turn.encoder;
            if let Err(error) = turn.write(|out| encoder.write(&row, self.vb, self.opaque, out)) {
                return AfterTurn::Fail(error.to_string());
            }
            self.cursor = row.seqno;
            self.items_sent += 1;
        }
        self.origin = Origin::Memory(rows);
        AfterTurn::More
    }

    fn read_memory(&mut self, turn: &mut Turn<'_>) -> AfterTurn {
        match turn.source.read_log(self.vb, self.cursor, LOG_READ_BYTES) {
            LogRead::UpToDate => self.drained(turn),
            LogRead::Evicted if self.markers.nothing_on_disk_after(self.cursor) => {
                let at = self.cursor;
                AfterTurn::Fail(format!("neither memory nor disk has the rows after seqno {at}"))
            }
            LogRead::Evicted => {
                self.origin = Origin::Disk(Backfill::default());
                AfterTurn::More
            }
            // Written at once: until its next turn the stream would hold the rows in memory, and
            // there may be a thousand streams.
            LogRead::Rows(rows) => match self.begin_snapshot(rows, turn) {
                Some(rows) => self.write_rows(rows, turn),
                None => AfterTurn::End(StreamEndStatus::OK),
            },
        }
    }

    /// Writes the marker, if these rows need one, and returns those that are to be written; `None`
    /// where everything up to the stream's end was sent.
    fn begin_snapshot(
        &mut self,
        rows: Vec<Arc<Row>>,
        turn: &mut Turn<'_>,
    ) -> Option<VecDeque<Arc<Row>>> {
        let first = rows.first().map_or(Seqno::MAX, |row| row.seqno);
        let limit = self.markers.limit(first, self.granted.end);
        let mut rows: VecDeque<_> = rows.into_iter().filter(|row| row.seqno <= limit).collect();
        let (first, last) = (rows.front()?.seqno, rows.back()?.seqno);
        if let Some(marker) = self.markers.memory(first, last, self.takeover.as_mut()) {
            let marker = marker.with_body(turn.settings.marker_version(false), Seqno::ZERO);
            turn.write(|out| marker.write(self.vb, self.opaque, out));
        }
        keep_newest(&mut rows, turn.seen);
        Some(rows)
    }

    /// Called once everything durable was sent.
    fn drained(&mut self, turn: &mut Turn<'_>) -> AfterTurn {
        if let Some(takeover) = &mut self.takeover {
            return takeover.drained(self.vb, self.opaque, turn);
        }
        // The high seqno of a replica may have advanced to the end without a row.
        let end = self.granted.end;
        let has_end = || turn.source.facts(self.vb).is_some_and(|facts| facts.high_seqno >= end);
        if end < Seqno::MAX && has_end() {
            let after = turn.source.read_log(self.vb, self.cursor, 1);
            return match after {
                LogRead::UpToDate => AfterTurn::End(StreamEndStatus::OK),
                LogRead::Rows(_) | LogRead::Evicted => AfterTurn::More,
            };
        }
        AfterTurn::Idle
    }

    fn step_backfill(&mut self, turn: &mut Turn<'_>) -> AfterTurn {
        let Origin::Disk(backfill) = &mut self.origin else {
            return AfterTurn::of(&broken!(
                "{}: a turn of a backfill, and there is no backfill",
                self.vb
            ));
        };
        if let Some(failure) = backfill.take_failure() {
            return AfterTurn::Fail(failure);
        }
        if backfill.is_gone() {
            return AfterTurn::End(StreamEndStatus::STATE_CHANGED);
        }
        if let Some(snapshot) = backfill.take_snapshot() {
            let ignore_purge = self.granted.flags & stream_flags::IGNORE_PURGED_TOMBSTONES != 0;
            if self.cursor > Seqno::ZERO && self.cursor < snapshot.purge_seqno && !ignore_purge {
                return AfterTurn::End(StreamEndStatus::ROLLBACK);
            }
            let end = snapshot.high_seqno.min(self.granted.end);
            if let Some(marker) = self.markers.disk(self.cursor, end) {
                let version = turn.settings.marker_version(true);
                let marker = marker.with_body(version, snapshot.purge_seqno);
                turn.write(|out| marker.write(self.vb, self.opaque, out));
            }
        }
        let sent = match backfill.write(turn, TURN_BYTES) {
            Ok(sent) => sent,
            Err(broken) => return AfterTurn::of(&broken),
        };
        self.items_sent += sent.items;
        self.backfill_items_sent += sent.items;
        self.cursor = sent.last_seqno.unwrap_or(self.cursor);
        if backfill.is_over() {
            return self.finish_backfill(turn);
        }
        if backfill.wants_read() {
            return AfterTurn::ReadDisk;
        }
        if backfill.has_more() { AfterTurn::More } else { AfterTurn::Idle }
    }

    /// Returns to memory, and reads it at once: the notification of a commit may have come while
    /// the disk was being read (MB-16684).
    fn finish_backfill(&mut self, turn: &mut Turn<'_>) -> AfterTurn {
        let end = match self.markers.take_backfill_end() {
            Ok(end) => end,
            Err(broken) => return AfterTurn::of(&broken),
        };
        if end > self.cursor {
            // No row has the seqno at which the snapshot ends (MB-71913).
            if turn.collections {
                turn.write(|out| SeqnoAdvanced { seqno: end }.write(self.vb, self.opaque, out));
            }
            self.cursor = end;
        }
        if self.granted.flags & stream_flags::DISK_ONLY != 0 {
            return AfterTurn::End(StreamEndStatus::OK);
        }
        self.origin = Origin::Memory(VecDeque::new());
        AfterTurn::More
    }
}

/// Keeps the newest row of each key: a snapshot has each key once.
fn keep_newest(rows: &mut VecDeque<Arc<Row>>, seen: &mut Keys) {
    if rows.len() < 2 {
        return;
    }
    seen.clear();
    let all_differ = rows.iter().all(|row| seen.insert(row.key.clone()));
    if !all_differ {
        seen.clear();
        let newest_first = rows.drain(..).rev().filter(|row| seen.insert(row.key.clone()));
        let mut kept: VecDeque<_> = newest_first.collect();
        kept.make_contiguous().reverse();
        *rows = kept;
    }
    seen.clear();
}
