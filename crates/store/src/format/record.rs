//! A value of the table `meta`: the record of a vBucket. Version, numbers in a fixed order,
//! topology, checksum.
//!
//! Every commit writes one for each vBucket that it touches, so it is short: numbers take as many
//! bytes as they need, and rising seqnos are written as differences.

use invariant::broken;
use mcbp::dcp::FailoverEntry;
use mcbp::{Seqno, VbId, VbState, VbUuid};
use vbucket::{FailoverTable, VbMeta};

use super::Flaw;
use super::checksum::{verified, with_checksum};
use super::keys::{Generation, record_key};
use crate::points::Points;

/// What every record begins with; a record of another version is refused.
const VERSION: u8 = 1;
/// More than the record of a vBucket with few branches takes: one allocation for most.
const USUAL_BYTES: usize = 256;
/// The value bits of one byte of a number; the one above them says that more bytes follow.
const BITS: u32 = 7;
const MORE: u8 = 1 << BITS;

/// What the store keeps of a vBucket, beyond its rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct VbRecord {
    pub meta: VbMeta,
    /// Which generation its rows belong to.
    pub generation: u64,
    /// Number of documents, without deletions.
    pub items: u64,
    /// Replaced rows are kept for the changes above this seqno; a rollback to below it goes to 0.
    pub undo_floor: u64,
    /// Seqnos at which a commit left the vBucket in a consistent state.
    pub points: Points,
}

impl VbRecord {
    pub(crate) fn generation(&self) -> Generation {
        Generation { vb: self.meta.vb, number: self.generation }
    }

    /// Counts a row that is replaced or undone, and the one in its place.
    ///
    /// The count is a statistic: one that is too low is reported, and refuses no change.
    pub(crate) fn count_items(&mut self, was_alive: bool, is_alive: bool) {
        let items = self.items.checked_sub(u64::from(was_alive)).unwrap_or_else(|| {
            _ = broken!("{} counts no documents, and one of it is replaced", self.meta.vb);
            0
        });
        self.items = items + u64::from(is_alive);
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let meta = &self.meta;
        let mut out = Vec::with_capacity(USUAL_BYTES);
        out.push(VERSION);
        put(&mut out, meta.state as u64);
        let numbers = [self.generation, self.items, self.undo_floor, meta.high_seqno.0];
        let snapshot = [meta.snapshot_start.0, meta.snapshot_end.0, meta.purge_seqno.0];
        let highest = [meta.max_cas, meta.max_deleted_rev];
        numbers.into_iter().chain(snapshot).chain(highest).for_each(|n| put(&mut out, n));
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

    pub(crate) fn decode(vb: VbId, bytes: &[u8]) -> Result<Self, Flaw> {
        match verified(bytes, &record_key(vb))?.split_first() {
            Some((&VERSION, body)) => {
                Self::from_body(vb, body).ok_or("the record is not what its version says")
            }
            Some(_) => Err("the record is of a version that this program does not know"),
            None => Err("the record is empty"),
        }
    }

    fn from_body(vb: VbId, body: &[u8]) -> Option<Self> {
        let mut from = Numbers(body);
        let state = VbState::from_wire(u32::try_from(from.take()?).ok()?)?;
        let [generation, items, undo_floor] = [from.take()?, from.take()?, from.take()?];
        let [high_seqno, snapshot_start, snapshot_end, purge_seqno] =
            [from.seqno()?, from.seqno()?, from.seqno()?, from.seqno()?];
        let [max_cas, max_deleted_rev] = [from.take()?, from.take()?];
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
            topology,
        };
        Some(Self { meta, generation, items, undo_floor, points })
    }
}

/// Writes a number, its lowest bits first.
fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= u64::from(MORE) {
        out.push(number as u8 | MORE);
        number >>= BITS;
    }
    out.push(number as u8);
}

/// What is still to be read of a record.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    /// The next number, or `None` where there is none that [`put`] writes.
    fn take(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(BITS as usize) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & !MORE);
            if bits > u64::MAX >> shift {
                return None;
            }
            number |= bits << shift;
            if byte & MORE == 0 {
                return Some(number);
            }
        }
        None
    }

    fn seqno(&mut self) -> Option<Seqno> {
        self.take().map(Seqno)
    }
}

#[cfg(test)]
mod tests;
