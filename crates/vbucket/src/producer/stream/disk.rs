//! A turn of a stream from disk: the rows of a backfill, and the way back to memory.

use std::collections::VecDeque;

use invariant::broken;
use mcbp::dcp::{OsoSnapshot, SeqnoAdvanced, stream_flags};
use mcbp::{Seqno, StreamEndStatus};

use super::{ActiveStream, Origin, TURN_BYTES};
use crate::producer::marker::Range;
use crate::producer::settings::OutOfOrder;
use crate::producer::turn::{AfterTurn, Turn};

impl ActiveStream {
    pub(super) fn step_backfill(&mut self, turn: &mut Turn<'_>) -> AfterTurn {
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
            self.visible = snapshot.durable.max_visible;
            backfill.out_of_order = snapshot.out_of_order;
            if snapshot.out_of_order {
                self.markers.out_of_order(snapshot.high_seqno);
                let begin = OsoSnapshot { start: true };
                turn.write(|out| begin.write(self.vb, self.id.opaque, out));
            } else {
                // All of it, whatever the end of the stream: rows that were replaced since the
                // request are missing below that end, which would be no state that the vBucket
                // ever had.
                let (first, second) = self.markers.disk(self.cursor, &snapshot);
                let version = turn.settings.marker_version(true);
                let marker =
                    |range: Range| range.with_body(version, snapshot.purge_seqno, snapshot.durable);
                if let Some(marker) = first.map(marker) {
                    turn.write(|out| marker.write(self.vb, self.id.opaque, out));
                }
                backfill.due = second.map(marker).map(Box::new);
            }
        }
        if let Some(marker) = backfill.next_marker() {
            turn.write(|out| marker.write(self.vb, self.id.opaque, out));
        }
        let sent = match backfill.write(turn, TURN_BYTES) {
            Ok(sent) => sent,
            Err(broken) => return AfterTurn::of(&broken),
        };
        self.items_sent += sent.items;
        self.backfill_items_sent += sent.items;
        if !backfill.out_of_order {
            self.cursor = sent.last_seqno.unwrap_or(self.cursor);
        }
        let ends = sent.ends.iter().find_map(|row| self.granted.filter.follow(row));
        if let Some(status) = ends {
            return AfterTurn::End(status);
        }
        if backfill.is_over() {
            let (last_sent, out_of_order) = (backfill.last_sent(), backfill.out_of_order);
            return self.finish_backfill(last_sent, out_of_order, turn);
        }
        if backfill.wants_read() {
            return AfterTurn::ReadDisk;
        }
        if backfill.has_more() { AfterTurn::More } else { AfterTurn::Idle }
    }

    /// Returns to memory, and reads it at once: the notification of a commit may have come while
    /// the disk was being read (MB-16684).
    fn finish_backfill(
        &mut self,
        last_sent: Seqno,
        out_of_order: bool,
        turn: &mut Turn<'_>,
    ) -> AfterTurn {
        let end = match self.markers.take_backfill_end() {
            Ok(end) => end,
            Err(broken) => return AfterTurn::of(&broken),
        };
        // No row that was sent has the seqno at which the snapshot ends (MB-71913).
        let is_open = end > last_sent && !self.markers.nothing_on_disk_after(end);
        let tells = match turn.settings.out_of_order {
            OutOfOrder::WithSeqnoAdvanced => true,
            _ => !out_of_order,
        };
        if is_open && turn.collections && tells {
            turn.write(|out| SeqnoAdvanced { seqno: end }.write(self.vb, self.id.opaque, out));
        }
        if out_of_order {
            let end = OsoSnapshot { start: false };
            turn.write(|out| end.write(self.vb, self.id.opaque, out));
        }
        self.cursor = end.max(self.cursor);
        if self.is_disk_only() {
            return AfterTurn::End(StreamEndStatus::OK);
        }
        self.origin = Origin::Memory(VecDeque::new());
        AfterTurn::More
    }
}
