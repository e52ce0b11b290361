//! The file that a capture is written to: for its owner alone, in whole lines, and with the counts
//! of what is in it.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Lines that wait are written at this size, in bytes, and whenever nothing more has arrived.
const WAITING_BYTES: usize = 64 * 1024;

/// Whether a file has something to lose at this path: devices and pipes have not.
pub(super) fn is_taken(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() || found.is_dir())
}

/// Opens the file for its owner alone, because it has keys of documents. A device or a pipe is
/// written to as it is.
pub(super) fn open(path: &Path, force: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    match path.metadata() {
        Ok(found) if force || !(found.is_file() || found.is_dir()) => {
            let file = options.open(path)?;
            // Of what was opened: another one may be at the path by now.
            if file.metadata()?.is_file() {
                if !force {
                    return Err(ErrorKind::AlreadyExists.into());
                }
                file.set_permissions(Permissions::from_mode(0o600))?;
                file.set_len(0)?;
            }
            Ok(file)
        }
        _ => options.create_new(true).open(path),
    }
}

/// Where lines are written to.
pub(super) trait Target: Write {
    /// Takes the last `bytes` back, as far as it can.
    fn take_back(&mut self, bytes: u64) -> io::Result<()>;
}

impl Target for File {
    fn take_back(&mut self, bytes: u64) -> io::Result<()> {
        let found = self.metadata()?;
        if found.is_file() { self.set_len(found.len().saturating_sub(bytes)) } else { Ok(()) }
    }
}

/// What a line is.
#[derive(Clone, Copy)]
pub(super) enum What {
    /// A frame.
    Frame,
    /// So many frames are missing.
    Dropped(u64),
    /// Something else.
    Other,
}

/// What was written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) missing: u64,
}

/// Writes whole lines.
pub(super) struct Lines<T> {
    target: T,
    waiting: Vec<u8>,
    /// The length of each line that waits.
    lengths: Vec<(usize, What)>,
    written: Written,
}

impl<T: Target> Lines<T> {
    pub(super) fn new(target: T) -> Self {
        let (waiting, lengths) = (Vec::new(), Vec::new());
        Self { target, waiting, lengths, written: Written::default() }
    }

    /// What the target has.
    pub(super) const fn written(&self) -> &Written {
        &self.written
    }

    /// Adds a line.
    pub(super) fn add(&mut self, line: &[u8], what: What) -> io::Result<()> {
        self.waiting.extend_from_slice(line);
        self.lengths.push((line.len(), what));
        if self.waiting.len() >= WAITING_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes all lines that wait. Where that fails, the target keeps those that are whole, and the
    /// others are not counted.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let (done, result) = write(&mut self.target, &self.waiting);
        let mut whole = 0;
        for (length, what) in self.lengths.drain(..) {
            if whole + length > done {
                break;
            }
            whole += length;
            self.written.bytes += length as u64;
            match what {
                What::Frame => self.written.frames += 1,
                What::Dropped(frames) => self.written.missing += frames,
                What::Other => {}
            }
        }
        self.waiting.clear();
        if done > whole {
            self.target.take_back((done - whole) as u64)?;
        }
        result
    }
}

/// Writes all of `bytes`, or as many as it can; returns how many.
fn write(target: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut done = 0;
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        match target.write(rest) {
            Ok(0) => return (done, Err(ErrorKind::WriteZero.into())),
            Ok(count) => done += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (done, Err(error)),
        }
    }
    (done, target.flush())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileTypeExt as _;
    use std::process::Command;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_its_owners_and_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        open(&path, false).unwrap().write_all(b"old and long").unwrap();
        assert!(mode(&path) == 0o600 && is_taken(&path));
        assert_eq!(open(&path, false).unwrap_err().kind(), ErrorKind::AlreadyExists);
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        open(&path, true).unwrap().write_all(b"new").unwrap();
        assert_eq!((mode(&path), std::fs::read(&path).unwrap()), (0o600, b"new".to_vec()));
        assert!(is_taken(folder.path()) && open(folder.path(), true).is_err());
    }

    /// As root, `--force` made /dev/null a device for root alone.
    #[test]
    fn a_device_and_a_pipe_keep_their_modes() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::fs::set_permissions(&pipe, Permissions::from_mode(0o644)).unwrap();
        // Both directions, or else to open it would wait for a reader.
        let _reader = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
        for path in [pipe.as_path(), Path::new("/dev/null")] {
            let before = mode(path);
            for force in [false, true] {
                assert!(!is_taken(path));
                open(path, force).unwrap().write_all(b"x").unwrap();
            }
            assert_eq!(mode(path), before);
            let kind = std::fs::metadata(path).unwrap().file_type();
            assert!(kind.is_fifo() || kind.is_char_device());
        }
    }

    /// Has room for so many bytes.
    struct Small {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room - self.bytes.len());
            self.bytes.extend_from_slice(&bytes[..count]);
            if count == 0 { Err(ErrorKind::StorageFull.into()) } else { Ok(count) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Target for Small {
        fn take_back(&mut self, bytes: u64) -> io::Result<()> {
            self.bytes.truncate(self.bytes.len() - bytes as usize);
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_has_whole_lines_and_they_are_counted() {
        let lines: [(&[u8], What); 4] = [
            (b"first\n", What::Other),
            (b"frame one\n", What::Frame),
            (b"dropped\n", What::Dropped(3)),
            (b"frame two\n", What::Frame),
        ];
        let all: Vec<u8> = lines.iter().flat_map(|(line, _)| line.to_vec()).collect();
        for room in 0..all.len() + 2 {
            let mut out = Lines::new(Small { bytes: Vec::new(), room });
            for (line, what) in lines {
                out.add(line, what).unwrap();
            }
            assert_eq!(out.flush().is_err(), room < all.len());
            let text = String::from_utf8(out.target.bytes.clone()).unwrap();
            assert!(all.starts_with(text.as_bytes()) && (text.is_empty() || text.ends_with('\n')));
            let frames = text.matches("frame").count() as u64;
            let missing = 3 * text.matches("dropped").count() as u64;
            assert_eq!(*out.written(), Written { frames, bytes: text.len() as u64, missing });
        }
    }

    #[test]
    fn a_file_loses_its_half_line() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"whole\nhal").unwrap();
        file.as_file_mut().take_back(3).unwrap();
        assert_eq!(std::fs::read(file.path()).unwrap(), b"whole\n");
    }
}
