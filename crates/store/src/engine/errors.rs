//! Turns errors of the engine into errors of the store.

use std::fmt;
use std::io::ErrorKind;

use vbucket::StoreError;

use crate::errors::damaged;

/// A read that failed.
#[derive(Debug)]
pub(crate) struct ReadError(fjall::Error);

impl ReadError {
    /// The error of the store for it: the disk refused, or the bytes of `what` are wrong.
    pub(crate) fn of(self, what: impl FnOnce() -> String) -> StoreError {
        let system = match &self.0 {
            fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
                Some(error)
            }
            _ => None,
        };
        match system {
            Some(error) if !is_content(error.kind()) => StoreError::Io {
                doing: "reading the store",
                detail: format!("{}: {error}", what()),
            },
            _ => damaged(what(), format!("{:?}", self.0)),
        }
    }
}

impl From<fjall::Error> for ReadError {
    fn from(error: fjall::Error) -> Self {
        Self(error)
    }
}

/// A write that failed. The engine accepts no write after it, whatever the cause.
#[derive(Debug)]
pub(crate) struct WriteError(fjall::Error);

impl From<fjall::Error> for WriteError {
    fn from(error: fjall::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            fjall::Error::Poisoned => f.write_str("a flush or a compaction failed"),
            error => write!(f, "{error}"),
        }
    }
}

/// Whether an I/O error comes from damaged content: the file ends too early, or its bytes send the
/// engine to an offset or to a file that does not exist.
fn is_content(kind: ErrorKind) -> bool {
    use ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
    matches!(kind, UnexpectedEof | InvalidData | InvalidInput | NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_damaged_file_makes_of_a_read_is_damage_and_what_the_disk_says_is_not() {
        let read = |kind: ErrorKind| {
            ReadError::from(fjall::Error::Io(kind.into())).of(|| "a table".to_owned())
        };
        for kind in [ErrorKind::UnexpectedEof, ErrorKind::InvalidInput, ErrorKind::NotFound] {
            assert!(matches!(read(kind), StoreError::Damaged { .. }), "{kind}");
        }
        assert!(matches!(read(ErrorKind::PermissionDenied), StoreError::Io { .. }));
    }
}
