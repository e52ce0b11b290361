//! Appends values, to one file at a time. The store has one writer, and it owns the appender.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use logline::value;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use vbucket::{Change, StoreError};

use super::{ValueFile, Values};
use crate::errors;
use crate::format::{
    OUT_OF_LINE_BYTES, VALUE_FILE_MAGIC, VALUE_HEADER_BYTES, ValueHeader, ValuePointer, ValuesEnd,
};

/// What one system call writes. A larger value is written by a call of its own, without a copy.
const BUFFER_BYTES: usize = 256 << 10;
/// A file is full at this fraction of all values, where that is more than the configured size: so
/// many files, or twice as many while some are mostly garbage, are open at once.
const FILES: u64 = 128;

/// See the module.
#[derive(Debug)]
pub(crate) struct Appender {
    values: Arc<Values>,
    /// The least size at which a file is full.
    file_bytes: u64,
    /// Number of the newest file.
    number: u64,
    current: Option<CurrentFile>,
    /// Where the flushed values end.
    end: ValuesEnd,
    is_unsynced: bool,
}

/// The file that is appended to.
#[derive(Debug)]
struct CurrentFile {
    file: Arc<ValueFile>,
    out: BufWriter<Arc<File>>,
    /// Its length once every allocated value is written.
    bytes: u64,
}

impl Appender {
    /// An appender that continues after `end`, in a new file.
    pub(crate) fn new(values: Arc<Values>, file_bytes: u64, end: ValuesEnd) -> Self {
        let newest = values.with(|files| files.keys().next_back().copied());
        let number = newest.map_or(end.file, |newest| newest.max(end.file));
        Self { values, file_bytes, number, current: None, end, is_unsynced: false }
    }

    /// Allocates space in the file for the value of each change that is large enough to be stored
    /// out of line. The pointers are good once the values are written ([`Appender::write_all`]) and
    /// flushed.
    pub(crate) fn allocate_all(
        &mut self,
        changes: &[Change],
    ) -> io::Result<Vec<Option<ValuePointer>>> {
        let values = changes.iter().map(|change| &change.row.value);
        values
            .map(|value| (value.len() >= OUT_OF_LINE_BYTES).then(|| self.allocate(value)))
            .map(Option::transpose)
            .collect()
    }

    /// Writes the values that have pointers. After an error the whole commit is to be discarded:
    /// [`Appender::give_up`].
    pub(crate) fn write_all(
        &mut self,
        changes: &[Change],
        pointers: &[Option<ValuePointer>],
    ) -> io::Result<()> {
        for (change, pointer) in changes.iter().zip(pointers) {
            if let Some(pointer) = pointer {
                self.write(&change.row.value, pointer.header)?;
            }
        }
        Ok(())
    }

    /// Allocates space for one value and writes it.
    pub(crate) fn append(&mut self, value: &[u8]) -> io::Result<ValuePointer> {
        let pointer = self.allocate(value)?;
        self.write(value, pointer.header).map(|()| pointer)
    }

    fn allocate(&mut self, value: &[u8]) -> io::Result<ValuePointer> {
        let current = match &mut self.current {
            Some(current) => current,
            None => {
                let begun = self.begin()?;
                self.current.insert(begun)
            }
        };
        let len = u32::try_from(value.len()).map_err(io::Error::other)?;
        let at = current.bytes + VALUE_HEADER_BYTES as u64;
        current.bytes = at + u64::from(len);
        Ok(ValuePointer { file: current.file.number, at, header: ValueHeader::new(len, value) })
    }

    fn write(&mut self, value: &[u8], header: ValueHeader) -> io::Result<()> {
        let closed = || io::Error::other("the value file is closed");
        let current = self.current.as_mut().ok_or_else(closed)?;
        current.out.write_all(&header.encode())?;
        current.out.write_all(value)
    }

    /// Where the allocated values end.
    pub(crate) fn allocated_end(&self) -> ValuesEnd {
        let end =
            |current: &CurrentFile| ValuesEnd { file: current.file.number, bytes: current.bytes };
        self.current.as_ref().map_or(self.end, end)
    }

