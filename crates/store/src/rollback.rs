//! Rolling a vBucket back, and removing it.
//!
//! A rollback undoes the newest rows first, in steps of one batch each. Between two steps the
//! vBucket is valid: it is inside a snapshot that began at the target, so a stream would continue
//! within that snapshot, and the rollback can be asked for again.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering;

use mcbp::{Seqno, VbId, VbUuid};
use vbucket::failover::uuid_from_random;
use vbucket::store::Durability;
use vbucket::{DurableSeqnos, StoreError, VbMeta};

use crate::core::Core;
use crate::format::{Generation, VbRecord, record_key};
use crate::points::Points;
use crate::versions::Versions;
use crate::writer::Writer;

impl Core {
    /// See `Store::rollback`; also returns the generation that has ended, if one has.
    pub(crate) fn rollback(
        &self,
        vb: VbId,
        to: Seqno,
    ) -> Result<(VbMeta, Option<Generation>), StoreError> {
        loop {
            // The writer is released between two steps, for commits to other vBuckets.
            if let Some(done) = self.rollback_step(&mut self.writer(), vb, to)? {
                return Ok(done);
            }
        }
    }

    /// One batch of a rollback; `None` where more are needed.
    fn rollback_step(
        &self,
        writer: &mut Writer,
        vb: VbId,
        to: Seqno,
    ) -> Result<Option<(VbMeta, Option<Generation>)>, StoreError> {
        let record = self.record(vb).ok_or(StoreError::NoVbucket(vb))?;
        let mut record = record.as_ref().clone();
        let Some(target) = target(&record, to) else {
            return self.restart(writer, record).map(Some);
        };
        let history = self.read_history(&record, target)?;
        let out = self.undo(&mut record, &history)?;
        self.restores.fetch_add(1, Ordering::SeqCst);
        let down_to = history.down_to();
        let done = down_to == target;
        record.points.cut_above(target.0);
        record.versions.roll_back(down_to);
        let meta = &mut record.meta;
        meta.failover.prune(down_to, fresh_uuid());
        meta.snapshot_end = if done { target } else { meta.snapshot_end.max(meta.high_seqno) };
        meta.snapshot_start = target;
        meta.high_seqno = down_to;
        meta.history_start = meta.history_start.min(down_to.next());
        let meta = meta.clone();
        failpoint::reach("rollback-read");
        let durability = if done { Durability::Synced } else { Durability::Buffered };
        self.commit_record(writer, out, record, durability)?;
        failpoint::reach(if done { "rollback-done" } else { "rollback-step" });
        Ok(done.then_some((meta, None)))
    }

    /// See `Store::remove`; returns the generation that has ended, if one has.
    pub(crate) fn remove(&self, vb: VbId) -> Result<Option<Generation>, StoreError> {
        let mut writer = self.writer();
        let Some(record) = self.record(vb) else { return Ok(None) };
        let generation = record.generation();
        let mut out = self.tables.batch(0);
        out.remove(&self.tables.meta, record_key(vb));
        out.insert(&self.tables.meta, generation.ended(), "");
        writer.commit(out, Durability::Synced, || self.withdraw(vb))?;
        failpoint::reach("remove-committed");
        Ok(Some(generation))
    }

    /// Begins a new generation at seqno 0.
    fn restart(
        &self,
        writer: &mut Writer,
        mut record: VbRecord,
    ) -> Result<(VbMeta, Option<Generation>), StoreError> {
        let ended = record.generation();
        record.generation = writer.next_number();
        record.collections = Default::default();
        record.undo_floor = 0;
        record.points = Points::default();
        record.versions = Versions::default();
        let meta = &mut record.meta;
        meta.failover.prune(Seqno::ZERO, fresh_uuid());
        meta.high_seqno = Seqno::ZERO;
        (meta.snapshot_start, meta.snapshot_end) = (Seqno::ZERO, Seqno::ZERO);
        meta.purge_seqno = Seqno::ZERO;
        // All that follows is kept, if anything was.
        meta.history_start = meta.history_start.min(Seqno(1));
        meta.durable = DurableSeqnos::default();
        let mut out = self.tables.batch(0);
        out.insert(&self.tables.meta, ended.ended(), "");
        let meta = record.meta.clone();
        self.commit_record(writer, out, record, Durability::Synced)?;
        failpoint::reach("rollback-to-zero");
        Ok((meta, Some(ended)))
    }
}

/// Where a rollback to `to` ends, `None` for 0.
fn target(record: &VbRecord, to: Seqno) -> Option<Seqno> {
    let point = record.points.at_or_below(to.0.min(record.meta.high_seqno.0))?;
    // Below the floor replaced rows are gone, below the purge seqno deletions.
    let floor = record.undo_floor.max(record.meta.purge_seqno.0).max(1);
    (point >= floor).then_some(Seqno(point))
}

/// The uuid of a new branch, for a failover table from which every branch was pruned.
fn fresh_uuid() -> VbUuid {
    // The standard library seeds each of these from the system's random source.
    uuid_from_random(RandomState::new().hash_one("branch"))
}

#[cfg(test)]
mod tests;
