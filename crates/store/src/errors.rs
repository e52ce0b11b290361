//! What the engine says, in the words of the store's interface.

use std::io::ErrorKind;

use vbucket::StoreError;

/// What an operator does about damage; part of every message that reports it.
const REMEDY: &str = "this copy cannot be trusted: move the directory away and let the \
                                 vBuckets be rebuilt from a replica";

pub(crate) fn damaged(what: impl Into<String>, detail: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged { what: what.into(), detail: format!("{detail}; {REMEDY}") }
}

pub(crate) fn io(doing: &'static str, error: impl std::fmt::Display) -> StoreError {
    StoreError::Io { doing, detail: error.to_string() }
}

/// An error while `what` was read: either the disk refused, or the bytes are wrong.
pub(crate) fn reading(what: impl FnOnce() -> String, error: &fjall::Error) -> StoreError {
    let system = match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => Some(error),
        _ => None,
    };
    match system {
        Some(error) if !is_content(error.kind()) => {
            StoreError::Io { doing: "reading the store", detail: format!("{}: {error}", what()) }
        }
        _ => damaged(what(), format!("{error:?}")),
    }
}

/// What a damaged file makes of a read: it ends too early, is nonsense, or sends the engine to a
/// place that no file has.
fn is_content(kind: ErrorKind) -> bool {
    use ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
    matches!(kind, UnexpectedEof | InvalidData | InvalidInput | NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_damaged_file_makes_of_a_read_is_damage_and_what_the_disk_says_is_not() {
        let read =
            |kind: ErrorKind| reading(|| "a table".to_owned(), &fjall::Error::Io(kind.into()));
        for kind in [ErrorKind::UnexpectedEof, ErrorKind::InvalidInput, ErrorKind::NotFound] {
            assert!(matches!(read(kind), StoreError::Damaged { .. }), "{kind}");
        }
        assert!(matches!(read(ErrorKind::PermissionDenied), StoreError::Io { .. }));
    }
}