    /// Reserves disk space for what is allocated and not written yet, so that a full disk shows
    /// while nothing depends on the values.
    pub(crate) fn reserve(&self) -> io::Result<()> {
        let Some(current) = &self.current else { return Ok(()) };
        let from = if self.end.file == current.file.number { self.end.bytes } else { 0 };
        let reserved = rustix::fs::fallocate(
            &*current.file.file,
            FallocateFlags::KEEP_SIZE,
            from,
            current.bytes.saturating_sub(from).max(1),
        );
        match reserved {
            // Some file systems cannot reserve space.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            reserved => reserved.map_err(io::Error::from),
        }
    }

    /// Begins the next file; its name is on the disk when this returns.
    fn begin(&mut self) -> io::Result<CurrentFile> {
        self.number += 1;
        let path = self.values.path(self.number);
        let file = OpenOptions::new().read(true).append(true).create_new(true).open(&path)?;
        (&file).write_all(VALUE_FILE_MAGIC)?;
        File::open(&self.values.dir)?.sync_all()?;
        let bytes = VALUE_FILE_MAGIC.len() as u64;
        let file = Arc::new(ValueFile::new(path, self.number, file, bytes));
        self.values.change(|files| {
            files.insert(file.number, Arc::clone(&file));
        });
        let out = BufWriter::with_capacity(BUFFER_BYTES, Arc::clone(&file.file));
        Ok(CurrentFile { file, out, bytes })
    }

    /// Passes everything that was written to the operating system.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let end = self.allocated_end();
        if let Some(current) = &mut self.current {
            current.out.flush()?;
            self.is_unsynced |= end != self.end;
            current.file.bytes.store(end.bytes, Ordering::Relaxed);
            self.end = end;
        }
        Ok(())
    }

    /// Whether something that was flushed may not be on the disk yet.
    pub(crate) const fn is_unsynced(&self) -> bool {
        self.is_unsynced
    }

    /// Waits until everything that was flushed is on the disk.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if self.is_unsynced
            && let Some(current) = &self.current
        {
            current.file.file.sync_data()?;
        }
        self.is_unsynced = false;
        Ok(())
    }

    /// Closes the current file where it is full. Called between two commits: the values of one
    /// commit are in one file.
    pub(crate) fn close_full(&mut self) -> io::Result<()> {
        let full = self.file_bytes.max(self.values.disk_bytes() / FILES);
        match &self.current {
            Some(current) if current.bytes >= full => self.close(),
            _ => Ok(()),
        }
    }

    /// Closes the current file where it is one of `numbers`, which are to be deleted.
    pub(crate) fn close_one_of(&mut self, numbers: &BTreeSet<u64>) -> io::Result<()> {
        match &self.current {
            Some(current) if numbers.contains(&current.file.number) => self.close(),
            _ => Ok(()),
        }
    }

    fn close(&mut self) -> io::Result<()> {
        self.sync()?;
        self.current = None;
        Ok(())
    }

    /// Discards what was allocated since the last flush.
    pub(crate) fn discard(&mut self) {
        let Some(current) = self.current.take() else { return };
        let (file, _unwritten) = current.out.into_parts();
        if self.end.file != current.file.number {
            let bytes = VALUE_FILE_MAGIC.len() as u64;
            self.end = ValuesEnd { file: current.file.number, bytes };
        }
        let bytes = self.end.bytes;
        // What cannot be cut off stays as garbage: the end of no commit reaches it, and the next
        // commit begins a new file.
        match file.set_len(bytes) {
            Ok(()) => {
                let out = BufWriter::with_capacity(BUFFER_BYTES, file);
                self.current = Some(CurrentFile { file: current.file, out, bytes });
            }
            Err(error) => {
                let path = value(current.file.path.display());
                let error = value(error);
                log::warn!("could not truncate a value file, path={path} error={error}");
            }
        }
    }

    /// Discards a commit whose values could not be written; returns the error to answer.
    pub(crate) fn give_up(&mut self, error: &io::Error) -> StoreError {
        self.discard();
        errors::io(
            "writing values",
            format!("{}: {error}", self.values.path(self.number).display()),
        )
    }
}
