//! OSO snapshots (out of sequence order): between their start and their end, rows come in any order
//! of seqnos, as a producer reads them by key.
//!
//! They are set aside until the end, and then queued in order: half of them would be a state that
//! the vBucket never had. What is set aside takes a part of the window, which bounds it.

use std::sync::Arc;

use mcbp::{Seqno, Status};

use super::PassiveStream;
use crate::Row;
use crate::consumer::decode::FrameRefusal;
use crate::consumer::part::Versions;

/// What was set aside.
#[derive(Default, Debug)]
pub(in crate::consumer) struct Oso {
    /// With their charges, as they came.
    rows: Vec<(Arc<Row>, usize)>,
    /// The seqno of the end, where no row has it.
    advanced: Seqno,
    bytes: usize,
}

impl PassiveStream {
    /// Whether an OSO snapshot has begun and not ended.
    #[inline]
    pub(in crate::consumer) const fn is_in_oso(&self) -> bool {
        self.oso.is_some()
    }

    /// Begins an OSO snapshot.
    pub(in crate::consumer) fn begin_oso(&mut self) -> Result<(), FrameRefusal> {
        if self.oso.is_some() {
            return Err(FrameRefusal::new(Status::EINVAL, "the OSO snapshot has begun before"));
        }
        self.oso = Some(Box::default());
        Ok(())
    }

    /// Sets a row of the OSO snapshot aside, which takes `charge` of the `room` bytes that there
    /// are.
    pub(in crate::consumer) fn set_aside(
        &mut self,
        row: Arc<Row>,
        charge: usize,
        room: usize,
    ) -> Result<(), FrameRefusal> {
        let (seqno, last) = (row.seqno, self.last_seqno);
        if seqno <= last {
            let reason = format!("seqno {seqno} of an OSO snapshot after seqno {last}");
            return Err(FrameRefusal::new(Status::ERANGE, reason));
        }
        if charge > room {
            let reason = "an OSO snapshot is larger than half of the flow-control window";
            return Err(FrameRefusal::new(Status::NOT_SUPPORTED, reason));
        }
        if let Some(oso) = &mut self.oso {
            oso.rows.push((row, charge));
            oso.bytes += charge;
        }
        Ok(())
    }

    /// Notes the seqno at which the OSO snapshot ends.
    pub(in crate::consumer) fn advance_oso(&mut self, seqno: Seqno) -> Result<(), FrameRefusal> {
        if seqno > Seqno::TAKEN_MAX {
            let reason = format!("seqno {seqno} is above {}", Seqno::TAKEN_MAX);
            return Err(FrameRefusal::new(Status::ERANGE, reason));
        }
        if let Some(oso) = &mut self.oso {
            oso.advanced = oso.advanced.max(seqno);
        }
        Ok(())
    }

    /// Ends the OSO snapshot: queues its rows in order. Returns how many bytes were set aside.
    pub(in crate::consumer) fn end_oso(&mut self) -> Result<usize, FrameRefusal> {
        let Some(mut oso) = self.oso.take() else {
            return Err(FrameRefusal::new(Status::EINVAL, "no OSO snapshot has begun"));
        };
        oso.rows.sort_by_key(|(row, _)| row.seqno);
        let mut seqnos = oso.rows.iter().map(|(row, _)| row.seqno).zip(oso.rows.iter().skip(1));
        if let Some((seqno, _)) = seqnos.find(|(seqno, (next, _))| *seqno == next.seqno) {
            let reason = format!("two rows of an OSO snapshot have seqno {seqno}");
            self.oso = Some(oso);
            return Err(FrameRefusal::new(Status::EINVAL, reason));
        }
        let last = oso.rows.last().map_or(Seqno::ZERO, |(row, _)| row.seqno);
        let end = last.max(oso.advanced);
        if end <= self.last_seqno {
            return Ok(oso.bytes);
        }
        for (row, _) in &oso.rows {
            if let Err(refusal) = self.follow_row(row) {
                self.oso = Some(oso);
                return Err(refusal);
            }
        }
        // It came from the producer's disk, and has each key once.
        self.versions = Versions::Newest;
        self.pending = None;
        self.resumed_snapshot_start = None;
        self.snapshot = (self.last_seqno, end);
        self.snapshot_from_disk = true;
        for (row, charge) in oso.rows {
            self.push_row(row, charge)?;
        }
        if end > self.last_seqno {
            self.push_advance(end, 0)?;
        }
        Ok(oso.bytes)
    }

    /// Drops an OSO snapshot that has not ended. Returns the bytes that are free now.
    pub(in crate::consumer) fn drop_oso(&mut self) -> usize {
        self.oso.take().map_or(0, |oso| oso.bytes)
    }
}
