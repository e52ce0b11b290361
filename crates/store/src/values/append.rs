//! Appending values: one file at a time, by the one writer of the store.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use vbucket::{Change, StoreError};

use super::{APART_BYTES, End, HEAD_BYTES, MAGIC, Place, ValueFile, Values, value_crc};
use crate::errors;

/// What is handed to the system at once. Larger values go there by themselves, without a copy.
const BUFFER_BYTES: usize = 256 << 10;
/// A file grows to this part of all values where that is more than the least: so many files, or
/// twice as many while some are mostly garbage, are open at once.
const FILES: u64 = 128;

/// See the module.
#[derive(Debug)]
pub(crate) struct Appender {
    values: Arc<Values>,
    /// The size at which a file is full.
    file_bytes: u64,
    /// Of the last file that was begun.
    number: u64,
    open: Option<Open>,
    end: End,
    unsynced: bool,
}

/// The file that is being written.
#[derive(Debug)]
struct Open {
    file: Arc<ValueFile>,
    out: BufWriter<Arc<File>>,
    /// Its length with all that is in the buffer.
    bytes: u64,
}

impl Appender {
    /// Goes on behind `end`, in a file of its own.
    pub(crate) fn new(values: Arc<Values>, file_bytes: u64, end: End) -> Self {
        let last = values.with(|files| files.keys().next_back().copied());
        let number = last.unwrap_or(0).max(end.file);
        Self { values, file_bytes, number, open: None, end, unsynced: false }
    }

    /// Says of each change where its value will be, if that is large enough to lie apart: once it
    /// is written ([`Appender::write_all`]) and flushed.
    pub(crate) fn place_all(&mut self, changes: &[Change]) -> io::Result<Vec<Option<Place>>> {
        let values = changes.iter().map(|change| &change.row.value);
        values
            .map(|value| (value.len() >= APART_BYTES).then(|| self.place(value)).transpose())
            .collect()
    }

    /// Writes the values that have places. After an error nothing of the commit may stay:
    /// [`Appender::give_up`].
    pub(crate) fn write_all(
        &mut self,
        changes: &[Change],
        places: &[Option<Place>],
    ) -> io::Result<()> {
        for (change, place) in changes.iter().zip(places) {
            if let Some(place) = place {
                self.write(&change.row.value, *place)?;
            }
        }
        Ok(())
    }

    /// Adds a single value.
    pub(crate) fn append(&mut self, value: &[u8]) -> io::Result<Place> {
        let place = self.place(value)?;
        self.write(value, place).map(|()| place)
    }

    fn place(&mut self, value: &[u8]) -> io::Result<Place> {
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let begun = self.begin()?;
                self.open.insert(begun)
            }
        };
        let len = u32::try_from(value.len()).map_err(io::Error::other)?;
        let at = open.bytes + HEAD_BYTES as u64;
        open.bytes = at + u64::from(len);
        Ok(Place { file: open.file.number, at, len, crc: value_crc(len, value) })
    }

    fn write(&mut self, value: &[u8], place: Place) -> io::Result<()> {
        let closed = || io::Error::other("the file of values is closed");
        let open = self.open.as_mut().ok_or_else(closed)?;
        open.out.write_all(&place.len.to_be_bytes())?;
        open.out.write_all(&place.crc.to_be_bytes())?;
        open.out.write_all(value)
    }

    /// How far the values reach that have places.
    pub(crate) fn placed(&self) -> End {
        let open = self.open.as_ref();
        open.map_or(self.end, |open| End { file: open.file.number, bytes: open.bytes })
    }

    /// Takes the room on the disk for what has places and is not written yet: to learn that there
    /// is none while nothing depends on it.
    pub(crate) fn reserve(&self) -> io::Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        let from = if self.end.file == open.file.number { self.end.bytes } else { 0 };
        let reserved = rustix::fs::fallocate(
            &*open.file.file,
            FallocateFlags::KEEP_SIZE,
            from,
            open.bytes.saturating_sub(from).max(1),
        );
        match reserved {
            // Not every file system can.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            reserved => reserved.map_err(io::Error::from),
        }
    }

    /// Begins the next file; its name is on the disk when this returns.
    fn begin(&mut self) -> io::Result<Open> {
        self.number += 1;
        let path = self.values.path(self.number);
        let file = OpenOptions::new().read(true).append(true).create_new(true).open(&path)?;
        (&file).write_all(MAGIC)?;
        File::open(&self.values.dir)?.sync_all()?;
        let bytes = MAGIC.len() as u64;
        let file = Arc::new(ValueFile::new(path, self.number, file, bytes));
        self.values.change(|files| {
            files.insert(file.number, Arc::clone(&file));
        });
        let out = BufWriter::with_capacity(BUFFER_BYTES, Arc::clone(&file.file));
        Ok(Open { file, out, bytes })
    }

    /// Hands everything that was written to the system; says how far it reaches.
    pub(crate) fn flush(&mut self) -> io::Result<End> {
        let end = self.placed();
        if let Some(open) = &mut self.open {
            open.out.flush()?;
            self.unsynced |= end != self.end;
            open.file.bytes.store(end.bytes, Ordering::Relaxed);
            self.end = end;
        }
        Ok(end)
    }

    /// Whether something that was flushed may not be on the disk yet.
    pub(crate) const fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    /// Waits until everything that was flushed is on the disk.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if self.unsynced
            && let Some(open) = &self.open
        {
            open.file.file.sync_data()?;
        }
        self.unsynced = false;
        Ok(())
    }

    /// Closes a file that is full. Between two commits: the values of one are in one file.
    pub(crate) fn close_full(&mut self) -> io::Result<()> {
        let full = self.file_bytes.max(self.values.disk_bytes() / FILES);
        match &self.open {
            Some(open) if open.bytes >= full => self.close(),
            _ => Ok(()),
        }
    }

    /// Closes the file where it is one of `numbers`, whose space is to be given back.
    pub(crate) fn close_one_of(&mut self, numbers: &BTreeSet<u64>) -> io::Result<()> {
        match &self.open {
            Some(open) if numbers.contains(&open.file.number) => self.close(),
            _ => Ok(()),
        }
    }

    fn close(&mut self) -> io::Result<()> {
        self.sync()?;
        self.open = None;
        Ok(())
    }

    /// Forgets what was appended since the last flush; what is left of it in the file is garbage.
    pub(crate) fn discard(&mut self) {
        let Some(open) = self.open.take() else { return };
        let (file, _unwritten) = open.out.into_parts();
        if self.end.file != open.file.number {
            self.end = End { file: open.file.number, bytes: MAGIC.len() as u64 };
        }
        let cut = self.end.bytes;
        // What cannot be cut off stays as garbage, behind what any commit reaches.
        match file.set_len(cut) {
            Ok(()) => {
                let out = BufWriter::with_capacity(BUFFER_BYTES, file);
                self.open = Some(Open { file: open.file, out, bytes: cut });
            }
            Err(error) => {
                log::warn!("could not cut off {}, error={error}", open.file.path.display());
            }
        }
    }

    /// Forgets a commit whose values could not be written, and says why.
    pub(crate) fn give_up(&mut self, error: &io::Error) -> StoreError {
        self.discard();
        errors::io(
            "writing values",
            format!("{}: {error}", self.values.path(self.number).display()),
        )
    }
}
