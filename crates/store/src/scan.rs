//! A scan over the rows of one vBucket, in seqno order, over one snapshot of the store.

use std::iter::Peekable;

use mcbp::Seqno;
use vbucket::{Row, StoreError, VbMeta};

use crate::collections::Collections;
use crate::engine::{Entries, ReadResult, Snapshot, Tables};
use crate::errors::damaged;
use crate::format::{Generation, decode_row, row_id, row_seqno, version_seqnos};
use crate::values::Reader;
use crate::walk::Walk;

/// Rows that are still to be given.
enum Rest {
    Rows(Entries),
    /// The newest rows, and older versions between them.
    Versions(Box<Merged>),
    Nothing,
}

/// Where the rows are.
pub(crate) struct Rows {
    pub(crate) snapshot: Snapshot,
    pub(crate) tables: Tables,
    pub(crate) generation: Generation,
    pub(crate) end: Seqno,
    /// Where older versions begin; 0 where none are wanted or there are none.
    pub(crate) versions_from: Seqno,
}

/// Two ranges, each in the order of seqnos, as one.
struct Merged {
    newest: Peekable<Entries>,
    older: Peekable<Entries>,
}

impl Merged {
    fn next(&mut self) -> Option<ReadResult> {
        let seqno = |entry: Option<&ReadResult>, of: fn(&[u8]) -> Option<Seqno>| match entry {
            Some(Ok((key, _))) => of(key),
            // A failure comes first, and ends the scan.
            Some(Err(_)) => Some(Seqno::ZERO),
            None => Some(Seqno::MAX),
        };
        let newest = seqno(self.newest.peek(), row_seqno);
        let older = seqno(self.older.peek(), |key| version_seqnos(key).map(|(older, _)| older));
        if older < newest { self.older.next() } else { self.newest.next() }
    }
}

impl Rows {
    /// The rows from `start` to the end, none where `start` is larger.
    fn from(&self, start: Seqno) -> Rest {
        if start > self.end {
            return Rest::Nothing;
        }
        let range = self.generation.row(start)..=self.generation.row(self.end);
        let newest = self.snapshot.range(&self.tables.rows, range);
        if self.versions_from == Seqno::ZERO {
            return Rest::Rows(newest);
        }
        let range = self.generation.versions(start.max(self.versions_from), self.end);
        let older = self.snapshot.range(&self.tables.undo, range).peekable();
        Rest::Versions(Box::new(Merged { newest: newest.peekable(), older }))
    }
}

/// See the module.
pub(crate) struct RowScan {
    meta: VbMeta,
    collections: Collections,
    rows: Rows,
    values: Reader,
    rest: Rest,
    /// The last seqno that was given; it says where a failure is.
    last: Seqno,
}

impl RowScan {
    /// A scan of `rows` from `start` on.
    pub(crate) fn new(
        meta: VbMeta,
        collections: Collections,
        rows: Rows,
        values: Reader,
        start: Seqno,
    ) -> Self {
        Self { meta, collections, rest: rows.from(start), rows, values, last: Seqno::ZERO }
    }

    /// The row of an entry; `None` where its collection is gone.
    fn decode(&mut self, entry: ReadResult) -> Result<Option<Row>, StoreError> {
        let vb = self.meta.vb;
        let after = || format!("{vb} after seqno {}", self.last);
        let (key, bytes) = entry.map_err(|e| e.of(after))?;
        let seqno = row_id(&key).map(|(_, seqno)| seqno);
        let seqno = seqno.ok_or_else(|| damaged(after(), "a key is malformed"))?;
        let (row, pointer) = decode_row(vb, seqno, bytes)
            .map_err(|flaw| damaged(format!("{vb} seqno {seqno}"), flaw))?;
        let is_shown = match self.rows.versions_from {
            Seqno::ZERO => self.collections.shows(&row.key, seqno),
            _ => self.collections.shows_version(&row),
        };
        if !is_shown {
            return Ok(None);
        }
        Ok(Some(match pointer {
            Some(pointer) => Row { value: self.values.read(pointer)?, ..row },
            None => row,
        }))
    }
}

impl Walk for RowScan {
    type Place = Seqno;

    fn place(row: &Row) -> Seqno {
        row.seqno
    }

    fn next(&mut self) -> Option<Result<Option<Row>, StoreError>> {
        let entry = match &mut self.rest {
            Rest::Rows(rows) => rows.next(),
            Rest::Versions(rows) => rows.next(),
            Rest::Nothing => None,
        }?;
        Some(self.decode(entry))
    }

    fn pass(&mut self, seqno: Seqno) {
        self.last = seqno;
    }

    fn back_to(&mut self, seqno: Seqno) {
        self.rest = self.rows.from(seqno);
    }

    fn meta(&self) -> &VbMeta {
        &self.meta
    }

    fn collections(&self) -> &Collections {
        &self.collections
    }
}
