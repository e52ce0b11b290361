//! Giving back the space of values that no row names any more.
//!
//! What is garbage is counted as rows go. Once enough of it lies in files that hold little else,
//! the rows that still name values there are found by one walk over both tables of rows, their
//! values written anew, and the files removed. Nothing but that walk says that a file is not
//! needed: the counts only say when it is worth one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fjall::{Keyspace, OwnedWriteBatch, UserKey, UserValue};
use mcbp::VbId;
use vbucket::StoreError;
use vbucket::store::Durability;

use super::{Place, Reader, ValueFile};
use crate::errors::{damaged, io, reading};
use crate::format::{Garbage, decode_row, encode_row};
use crate::keys::{self, row_place};
use crate::store::Core;

/// Worth a walk: so much of all values, and at least so many bytes.
const WORTH_PARTS: u64 = 4;
const WORTH_BYTES: u64 = 1 << 20;
/// What one walk writes anew may take from the room that commits leave on the disk: it is little
/// beside that, and gives back more. A file that holds more needs room of its own.
const WALK_BYTES: u64 = 64 << 20;
/// Rows that one step looks at, between two looks at whether to stop.
const STEP_ROWS: usize = 10_000;
/// Values that one step writes anew, in bytes; one more may come on top. The writer waits for them.
const STEP_BYTES: u64 = 2 << 20;

/// Values that became garbage, by file.
#[derive(Default)]
pub(crate) struct Tally(BTreeMap<u64, u64>);

impl Tally {
    /// Adds the value of a row that goes.
    pub(crate) fn add(&mut self, apart: Option<Place>) {
        if let Some(place) = apart {
            *self.0.entry(place.file).or_default() += place.disk_bytes();
        }
    }

    /// Adds that of an entry of any table. One that cannot be read is not counted.
    pub(crate) fn add_row(&mut self, key: &[u8], bytes: UserValue) {
        if let Some((vb, seqno)) = row_place(key)
            && let Ok((_, apart)) = decode_row(vb, seqno, bytes)
        {
            self.add(apart);
        }
    }
}

/// A row that names a value in a file that is to go.
struct Found {
    key: UserKey,
    bytes: UserValue,
    place: Place,
    row: vbucket::Row,
    vb: VbId,
}

impl Core {
    /// Counts garbage, also for the next open. Called with the writer held: a file that is removed
    /// must not be told of again.
    pub(crate) fn note_garbage(&self, out: &mut OwnedWriteBatch, garbage: &Tally) {
        let files = self.values.files();
        for (number, &bytes) in &garbage.0 {
            if let Some(file) = files.get(number) {
                let key = keys::file(*number);
                out.insert(&self.tables.meta, key, Garbage(file.add_garbage(bytes)).encode(&key));
            }
        }
    }

