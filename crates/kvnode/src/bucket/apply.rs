//! The way of a producer's rows into a replica: checked, queued in order, never interpreted.

use std::sync::Arc;

use mcbp::{Seqno, VbState};
use vbucket::Row;

use super::queue::{Entry, Room, Ticket, Work};
use super::vb::{Inner, Vb};
use super::{CommitError, VbError};
use crate::sync::lock;

impl Vb {
    /// Queues the rows of a producer for a replica or pending vBucket. Waits for room in the commit
    /// queue, which is the back-pressure of a stream; the ticket stands for durability.
    ///
    /// `snapshot` is the range of the snapshot marker that the rows came under. One call at a time
    /// for a vBucket: callers keep the order.
    ///
    /// # Errors
    /// [`VbError::WrongState`], [`VbError::NoVbucket`], [`VbError::NotMonotonic`] (nothing was
    /// queued) or [`VbError::Commit`].
    pub async fn apply(
        self: &Arc<Self>,
        rows: Vec<Arc<Row>>,
        snapshot: (Seqno, Seqno),
    ) -> Result<Ticket, VbError> {
        let bytes = rows.iter().map(|row| row.memory_bytes()).sum();
        let mut room = self.shared.queue.room(bytes).await?;
        let mut works = Vec::with_capacity(rows.len());
        for row in rows {
            let share = room.split(row.memory_bytes());
            works.push((Work::Row(row, snapshot, None), share));
        }
        self.enqueue(works).await
    }

    /// Moves a replica on to `seqno` without a row (SEQNO_ADVANCED).
    ///
    /// # Errors
    /// As [`Vb::apply`].
    pub async fn advance(
        self: &Arc<Self>,
        seqno: Seqno,
        snapshot: (Seqno, Seqno),
    ) -> Result<Ticket, VbError> {
        self.enqueue(vec![(Work::Advance(seqno, snapshot), Room::NONE)]).await
    }

    async fn enqueue(self: &Arc<Self>, mut works: Vec<(Work, Room)>) -> Result<Ticket, VbError> {
        loop {
            if let Some(ticket) = self.try_enqueue(&mut works)? {
                return Ok(ticket);
            }
            self.settled().await?;
        }
    }

    /// Queues `works`, or leaves them where they are and gives `None`: the vBucket is moving.
    fn try_enqueue(
        self: &Arc<Self>,
        works: &mut Vec<(Work, Room)>,
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
        if works.is_empty() {
            return Ok(Some(Ticket::of_nothing()));
        }
        self.check_order(&inner, works)?;
        let mut tail = inner.tail;
        let entries = works.drain(..).map(|(work, room)| {
            match &work {
                Work::Row(row, ..) => tail.follow(row),
                Work::Advance(seqno, _) => tail.seqno = *seqno,
                Work::Meta(_) => {}
            }
            Entry { vb: Arc::clone(self), work, _room: room }
        });
        let ticket = self.shared.queue.push(entries)?;
        inner.tail = tail;
        inner.last = Some(ticket.clone());
        Ok(Some(ticket))
    }

    fn check_order(&self, inner: &Inner, works: &[(Work, Room)]) -> Result<(), VbError> {
        let mut high = inner.tail.seqno;
        for (work, _) in works {
            let (seqno, (start, end)) = match work {
                Work::Row(row, snapshot, _) => (row.seqno, *snapshot),
                Work::Advance(seqno, snapshot) => (*seqno, *snapshot),
                Work::Meta(_) => continue,
            };
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
