//! The way of a producer's rows into a replica: checked, queued in order, never interpreted.

use std::sync::Arc;

use mcbp::{Seqno, VbState};
use vbucket::Replaces;
use vbucket::consumer::Part;

use super::filling::Filling;
use super::queue::{Entry, Room, Ticket, Work};
use super::vb::{Inner, Vb};
use super::{CommitError, VbError};
use crate::sync::lock;

impl Vb {
    /// Queues what a producer sent for a replica or pending vBucket. Waits for room in the commit
    /// queue, which is the back-pressure of a stream; the ticket stands for durability.
    ///
    /// One call at a time for a vBucket: callers keep the order. `after` is the seqno that the part
    /// follows; where the vBucket stands elsewhere, because the part before was not committed or
    /// because the vBucket was changed meanwhile, the part would leave a gap.
    ///
    /// # Errors
    /// [`VbError::WrongState`], [`VbError::NoVbucket`], [`VbError::Gap`],
    /// [`VbError::NotMonotonic`] (nothing was queued) or [`VbError::Commit`].
    pub async fn apply(self: &Arc<Self>, after: Seqno, part: Part) -> Result<Ticket, VbError> {
        let room = match &part {
            Part::Rows { rows, .. } => {
                let bytes = rows.iter().map(|row| row.memory_bytes()).sum();
                self.shared.queue.room(bytes).await?
            }
            Part::Advance { .. } => Room::NONE,
        };
        let mut received = Some((part, room));
        loop {
            if let Some(ticket) = self.try_enqueue(after, &mut received)? {
                return Ok(ticket);
            }
            self.settled().await?;
        }
    }

    /// Queues what was received, or leaves it where it is and gives `None`: the vBucket is moving.
    fn try_enqueue(
        self: &Arc<Self>,
        after: Seqno,
        received: &mut Option<(Part, Room)>,
    ) -> Result<Option<Ticket>, VbError> {
        let mut inner = lock(&self.inner);
        let state = inner.meta.state;
        if inner.removed {
            return Err(VbError::NoVbucket(self.id()));
        }
        if inner.moving {
            return Ok(None);
        }
        if !matches!(state, VbState::Replica | VbState::Pending) {
            return Err(VbError::WrongState { vb: self.id(), state });
        }
        if inner.tail.seqno != after {
            return Err(VbError::Gap { vb: self.id(), after, high: inner.tail.seqno });
        }
        let Some((part, room)) = received.take() else { return Ok(Some(Ticket::of_nothing())) };
        let mut tail = inner.tail;
        let (mut replaces, mut filling) = (Replaces::Unknown, None);
        match &part {
            Part::Rows { rows, .. } if rows.is_empty() => return Ok(Some(Ticket::of_nothing())),
            Part::Rows { rows, snapshot, .. } => {
                self.check_order(&inner, rows.iter().map(|row| row.seqno), *snapshot)?;
                let (known, room) = (inner.filling.take(), &self.shared.hash_room);
                (replaces, filling) = Filling::go_on(known, room, tail.seqno, rows);
                rows.iter().for_each(|row| tail.follow(row));
                filling = filling.filter(|_| tail.seqno < snapshot.1);
            }
            Part::Advance { seqno, snapshot } => {
                self.check_order(&inner, [*seqno], *snapshot)?;
                tail.seqno = *seqno;
            }
        }
        let work = Work::Received(part, replaces);
        let entry = Entry { vb: Arc::clone(self), work, room };
        let ticket = self.shared.queue.push([entry])?;
        (inner.tail, inner.filling) = (tail, filling);
        inner.last = Some(ticket.clone());
        Ok(Some(ticket))
    }

    fn check_order(
        &self,
        inner: &Inner,
        seqnos: impl IntoIterator<Item = Seqno>,
        (start, end): (Seqno, Seqno),
    ) -> Result<(), VbError> {
        let mut high = inner.tail.seqno;
        for seqno in seqnos {
            if seqno <= high || seqno < start || seqno > end {
                return Err(VbError::NotMonotonic { vb: self.id(), seqno, start, end, high });
            }
            high = seqno;
        }
        Ok(())
    }

    /// Waits until everything that was queued is committed or dropped.
    pub(super) async fn drained(&self) -> Result<(), CommitError> {
        let last = lock(&self.inner).last.clone();
        match last {
            // The outcome is the writers' business; only a commit that does not end is ours.
            Some(ticket) => match ticket.wait().await {
                Err(late @ CommitError::Late) => Err(late),
                _ => Ok(()),
            },
            None => Ok(()),
        }
    }
}
