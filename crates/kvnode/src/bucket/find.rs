//! How a document is found: queued, in memory, or on the disk.

use std::sync::{Arc, MutexGuard};

use bytes::Bytes;
use logline::value;
use mcbp::{Seqno, VbState};
use vbucket::Row;
use vbucket::durability::Blocked;

use super::cell::Inner;
use super::draft::Found;
use super::error::VbError;
use super::row_cache::{Life, RowCache};
use super::vb::Vb;
use crate::blocking::disk;
use crate::sync::lock;

/// A replaced document of more is read alone.
const LARGE_BYTES_MIN: usize = 1024 * 1024;

impl Vb {
    /// Returns the newest row of a key, also a deletion; without its value if that is on the disk
    /// and has more than `value_bytes_max`. Leaves its worker where it reads the disk.
    pub(crate) fn find_up_to(
        &self,
        key: &[u8],
        value_bytes_max: usize,
    ) -> Result<Option<Found>, VbError> {
        let (is_locked, collections, moment) = {
            let mut inner = lock(&self.cell.inner);
            self.check_usable(&inner, key)?;
            let is_locked = inner.locks.find(key).is_some();
            let is_active = inner.meta.state == VbState::Active;
            if is_active && inner.durable.monitor.blocked(key) == Some(Blocked::Recommit) {
                return Err(VbError::Recommit(self.id()));
            }
            if let Some((row, commit)) = inner.pending.get(key) {
                if !inner.collections.shows(key, row.seqno) {
                    return Ok(None);
                }
                let (row, commit) = (Arc::clone(row), Some(commit.clone()));
                return Ok(Some(Found { row, left_bytes: 0, commit, is_locked }));
            }
            let moment = Moment::of(&inner);
            let cached = moment.and_then(|now| self.shared.rows.get(now.life, key));
            if let Some(row) = cached {
                let is_seen = inner.collections.shows(key, row.seqno);
                let found = Found { row, left_bytes: 0, commit: None, is_locked };
                return Ok(is_seen.then_some(found));
            }
            (is_locked, Arc::clone(&inner.collections), moment)
        };
        // A row leaves `pending` after it is in the store, so it is found in one of the two.
        let read = disk(|| self.shared.store.get_up_to(self.id(), key, value_bytes_max));
        self.shared.counters.disk_reads.add(1);
        let found = read.inspect_err(|error| {
            if !self.shared.counters.read_failures.add() {
                return;
            }
            let (bucket, vb) = (self.bucket_name(), self.id().0);
            log::error!("read failed bucket={bucket} vb={vb} error={}", value(error));
        })?;
        let found = found.filter(|(row, _)| collections.shows(key, row.seqno));
        Ok(found.map(|(row, left_bytes)| {
            let row = Arc::new(detached(row));
            if left_bytes == 0 && RowCache::takes(&row) {
                self.remember(moment, &row);
            }
            Found { row, left_bytes, commit: None, is_locked }
        }))
    }

    /// Keeps a row that was read from the disk, unless something has become visible since `moment`.
    fn remember(&self, moment: Option<Moment>, row: &Arc<Row>) {
        let inner = lock(&self.cell.inner);
        if let Some(moment) = moment
            && Moment::of(&inner) == Some(moment)
        {
            self.shared.rows.put(moment.life, Arc::clone(row));
        }
    }

    /// The same with the value. Of large ones one at a time is read, for as long as `turn` lives:
    /// many writers may replace large documents.
    pub(super) fn find<'a>(
        &'a self,
        key: &[u8],
        turn: &mut Option<MutexGuard<'a, ()>>,
    ) -> Result<Option<Found>, VbError> {
        let found = self.find_up_to(key, LARGE_BYTES_MIN)?;
        if found.as_ref().is_none_or(|found| found.left_bytes == 0) {
            return Ok(found);
        }
        *turn = Some(disk(|| lock(&self.shared.large_reads)));
        self.find_up_to(key, usize::MAX)
    }
}

/// The row, without the store's block that it was read from if it is a small part of that.
fn detached(row: Row) -> Row {
    if !RowCache::takes(&row) {
        return row;
    }
    let [key, value] = [&row.key, &row.value].map(|bytes| Bytes::copy_from_slice(bytes));
    Row { key, value, ..row }
}

/// What an active vBucket showed when a row was read: if it is the same afterwards, so is the row.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Moment {
    life: Life,
    high: Seqno,
}

impl Moment {
    /// `None` where nothing is cached.
    fn of(inner: &Inner) -> Option<Self> {
        let can_cache = inner.meta.state == VbState::Active && !inner.moving;
        can_cache.then_some(Self { life: inner.life, high: inner.meta.high_seqno })
    }
}
