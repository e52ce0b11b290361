//! Reading: one document, or a scan of a vBucket.

use std::sync::Arc;

use mcbp::{Seqno, VbId};
use vbucket::collections::SYSTEM_EVENTS;
use vbucket::store::Scan;
use vbucket::{Kind, Row, StoreError};

use crate::core::{Core, View};
use crate::engine::ReadResult;
use crate::errors::damaged;
use crate::format::{Generation, KeyEntry, VbRecord, decode_row};
use crate::key_scan::KeyScan;
use crate::scan::{RowScan, Rows};
use crate::values::Reader;
use crate::walk::Walked;

impl Core {
    /// See `Store::events`.
    pub(crate) fn events(&self, vb: VbId) -> Result<Vec<Row>, StoreError> {
        let record = self.record(vb).ok_or(StoreError::NoVbucket(vb))?;
        let range = record.generation().collection_range(SYSTEM_EVENTS);
        self.rows_of_keys(&record, range, "the system events")
    }

    /// See `Store::prepares`.
    pub(crate) fn prepares(&self, vb: VbId) -> Result<Vec<Row>, StoreError> {
        let record = self.record(vb).ok_or(StoreError::NoVbucket(vb))?;
        let range = record.generation().all_prepared();
        let mut rows = self.rows_of_keys(&record, range, "the prepares")?;
        rows.retain(|row| {
            let is_prepare = matches!(row.kind, Kind::Prepared { .. });
            is_prepare && record.collections.shows(&row.key, row.seqno)
        });
        Ok(rows)
    }

    /// The newest rows of a range of keys.
    fn rows_of_keys(
        &self,
        record: &VbRecord,
        (from, to): (Vec<u8>, Vec<u8>),
        what: &str,
    ) -> Result<Vec<Row>, StoreError> {
        let (vb, generation) = (record.meta.vb, record.generation());
        let what = || format!("{what} of {vb}");
        let View { snapshot, files } = self.view();
        let mut values = Reader::new(files);
        let keys = snapshot.range(&self.tables.keys, from..to);
        let row = |entry: ReadResult| {
            let (key, entry) = entry.map_err(|e| e.of(what))?;
            let entry = KeyEntry::decode(&key, &entry).map_err(|flaw| damaged(what(), flaw))?;
            let row = snapshot.get(&self.tables.rows, generation.row(entry.seqno));
            let row = row.map_err(|e| e.of(what))?;
            let row = row.ok_or_else(|| damaged(what(), "a row is missing"))?;
            let row = decode_row(vb, entry.seqno, row);
            let (mut row, pointer) = row.map_err(|flaw| damaged(what(), flaw))?;
            if let Some(pointer) = pointer {
                row.value = values.read(pointer)?;
            }
            Ok(row)
        };
        keys.map(row).collect()
    }

    /// See `Store::get_up_to`. The value is left on the disk if it is out of line and has more than
    /// `value_bytes_max`.
    pub(crate) fn get_up_to(
        &self,
        vb: VbId,
        key: &[u8],
        value_bytes_max: usize,
    ) -> Result<Option<(Row, usize)>, StoreError> {
        let Some(record) = self.record(vb) else { return Ok(None) };
        let generation = Generation { vb, number: record.generation };
        // One snapshot for both reads: a commit between them may move the row.
        let View { snapshot, files } = self.view();
        let entry_key = generation.document(key);
        let what = || format!("the key entry of a document in {vb}");
        let entry = snapshot.get(&self.tables.keys, &entry_key).map_err(|e| e.of(what))?;
        let Some(entry) = entry else { return Ok(None) };
        let entry = KeyEntry::decode(&entry_key, &entry).map_err(|flaw| damaged(what(), flaw))?;
        let seqno = entry.seqno;
        if !record.collections.shows(key, seqno) {
            return Ok(None);
        }
        let what = || format!("{vb} seqno {seqno}");
        let row = snapshot
            .get(&self.tables.rows, generation.row(seqno))
            .map_err(|e| e.of(what))?
            .ok_or_else(|| damaged(what(), "the row is missing"))?;
        let (mut row, pointer) =
            decode_row(vb, seqno, row).map_err(|flaw| damaged(what(), flaw))?;
        if row.key != key {
            return Err(damaged(what(), "the row is of another key than its entry"));
        }
        if let Some(pointer) = pointer {
            let bytes = pointer.len() as usize;
            if bytes > value_bytes_max {
                return Ok(Some((row, bytes)));
            }
            row.value = Reader::new(files).read(pointer)?;
        }
        Ok(Some((row, 0)))
    }

    /// See `Store::scan`.
    pub(crate) fn scan(
        &self,
        vb: VbId,
        start: Seqno,
        end: Seqno,
    ) -> Result<Box<dyn Scan>, StoreError> {
        self.open_scan(vb, start, end, false)
    }

    /// See `Store::scan_versions`.
    pub(crate) fn scan_versions(
        &self,
        vb: VbId,
        start: Seqno,
    ) -> Result<Box<dyn Scan>, StoreError> {
        self.open_scan(vb, start, Seqno::TAKEN_MAX, true)
    }

    /// See `Store::scan_keys`.
    pub(crate) fn scan_keys(
        &self,
        vb: VbId,
        start: &[u8],
        end: &[u8],
    ) -> Result<Box<dyn Scan>, StoreError> {
        let (record, view) = self.record_in_view(vb)?;
        let tables = self.tables.clone();
        Ok(Box::new(Walked::new(KeyScan::new(record, view, tables, start, end))))
    }

    fn open_scan(
        &self,
        vb: VbId,
        start: Seqno,
        end: Seqno,
        versions: bool,
    ) -> Result<Box<dyn Scan>, StoreError> {
        let (record, View { snapshot, files }) = self.record_in_view(vb)?;
        let generation = record.generation();
        let VbRecord { meta, collections, .. } = record;
        let versions_from = if versions { meta.history_start } else { Seqno::ZERO };
        let tables = self.tables.clone();
        let rows = Rows { snapshot, tables, generation, end, versions_from };
        let scan = RowScan::new(meta, collections, rows, Reader::new(files), start);
        Ok(Box::new(Walked::new(scan)))
    }

    /// A new view, and the record of a vBucket at the same time.
    fn record_in_view(&self, vb: VbId) -> Result<(VbRecord, View), StoreError> {
        loop {
            let record = self.record(vb).ok_or(StoreError::NoVbucket(vb))?;
            let view = self.view();
            // A commit is in both or in neither, unless it ended in between.
            if self.record(vb).is_some_and(|now| Arc::ptr_eq(&now, &record)) {
                return Ok((record.as_ref().clone(), view));
            }
        }
    }
}
