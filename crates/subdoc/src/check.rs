//! Properties that hold for every input, as functions that panic where they do not.
//!
//! Shared by the fuzz target, its corpus and the property tests. No part of the programs calls
//! them.
#![allow(clippy::missing_panics_doc, reason = "see above")]

use serde::de::IgnoredAny;

use crate::{Found, LEVELS_MAX, Lookup, Mutation, Path, lookup, mutate};

const LOOKUPS: [Lookup; 3] = [Lookup::Get, Lookup::Exists, Lookup::Count];
const MUTATIONS: [Mutation; 9] = [
    Mutation::DictAdd,
    Mutation::DictUpsert,
    Mutation::Delete,
    Mutation::Replace,
    Mutation::PushLast,
    Mutation::PushFirst,
    Mutation::Insert,
    Mutation::AddUnique,
    Mutation::Counter,
];

/// An operation in bytes: its number, whether it creates the path, the lengths of path and value,
/// then path, value and document.
pub fn operation(input: &[u8]) {
    let Some(([number, creates, path_bytes, value_bytes], rest)) = input.split_first_chunk() else {
        return;
    };
    let Some((path, rest)) = rest.split_at_checked(usize::from(*path_bytes)) else { return };
    let Some((value, document)) = rest.split_at_checked(usize::from(*value_bytes)) else { return };
    let Ok(path) = Path::parse(path) else { return };
    for what in LOOKUPS {
        looked_up(document, &path, what);
    }
    let number = usize::from(*number) % MUTATIONS.len();
    let what = MUTATIONS.get(number).copied().unwrap_or(Mutation::Counter);
    // Requests that delete or replace the whole document are refused before.
    if path.is_empty() && matches!(what, Mutation::Delete | Mutation::Replace) {
        return;
    }
    mutated(document, &path, what, value, creates % 2 == 1);
}

/// What is found is a part of the document, and JSON if that is.
fn looked_up(document: &[u8], path: &Path<'_>, what: Lookup) {
    let found = lookup(document, path, what);
    if let Ok(Found::Value(value)) = found {
        let (whole, part) = (document.as_ptr_range(), value.as_ptr_range());
        assert!(whole.start <= part.start && part.end <= whole.end, "{path:?}");
        assert!(!is_json(document) || is_json(value), "{path:?}: {}", value.escape_ascii());
    }
}

/// JSON stays JSON, and a document grows by what the request has.
fn mutated(document: &[u8], path: &Path<'_>, what: Mutation, value: &[u8], creates: bool) {
    let Ok(changed) = mutate(document, path, what, value, creates) else { return };
    let new = &changed.document;
    let about = || format!("{what:?} {path:?} {}: {}", value.escape_ascii(), new.escape_ascii());
    let grown_max = value.len() + 255 + 5 * LEVELS_MAX;
    assert!(new.len() <= document.len() + grown_max, "{}", about());
    if !is_json(document) {
        return;
    }
    assert!(is_json(new), "{}", about());
    if let Some(number) = changed.counter {
        let number = number.to_string();
        let found = lookup(new, path, Lookup::Get);
        assert_eq!(found, Ok(Found::Value(number.as_bytes())), "{}", about());
    }
    if matches!(what, Mutation::DictUpsert | Mutation::Replace | Mutation::PushLast) {
        assert_eq!(lookup(new, path, Lookup::Exists), Ok(Found::Exists), "{}", about());
    }
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}
