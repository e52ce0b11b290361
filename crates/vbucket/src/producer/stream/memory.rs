//! A turn of a stream from memory: rows of the memory log, and what follows the last of them.

use std::collections::VecDeque;
use std::sync::Arc;

use mcbp::dcp::SeqnoAdvanced;
use mcbp::{Seqno, StreamEndStatus};

use super::{ActiveStream, Origin, TURN_BYTES};
use crate::collections::StreamFilter;
use crate::producer::backfill::Backfill;
use crate::producer::marker::{Marker, Range};
use crate::producer::turn::{AfterTurn, Keys, LOG_READ_BYTES, LogRead, Turn};
use crate::{DurableSeqnos, Kind, Row};

impl ActiveStream {
    /// Writes rows from memory, and keeps those that have to wait for the window or the next turn.
    pub(super) fn write_rows(
        &mut self,
        mut rows: VecDeque<Arc<Row>>,
        turn: &mut Turn<'_>,
    ) -> AfterTurn {
        let stop_at = turn.out.len() + TURN_BYTES;
        while turn.window.is_open()
            && turn.out.len() < stop_at
            && let Some(row) = rows.pop_front()
        {
            let encoder = turn.encoder;
            if let Err(error) = turn.write(|out| encoder.write(&row, self.vb, self.id.opaque, out))
            {
                return AfterTurn::Fail(error.to_string());
            }
            self.cursor = row.seqno;
            if row.is_visible() {
                self.visible = row.seqno;
            }
            self.items_sent += 1;
            if let Some(status) = self.granted.filter.follow(&row) {
                return AfterTurn::End(status);
            }
        }
        self.origin = Origin::Memory(rows);
        AfterTurn::More
    }

