//! A scan over the documents of one vBucket, in the order of their keys, over one snapshot of the
//! store.

use bytes::Bytes;
use vbucket::{Row, StoreError, VbMeta};

use crate::collections::Collections;
use crate::core::View;
use crate::engine::{Entries, ReadResult, Snapshot, Tables};
use crate::errors::damaged;
use crate::format::{Generation, KeyEntry, VbRecord, decode_row};
use crate::values::Reader;
use crate::walk::Walk;

/// Where the entries are.
struct Keys {
    snapshot: Snapshot,
    tables: Tables,
    generation: Generation,
    /// The key of the table before which the range ends.
    end: Vec<u8>,
}

impl Keys {
    /// The entries from the document key `start` to the end, `None` where `start` follows it.
    fn from(&self, start: &[u8]) -> Option<Entries> {
        let start = self.generation.document(start);
        let is_before = start < self.end;
        is_before.then(|| self.snapshot.range(&self.tables.keys, start..self.end.clone()))
    }
}

/// See the module.
pub(crate) struct KeyScan {
    meta: VbMeta,
    collections: Collections,
    keys: Keys,
    values: Reader,
    /// The entries that are still to be read.
    rest: Option<Entries>,
}

impl KeyScan {
    /// A scan of the document keys from `start` up to, but without, `end`.
    pub(crate) fn new(
        record: VbRecord,
        view: View,
        tables: Tables,
        start: &[u8],
        end: &[u8],
    ) -> Self {
        let generation = record.generation();
        let VbRecord { meta, collections, .. } = record;
        let View { snapshot, files } = view;
        let keys = Keys { snapshot, tables, generation, end: generation.document(end) };
        Self { meta, collections, rest: keys.from(start), keys, values: Reader::new(files) }
    }

    /// The row of an entry; `None` where its collection is gone.
    fn decode(&mut self, entry: ReadResult) -> Result<Option<Row>, StoreError> {
        let (vb, generation) = (self.meta.vb, self.keys.generation);
        let what = || format!("the key entries of {vb}");
        let (key, entry) = entry.map_err(|e| e.of(what))?;
        let entry = KeyEntry::decode(&key, &entry).map_err(|flaw| damaged(what(), flaw))?;
        let key = key.get(generation.prefix().len()..).unwrap_or_default();
        let seqno = entry.seqno;
        if !self.collections.shows(key, seqno) {
            return Ok(None);
        }
        let what = || format!("{vb} seqno {seqno}");
        let row = self.keys.snapshot.get(&self.keys.tables.rows, generation.row(seqno));
        let row =
            row.map_err(|e| e.of(what))?.ok_or_else(|| damaged(what(), "the row is missing"))?;
        let (row, pointer) = decode_row(vb, seqno, row).map_err(|flaw| damaged(what(), flaw))?;
        if row.key != key {
            return Err(damaged(what(), "the row is of another key than its entry"));
        }
        Ok(Some(match pointer {
            Some(pointer) => Row { value: self.values.read(pointer)?, ..row },
            None => row,
        }))
    }
}

impl Walk for KeyScan {
    type Place = Bytes;

    fn place(row: &Row) -> Bytes {
        row.key.clone()
    }

    fn next(&mut self) -> Option<Result<Option<Row>, StoreError>> {
        let entry = self.rest.as_mut()?.next()?;
        Some(self.decode(entry))
    }

    fn back_to(&mut self, key: Bytes) {
        self.rest = self.keys.from(&key);
    }

    fn meta(&self) -> &VbMeta {
        &self.meta
    }

    fn collections(&self) -> &Collections {
        &self.collections
    }
}