    /// Removes files that are mostly garbage, as long as they are enough to be worth a walk.
    pub(crate) fn collect(&self, is_stopping: &dyn Fn() -> bool) -> Result<(), StoreError> {
        while let Some(victims) = self.victims() {
            let needed_bytes = victims.iter().map(|file| file.needed_bytes()).sum();
            if needed_bytes > WALK_BYTES {
                self.space.check(needed_bytes)?;
            }
            if !self.collect_files(&victims, is_stopping)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The files that the next walk empties, those with the most garbage first.
    fn victims(&self) -> Option<Vec<Arc<ValueFile>>> {
        let files = self.values.files();
        let mostly_garbage = files.values().filter(|file| file.is_mostly_garbage());
        let mut victims: Vec<_> = mostly_garbage.cloned().collect();
        let garbage: u64 = victims.iter().map(|file| file.garbage()).sum();
        let all: u64 = files.values().map(|file| file.bytes()).sum();
        if garbage < WORTH_BYTES || garbage * WORTH_PARTS < all {
            return None;
        }
        victims.sort_by_key(|file| file.needed_bytes());
        let mut needed_bytes = 0;
        let fits = |file: &Arc<ValueFile>| {
            let first = needed_bytes == 0;
            needed_bytes += file.needed_bytes();
            first || needed_bytes <= WALK_BYTES
        };
        Some(victims.into_iter().take_while(fits).collect())
    }

    /// Empties and removes `victims`; `false` where it stopped, or has to begin again.
    fn collect_files(
        &self,
        victims: &[Arc<ValueFile>],
        is_stopping: &dyn Fn() -> bool,
    ) -> Result<bool, StoreError> {
        let restores = self.restores.load(Ordering::SeqCst);
        let numbers = victims.iter().map(|file| file.number).collect();
        let closed = self.writer().values.close_one_of(&numbers);
        closed.map_err(|error| io("closing a file of values", error))?;
        // What is replaced meanwhile moves from the first to the second.
        for table in [&self.tables.rows, &self.tables.undo] {
            if !self.empty(table, &numbers, is_stopping)? {
                return Ok(false);
            }
        }
        failpoint::reach("collect-moved");
        self.remove_files(victims, restores)
    }

    /// Moves all values that rows of `table` name in the files `numbers`; `false` where it stopped.
    fn empty(
        &self,
        table: &Keyspace,
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

    /// Writes values anew and lets their rows name the new places, where rows are still the same.
    fn rewrite(&self, table: &Keyspace, found: Vec<Found>) -> Result<(), StoreError> {
        if found.is_empty() {
            return Ok(());
        }
        let mut reader = Reader::new(self.values.files());
        self.tables.wait_for_room()?;
        let mut writer = self.writer();
        writer.check()?;
        let mut out = self.tables.batch(found.len());
        let mut encoded = Vec::new();
        for Found { key, bytes, place, row, vb } in found {
            let now = table.get(&key).map_err(|e| reading(|| "a row".to_owned(), &e))?;
            if now.as_ref() == Some(&bytes) {
                let value = reader.read(place)?;
                let appended = writer.values.append(&value);
                let place = appended.map_err(|error| writer.values.give_up(&error))?;
                encode_row(vb, &row, Some(place), &mut encoded);
                out.insert(table, key, encoded.as_slice());
            }
        }
        writer.commit(out, Durability::Buffered)?;
        failpoint::reach("collect-step");
        Ok(())
    }

    /// Removes files whose rows have been moved, unless a rollback may have given some back that
    /// the walk had passed: then it is `false`.
    fn remove_files(&self, victims: &[Arc<ValueFile>], restores: u64) -> Result<bool, StoreError> {
        let mut writer = self.writer();
        if self.restores.load(Ordering::SeqCst) != restores {
            return Ok(false);
        }
        let mut out = self.tables.batch(victims.len());
        for file in victims {
            out.remove(&self.tables.meta, keys::file(file.number));
        }
        // The rows' new places are on the disk with this, before the old ones go.
        writer.commit(out, Durability::Synced)?;
        writer.note_synced()?;
        failpoint::reach("collect-committed");
        victims.iter().try_for_each(|file| self.values.remove(file))?;
        Ok(true)
    }
}

/// Some of the rows from `from` on that name values in the files `numbers`, and where to go on.
fn find(
    table: &Keyspace,
    from: &[u8],
    numbers: &BTreeSet<u64>,
) -> Result<(Vec<Found>, Option<Vec<u8>>), StoreError> {
    let mut found = Vec::new();
    let mut bytes_found = 0;
    for (at, guard) in table.range(from..).enumerate() {
        let what = || "a row whose value may have to move".to_owned();
        let (key, bytes) = guard.into_inner().map_err(|e| reading(what, &e))?;
        if at >= STEP_ROWS || bytes_found >= STEP_BYTES {
            return Ok((found, Some(key.to_vec())));
        }
        let Some((vb, seqno)) = row_place(&key) else { continue };
        let (row, apart) = decode_row(vb, seqno, bytes.clone())
            .map_err(|flaw| damaged(format!("{vb} seqno {seqno}"), flaw))?;
        if let Some(place) = apart.filter(|place| numbers.contains(&place.file)) {
            bytes_found += place.disk_bytes();
            found.push(Found { key, bytes, place, row, vb });
        }
    }
    Ok((found, None))
}
