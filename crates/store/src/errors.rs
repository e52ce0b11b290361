//! The store's errors: damage, with what to do about it, and what the operating system refused.

use vbucket::StoreError;

/// What an operator does about damage; part of every message that reports it.
const REMEDY: &str = "this copy cannot be trusted: move the directory away and let the \
                                 vBuckets be rebuilt from a replica";

/// The bytes of `what` are not those that were written.
pub(crate) fn damaged(what: impl Into<String>, detail: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged { what: what.into(), detail: format!("{detail}; {REMEDY}") }
}

/// The operating system refused; `doing` says what was attempted.
pub(crate) fn io(doing: &'static str, error: impl std::fmt::Display) -> StoreError {
    StoreError::Io { doing, detail: error.to_string() }
}
