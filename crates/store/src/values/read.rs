//! Reads values, and compares every byte with the checksum in the pointer.

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};
use vbucket::StoreError;

use super::{Files, ValueFile, Values};
use crate::errors::{damaged, io};
use crate::format::{VALUE_FILE_MAGIC, VALUE_HEADER_BYTES, ValueHeader, ValuePointer, ValuesEnd};

/// Least and most bytes of one read of a scan, where values follow each other in the file, as in a
/// copy of a node. It doubles while most of what is read is used, and halves otherwise.
const WINDOW_BYTES_MIN: usize = 8 << 10;
const WINDOW_BYTES_MAX: usize = 256 << 10;

/// Reads values of the files that it holds, one or many.
pub(crate) struct Reader {
    files: Files,
    window: Option<Window>,
    /// The size of the next window.
    window_bytes: usize,
    /// Where the last value ended.
    last: ValuesEnd,
}

/// A piece of a file in memory.
struct Window {
    file: u64,
    from: u64,
    bytes: Bytes,
    used_bytes: usize,
}

impl Window {
    fn get(&mut self, pointer: ValuePointer) -> Option<Bytes> {
        let from = usize::try_from(pointer.at.checked_sub(self.from)?).ok()?;
        let to = from.checked_add(pointer.len() as usize)?;
        if self.file != pointer.file || to > self.bytes.len() {
            return None;
        }
        self.used_bytes += to - from;
        Some(self.bytes.slice(from..to))
    }

    /// Whether at least half of it was used.
    const fn was_used(&self) -> bool {
        self.used_bytes * 2 >= self.bytes.len()
    }
}

impl Reader {
    pub(crate) const fn new(files: Files) -> Self {
        let last = ValuesEnd { file: 0, bytes: 0 };
        Self { files, window: None, window_bytes: WINDOW_BYTES_MIN, last }
    }

    /// The value at `pointer`; it shares memory with its neighbours where values are read in order.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where the file is missing or has other bytes, [`StoreError::Io`]
    /// where the disk refuses.
    pub(crate) fn read(&mut self, pointer: ValuePointer) -> Result<Bytes, StoreError> {
        let found = self.window.as_mut().and_then(|window| window.get(pointer));
        let value = match found {
            Some(value) => value,
            None => self.fetch(pointer)?,
        };
        let (file, len) = (pointer.file, pointer.len());
        self.last = ValuesEnd { file, bytes: pointer.at + u64::from(len) };
        if ValueHeader::new(len, &value) == pointer.header {
            return Ok(value);
        }
        let flaw = format!("at byte {}: the checksum of a value does not match", pointer.at);
        Err(damaged(self.file(file)?.path.display().to_string(), flaw))
    }

    fn file(&self, number: u64) -> Result<&ValueFile, StoreError> {
        let file = self.files.get(&number);
        let missing = || damaged(format!("the value file {number}"), "it is missing");
        file.map(AsRef::as_ref).ok_or_else(missing)
    }

    fn fetch(&mut self, pointer: ValuePointer) -> Result<Bytes, StoreError> {
        let (number, at, len) = (pointer.file, pointer.at, pointer.len() as usize);
        let gap = at.checked_sub(self.last.bytes);
        let is_near = gap.is_some_and(|gap| gap < self.window_bytes as u64);
        if self.last.file != number || !is_near || len >= WINDOW_BYTES_MAX {
            return self.file(number)?.read(at, len);
        }
        self.window_bytes = match &self.window {
            Some(window) if window.was_used() => WINDOW_BYTES_MAX.min(self.window_bytes * 2),
            Some(_) => WINDOW_BYTES_MIN.max(self.window_bytes / 2),
            None => WINDOW_BYTES_MIN,
        };
        let file = self.file(number)?;
        let left = file.bytes().saturating_sub(at);
        let window_bytes = (self.window_bytes as u64).min(left) as usize;
        let bytes = file.read(at, window_bytes.max(len))?;
        let value = bytes.slice(..len);
        self.window = Some(Window { file: number, from: at, bytes, used_bytes: len });
        Ok(value)
    }
}

impl ValueFile {
    fn read(&self, at: u64, len: usize) -> Result<Bytes, StoreError> {
        self.try_read(at, len)?.ok_or_else(|| {
            let flaw = format!("it ends before byte {}", at + len as u64);
            damaged(self.path.display().to_string(), flaw)
        })
    }

    /// The `len` bytes at `at`; `None` where the file ends before.
    fn try_read(&self, at: u64, len: usize) -> Result<Option<Bytes>, StoreError> {
        // The length is bounded by a pointer or a commit mark whose checksum matched.
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let next = at + bytes.len() as u64;
            match pread(&*self.file, spare_capacity(&mut bytes), next) {
                Ok(0) => return Ok(None),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    let text = format!("{}: {error}", self.path.display());
                    return Err(io("reading a value", text));
                }
            }
        }
        // The allocation may be larger than asked, and is then filled with more.
        bytes.truncate(len);
        Ok(Some(bytes.into()))
    }

    /// Whether intact values fill the file from `from` to `to`.
    fn has_values(&self, from: u64, to: u64) -> Result<bool, StoreError> {
        let mut at = from;
        while at < to {
            let Some(header) = self.try_read(at, VALUE_HEADER_BYTES)? else { return Ok(false) };
            let Some(header) = header.first_chunk().copied().map(ValueHeader::decode) else {
                return Ok(false);
            };
            at += VALUE_HEADER_BYTES as u64;
            if u64::from(header.len) > to.saturating_sub(at) {
                return Ok(false);
            }
            let Some(value) = self.try_read(at, header.len as usize)? else { return Ok(false) };
            if ValueHeader::new(header.len, &value) != header {
                return Ok(false);
            }
            at += u64::from(header.len);
        }
        Ok(at == to)
    }
}

impl Values {
    /// Whether the values of a commit are on the disk. They begin at `from`, or in a file of their
    /// own, and end at `to`.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the disk refuses: that says nothing about the values.
    pub(crate) fn has_values(&self, from: ValuesEnd, to: ValuesEnd) -> Result<bool, StoreError> {
        let magic_bytes = VALUE_FILE_MAGIC.len() as u64;
        let start = if from.file == to.file { from.bytes.max(magic_bytes) } else { magic_bytes };
        if to.bytes <= start {
            return Ok(true);
        }
        self.with(|files| match files.get(&to.file) {
            Some(file) => file.has_values(start, to.bytes),
            None => Ok(false),
        })
    }

    /// Waits until all files are on the disk. A killed process leaves bytes that the system has not
    /// written yet, and the open that follows counts them as durable.
    pub(crate) fn sync_newest(&self) -> Result<(), StoreError> {
        self.with(|files| match files.values().next_back() {
            Some(newest) => newest.file.sync_data().map_err(|error| {
                io("syncing values", format!("{}: {error}", newest.path.display()))
            }),
            None => Ok(()),
        })
    }
}
