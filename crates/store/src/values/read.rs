//! Reading values: every byte is compared with the checksum that its row has.

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};
use vbucket::StoreError;

use super::{End, Files, HEAD_BYTES, MAGIC, Place, ValueFile, Values, value_crc};
use crate::errors::{damaged, io};

/// How much a scan reads at once, at first and at most, where its values lie behind each other, as
/// they do in a copy of a node. It reads more while it needs most of what it reads, and else less.
const WINDOW_BYTES_MIN: usize = 8 << 10;
const WINDOW_BYTES_MAX: usize = 256 << 10;

/// Reads values of the files that it holds, one or many.
pub(crate) struct Reader {
    files: Files,
    window: Option<Window>,
    /// The size of the next window.
    window_bytes: usize,
    /// Where the last value ended.
    last: End,
}

/// A piece of a file in memory.
struct Window {
    file: u64,
    from: u64,
    bytes: Bytes,
    /// What was needed of it.
    used_bytes: usize,
}

impl Window {
    fn get(&mut self, place: Place) -> Option<Bytes> {
        let from = usize::try_from(place.at.checked_sub(self.from)?).ok()?;
        let to = from.checked_add(place.len as usize)?;
        if self.file != place.file || to > self.bytes.len() {
            return None;
        }
        self.used_bytes += to - from;
        Some(self.bytes.slice(from..to))
    }

    /// Whether it was worth its size.
    const fn was_needed(&self) -> bool {
        self.used_bytes * 2 >= self.bytes.len()
    }
}

impl Reader {
    pub(crate) const fn new(files: Files) -> Self {
        Self {
            files,
            window: None,
            window_bytes: WINDOW_BYTES_MIN,
            last: End { file: 0, bytes: 0 },
        }
    }

    /// The value at `place`; it shares memory with its neighbours where values lie in order.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where the file has other bytes or none, [`StoreError::Io`] where the
    /// disk refuses.
    pub(crate) fn read(&mut self, place: Place) -> Result<Bytes, StoreError> {
        let found = self.window.as_mut().and_then(|window| window.get(place));
        let value = match found {
            Some(value) => value,
            None => self.fetch(place)?,
        };
        self.last = End { file: place.file, bytes: place.at + u64::from(place.len) };
        if value_crc(place.len, &value) == place.crc {
            return Ok(value);
        }
        let what = self.files.get(&place.file).map(|file| file.path.display().to_string());
        let flaw = format!("at byte {}: the checksum of a value does not match", place.at);
        Err(damaged(what.unwrap_or_default(), flaw))
    }

    fn fetch(&mut self, place: Place) -> Result<Bytes, StoreError> {
        let Place { file: number, at, len, .. } = place;
        let Some(file) = self.files.get(&number) else {
            return Err(damaged(format!("the file of values {number}"), "it is missing"));
        };
        let len = len as usize;
        let gap = at.checked_sub(self.last.bytes);
        let is_near = gap.is_some_and(|gap| gap < self.window_bytes as u64);
        if self.last.file != number || !is_near || len >= WINDOW_BYTES_MAX {
            return file.read(at, len);
        }
        self.window_bytes = match &self.window {
            Some(window) if window.was_needed() => WINDOW_BYTES_MAX.min(self.window_bytes * 2),
            Some(_) => WINDOW_BYTES_MIN.max(self.window_bytes / 2),
            None => WINDOW_BYTES_MIN,
        };
        let there = usize::try_from(file.bytes().saturating_sub(at)).unwrap_or(usize::MAX);
        let bytes = file.read(at, there.min(self.window_bytes).max(len))?;
        let value = bytes.slice(..len);
        self.window = Some(Window { file: number, from: at, bytes, used_bytes: len });
        Ok(value)
    }
}

impl ValueFile {
    fn read(&self, at: u64, len: usize) -> Result<Bytes, StoreError> {
        // A place that was read from a table has a checksum of its own: its length can be trusted.
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let next = at + bytes.len() as u64;
            match pread(&*self.file, spare_capacity(&mut bytes), next) {
                Ok(0) => {
                    let flaw = format!("it ends before byte {}", at + len as u64);
                    return Err(damaged(self.path.display().to_string(), flaw));
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    let text = format!("{}: {error}", self.path.display());
                    return Err(io("reading a value", text));
                }
            }
        }
        // The allocator may have given room for more, which was read too.
        bytes.truncate(len);
        Ok(bytes.into())
    }

    /// Whether the values from `from` to `to` are all there.
    fn is_whole(&self, from: u64, to: u64) -> bool {
        let mut at = from;
        while at < to {
            let Ok(head) = self.read(at, HEAD_BYTES) else { return false };
            let [len, crc] = *head.as_chunks::<4>().0 else { return false };
            let [len, crc] = [len, crc].map(u32::from_be_bytes);
            at += HEAD_BYTES as u64;
            if u64::from(len) > to.saturating_sub(at) {
                return false;
            }
            let Ok(value) = self.read(at, len as usize) else { return false };
            if value_crc(len, &value) != crc {
                return false;
            }
            at += u64::from(len);
        }
        at == to
    }
}

impl Values {
    /// Whether the values of a commit are there, which begin at `from` or in a file of their own.
    pub(crate) fn are_whole(&self, from: End, to: End) -> bool {
        let start = if from.file == to.file { from.bytes } else { 0 };
        let start = start.max(MAGIC.len() as u64);
        if to.bytes <= start {
            return true;
        }
        self.with(|files| files.get(&to.file).is_some_and(|file| file.is_whole(start, to.bytes)))
    }

    /// Waits until all files are on the disk: a killed process leaves what the system has not
    /// written yet, and from now on it counts as there.
    pub(crate) fn sync_newest(&self) -> Result<(), StoreError> {
        self.with(|files| match files.values().next_back() {
            Some(newest) => newest.file.sync_data().map_err(|error| {
                io("syncing values", format!("{}: {error}", newest.path.display()))
            }),
            None => Ok(()),
        })
    }
}
