//! Change history: older versions of documents, kept for streams that get every change.
//!
//! Whoever commits a change says whether the row that it replaces is kept. Such a row is in `undo`
//! in the order of its own seqno, and its undo row is empty: a rollback takes it from there. From
//! the vBucket's history start on every version is kept; what is beyond the retention goes from
//! there, in the order of seqnos, so that no version is missing between two others.

use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use mcbp::{Seqno, VbId};
use vbucket::StoreError;
use vbucket::store::{ChangeHistory, Durability};

use crate::core::Core;
use crate::engine::Slice;
use crate::errors::damaged;
use crate::format::{ValuePointer, VbRecord, decode_row, version_seqnos};
use crate::tally::Tally;
use crate::trim::{STEP_ROWS, some_entries};
use crate::versions::Versions;
use crate::work::WorkQueue;

/// The bytes of an older version on the disk, with its value.
pub(crate) fn version_bytes(row: &[u8], pointer: Option<ValuePointer>) -> u64 {
    row.len() as u64 + pointer.map_or(0, |pointer| pointer.disk_bytes())
}

/// Where the value of an older version is, if it is out of line.
pub(crate) fn version_pointer(
    vb: VbId,
    older: Seqno,
    row: Slice,
) -> Result<Option<ValuePointer>, StoreError> {
    let row = decode_row(vb, older, row);
    row.map(|(_, pointer)| pointer).map_err(|flaw| damaged(format!("{vb} seqno {older}"), flaw))
}

impl Core {
    /// See `Store::change_history`.
    pub(crate) fn change_history(&self, record: &VbRecord) -> ChangeHistory {
        let Versions { bytes, marks, .. } = &record.versions;
        let start = record.meta.history_start;
        let since = marks.iter().rev().find(|(_, high)| *high < start).or(marks.first());
        ChangeHistory { start, bytes: *bytes, since: since.map(|(at, _)| *at) }
    }

    /// Unix time in seconds, where versions have an age, else 0.
    pub(crate) fn now_of_retention(&self) -> u64 {
        if self.options.retention.seconds > 0 { unix_now() } else { 0 }
    }

    /// How many bytes the versions of a vBucket may take.
    fn bytes_max(&self) -> u64 {
        match self.options.retention.bytes {
            0 => u64::MAX,
            all => all / self.vbucket_count().max(1),
        }
    }

    /// Whether something of the history of a vBucket is to be dropped.
    pub(crate) fn has_excess(&self, record: &VbRecord, now: u64) -> bool {
        let Versions { bytes, trimmed, .. } = record.versions;
        let start = record.meta.history_start;
        if start == Seqno::ZERO {
            return bytes > 0;
        }
        let is_old = record.versions.start_by_age(now, &self.options.retention) > start;
        is_old || (bytes > 0 && (bytes > self.bytes_max() || start > trimmed))
    }

    /// The vBuckets with something of that kind.
    pub(crate) fn with_excess(&self) -> Vec<VbId> {
        let now = self.now_of_retention();
        let aged = self.all_records().into_iter().filter(|record| self.has_excess(record, now));
        aged.map(|record| record.meta.vb).collect()
    }

    /// Marks where vBuckets are to which nothing has been written since their last mark: what they
    /// have becomes old too.
    pub(crate) fn mark_idle(&self) -> Result<(), StoreError> {
        let lacks_mark = |record: &VbRecord| {
            let is_kept = record.meta.history_start > Seqno::ZERO;
            is_kept && record.versions.lacks_mark(record.meta.high_seqno)
        };
        let (retention, now) = (&self.options.retention, self.now_of_retention());
        let mut writer = self.writer();
        let idle: Vec<_> = self.all_records().into_iter().filter(|it| lacks_mark(it)).collect();
        if idle.is_empty() {
            return Ok(());
        }
        let mut out = self.tables.batch(idle.len());
        let marked = idle.into_iter().map(|record| {
            let mut record = record.as_ref().clone();
            record.versions.mark(now, record.meta.high_seqno, retention);
            self.put_record(&mut out, &record, writer.next_number());
            record
        });
        let marked: Vec<_> = marked.collect();
        writer.commit(out, Durability::Buffered, || self.publish(marked))
    }

    /// Drops the older versions that are beyond the retention. First the history begins later, so
    /// that no commit adds one below; then those below are removed.
    pub(crate) fn trim_versions(&self, vb: VbId, work: &WorkQueue) -> Result<(), StoreError> {
        while !work.is_stopping() {
            let restores = self.restores.load(Ordering::SeqCst);
            let Some(seen) = self.record(vb) else { return Ok(()) };
            let start = seen.meta.history_start;
            let is_kept = start > Seqno::ZERO;
            let wanted = if is_kept { self.wanted_start(&seen)? } else { start };
            if wanted > start {
                self.begin_later(&seen, restores, wanted)?;
                continue;
            }
            let below = if is_kept { start } else { seen.meta.high_seqno.next() };
            if seen.versions.bytes == 0 || below <= seen.versions.trimmed {
                return Ok(());
            }
            self.remove_below(&seen, restores, below)?;
        }
        Ok(())
    }

