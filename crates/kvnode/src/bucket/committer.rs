//! A commit: makes a batch of the queue durable, then visible, and then wakes those who wait. A
//! batch that failed is dropped, together with what was queued after it, which was made on top of
//! it. Where only the parts of some vBuckets cannot be stored, these are dropped in the same way,
//! and the rest of the batch is committed.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use invariant::broken;
use log::info;
use mcbp::framing::Level;
use mcbp::{Seqno, VbId, VbState};
use vbucket::consumer::{Part, Versions};
use vbucket::store::{Batch, Durability};
use vbucket::{Change, Kind, Replaces, Row, VbMeta};

use super::advance::{advance, note};
use super::batch::{Entry, NewRow, QueuedBatch, Work};
use super::cell::VbCell;
use super::listener::VbEvent;
use super::memory_log::MemoryLog;
use super::shared::{Logged, STUCK, Shared};
use super::vb_batch::VbBatch;
use crate::sync::lock;

/// Whoever has the turn, with what goes with that.
pub(super) struct Committer<'a> {
    pub(super) shared: &'a Shared,
    pub(super) logged: MutexGuard<'a, Logged>,
}

impl Committer<'_> {
    /// Commits a batch, which was the first of the queue.
    pub(super) fn commit(mut self, queued: QueuedBatch) {
        self.try_commit(queued);
        *lock(&self.shared.committing) = None;
    }

    fn try_commit(&mut self, mut queued: QueuedBatch) {
        // Each round takes out at least one vBucket.
        while !queued.entries.is_empty() {
            let (vbs, batch, durability) = self.assemble(&queued.entries);
            failpoint::reach("flush-assembled");
            let began = Instant::now();
            *lock(&self.shared.committing) = Some(began);
            failpoint::hang_at("commit-hangs");
            let committed = self.shared.store.commit(&batch, durability);
            let took = began.elapsed();
            self.shared.counters.commit_time.observe(took);
            self.note_pace(took, committed.is_ok(), durability);
            match committed {
                Ok(()) => return self.committed(queued, vbs, batch.changes.len(), durability),
                Err(error) if self.leave_out(&mut queued, &error) => {}
                Err(error) if self.keeps_trying(&error) => self.pause(batch.changes.len(), &error),
                Err(error) => return self.fail(&queued, batch.changes.len(), &error),
            }
        }
        queued.commit.complete(Ok(queued.left_out));
    }

    /// A commit that syncs less than others, or is refused, does not tell that the disk is quick.
    fn note_pace(&self, took: Duration, is_done: bool, durability: Durability) {
        let is_telling = is_done && durability == self.shared.options.durability;
        if is_telling || took > STUCK {
            self.shared.is_slow.store(took > STUCK, Ordering::Relaxed);
        }
    }

    /// Makes a batch visible that is on disk now.
    fn committed(
        &mut self,
        queued: QueuedBatch,
        vbs: BTreeMap<VbId, VbBatch>,
        rows: usize,
        durability: Durability,
    ) {
        failpoint::reach("flush-stored");
        self.shared.counters.commits.add(1);
        self.shared.counters.rows_committed.add(rows as u64);
        if self.shared.queue.succeeded() {
            info!("commits succeed again bucket={}", self.shared.options.name);
        }
        let synced = durability == Durability::Synced;
        let publish = |vb| self.publish(vb, synced);
        let changed: Vec<_> = vbs.into_values().filter_map(publish).collect();
        failpoint::reach("flush-visible");
        let QueuedBatch { entries, commit, left_out, .. } = queued;
        // Their room in the queue is free before anyone hears of the commit.
        drop(entries);
        commit.complete(Ok(left_out));
        for vb in changed {
            vb.listeners.notify(vb.id(), VbEvent::Committed);
        }
    }

    /// Sorts a batch's entries by vBucket and works out the record of each.
    fn assemble(&self, entries: &[Entry]) -> (BTreeMap<VbId, VbBatch>, Batch, Durability) {
        let mut needs_sync = false;
        let mut batch = Batch::default();
        let mut vbs: BTreeMap<VbId, VbBatch> = BTreeMap::new();
        for entry in entries {
            let id = entry.vb.id();
            let vb = vbs.entry(id).or_insert_with(|| VbBatch::new(&entry.vb, &self.shared.options));
            let state = vb.meta.state;
            let change = |row: &Arc<Row>,
                          replaces: &Replaces,
                          completes: Option<&Arc<Row>>,
                          keeps_before: Seqno| {
                // The row of an abort replaces that of its prepare anyway.
                let completes = completes.filter(|_| row.is_visible()).cloned();
                let (row, replaces) = (Arc::clone(row), replaces.clone());
                Change { vb: id, row, replaces, completes, keeps_before }
            };
            match &entry.work {
                Work::Row(new) => {
                    vb.add(new);
                    let NewRow { row, replaces, completes, .. } = new;
                    needs_sync |= self.needs_sync(row, state);
                    let keeps = vb.keeps_before(row, true);
                    batch.changes.push(change(row, replaces, completes.as_ref(), keeps));
                }
                Work::Received(received, replaces, completes) => {
                    vb.receive(received, completes);
                    needs_sync |= match received {
                        Part::Rows { rows, versions, .. } => {
                            let history = *versions != Versions::Newest;
                            batch.changes.extend(rows.iter().map(|row| {
                                let keeps = vb.keeps_before(row, history);
                                change(row, replaces, completes.get(&row.seqno), keeps)
                            }));
                            rows.iter().any(|row| self.needs_sync(row, state))
                        }
                        Part::Advance { .. } => self.is_synced(),
                    };
                }
                Work::Meta(meta) => {
                    vb.meta = VbMeta::clone(meta);
                    needs_sync = true;
                }
            }
        }
        batch.metas.extend(vbs.values().map(|vb| vb.meta.clone()));
        (vbs, batch, if needs_sync { Durability::Synced } else { Durability::Buffered })
    }

    fn is_synced(&self) -> bool {
        self.shared.options.durability == Durability::Synced
    }

    /// Whether a row is synced before anyone hears of it. A commit or abort need not be: without it
    /// the prepare is there, which is completed once more.
    fn needs_sync(&self, row: &Row, state: VbState) -> bool {
        match row.kind {
            Kind::Prepared { level: Level::PersistToMajority, .. } => true,
            Kind::Prepared { level: Level::MajorityAndPersistOnActive, .. }
                if state == VbState::Active =>
            {
                true
            }
            _ => row.prepared == Seqno::ZERO && self.is_synced(),
        }
    }

    /// Makes what is on disk now visible. Returns the vBucket if it has new rows.
    fn publish(&mut self, batch: VbBatch, synced: bool) -> Option<Arc<VbCell>> {
        let VbBatch { vb, meta, rows, completed, from_disk, .. } = batch;
        let (high_seqno, last) = (meta.high_seqno, rows.last().map(|row| row.seqno));
        let mut bytes = 0;
        {
            let mut inner = lock(&vb.inner);
            // A purge may have ended since the batch was assembled; the store keeps the higher one
            // too.
            let purge_seqno = inner.meta.purge_seqno.max(meta.purge_seqno);
            inner.meta = VbMeta { purge_seqno, ..meta };
            // A new branch is committed before all else of its vBucket.
            inner.branching = false;
            // The end of a collection may take all of them with it.
            let had_prepares = !inner.durable.monitor.is_empty();
            for row in rows {
                let newest = inner.pending.get(&row.key).is_some_and(|(p, _)| p.seqno == row.seqno);
                if newest {
                    inner.pending.remove(&row.key);
                }
                if inner.meta.state == VbState::Active {
                    self.shared.rows.follow(inner.life, &row);
                }
                match row.kind {
                    Kind::Document { expiry: expiry @ 1.., .. } => vb.note_expiry(expiry),
                    Kind::Event { .. } => {
                        inner.follow_durable(&row);
                        self.shared.manifest.learn(&inner.durable_collections);
                        inner.discard_prepares();
                    }
                    _ => {}
                }
                if !from_disk {
                    bytes += row.memory_bytes();
                    inner.log.push(row);
                }
            }
            if from_disk {
                inner.log = MemoryLog::starting_at(high_seqno);
            }
            if had_prepares {
                inner.durable.completed(&completed);
                inner.durable.monitor.stored(high_seqno, synced);
                advance(self.shared, &vb, &mut inner);
                note(self.shared, vb.id(), &mut inner);
            }
        }
        if let Some(last) = last.filter(|_| !from_disk) {
            self.logged.push_back((Arc::downgrade(&vb), last, bytes));
            let logged_bytes = self.shared.logged_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
            self.trim(logged_bytes);
        }
        last.map(|_| vb)
    }

    /// Evicts the oldest rows of the bucket until the rest is within the quota. A row of a vBucket
    /// that was rolled back or removed since then counts until it would be evicted.
    fn trim(&mut self, mut logged_bytes: usize) {
        while logged_bytes > self.shared.options.log_bytes_max {
            let Some((vb, seqno, bytes)) = self.logged.pop_front() else {
                drop(broken!("{logged_bytes} bytes of no row in the memory logs"));
                return;
            };
            logged_bytes -= bytes;
            self.shared.logged_bytes.fetch_sub(bytes, Ordering::Relaxed);
            if let Some(vb) = vb.upgrade() {
                lock(&vb.inner).log.trim(seqno);
            }
        }
    }
}
