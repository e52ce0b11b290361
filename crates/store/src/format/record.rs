//! Values of the table `meta`: the record of a vBucket, and those of its collections. Version,
//! numbers in a fixed order, topology, checksum.
//!
//! Commits that touch few vBuckets write one for each, so it is short: numbers take as many bytes
//! as they need, and rising seqnos are written as differences.

use std::sync::Arc;

use mcbp::dcp::FailoverEntry;
use mcbp::{Seqno, VbId, VbState, VbUuid};
use vbucket::{DurableSeqnos, FailoverTable, VbMeta};

use super::Flaw;
use super::checksum::{verified, with_checksum};
use super::keys::{Generation, record_key};
use super::numbers::{Numbers, put};
use crate::collections::{Collection, Collections, Gone};
use crate::points::Points;
use crate::versions::Versions;

/// A record without a change history; a record of a version that is not here is refused.
const PLAIN: u8 = 2;
/// The version of a record with a change history, whose numbers come first.
const WITH_HISTORY: u8 = 3;
/// What every record begins with now: the number of the commit that wrote it and one of the others
/// follow. The steps of earlier commits do not go on from it.
const NUMBERED: u8 = 4;
/// More than the record of a vBucket with few branches takes: one allocation for most.
const USUAL_BYTES: usize = 256;

/// In the place of the start of the default collection: there is none.
const NO_DEFAULT: u64 = 0;

/// What the store keeps of a vBucket, beyond its rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct VbRecord {
    pub meta: VbMeta,
    /// Which generation its rows belong to.
    pub generation: u64,
    /// Its collections. The record of the default one is a part of this.
    pub collections: Collections,
    /// Replaced rows are kept for the changes above this seqno; a rollback to below it goes to 0.
    pub undo_floor: u64,
    /// Seqnos at which a commit left the vBucket in a consistent state.
    pub points: Points,
    /// Its older versions.
    pub versions: Versions,
}

impl VbRecord {
    pub(crate) fn generation(&self) -> Generation {
        Generation { vb: self.meta.vb, number: self.generation }
    }

    /// Notes that a commit has left it in a consistent state, if it has.
    pub(crate) fn note_point(&mut self) {
        if self.meta.high_seqno == self.meta.snapshot_end {
            self.points.push(self.meta.high_seqno.0);
        }
    }

    /// The bytes that commit `number` writes.
    pub(crate) fn encode(&self, number: u64) -> Vec<u8> {
        let meta = &self.meta;
        let mut out = Vec::with_capacity(USUAL_BYTES);
        out.push(NUMBERED);
        put(&mut out, number);
        self.encode_history(&mut out);
        put(&mut out, meta.state as u64);
        let numbers = [self.generation, self.undo_floor, meta.high_seqno.0];
        let snapshot = [meta.snapshot_start.0, meta.snapshot_end.0, meta.purge_seqno.0];
        let highest = [meta.max_cas, meta.max_deleted_rev];
        let DurableSeqnos { high_prepared, high_completed, max_visible } = meta.durable;
        // The highest seqno of readers and of the vBucket are mostly the same.
        let invisible = meta.high_seqno.0.wrapping_sub(max_visible.0);
        let durable = [high_prepared.0, high_completed.0, invisible];
        let numbers = numbers.into_iter().chain(snapshot).chain(highest).chain(durable);
        numbers.for_each(|n| put(&mut out, n));
        match &self.collections.default {
            None => put(&mut out, NO_DEFAULT),
            Some(Collection { start, high, items }) => {
                // The highest seqnos of it and of the vBucket are mostly the same.
                let below = meta.high_seqno.0.wrapping_sub(high.0);
                [start.0 + 1, *items, below].into_iter().for_each(|n| put(&mut out, n));
            }
        }
        put(&mut out, meta.failover.entries().len() as u64);
        for entry in meta.failover.entries() {
            put(&mut out, entry.uuid.0);
            put(&mut out, entry.seqno.0);
        }
        let points = self.points.as_slice();
        put(&mut out, points.len() as u64);
        let mut before = 0;
        for &point in points {
            // They rise; `Points` sees to that.
            put(&mut out, point.wrapping_sub(before));
            before = point;
        }
        out.extend_from_slice(meta.topology.as_bytes());
        with_checksum(out, &record_key(meta.vb))
    }

    /// The version, and what a change history adds.
    fn encode_history(&self, out: &mut Vec<u8>) {
        let Self { meta, versions, .. } = self;
        if meta.history_start == Seqno::ZERO && *versions == Versions::default() {
            return out.push(PLAIN);
        }
        out.push(WITH_HISTORY);
        let marks = versions.marks.len() as u64;
        let Versions { floor, trimmed, bytes, .. } = versions;
        let numbers = [meta.history_start.0, floor.0, trimmed.0, *bytes, marks];
        let marks = versions.marks.iter().flat_map(|(at, high)| [*at, high.0]);
        numbers.into_iter().chain(marks).for_each(|n| put(out, n));
    }