    /// Where the history has to begin by its age and its bytes; of many versions only as far as
    /// one step reads.
    fn wanted_start(&self, record: &VbRecord) -> Result<Seqno, StoreError> {
        let Versions { bytes, .. } = record.versions;
        let vb = record.meta.vb;
        let now = self.now_of_retention();
        let by_age = record.versions.start_by_age(now, &self.options.retention);
        let (mut start, bytes_max) = (record.meta.history_start.max(by_age), self.bytes_max());
        if bytes <= bytes_max {
            return Ok(start);
        }
        // An eighth more goes, so that not every commit has something trimmed.
        let mut too_many = bytes - bytes_max / 8 * 7;
        let range = record.generation().versions(record.versions.trimmed, Seqno::TAKEN_MAX);
        for (key, row) in some_entries(&self.tables.undo, range.start(), range.end())? {
            let (older, _) = seqnos(vb, &key)?;
            if too_many == 0 && older >= start {
                break;
            }
            start = start.max(older.next());
            let pointer = version_pointer(vb, older, row.clone())?;
            too_many = too_many.saturating_sub(version_bytes(&row, pointer));
        }
        Ok(start)
    }

    fn begin_later(&self, seen: &VbRecord, restores: u64, start: Seqno) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let Some(mut record) = self.not_restored(seen, restores) else { return Ok(()) };
        record.versions.floor = record.versions.floor.max(start);
        record.meta.history_start = record.versions.start(record.meta.history_start);
        let out = self.tables.batch(0);
        self.commit_record(&mut writer, out, record, Durability::Buffered)?;
        failpoint::reach("history-begins-later");
        Ok(())
    }

    /// Removes some of the versions below a seqno. No commit adds one there or up to the high seqno
    /// that was seen.
    fn remove_below(&self, seen: &VbRecord, restores: u64, below: Seqno) -> Result<(), StoreError> {
        let (vb, generation) = (seen.meta.vb, seen.generation());
        let tables = &self.tables;
        let from = generation.version(seen.versions.trimmed, Seqno::ZERO);
        let to = generation.version(below, Seqno::ZERO);
        let found = some_entries(&tables.undo, &from, &to)?;
        tables.wait_for_flushes()?;
        let mut writer = self.writer();
        let Some(mut record) = self.not_restored(seen, restores) else { return Ok(()) };
        let mut out = tables.batch(found.len());
        let mut garbage = Tally::default();
        let mut trimmed = Seqno::ZERO;
        if found.len() < STEP_ROWS {
            trimmed = below.min(seen.meta.high_seqno.next());
        }
        let (high, is_none) = (seen.meta.high_seqno, found.is_empty());
        if is_none && below > high && record.meta.high_seqno == high {
            // There is none at all, whatever was counted.
            record.versions.bytes = 0;
        }
        for (key, bytes) in found {
            let (older, newer) = seqnos(vb, &key)?;
            trimmed = trimmed.max(older.next());
            let pointer = version_pointer(vb, older, bytes.clone())?;
            record.versions.uncount(version_bytes(&bytes, pointer));
            if newer.0 > record.undo_floor && newer != older {
                // A rollback may still need it.
                out.insert(&tables.undo, generation.undo(newer, older), bytes);
            } else {
                garbage.add(pointer);
            }
            out.remove(&tables.undo, key);
        }
        self.note_garbage(&mut out, &garbage);
        record.versions.trimmed = record.versions.trimmed.max(trimmed);
        self.commit_record(&mut writer, out, record, Durability::Buffered)?;
        failpoint::reach("trim-versions-step");
        Ok(())
    }

    /// The record now, unless the vBucket began anew or something was rolled back since it was
    /// seen. Called while the writer is held.
    fn not_restored(&self, seen: &VbRecord, restores: u64) -> Option<VbRecord> {
        let record = self.record(seen.meta.vb)?;
        let is_same = record.generation() == seen.generation();
        let is_same = is_same && self.restores.load(Ordering::SeqCst) == restores;
        is_same.then(|| record.as_ref().clone())
    }
}

/// Unix time in seconds.
fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The seqnos of an older version and of what replaced it.
fn seqnos(vb: VbId, key: &[u8]) -> Result<(Seqno, Seqno), StoreError> {
    let malformed = || damaged(format!("an older version of {vb}"), "its key is malformed");
    version_seqnos(key).ok_or_else(malformed)
}
