//! A scan over the rows of one vBucket, in seqno order, over one snapshot of the store.

use bytes::Bytes;
use vbucket::engine::{Scan, ScanEnd, ScanStep};
use vbucket::{Row, StoreError, VbMeta};

use crate::errors::{damaged, reading};
use crate::format::decode_row;
use crate::keys::row_seqno;

/// Rows that are still to be given, or how it ended.
enum Rest {
    Rows(fjall::Iter),
    Finished,
    Cancelled,
    Failed(StoreError),
}

/// See the module.
pub(crate) struct RowScan {
    meta: VbMeta,
    rest: Rest,
    /// The last seqno that was given, to say where a failure struck.
    last: u64,
}

impl RowScan {
    /// A scan of `rows`, which hold their snapshot; `None` for an empty range.
    pub(crate) fn new(meta: VbMeta, rows: Option<fjall::Iter>) -> Self {
        Self { meta, rest: rows.map_or(Rest::Finished, Rest::Rows), last: 0 }
    }

    fn decode(&mut self, guard: fjall::Guard) -> Result<Row, StoreError> {
        let vb = self.meta.vb;
        let behind = || format!("{vb} behind seqno {}", self.last);
        let (key, bytes) = guard.into_inner().map_err(|e| reading(behind, &e))?;
        let seqno = row_seqno(&key).ok_or_else(|| damaged(behind(), "a key is malformed"))?;
        let row = decode_row(vb, seqno, &Bytes::from(bytes))
            .map_err(|flaw| damaged(format!("{vb} seqno {seqno}"), flaw))?;
        self.last = seqno.0;
        Ok(row)
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
            match self.decode(guard).map(&mut *each) {
                Ok(ScanStep::More) => {}
                Ok(ScanStep::Yield) => return ScanEnd::Yielded,
                Ok(ScanStep::Cancel) => self.rest = Rest::Cancelled,
                Err(error) => self.rest = Rest::Failed(error),
            }
        }
    }

    fn meta(&self) -> &VbMeta {
        &self.meta
    }
}