    /// The record, and the number of the commit that wrote it: 0 where it does not say.
    pub(crate) fn decode(vb: VbId, bytes: &[u8]) -> Result<(Self, u64), Flaw> {
        let malformed = "the record is not what its version says";
        let bytes = verified(bytes, &record_key(vb))?;
        let (number, body) = match bytes.split_first() {
            Some((&NUMBERED, rest)) => {
                let mut from = Numbers(rest);
                (from.take().ok_or(malformed)?, from.0)
            }
            _ => (0, bytes),
        };
        let record = match body.split_first() {
            Some((&PLAIN, body)) => Self::from_body(vb, Numbers(body)),
            Some((&WITH_HISTORY, body)) => Self::with_history(vb, body),
            Some(_) => return Err("the record is of a version that this program does not know"),
            None => None,
        };
        Ok((record.ok_or(malformed)?, number))
    }

    fn with_history(vb: VbId, body: &[u8]) -> Option<Self> {
        let mut from = Numbers(body);
        let [start, floor, trimmed] = [from.seqno()?, from.seqno()?, from.seqno()?];
        let bytes = from.take()?;
        let count = from.take()?;
        let marks: Option<Vec<_>> =
            (0..count).map(|_| Some((from.take()?, from.seqno()?))).collect();
        let versions = Versions { bytes, floor, trimmed, marks: marks? };
        let mut record = Self::from_body(vb, from)?;
        record.meta.history_start = start;
        Some(Self { versions, ..record })
    }

    fn from_body(vb: VbId, mut from: Numbers<'_>) -> Option<Self> {
        let state = VbState::from_wire(u32::try_from(from.take()?).ok()?)?;
        let [generation, undo_floor] = [from.take()?, from.take()?];
        let [high_seqno, snapshot_start, snapshot_end, purge_seqno] =
            [from.seqno()?, from.seqno()?, from.seqno()?, from.seqno()?];
        let [max_cas, max_deleted_rev] = [from.take()?, from.take()?];
        let durable = DurableSeqnos {
            high_prepared: from.seqno()?,
            high_completed: from.seqno()?,
            max_visible: Seqno(high_seqno.0.wrapping_sub(from.take()?)),
        };
        let default = match from.take()? {
            NO_DEFAULT => None,
            start => {
                let (start, items) = (Seqno(start - 1), from.take()?);
                let high = Seqno(high_seqno.0.wrapping_sub(from.take()?));
                Some(Collection { start, high, items })
            }
        };
        let branches = from.take()?;
        let branch = |_| Some(FailoverEntry { uuid: VbUuid(from.take()?), seqno: from.seqno()? });
        let branches: Option<Vec<_>> = (0..branches).map(branch).collect();
        let failover = FailoverTable::from_log(&branches?).ok()?;
        let mut points = Points::default();
        let mut before = 0u64;
        for _ in 0..from.take()? {
            before = before.checked_add(from.take()?)?;
            points.push(before);
        }
        let topology = String::from_utf8(from.0.to_vec()).ok()?;
        let meta = VbMeta {
            vb,
            state,
            failover,
            high_seqno,
            snapshot_start,
            snapshot_end,
            purge_seqno,
            max_cas,
            max_deleted_rev,
            durable,
            history_start: Seqno::ZERO,
            topology,
        };
        let collections = Collections { default, named: Arc::default() };
        let versions = Versions::default();
        Some(Self { meta, generation, collections, undo_floor, points, versions })
    }
}

impl Collection {
    /// The bytes under the table key `table_key`, which the checksum covers.
    pub(crate) fn encode(&self, table_key: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(USUAL_BYTES);
        [self.start.0, self.high.0, self.items].into_iter().for_each(|n| put(&mut out, n));
        with_checksum(out, table_key)
    }

    pub(crate) fn decode(table_key: &[u8], bytes: &[u8]) -> Result<Self, Flaw> {
        let mut from = Numbers(verified(bytes, table_key)?);
        let numbers = (from.seqno(), from.seqno(), from.take());
        match numbers {
            (Some(start), Some(high), Some(items)) if from.0.is_empty() => {
                Ok(Self { start, high, items })
            }
            _ => Err("the record of a collection is malformed"),
        }
    }
}

impl Gone {
    /// The bytes under the table key `table_key`, which has the id.
    pub(crate) fn encode(&self, table_key: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, self.up_to.0);
        with_checksum(out, table_key)
    }

    pub(crate) fn decode(table_key: &[u8], id: u32, bytes: &[u8]) -> Result<Self, Flaw> {
        let mut from = Numbers(verified(bytes, table_key)?);
        match from.seqno() {
            Some(up_to) if from.0.is_empty() => Ok(Self { id, up_to }),
            _ => Err("the note of a collection that is gone is malformed"),
        }
    }
}

#[cfg(test)]
mod tests;
