//! Where lines go: a buffer before standard output or the standard input of a command. Large pieces
//! pass it by, so that no second copy of a value is made.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::fs::{OFlags, fcntl_getfl};

/// A piece from this size on is written by itself.
const LARGE_BYTES: usize = 64 * 1024;
/// So much is written at a time: what a pipe holds, so that an end is seen before the next one.
const PIECE_BYTES: usize = 64 * 1024;
/// The buffer is written once it has so much: some pipes full.
const FULL_BYTES: usize = 256 * 1024;

/// One byte of a frame becomes so many at most: an escape such as `\u0001`.
const GROWTH_MAX: usize = 6;
/// The names of the fields of a line, and its numbers, are less.
const FIELDS_BYTES: usize = 1024;

/// Whether the line of a frame of this size may be written in part before all of it was made.
pub(super) const fn is_large(frame_bytes: usize) -> bool {
    frame_bytes.saturating_mul(GROWTH_MAX) >= LARGE_BYTES - FIELDS_BYTES
}

/// See the module.
pub(super) struct Output {
    sink: Sink,
    buffer: Vec<u8>,
}

/// The file, and where it stands.
struct Sink {
    file: File,
    /// The bytes that `write` has taken.
    taken: u64,
    /// Whether they end within a line.
    is_within_line: bool,
    /// No more lines are to be begun.
    stop: Arc<AtomicBool>,
    /// Whether lines were dropped because of that.
    has_stopped: bool,
}

impl Output {
    pub(super) fn new(file: File, stop: Arc<AtomicBool>) -> Self {
        let sink = Sink { file, taken: 0, is_within_line: false, stop, has_stopped: false };
        Self { sink, buffer: Vec::with_capacity(FULL_BYTES + LARGE_BYTES) }
    }

    /// The bytes that were taken.
    pub(super) const fn taken(&self) -> u64 {
        self.sink.taken
    }

    /// The bytes that were given to it.
    pub(super) fn given(&self) -> u64 {
        self.sink.taken + self.buffer.len() as u64
    }

    /// Where a line is appended that is not [large](is_large).
    pub(super) const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= FULL_BYTES
    }

    /// Whether what was taken ends within a line.
    pub(super) const fn is_within_line(&self) -> bool {
        self.sink.is_within_line
    }

    /// Whether the last error says that no more lines are to be begun.
    pub(super) const fn has_stopped(&self) -> bool {
        self.sink.has_stopped
    }

    pub(super) const fn file(&self) -> &File {
        &self.sink.file
    }
}

impl Sink {
    /// Writes all of it; once it is to stop, up to the end of the line that was begun.
    fn pass(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut piece = bytes.get(..PIECE_BYTES).unwrap_or(bytes);
            if self.stop.load(Relaxed) {
                if !self.is_within_line {
                    self.has_stopped = true;
                    return Err(io::Error::other("no more lines are begun"));
                }
                let end = piece.iter().position(|byte| *byte == b'\n');
                piece = end.and_then(|end| piece.get(..=end)).unwrap_or(piece);
            }
            match self.file.write(piece) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.taken += written as u64;
                    let last = piece.get(..written).and_then(<[u8]>::last);
                    self.is_within_line = last != Some(&b'\n');
                    bytes = bytes.get(written..).unwrap_or_default();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Write for Output {
    #[inline]
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if piece.len() < LARGE_BYTES {
            if self.buffer.len() + piece.len() > self.buffer.capacity() {
                self.flush()?;
            }
            self.buffer.extend_from_slice(piece);
        } else {
            self.flush()?;
            self.sink.pass(piece)?;
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let passed = self.sink.pass(&self.buffer);
        self.buffer.clear();
        passed
    }
}

/// Ends the line at the end of a file that is appended to: an earlier run that was killed, or had
/// no room on the disk, may have left half of one.
///
/// # Errors
/// That of the file.
pub(super) fn end_line(mut file: &File) -> io::Result<()> {
    let metadata = file.metadata()?;
    let length = metadata.len();
    if !metadata.is_file() || length == 0 || !fcntl_getfl(file)?.contains(OFlags::APPEND) {
        return Ok(());
    }
    // It is open for writing alone. One that may not be read stays as it is.
    let Ok(again) = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())) else {
        return Ok(());
    };
    let mut last = [0];
    again.read_exact_at(&mut last, length - 1)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn pieces_of_every_size_keep_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut output = Output::new(File::create(&path).unwrap(), Arc::default());
        let mut expected = Vec::new();
        for size in [1, 10, LARGE_BYTES - 1, LARGE_BYTES, 3, 1_000_000, 7, FULL_BYTES] {
            let piece = vec![(size % 251) as u8; size];
            output.write_all(&piece).unwrap();
            expected.extend(piece);
            assert_eq!(output.given(), expected.len() as u64);
            assert!(output.taken() <= output.given());
        }
        output.flush().unwrap();
        assert_eq!((output.taken(), output.given()), (expected.len() as u64, output.given()));
        let mut found = Vec::new();
        File::open(&path).unwrap().read_to_end(&mut found).unwrap();
        assert!(found == expected);
    }

    #[test]
    fn a_line_that_was_begun_is_finished_and_no_other_is_begun() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let stop = Arc::new(AtomicBool::new(false));
        let mut output = Output::new(File::create(&path).unwrap(), Arc::clone(&stop));
        let begun = vec![b'x'; LARGE_BYTES];
        output.write_all(b"{").unwrap();
        output.write_all(&begun).unwrap();
        assert!(output.is_within_line());
        stop.store(true, Relaxed);
        output.write_all(b"}\n{}\n").unwrap();
        output.flush().unwrap_err();
        assert!(output.has_stopped() && !output.is_within_line());
        output.write_all(&begun).unwrap_err();
        let expected = [b"{", &begun[..], b"}\n"].concat();
        assert_eq!(output.taken(), expected.len() as u64);
        assert!(std::fs::read(&path).unwrap() == expected);
    }

    #[test]
    fn half_a_line_that_is_appended_to_is_ended_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        for (text, expected) in [("", ""), ("{}\n", "{}\n"), ("{}\n{\"a", "{}\n{\"a\n")] {
            std::fs::write(&path, text).unwrap();
            end_line(&File::options().append(true).open(&path).unwrap()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        }
        std::fs::write(&path, "{").unwrap();
        end_line(&File::options().write(true).open(&path).unwrap()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{", "it is not appended to");
    }
}
