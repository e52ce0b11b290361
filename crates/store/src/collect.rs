//! Frees the space of values that no row names any more.
//!
//! Garbage is counted as rows are removed. Once enough of it is in files that hold little else, one
//! walk over both tables of rows finds the rows that still name values there, writes these values
//! to the newest file, and deletes the old files. Only that walk proves that a file is not needed:
//! the counts say when it pays.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mcbp::VbId;
use vbucket::StoreError;
use vbucket::store::Durability;

use crate::core::Core;
use crate::engine::{Slice, Table};
use crate::errors::{damaged, io};
use crate::format::{COMMIT_MARK, ValuePointer, decode_row, encode_row, row_id, value_file_key};
use crate::values::{Reader, ValueFile};

/// A walk pays from this fraction of all values, and from this many bytes of garbage.
const WORTH_PARTS: u64 = 4;
const WORTH_BYTES: u64 = 1 << 20;
/// What one walk may write without a check for free space: little beside the space that commits
/// leave free, and it frees more. A file with more live values is checked for by itself.
const WALK_BYTES: u64 = 64 << 20;
/// Where that is more, a walk may write this part of what is free beyond it: each walk reads all
/// rows, so a store with many of them would be read once for every 64 MiB that move.
const SPARE_PARTS: u64 = 4;
/// Rows that one step looks at, between two checks whether to stop.
const STEP_ROWS: usize = 10_000;
/// Bytes of values that one step writes, while commits wait; one more value may come on top.
const STEP_BYTES: u64 = 2 << 20;

/// A row that names a value in a file that is to be deleted.
struct LiveRow {
    key: Slice,
    bytes: Slice,
    pointer: ValuePointer,
    row: vbucket::Row,
    vb: VbId,
}

