//! Reads a configuration file: a regular one of a sane size, so that no path can make a program
//! wait for ever or fill its memory.

use std::fs::{File, FileType};
use std::io::{self, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::problem::Problems;

/// No configuration is larger.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The content of the configuration file at `path`; `remedy` is what to do where it cannot be read.
///
/// # Errors
/// It is not there, no regular file, too large, or no UTF-8.
pub fn read(path: &Path, remedy: &str) -> Result<String, Problems> {
    let unreadable = |error: io::Error| Problems::unreadable(path, &error, remedy);
    let is_not = |what: String| Problems::whole(path, format!("{what}: {remedy}"));
    let file = open(path).map_err(unreadable)?;
    let kind = file.metadata().map_err(unreadable)?.file_type();
    if !kind.is_file() {
        return Err(is_not(format!("is {}, and no regular file", name_of(kind))));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
        return Err(is_not(format!("has more than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..at).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Problems::whole(path, format!("is no UTF-8 in line {line}: save it as UTF-8"))
    })
}

/// Opens a file without waiting for the writer of a FIFO.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

fn name_of(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a FIFO"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// What is said about the file at `path`.
    fn said(path: &Path) -> String {
        read(path, "name another")
            .unwrap_err()
            .to_string()
            .replace(&path.display().to_string(), "F")
    }

    #[test]
    fn only_a_regular_file_of_a_sane_size_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let written = |name: &str, bytes: &[u8]| -> PathBuf {
            std::fs::write(path(name), bytes).unwrap();
            path(name)
        };
        let most = vec![b'#'; usize::try_from(FILE_BYTES_MAX).unwrap()];
        assert_eq!(read(&written("most", &most), "").unwrap().len(), most.len());
        std::os::unix::fs::symlink(path("most"), path("link")).unwrap();
        assert!(read(&path("link"), "").is_ok(), "a link to a file");
        let larger = written("larger", &[&most[..], b"#"].concat());
        assert_eq!(said(&larger), "F: has more than 4 MiB: name another");
        let latin = written("latin", b"a = 1\n# \xe4\n");
        assert_eq!(said(&latin), "F: is no UTF-8 in line 2: save it as UTF-8");
        assert_eq!(said(folder.path()), "F: is a folder, and no regular file: name another");
        let device = said(Path::new("/dev/zero"));
        assert_eq!(device, "F: is a device, and no regular file: name another");
        let (fifo, kind) = (path("fifo"), rustix::fs::FileType::Fifo);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, Mode::RUSR, 0).unwrap();
        assert_eq!(said(&fifo), "F: is a FIFO, and no regular file: name another");
        let missing = said(&path("missing"));
        assert!(missing.starts_with("F: could not be read: No such file"), "{missing}");
    }
}
