//! Counts values that become garbage as their rows are removed.

use std::collections::BTreeMap;

use crate::engine::Slice;
use crate::format::{ValuePointer, decode_row, row_id};
use logline::value;

/// Bytes of values that became garbage, by file.
#[derive(Default)]
pub(crate) struct Tally(BTreeMap<u64, u64>);

impl Tally {
    /// Adds the value of a row that is removed, if it is out of line.
    pub(crate) fn add(&mut self, pointer: Option<ValuePointer>) {
        if let Some(pointer) = pointer {
            self.add_bytes(pointer.file, pointer.disk_bytes());
        }
    }

    /// Adds values of a file.
    pub(crate) fn add_bytes(&mut self, file: u64, bytes: u64) {
        *self.0.entry(file).or_default() += bytes;
    }

    /// Adds the value of a row that is removed, by its entry in `rows` or `undo`. A damaged row is
    /// logged and not counted: it goes all the same, and its value with its file.
    pub(crate) fn add_row(&mut self, key: &[u8], bytes: Slice) {
        if bytes.is_empty() {
            // The undo row of an older version, which has it.
            return;
        }
        match row_id(key).map(|(vb, seqno)| (vb, seqno, decode_row(vb, seqno, bytes))) {
            Some((_, _, Ok((_, pointer)))) => self.add(pointer),
            Some((vb, seqno, Err(flaw))) => {
                let flaw = value(format_args!("{flaw:?}"));
                log::warn!("removing a damaged row, vb={} seqno={seqno} flaw={flaw}", vb.0);
            }
            None => {
                let key = value(format_args!("{key:?}"));
                log::warn!("removing a row with a malformed key, key={key}");
            }
        }
    }

    /// The files, and how many bytes became garbage in each.
    pub(crate) fn files(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().map(|(&file, &bytes)| (file, bytes))
    }
}
