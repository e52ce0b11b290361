//! Change history: older versions of documents, kept for streams that get every change.
//!
//! Whoever commits a change says whether the row that it replaces is kept. Such a row is in `undo`
//! in the order of its own seqno, and its undo row is empty: a rollback takes it from there. From
//! the vBucket's history start on every version is kept; what is beyond the retention goes from
//! there, in the order of seqnos, so that no version is missing between two others.

use std::sync::PoisonError;
use std::time::{SystemTime, UNIX_EPOCH};

use mcbp::{Seqno, VbId};
use vbucket::StoreError;
use vbucket::store::{ChangeHistory, Durability};

use crate::core::Core;
use crate::engine::Slice;
use crate::errors::damaged;
use crate::format::{VbRecord, decode_row, record_key, version_seqnos};
use crate::tally::Tally;
use crate::trim::{STEP_ROWS, some_entries};
use crate::versions::Versions;
use crate::work::WorkQueue;

/// The bytes of an older version on the disk, with its value.
pub(crate) fn version_bytes(vb: VbId, older: Seqno, row: Slice) -> Result<u64, StoreError> {
    let bytes = row.len() as u64;
    let row = decode_row(vb, older, row);
    let (_, pointer) = row.map_err(|flaw| damaged(format!("{vb} seqno {older}"), flaw))?;
    Ok(bytes + pointer.map_or(0, |pointer| pointer.disk_bytes()))
}

/// Which older versions are to go.
struct Excess {
    /// Those below.
    below: Seqno,
    /// The oldest ones, until this is not exceeded.
    bytes_max: u64,
}

impl Core {
    /// See `Store::change_history`.
    pub(crate) fn change_history(&self, record: &VbRecord) -> ChangeHistory {
        let Versions { bytes, marks, .. } = &record.versions;
        let start = record.meta.history_start;
        let since = marks.iter().rev().find(|(_, high)| *high < start).or(marks.first());
        ChangeHistory { start, bytes: *bytes, since: since.map(|(at, _)| *at) }
    }

    /// What of the history of a vBucket is beyond the retention; `None` for nothing.
    fn excess(&self, record: &VbRecord, now: u64) -> Option<Excess> {
        let Versions { bytes, trimmed, .. } = record.versions;
        let start = record.meta.history_start;
        if start == Seqno::ZERO {
            // Nothing is kept any more.
            let below = record.meta.high_seqno.next();
            return (bytes > 0).then_some(Excess { below, bytes_max: 0 });
        }
        let retention = &self.options.retention;
        let below = start.max(record.versions.start_by_age(now, retention));
        let bytes_max = match retention.bytes {
            0 => u64::MAX,
            all => all / self.vbucket_count().max(1),
        };
        let is_over = bytes > bytes_max || below > start || (bytes > 0 && below > trimmed);
        is_over.then_some(Excess { below, bytes_max })
    }

    /// Unix time in seconds, where versions have an age, else 0.
    pub(crate) fn now_of_retention(&self) -> u64 {
        if self.options.retention.seconds > 0 { unix_now() } else { 0 }
    }

    /// Whether something of the history of a vBucket is to be dropped.
    pub(crate) fn has_excess(&self, record: &VbRecord, now: u64) -> bool {
        self.excess(record, now).is_some()
    }

    /// The vBuckets with something of that kind.
    pub(crate) fn aged(&self) -> Vec<VbId> {
        let now = self.now_of_retention();
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let records: Vec<_> = records.values().cloned().collect();
        let aged = records.into_iter().filter(|record| self.has_excess(record, now));
        aged.map(|record| record.meta.vb).collect()
    }

    /// Drops the older versions that are beyond the retention, and raises the history start.
    pub(crate) fn trim_versions(&self, vb: VbId, work: &WorkQueue) -> Result<(), StoreError> {
        while !work.is_stopping() {
            let now = self.now_of_retention();
            let Some(seen) = self.record(vb) else { return Ok(()) };
            let Some(excess) = self.excess(&seen, now) else { return Ok(()) };
            let from = seen.generation().versions(seen.versions.trimmed, Seqno::TAKEN_MAX);
            let found = some_entries(&self.tables.undo, from.start(), from.end())?;
            if !self.trim_step(&seen, &excess, found)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Drops those of `found`, the oldest versions, that are too much. Returns false where the rows
    /// of the vBucket go anyway.
    fn trim_step(
        &self,
        seen: &VbRecord,
        excess: &Excess,
        found: Vec<(Slice, Slice)>,
    ) -> Result<bool, StoreError> {
        let (vb, generation) = (seen.meta.vb, seen.generation());
        let tables = &self.tables;
        tables.wait_for_flushes()?;
        let mut writer = self.writer();
        let record = self.record(vb).filter(|record| record.generation() == generation);
        let Some(record) = record else { return Ok(false) };
        let mut record = record.as_ref().clone();
        let mut out = tables.batch(found.len());
        let mut garbage = Tally::default();
        if found.is_empty() {
            record.versions.bytes = 0;
        }
        // Up to where nothing is left, if all of what is too much is among these.
        let mut cleared = if found.len() < STEP_ROWS { excess.below } else { Seqno::ZERO };
        for (key, bytes) in found {
            let malformed = || damaged(what(vb), "its key is malformed");
            let (older, newer) = version_seqnos(&key).ok_or_else(malformed)?;
            if older >= excess.below && record.versions.bytes <= excess.bytes_max {
                cleared = cleared.max(excess.below);
                break;
            }
            cleared = cleared.max(older.next());
            // A rollback may have taken it meanwhile.
            if tables.undo.get(&key).map_err(|e| e.of(|| what(vb)))?.as_ref() != Some(&bytes) {
                continue;
            }
            record.versions.uncount(version_bytes(vb, older, bytes.clone())?);
            if newer.0 > record.undo_floor {
                // A rollback may still need it.
                out.insert(&tables.undo, generation.undo(newer, older), bytes);
            } else {
                garbage.add_row(&key, bytes);
            }
            out.remove(&tables.undo, key);
        }
        self.note_garbage(&mut out, &garbage);
        record.versions.trimmed = record.versions.trimmed.max(cleared);
        if record.meta.history_start > Seqno::ZERO {
            record.meta.history_start = record.meta.history_start.max(excess.below).max(cleared);
        }
        out.insert(&tables.meta, record_key(vb), record.encode());
        writer.commit(out, Durability::Buffered)?;
        failpoint::reach("trim-versions-step");
        self.publish([record]);
        Ok(true)
    }

    fn vbucket_count(&self) -> u64 {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        records.len() as u64
    }
}

/// Unix time in seconds.
fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn what(vb: VbId) -> String {
    format!("an older version of {vb}")
}
