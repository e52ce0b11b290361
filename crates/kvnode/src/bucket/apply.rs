//! How a producer's rows get into a replica: checked, queued in order, never interpreted.

use std::collections::BTreeMap;
use std::sync::Arc;

use mcbp::key::collection_id;
use mcbp::{Seqno, VbState};
use vbucket::collections::{SYSTEM_EVENTS, VbCollections};
use vbucket::consumer::Part;
use vbucket::durability::Monitor;
use vbucket::hlc::Drift;
use vbucket::{Kind, Replaces, Row};

use super::advance::note;
use super::batch::{Completes, Entry, Room, Work};
use super::cell::Inner;
use super::error::VbError;
use super::events::event_of;
use super::filling::Filling;
use super::pending_commit::PendingCommit;
use super::vb::Vb;
use crate::clock::unix_now_ns;
use crate::sync::lock;

/// What a producer sent, with its room in the commit queue.
struct Received {
    part: Part,
    room: Room,
}

/// The outcome of one attempt to queue.
enum Attempt {
    Queued(PendingCommit),
    /// State or history is being changed: try again afterwards.
    Moving(Received),
}

impl Vb {
    /// Queues what a producer sent for a replica or pending vBucket. Waits for room in the commit
    /// queue, which is the back-pressure of a stream. Returns the commit to
    /// wait for.
    ///
    /// One call at a time for a vBucket: callers keep the order. `after` is the seqno that the part
    /// follows. If the vBucket is at another seqno, because the part before was not committed or
    /// because the vBucket was changed meanwhile, the part would leave a gap and is refused.
    ///
    /// # Errors
    /// [`VbError::WrongState`], [`VbError::NoVbucket`], [`VbError::Gap`],
    /// [`VbError::NotMonotonic`] (nothing was queued) or [`VbError::Commit`].
    pub async fn apply(
        self: &Arc<Self>,
        after: Seqno,
        part: Part,
    ) -> Result<PendingCommit, VbError> {
        let room = match &part {
            Part::Rows { rows, .. } => {
                let bytes = rows.iter().map(|row| row.memory_bytes()).sum();
                self.shared.queue.room(bytes).await?
            }
            Part::Advance { .. } => Room::NONE,
        };
        let mut received = Received { part, room };
        loop {
            match self.try_enqueue(after, received)? {
                Attempt::Queued(commit) => return Ok(commit),
                Attempt::Moving(unchanged) => received = unchanged,
            }
            self.settled().await?;
        }
    }

    fn try_enqueue(self: &Arc<Self>, after: Seqno, received: Received) -> Result<Attempt, VbError> {
        let mut inner = lock(&self.cell.inner);
        let state = inner.meta.state;
        if inner.removed {
            return Err(VbError::NoVbucket(self.id()));
        }
        if inner.moving {
            return Ok(Attempt::Moving(received));
        }
        if !matches!(state, VbState::Replica | VbState::Pending) {
            return Err(VbError::WrongState { vb: self.id(), state });
        }
        if inner.tail.seqno != after {
            return Err(VbError::Gap { vb: self.id(), after, high: inner.tail.seqno });
        }
        let Received { part, room } = received;
        let mut tail = inner.tail;
        let (mut replaces, mut filling) = (Replaces::Unknown, None);
        let mut completes = Completes::new();
        let mut collections = Arc::clone(&inner.collections);
        match &part {
            Part::Rows { rows, .. } if rows.is_empty() => {
                return Ok(Attempt::Queued(PendingCommit::of_nothing(self.id())));
            }
            Part::Rows { rows, snapshot, .. } => {
                self.check_order(&inner, rows.iter().map(|row| row.seqno), *snapshot)?;
                self.check_collections(&mut collections, rows)?;
                completes = completed_by(rows, &inner.durable.monitor);
                let (known, room) = (inner.filling.take(), &self.shared.hash_room);
                (replaces, filling) = Filling::go_on(known, room, tail.seqno, rows);
                rows.iter().for_each(|row| tail.follow(row));
                filling = filling.filter(|_| tail.seqno < snapshot.1);
            }
            Part::Advance { seqno, snapshot, .. } => {
                self.check_order(&inner, [*seqno], *snapshot)?;
                tail.seqno = *seqno;
            }
        }
        let steps = durable_steps(&part, &inner.durable.monitor);
        let work = Work::Received(part, replaces, completes);
        let entry = Entry { vb: Arc::clone(&self.cell), work, room };
        let drift = match &entry.work {
            Work::Received(Part::Rows { rows, .. }, ..) => self.drift_of(rows),
            _ => Drift::default(),
        };
        let commit = self.shared.queue.push(entry)?;
        self.shared.counters.replica_drift.add(&drift);
        (inner.tail, inner.filling) = (tail, filling);
        inner.collections = collections;
        inner.last = Some(commit.clone());
        for row in steps {
            if matches!(row.kind, Kind::Prepared { .. }) {
                inner.durable.monitor.prepare(row, None);
            } else {
                inner.durable.monitor.complete(row.document_key());
            }
        }
        note(&self.shared, self.id(), &mut inner);
        Ok(Attempt::Queued(commit))
    }

