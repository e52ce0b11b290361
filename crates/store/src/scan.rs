//! A scan over the rows of one vBucket, in seqno order, over one snapshot of the store.

use fjall::{Keyspace, Readable as _, Snapshot};
use mcbp::Seqno;
use vbucket::store::{Scan, ScanEnd, ScanStep};
use vbucket::{Row, StoreError, VbMeta};

use crate::errors::{damaged, reading};
use crate::format::decode_row;
use crate::keys::{Life, row_seqno};
use crate::values::Reader;

/// Rows that are still to be given, or how it ended.
enum Rest {
    Rows(fjall::Iter),
    Finished,
    Cancelled,
    Failed(StoreError),
}

/// Where the rows are.
pub(crate) struct Rows {
    pub(crate) snapshot: Snapshot,
    pub(crate) table: Keyspace,
    pub(crate) life: Life,
    pub(crate) end: Seqno,
}

impl Rows {
    /// Those from `start` on; none where that is behind the end.
    fn from(&self, start: Seqno) -> Rest {
        if start > self.end {
            return Rest::Finished;
        }
        let range = self.life.row(start)..=self.life.row(self.end);
        Rest::Rows(self.snapshot.range(&self.table, range))
    }
}

/// See the module.
pub(crate) struct RowScan {
    meta: VbMeta,
    rows: Rows,
    values: Reader,
    rest: Rest,
    /// The last seqno that was given, to say where a failure struck.
    last: Seqno,
}

impl RowScan {
    /// A scan of `rows` from `start` on.
    pub(crate) fn new(meta: VbMeta, rows: Rows, values: Reader, start: Seqno) -> Self {
        Self { meta, rest: rows.from(start), rows, values, last: Seqno::ZERO }
    }

    fn decode(&mut self, guard: fjall::Guard) -> Result<Row, StoreError> {
        let vb = self.meta.vb;
        let behind = || format!("{vb} behind seqno {}", self.last);
        let (key, bytes) = guard.into_inner().map_err(|e| reading(behind, &e))?;
        let seqno = row_seqno(&key).ok_or_else(|| damaged(behind(), "a key is malformed"))?;
        let (row, apart) = decode_row(vb, seqno, bytes)
            .map_err(|flaw| damaged(format!("{vb} seqno {seqno}"), flaw))?;
        match apart {
            Some(place) => Ok(Row { value: self.values.read(place)?, ..row }),
            None => Ok(row),
        }
    }
}

impl Scan for RowScan {
    fn run(&mut self, each: &mut dyn FnMut(Row) -> ScanStep) -> ScanEnd {
        loop {
            let guard = match &mut self.rest {
                Rest::Rows(rows) => rows.next(),
                Rest::Finished => return ScanEnd::Finished,
                Rest::Cancelled => return ScanEnd::Cancelled,
                Rest::Failed(error) => return ScanEnd::Failed(error.clone()),
            };
            let Some(guard) = guard else {
                self.rest = Rest::Finished;
                continue;
            };
            let row = match self.decode(guard) {
                Ok(row) => row,
                Err(error) => {
                    self.rest = Rest::Failed(error);
                    continue;
                }
            };
            let seqno = row.seqno;
            match each(row) {
                ScanStep::More => self.last = seqno,
                ScanStep::Yield => {
                    self.last = seqno;
                    return ScanEnd::Yielded;
                }
                ScanStep::Later => {
                    // The engine's iterator cannot go back, but the snapshot is still the same.
                    self.rest = self.rows.from(seqno);
                    return ScanEnd::Yielded;
                }
                ScanStep::Cancel => self.rest = Rest::Cancelled,
            }
        }
    }

    fn meta(&self) -> &VbMeta {
        &self.meta
    }
}
