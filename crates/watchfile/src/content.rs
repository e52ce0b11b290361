//! What a file holds, as far as it is compared: a hash of its bytes, never the bytes.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

/// Bytes that are read at a time.
const READ_BYTES: usize = 64 * 1024;

/// The content of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Content {
    /// There is no file.
    Missing,
    /// It cannot be read, or is no regular file: a pipe can be read once only.
    Unreadable(ErrorKind),
    /// Length and hash of its bytes.
    Bytes(u64, u128),
}

impl Content {
    /// Reads the file as it is now.
    pub(crate) fn of(path: &Path) -> Self {
        match read(path) {
            Ok(content) => content,
            // A folder that is missing on the way, or a file in its place, is a missing file.
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => Self::Missing,
                kind => Self::Unreadable(kind),
            },
        }
    }
}

fn read(path: &Path) -> io::Result<Content> {
    // Opening a pipe waits for its other end.
    if !std::fs::metadata(path)?.is_file() {
        return Ok(Content::Unreadable(ErrorKind::Unsupported));
    }
    let mut file = File::open(path)?;
    let (mut hash, mut bytes, mut buffer) = (Xxh3::new(), 0, vec![0; READ_BYTES]);
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => return Ok(Content::Bytes(bytes, hash.digest128())),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hash.update(buffer.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_decide() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        assert_eq!(Content::of(&file), Content::Missing);
        assert_eq!(Content::of(&file.join("b")), Content::Missing);
        std::fs::write(&file, "one").unwrap();
        let one = Content::of(&file);
        assert!(matches!(one, Content::Bytes(3, _)));
        assert_eq!(Content::of(&file.join("b")), Content::Missing, "a file in place of a folder");
        std::fs::write(&file, "two").unwrap();
        assert_ne!(Content::of(&file), one);
        std::fs::write(&file, "one").unwrap();
        assert_eq!(Content::of(&file), one);
        let unsupported = Content::Unreadable(ErrorKind::Unsupported);
        assert_eq!(Content::of(folder.path()), unsupported);
        std::fs::write(&file, vec![7; 3 * READ_BYTES + 1]).unwrap();
        assert!(matches!(Content::of(&file), Content::Bytes(196_609, _)));
    }
}