    /// How far the CAS values of rows are from this node's clock.
    fn drift_of(&self, rows: &[Arc<Row>]) -> Drift {
        let (now_ns, limits) = (unix_now_ns(), self.shared.options.drift);
        let mut drift = Drift::default();
        rows.iter().for_each(|row| drift.add(row.cas, now_ns, &limits));
        drift
    }

    /// Follows system events, and checks that every document is of a collection that is there.
    fn check_collections(
        &self,
        collections: &mut Arc<VbCollections>,
        rows: &[Arc<Row>],
    ) -> Result<(), VbError> {
        for row in rows {
            if let Some(event) = event_of(row) {
                Arc::make_mut(collections).follow(row.seqno, &event);
                continue;
            }
            self.check_collection(collections, row.document_key())?;
        }
        Ok(())
    }

    /// Checks that the collection of a document's key is there.
    #[inline]
    pub(super) fn check_collection(
        &self,
        collections: &VbCollections,
        key: &[u8],
    ) -> Result<(), VbError> {
        let id = collection_id(key).unwrap_or(SYSTEM_EVENTS);
        if collections.get(id).is_some() {
            return Ok(());
        }
        Err(VbError::UnknownCollection { vb: self.id(), id, uid: collections.uid() })
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
}

/// The prepares that rows complete, also those that are among the rows.
fn completed_by(rows: &[Arc<Row>], monitor: &Monitor) -> Completes {
    let mut completes = Completes::new();
    if monitor.is_empty() && rows.iter().all(|row| row.is_visible()) {
        return completes;
    }
    // What the rows so far leave of each document: a prepare, or that it has none any more.
    let mut among: BTreeMap<&[u8], Option<&Arc<Row>>> = BTreeMap::new();
    for row in rows {
        let document = row.document_key();
        match row.kind {
            Kind::Prepared { .. } => drop(among.insert(document, Some(row))),
            // Also an abort: of two aborts a stream from a disk has the newer one alone, and the
            // prepare that is here is the older one's.
            _ => {
                let before = among.insert(document, None);
                let prepare = before.unwrap_or_else(|| monitor.prepared(document));
                completes.extend(prepare.map(|prepare| (row.seqno, Arc::clone(prepare))));
            }
        }
    }
    completes
}

/// The rows that the machine is to follow: all, where some are of durable writes.
fn durable_steps(part: &Part, monitor: &Monitor) -> Vec<Arc<Row>> {
    match part {
        Part::Rows { rows, .. }
            if !monitor.is_empty() || rows.iter().any(|row| !row.is_visible()) =>
        {
            rows.clone()
        }
        _ => Vec::new(),
    }
}
