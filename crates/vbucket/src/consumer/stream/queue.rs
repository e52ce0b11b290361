//! What a stream has received and not written yet: the queue, what is being written, and how many
//! bytes of the window both take.

use std::sync::Arc;

use invariant::{Broken, broken};
use mcbp::Seqno;

use super::{PassiveStream, StreamPhase};
use crate::Row;
use crate::consumer::decode::FrameRefusal;
use crate::consumer::part::{Item, Part, Versions};

/// Rows of one snapshot are written in parts of about this size, so that writing begins while the
/// rest of the snapshot is being received.
const PART_BYTES: usize = 1024 * 1024;

impl PassiveStream {
    /// Queues a row that takes `charge` bytes of the window; refuses it as [`Self::follow`] does.
    #[inline]
    pub(in crate::consumer) fn push_row(
        &mut self,
        row: Arc<Row>,
        charge: usize,
    ) -> Result<(), FrameRefusal> {
        let seqno = row.seqno;
        self.follow(seqno)?;
        self.follow_prepares(&row);
        let end = self.ends_at(seqno);
        match self.queue.back_mut() {
            Some((Item::Part(Part::Rows { rows, snapshot, versions, ends, .. }), bytes))
                if *snapshot == self.snapshot
                    && versions.goes_on_with(self.versions)
                    && *bytes < PART_BYTES =>
            {
                rows.push(row);
                *ends = end;
                *bytes += charge;
                self.queued_bytes += charge;
            }
            _ => {
                let (rows, snapshot, ends) = (vec![row], self.snapshot, end);
                let (from_disk, versions) = (self.snapshot_from_disk, self.take_versions());
                let part = Part::Rows { rows, snapshot, from_disk, versions, ends };
                self.push(Item::Part(part), charge);
            }
        }
        self.answer_marker_at(seqno);
        Ok(())
    }

    /// Queues an advance; refuses it as [`Self::follow`] does.
    pub(in crate::consumer) fn push_advance(
        &mut self,
        seqno: Seqno,
        charge: usize,
    ) -> Result<(), FrameRefusal> {
        self.follow(seqno)?;
        self.advance_prepares(seqno);
        let (snapshot, ends) = (self.snapshot, self.ends_at(seqno));
        let versions = self.take_versions();
        self.push(Item::Part(Part::Advance { seqno, snapshot, versions, ends }), charge);
        self.answer_marker_at(seqno);
        Ok(())
    }

    /// Those of a part that begins now.
    fn take_versions(&mut self) -> Versions {
        let rest = match self.versions {
            Versions::Newest => Versions::Newest,
            Versions::All | Versions::AllFromHere => Versions::All,
        };
        std::mem::replace(&mut self.versions, rest)
    }

    pub(in crate::consumer) fn push(&mut self, item: Item, charge: usize) {
        self.queue.push_back((item, charge));
        self.queued_bytes += charge;
    }

    fn answer_marker_at(&mut self, seqno: Seqno) {
        if self.answer_at.take_if(|end| *end <= seqno).is_some() {
            self.push(Item::AnswerMarker, 0);
        }
    }

    /// Takes the parts at the front of the queue, if the stream may write and nothing is in flight.
    /// Returns them with the seqno that they follow.
    pub(in crate::consumer) fn take_parts(&mut self) -> (Seqno, Vec<Part>) {
        let after = self.handed_seqno;
        let mut parts = Vec::new();
        let mut charge = 0;
        while self.may_write()
            && charge < PART_BYTES
            && let Some((Item::Part(_), _)) = self.queue.front()
            && let Some((Item::Part(part), bytes)) = self.queue.pop_front()
        {
            charge += bytes;
            self.handed_seqno = part.last_seqno().unwrap_or(self.handed_seqno);
            parts.push(part);
        }
        if !parts.is_empty() {
            self.in_flight = Some(charge);
        }
        (after, parts)
    }

    /// Takes the item at the front of the queue, if the stream may write and the item is not a
    /// part. A state is in flight then.
    pub(in crate::consumer) fn take_item(&mut self) -> Option<Item> {
        if !self.may_write() || matches!(self.queue.front(), Some((Item::Part(_), _))) {
            return None;
        }
        let (item, charge) = self.queue.pop_front()?;
        match item {
            Item::State(_) => self.in_flight = Some(charge),
            Item::AnswerMarker | Item::Part(_) => self.queued_bytes -= charge,
        }
        Some(item)
    }

    const fn may_write(&self) -> bool {
        self.in_flight.is_none() && matches!(self.phase, StreamPhase::Open | StreamPhase::Draining)
    }

    /// Ends what is in flight. Returns the bytes that are free now.
    pub(in crate::consumer) fn landed(&mut self) -> Result<usize, Broken> {
        let vb = self.vb;
        let bytes = self.in_flight.take();
        let bytes = bytes.ok_or_else(|| broken!("{vb}: an outcome, and nothing in flight"))?;
        self.queued_bytes -= bytes;
        Ok(bytes)
    }

    /// Drops the queue. Returns the bytes that are free now.
    pub(in crate::consumer) fn drop_queue(&mut self) -> usize {
        let bytes = self.queue.drain(..).map(|(_, charge)| charge).sum();
        self.queued_bytes -= bytes;
        bytes
    }

    /// Whether nothing is queued and nothing in flight.
    pub(in crate::consumer) fn is_drained(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_none()
    }

    /// The charge of what was received and is neither written nor dropped.
    pub(in crate::consumer) const fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }
}
