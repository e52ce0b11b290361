//! Look-ups.

use crate::place::{Items, Place, find};
use crate::{Fault, Path};

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// The value (SUBDOC_GET).
    Get,
    /// Whether there is one (SUBDOC_EXISTS).
    Exists,
    /// How many elements or members it has (SUBDOC_GET_COUNT).
    Count,
}

/// What was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found<'a> {
    /// The text of the value, of [`Lookup::Get`].
    Value(&'a [u8]),
    /// There is one, of [`Lookup::Exists`].
    Exists,
    /// So many, of [`Lookup::Count`].
    Count(usize),
}

/// Looks up what is at a path.
///
/// # Errors
/// [`Fault`]
pub fn lookup<'a>(document: &'a [u8], path: &Path<'_>, what: Lookup) -> Result<Found<'a>, Fault> {
    let Place::Found(item) = find(document, path)? else { return Err(Fault::PathNotFound) };
    match what {
        Lookup::Get => document.get(item.value).map(Found::Value).ok_or(Fault::DocNotJson),
        Lookup::Exists => Ok(Found::Exists),
        Lookup::Count => {
            let mut items = Items::open(document, item.value.start, path.parts.len() + 1)?;
            items.count_all().map(Found::Count)
        }
    }
}
