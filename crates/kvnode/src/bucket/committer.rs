//! The committer: one thread a bucket that makes everything queued durable with one batch, then
//! visible, then tells who waits. What a batch that failed held is dropped, and what is queued
//! behind it too, since it was made on top of it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use log::{error, info};
use mcbp::{Seqno, VbId};
use vbucket::store::{Batch, Durability};
use vbucket::{Change, Kind, Row, StoreError, VbMeta, consumer};

use super::listener::VbEvent;
use super::memory_log::MemoryLog;
use super::queue::{Drained, Entry, Work};
use super::vb::{Tail, Vb};
use super::{CommitError, Shared};
use crate::sync::lock;

/// What a batch does to one vBucket.
struct Part {
    vb: Arc<Vb>,
    meta: VbMeta,
    rows: Vec<Arc<Row>>,
    /// Rows are a copy of a producer's disk. Nobody waits for them, so that they are not kept in
    /// memory for streams: a copy would push out all that others do wait for.
    from_disk: bool,
}

impl Part {
    /// Takes what a producer sent.
    fn receive(&mut self, received: &consumer::Part) {
        let snapshot = match received {
            consumer::Part::Rows { rows, snapshot, from_disk } => {
                let mut tail = Tail::of(&self.meta);
                rows.iter().for_each(|row| tail.follow(row));
                tail.write_to(&mut self.meta);
                self.rows.extend(rows.iter().cloned());
                self.from_disk |= from_disk;
                snapshot
            }
            consumer::Part::Advance { seqno, snapshot } => {
                self.meta.high_seqno = *seqno;
                snapshot
            }
        };
        (self.meta.snapshot_start, self.meta.snapshot_end) = *snapshot;
    }
}

/// See the module.
pub(super) struct Committer {
    shared: Arc<Shared>,
    /// What the memory logs hold, oldest first: whose rows, up to which seqno, how many bytes.
    logged: VecDeque<(Weak<Vb>, Seqno, usize)>,
}

impl Committer {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared, logged: VecDeque::new() }
    }

    /// Runs until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        while let Some(drained) = shared.queue.next() {
            self.commit(&drained);
        }
    }

    fn commit(&mut self, drained: &Drained) {
        let (parts, batch, durability) = self.assemble(&drained.entries);
        failpoint::reach("flush-assembled");
        match self.shared.store.commit(&batch, durability) {
            Ok(()) => {
                failpoint::reach("flush-stored");
                self.shared.counters.commits.add(1);
                self.shared.counters.rows_committed.add(batch.changes.len() as u64);
                if self.shared.queue.succeeded() {
                    info!("commits work again bucket={}", self.shared.options.name);
                }
                for part in &parts {
                    self.publish(part);
                }
                failpoint::reach("flush-visible");
                drained.ticket.complete(Ok(()));
                for Part { vb, rows, .. } in parts {
                    if !rows.is_empty() {
                        vb.listeners.notify(vb.id(), VbEvent::Committed);
                    }
                }
            }
            Err(error) => self.fail(drained, batch.changes.len(), &error),
        }
    }

    /// Sorts a queue's entries by vBucket and works out the record of each.
    fn assemble(&self, entries: &[Entry]) -> (Vec<Part>, Batch, Durability) {
        let mut durability = self.shared.options.durability;
        let mut batch = Batch::default();
        let mut parts: Vec<Part> = Vec::new();
        let mut places: HashMap<VbId, usize> = HashMap::new();
        for entry in entries {
            let id = entry.vb.id();
            let place = *places.entry(id).or_insert_with(|| {
                let meta = lock(&entry.vb.inner).meta.clone();
                let vb = Arc::clone(&entry.vb);
                parts.push(Part { vb, meta, rows: Vec::new(), from_disk: false });
                parts.len() - 1
            });
            let Some(part) = parts.get_mut(place) else { continue };
            match &entry.work {
                Work::Row(row, snapshot, replaces) => {
                    let mut tail = Tail::of(&part.meta);
                    tail.follow(row);
                    tail.write_to(&mut part.meta);
                    (part.meta.snapshot_start, part.meta.snapshot_end) = *snapshot;
                    part.rows.push(Arc::clone(row));
                    let (row, replaces) = (Arc::clone(row), replaces.clone());
                    batch.changes.push(Change { vb: id, row, replaces });
                }
                Work::Received(received, replaces) => {
                    part.receive(received);
                    if let consumer::Part::Rows { rows, .. } = received {
                        let change = |row: &Arc<Row>| {
                            let (row, replaces) = (Arc::clone(row), replaces.clone());
                            Change { vb: id, row, replaces }
                        };
                        batch.changes.extend(rows.iter().map(change));
                    }
                }
                Work::Meta(meta) => {
                    part.meta = VbMeta::clone(meta);
                    durability = Durability::Synced;
                }
            }
        }
        batch.metas.extend(parts.iter().map(|part| part.meta.clone()));
        (parts, batch, durability)
    }

    /// Makes what is on disk now visible.
    fn publish(&mut self, part: &Part) {
        let mut bytes = 0;
        {
            let mut inner = lock(&part.vb.inner);
            inner.meta = part.meta.clone();
            for row in &part.rows {
                let newest = inner.pending.get(&row.key).is_some_and(|(p, _)| p.seqno == row.seqno);
                if newest {
                    inner.pending.remove(&row.key);
                }
                if let Kind::Document { expiry: expiry @ 1.., .. } = row.kind {
                    part.vb.note_expiry(expiry);
                }
                if !part.from_disk {
                    inner.log.push(Arc::clone(row));
                    bytes += row.memory_bytes();
                }
            }
            if part.from_disk {
                inner.log = MemoryLog::starting_at(part.meta.high_seqno);
            }
        }
        if let Some(last) = part.rows.last().filter(|_| !part.from_disk) {
            self.logged.push_back((Arc::downgrade(&part.vb), last.seqno, bytes));
            let logged_bytes = self.shared.logged_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
            self.trim(logged_bytes);
        }
    }

    /// Forgets the oldest rows of the bucket until the rest is within the quota. A row of a
    /// vBucket that was rolled back or removed since counts until its turn comes.
    fn trim(&mut self, mut logged_bytes: usize) {
        while logged_bytes > self.shared.options.log_bytes_max {
            let Some((vb, seqno, bytes)) = self.logged.pop_front() else { return };
            logged_bytes -= bytes;
            self.shared.logged_bytes.fetch_sub(bytes, Ordering::Relaxed);
            if let Some(vb) = vb.upgrade() {
                lock(&vb.inner).log.trim(seqno);
            }
        }
    }

    fn fail(&self, drained: &Drained, rows: usize, error: &StoreError) {
        self.shared.counters.commit_failures.add(1);
        let (later, first) = self.shared.queue.refuse(error.clone());
        if first {
            let bucket = &self.shared.options.name;
            error!("commit failed, writes are refused bucket={bucket} rows={rows} error={error}");
        }
        let later_entries = later.iter().flat_map(|batch| &batch.entries);
        for entry in drained.entries.iter().chain(later_entries) {
            lock(&entry.vb.inner).drop_queued();
        }
        self.shared.queue.settle();
        drained.ticket.complete(Err(CommitError::Store(error.clone())));
        for batch in later {
            batch.ticket.complete(Err(CommitError::Refusing(error.clone())));
        }
    }
}