impl Core {
    /// Deletes files that are mostly garbage, while they hold enough of it to be worth a walk.
    pub(crate) fn collect(&self, is_stopping: &dyn Fn() -> bool) -> Result<(), StoreError> {
        while let Some(victims) = self.victims() {
            let live_bytes = victims.iter().map(|file| file.live_bytes()).sum();
            if live_bytes > WALK_BYTES {
                self.space.check(live_bytes)?;
            }
            if !self.collect_files(&victims, is_stopping)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The files that the next walk empties, those with the fewest live bytes first.
    fn victims(&self) -> Option<Vec<Arc<ValueFile>>> {
        let files = self.values.files();
        let mostly_garbage = files.values().filter(|file| file.is_mostly_garbage());
        let mut victims: Vec<_> = mostly_garbage.cloned().collect();
        let garbage: u64 = victims.iter().map(|file| file.garbage()).sum();
        let all: u64 = files.values().map(|file| file.bytes()).sum();
        if garbage < WORTH_BYTES || garbage * WORTH_PARTS < all {
            return None;
        }
        victims.sort_by_key(|file| file.live_bytes());
        let most = WALK_BYTES.max(self.space.spare_bytes() / SPARE_PARTS);
        let mut live_bytes = 0;
        let fits = |file: &Arc<ValueFile>| {
            let is_first = live_bytes == 0;
            live_bytes += file.live_bytes();
            is_first || live_bytes <= most
        };
        Some(victims.into_iter().take_while(fits).collect())
    }

    /// Empties and deletes `victims`; returns `false` where it was stopped or has to start over.
    fn collect_files(
        &self,
        victims: &[Arc<ValueFile>],
        is_stopping: &dyn Fn() -> bool,
    ) -> Result<bool, StoreError> {
        let restores = self.restores.load(Ordering::SeqCst);
        let numbers = victims.iter().map(|file| file.number).collect();
        let closed = self.writer().values.close_one_of(&numbers);
        closed.map_err(|error| io("closing a value file", error))?;
        // In this order: a row that is replaced meanwhile moves from the first to the second.
        for table in [&self.tables.rows, &self.tables.undo] {
            if !self.empty(table, &numbers, is_stopping)? {
                return Ok(false);
            }
        }
        failpoint::reach("collect-moved");
        self.remove_files(victims, restores)
    }

    /// Moves all values that rows of `table` name in the files `numbers`; returns `false` where it
    /// was stopped.
    fn empty(
        &self,
        table: &Table,
        numbers: &BTreeSet<u64>,
        is_stopping: &dyn Fn() -> bool,
    ) -> Result<bool, StoreError> {
        let mut from = Vec::new();
        loop {
            if is_stopping() {
                return Ok(false);
            }
            let (found, next) = find(table, &from, numbers)?;
            self.rewrite(table, found)?;
            match next {
                Some(next) => from = next,
                None => return Ok(true),
            }
        }
    }

    /// Writes values to the newest file and points their rows there, where the rows are unchanged.
    fn rewrite(&self, table: &Table, found: Vec<LiveRow>) -> Result<(), StoreError> {
        if found.is_empty() {
            return Ok(());
        }
        let mut reader = Reader::new(self.values.files());
        self.tables.wait_for_flushes()?;
        let mut writer = self.writer();
        writer.check()?;
        let mut out = self.tables.batch(found.len());
        let mut encoded = Vec::new();
        for LiveRow { key, bytes, pointer, row, vb } in found {
            let now = table.get(&key).map_err(|e| e.of(|| format!("{vb} seqno {}", row.seqno)))?;
            if now.as_ref() == Some(&bytes) {
                let value = reader.read(pointer)?;
                let appended = writer.values.append(&value);
                let pointer = appended.map_err(|error| writer.values.give_up(&error))?;
                encode_row(vb, &row, Some(pointer), &mut encoded)?;
                out.insert(table, key, encoded.as_slice());
            }
        }
        writer.commit(out, Durability::Buffered, || ())?;
        failpoint::reach("collect-step");
        Ok(())
    }

    /// Deletes files whose values have been moved. Returns `false` where a rollback may have
    /// restored rows that the walk had passed already.
    fn remove_files(&self, victims: &[Arc<ValueFile>], restores: u64) -> Result<bool, StoreError> {
        let mut writer = self.writer();
        if self.restores.load(Ordering::SeqCst) != restores {
            return Ok(false);
        }
        let mut out = self.tables.batch(victims.len());
        for file in victims {
            out.remove(&self.tables.meta, value_file_key(file.number));
        }
        // With this the rows' new pointers are on the disk, before the old values are deleted.
        writer.commit(out, Durability::Synced, || ())?;
        writer.note_synced()?;
        failpoint::reach("collect-committed");
        victims.iter().try_for_each(|file| self.values.remove(file))?;
        Ok(true)
    }
}

/// Some of the rows from `from` on that name values in the files `numbers`, and where to continue.
fn find(
    table: &Table,
    from: &[u8],
    numbers: &BTreeSet<u64>,
) -> Result<(Vec<LiveRow>, Option<Vec<u8>>), StoreError> {
    let mut found = Vec::new();
    let mut bytes_found = 0;
    for (at, entry) in table.range(from..).enumerate() {
        let what = || "a row whose value may have to move".to_owned();
        let (key, bytes) = entry.map_err(|e| e.of(what))?;
        if at >= STEP_ROWS || bytes_found >= STEP_BYTES {
            return Ok((found, Some(key.to_vec())));
        }
        // The undo row of an older version is empty: the version names the value.
        if key == COMMIT_MARK || bytes.is_empty() {
            continue;
        }
        let (vb, seqno) = row_id(&key).ok_or_else(|| damaged(what(), "its key is malformed"))?;
        let (row, pointer) = decode_row(vb, seqno, bytes.clone())
            .map_err(|flaw| damaged(format!("{vb} seqno {seqno}"), flaw))?;
        if let Some(pointer) = pointer.filter(|pointer| numbers.contains(&pointer.file)) {
            bytes_found += pointer.disk_bytes();
            found.push(LiveRow { key, bytes, pointer, row, vb });
        }
    }
    Ok((found, None))
}