    pub(super) fn read_memory(&mut self, turn: &mut Turn<'_>) -> AfterTurn {
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
            LogRead::Rows(rows) => match self.selected(rows, turn) {
                Ok(rows) if rows.is_empty() => AfterTurn::More,
                Ok(rows) => match self.begin_snapshot(rows, turn) {
                    Some(rows) => self.write_rows(rows, turn),
                    None => AfterTurn::End(StreamEndStatus::OK),
                },
                Err(status) => AfterTurn::End(status),
            },
        }
    }

    /// The rows that the stream has. Where it has none of them, it is past them; `Err` where it
    /// ends there.
    fn selected(
        &mut self,
        mut rows: Vec<Arc<Row>>,
        turn: &mut Turn<'_>,
    ) -> Result<Vec<Arc<Row>>, StreamEndStatus> {
        let encoder = turn.encoder;
        let takes_all = rows.iter().all(|row| encoder.takes(row));
        if takes_all && self.granted.filter == StreamFilter::All {
            return Ok(rows);
        }
        let Some(facts) = turn.source.facts(self.vb) else { return Ok(rows) };
        let last = rows.last().map_or(self.cursor, |row| row.seqno);
        let abort = rows.last().filter(|row| matches!(row.kind, Kind::Aborted { .. }));
        let abort = abort.filter(|row| !encoder.takes(row) && turn.collections).cloned();
        let (filter, mut end) = (&mut self.granted.filter, None);
        rows.retain(|row| {
            let has = end.is_none() && encoder.takes(row) && filter.has(row, &facts.collections);
            // Of a row that is written the end comes then.
            if !has && end.is_none() {
                end = filter.follow(row);
            }
            has
        });
        match end {
            Some(status) if rows.is_empty() => Err(status),
            _ if rows.is_empty() => {
                if abort.is_some_and(|row| filter.has(&row, &facts.collections)) {
                    self.advance_over_abort(last, turn);
                }
                self.cursor = last;
                Ok(rows)
            }
            _ => Ok(rows),
        }
    }

    /// A consumer that knows nothing of durable writes is told that the vBucket is at the seqno of
    /// an abort, as kv_engine tells it: no row that it gets comes in its place.
    fn advance_over_abort(&mut self, seqno: Seqno, turn: &mut Turn<'_>) {
        let is_history = self.is_history(seqno, turn);
        let marker = self.markers.memory(seqno, seqno, self.takeover.as_mut(), is_history);
        if let Some(marker) = marker {
            let marker = self.with_body(marker, turn);
            turn.write(|out| marker.write(self.vb, self.id.opaque, out));
        }
        turn.write(|out| SeqnoAdvanced { seqno }.write(self.vb, self.id.opaque, out));
    }

    /// Whether rows from `first` on are of the change history, and the consumer wants that.
    fn is_history(&self, first: Seqno, turn: &Turn<'_>) -> bool {
        if !turn.settings.change_streams {
            return false;
        }
        let start = turn.source.history_start(self.vb);
        start > Seqno::ZERO && start <= first
    }

    /// The marker of a snapshot from memory, whose newest visible row is known.
    fn with_body(&self, marker: Range, turn: &Turn<'_>) -> Marker {
        let durable = DurableSeqnos { max_visible: self.visible, ..DurableSeqnos::default() };
        marker.with_body(turn.settings.marker_version(false), Seqno::ZERO, durable)
    }

    /// Writes the marker, if these rows need one, and returns those that are to be written; `None`
    /// where everything up to the stream's end was sent. Rows after the end are sent with those of
    /// their snapshot, as kv_engine sends them.
    fn begin_snapshot(
        &mut self,
        rows: Vec<Arc<Row>>,
        turn: &mut Turn<'_>,
    ) -> Option<VecDeque<Arc<Row>>> {
        let first = rows.first().map_or(Seqno::MAX, |row| row.seqno);
        if first > self.granted.end && first > self.markers.end() {
            return None;
        }
        let limit = self.markers.limit(first);
        let mut rows: VecDeque<_> = rows.into_iter().filter(|row| row.seqno <= limit).collect();
        let is_history = self.is_history(first, turn);
        keep_newest(&mut rows, turn.seen, is_history);
        let last = rows.back()?.seqno;
        let visible = rows.iter().rfind(|row| row.is_visible()).map(|row| row.seqno);
        let marker = self.markers.memory(first, last, self.takeover.as_mut(), is_history);
        if let Some(marker) = marker {
            self.visible = visible.unwrap_or(self.visible);
            let marker = self.with_body(marker, turn);
            turn.write(|out| marker.write(self.vb, self.id.opaque, out));
        }
        Some(rows)
    }

    /// Called once everything durable was sent.
    fn drained(&mut self, turn: &mut Turn<'_>) -> AfterTurn {
        if let Some(takeover) = &mut self.takeover {
            return takeover.drained(self.vb, self.id.opaque, turn);
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
}

/// Keeps the newest row of each key: a snapshot has each key once. It ends before a key that comes
/// again where other rows rely on its older row: a replica has to get the beginning of a collection
/// before its documents, of durable writes each prepare and what completes it, and of the change
/// history every version. Which collections had `history` when a row was written nobody knows here.
fn keep_newest(rows: &mut VecDeque<Arc<Row>>, seen: &mut Keys, is_history: bool) {
    if rows.len() < 2 {
        return;
    }
    seen.clear();
    let mut again = rows.iter().enumerate().filter(|(_, row)| !seen.insert(row.key.clone()));
    if let Some((at, row)) = again.next() {
        let is_durable = |row: &Arc<Row>| !row.is_visible() || row.prepared != Seqno::ZERO;
        let is_event = |row: &Arc<Row>| matches!(row.kind, Kind::Event { .. });
        let has_durable = rows.iter().any(is_durable);
        let mut again = std::iter::once((at, row)).chain(again);
        let end = again.find(|(_, row)| has_durable || is_history || is_event(row));
        let end = end.map(|(at, _)| at);
        rows.truncate(end.unwrap_or(rows.len()));
        seen.clear();
        let newest_first = rows.drain(..).rev().filter(|row| seen.insert(row.key.clone()));
        let mut kept: VecDeque<_> = newest_first.collect();
        kept.make_contiguous().reverse();
        *rows = kept;
    }
    seen.clear();
}
