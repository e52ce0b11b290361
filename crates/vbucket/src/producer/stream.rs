//! One stream on the producer's side: what it sends next, from memory or from disk.
//!
//! It reads nothing by itself: rows come from a [`super::Source`], chunks of a backfill from the
//! shell.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use invariant::broken;
use mcbp::dcp::{SeqnoAdvanced, stream_flags};
use mcbp::{Opaque, Seqno, StreamEndStatus, VbId, VbState, VbUuid};

use super::backfill::Backfill;
use super::marker::Markers;
use super::takeover::Takeover;
use super::turn::{Keys, LOG_READ_BYTES, LogRead, Step, Turn};
use crate::Row;
use crate::stream_req::{Granted, VbFacts};

/// How much one stream writes before the next one has its turn: as much as it reads from memory.
const TURN_BYTES: usize = LOG_READ_BYTES;

/// Where the rows come from.
#[derive(Debug)]
pub(super) enum Phase {
    /// The memory log; the rows are what was read and not written yet.
    Memory(VecDeque<Arc<Row>>),
    /// The disk.
    Backfill(Backfill),
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
    /// The last seqno that was written or left out because a newer row of its key follows.
    pub(super) cursor: Seqno,
    pub(super) markers: Markers,
    pub(super) phase: Phase,
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
        let phase = if disk_only {
            Phase::Backfill(Backfill::default())
        } else {
            Phase::Memory(VecDeque::new())
        };
        Self {
            vb,
            opaque,
            granted,
            state: facts.state,
            branch: facts.failover.newest().uuid,
            cursor: granted.start,
            markers: Markers::new(granted.start, granted.snapshot_end),
            phase,
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

    /// Why the stream cannot go on with the vBucket as it is now (`None`: it was removed).
    pub(super) fn misfit(&self, now: Option<&VbFacts>) -> Option<StreamEndStatus> {
        let changed = Some(StreamEndStatus::STATE_CHANGED);
        let Some(now) = now else { return changed };
        match &self.takeover {
            Some(takeover) if takeover.expects_dead() && now.state == VbState::Dead => None,
            _ if now.state != self.state || now.failover.newest().uuid != self.branch => changed,
            // A replica that went back behind what was sent (MB-62840).
            _ => (now.high_seqno < self.cursor).then_some(StreamEndStatus::ROLLBACK),
        }
    }

    pub(super) fn step(&mut self, turn: &mut Turn<'_>) -> Step {
        match &mut self.phase {
            Phase::Memory(rows) if !rows.is_empty() => {
                let rows = std::mem::take(rows);
                self.write_rows(rows, turn)
            }
            Phase::Memory(_) if self.cursor >= self.granted.end => Step::End(StreamEndStatus::OK),
            Phase::Memory(_) if self.takeover.as_ref().is_some_and(Takeover::is_waiting) => {
                Step::Idle
            }
            Phase::Memory(_) => self.read_memory(turn),
            Phase::Backfill(_) => self.step_backfill(turn),
        }
    }

    /// Writes rows from memory, and keeps those that have to wait.
    fn write_rows(&mut self, mut rows: VecDeque<Arc<Row>>, turn: &mut Turn<'_>) -> Step {
        let stop_at = turn.out.len() + TURN_BYTES;
        while turn.window.is_open()
            && turn.out.len() < stop_at
            && let Some(row) = rows.pop_front()
        {
            let encoder = turn.encoder;
            if let Err(error) = turn.write(|out| encoder.write(&row, self.vb, self.opaque, out)) {
                return Step::Fail(error.to_string());
            }
            self.cursor = row.seqno;
            self.items_sent += 1;
        }
        self.phase = Phase::Memory(rows);
        Step::More
    }

    fn read_memory(&mut self, turn: &mut Turn<'_>) -> Step {
        match turn.source.read_log(self.vb, self.cursor, LOG_READ_BYTES) {
            LogRead::UpToDate => self.drained(turn),
            LogRead::Behind if self.markers.nothing_on_disk_behind(self.cursor) => {
                let at = self.cursor;
                Step::Fail(format!("neither memory nor disk has what follows seqno {at}"))
            }
            LogRead::Behind => {
                self.phase = Phase::Backfill(Backfill::default());
                Step::More
            }
            // Written at once: a stream that waits for its next turn would hold them, and there may
            // be a thousand streams.
            LogRead::Rows(rows) => match self.begin_snapshot(rows, turn) {
                Some(rows) => self.write_rows(rows, turn),
                None => Step::End(StreamEndStatus::OK),
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

    /// Everything durable was sent.
    fn drained(&mut self, turn: &mut Turn<'_>) -> Step {
        if let Some(takeover) = &mut self.takeover {
            return takeover.drained(self.vb, self.opaque, turn);
        }
        // A replica may have been moved on to the end without a row.
        let end = self.granted.end;
        let has_end = || turn.source.facts(self.vb).is_some_and(|facts| facts.high_seqno >= end);
        if end < Seqno::MAX && has_end() {
            let after = turn.source.read_log(self.vb, self.cursor, 1);
            return match after {
                LogRead::UpToDate => Step::End(StreamEndStatus::OK),
                LogRead::Rows(_) | LogRead::Behind => Step::More,
            };
        }
        Step::Idle
    }

    fn step_backfill(&mut self, turn: &mut Turn<'_>) -> Step {
        let Phase::Backfill(backfill) = &mut self.phase else {
            return Step::of(&broken!("{}: a step of a backfill, and there is none", self.vb));
        };
        if let Some(failure) = backfill.take_failure() {
            return Step::Fail(failure);
        }
        if backfill.is_gone() {
            return Step::End(StreamEndStatus::STATE_CHANGED);
        }
        if let Some(opened) = backfill.take_opened() {
            let ignore_purge = self.granted.flags & stream_flags::IGNORE_PURGED_TOMBSTONES != 0;
            if self.cursor > Seqno::ZERO && self.cursor < opened.purge_seqno && !ignore_purge {
                return Step::End(StreamEndStatus::ROLLBACK);
            }
            let end = opened.high_seqno.min(self.granted.end);
            if let Some(marker) = self.markers.disk(self.cursor, end) {
                let version = turn.settings.marker_version(true);
                let marker = marker.with_body(version, opened.purge_seqno);
                turn.write(|out| marker.write(self.vb, self.opaque, out));
            }
        }
        let sent = match backfill.write(turn, TURN_BYTES) {
            Ok(sent) => sent,
            Err(broken) => return Step::of(&broken),
        };
        self.items_sent += sent.items;
        self.backfill_items_sent += sent.items;
        self.cursor = sent.last_seqno.unwrap_or(self.cursor);
        if backfill.is_over() {
            return self.finish_backfill(turn);
        }
        if backfill.wants_read() {
            return Step::ReadDisk;
        }
        if backfill.has_more() { Step::More } else { Step::Idle }
    }

    /// Goes back to memory; what was committed meanwhile is looked for at once, because its
    /// notification may have come while the disk was being read (MB-16684).
    fn finish_backfill(&mut self, turn: &mut Turn<'_>) -> Step {
        let end = match self.markers.take_backfill_end() {
            Ok(end) => end,
            Err(broken) => return Step::of(&broken),
        };
        if end > self.cursor {
            // The promised end has no row of its own (MB-71913).
            if turn.collections {
                turn.write(|out| SeqnoAdvanced { seqno: end }.write(self.vb, self.opaque, out));
            }
            self.cursor = end;
        }
        if self.granted.flags & stream_flags::DISK_ONLY != 0 {
            return Step::End(StreamEndStatus::OK);
        }
        self.phase = Phase::Memory(VecDeque::new());
        Step::More
    }
}

/// Keeps the newest row of each key: a snapshot holds a key once.
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
