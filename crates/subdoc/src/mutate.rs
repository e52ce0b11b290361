//! Changes.

use std::ops::Range;

use crate::path::{Name, Part};
use crate::place::{Item, Items, Missing, Place, find};
use crate::value::{ELEMENTS, MEMBER, check};
use crate::{Fault, Path};

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutation {
    /// Adds a member that is not there (SUBDOC_DICT_ADD).
    DictAdd,
    /// Adds or replaces a member (SUBDOC_DICT_UPSERT).
    DictUpsert,
    /// Removes a member or an element (SUBDOC_DELETE). Its value is ignored.
    Delete,
    /// Replaces what is there (SUBDOC_REPLACE).
    Replace,
    /// Appends elements to an array (SUBDOC_ARRAY_PUSH_LAST).
    PushLast,
    /// Puts elements before the first one (SUBDOC_ARRAY_PUSH_FIRST).
    PushFirst,
    /// Puts elements before the one that the path names, or at the end (SUBDOC_ARRAY_INSERT).
    Insert,
    /// Appends a number, string or literal that the array does not have (SUBDOC_ARRAY_ADD_UNIQUE).
    AddUnique,
    /// Adds to an integer, which is 0 where there is none (SUBDOC_COUNTER).
    Counter,
}

/// A changed document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mutated {
    /// Its text.
    pub document: Vec<u8>,
    /// The new value of a counter.
    pub counter: Option<i64>,
}

/// A piece of the text, and what takes its place.
struct Splice {
    at: Range<usize>,
    pieces: Vec<u8>,
}

/// Changes a document. With `creates_path`, objects that are missing on the way are made, and the
/// array of an operation on arrays.
///
/// # Errors
/// [`Fault`]. Whether an operation may have an empty path is a question of its request.
pub fn mutate(
    document: &[u8],
    path: &Path<'_>,
    what: Mutation,
    value: &[u8],
    creates_path: bool,
) -> Result<Mutated, Fault> {
    let change = Change { document, path, value, creates_path };
    let mut counter = None;
    let splice = match what {
        Mutation::DictAdd | Mutation::DictUpsert => change.member(what == Mutation::DictUpsert)?,
        Mutation::Delete => change.delete()?,
        Mutation::Replace => change.replace()?,
        Mutation::PushLast | Mutation::PushFirst => change.push(what == Mutation::PushLast)?,
        Mutation::Insert => change.insert()?,
        Mutation::AddUnique => change.add_unique()?,
        Mutation::Counter => {
            let (sum, splice) = change.count()?;
            counter = Some(sum);
            splice
        }
    };
    let Splice { at, pieces } = splice;
    let [before, after] = [document.get(..at.start), document.get(at.end..)];
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    Ok(Mutated { document: [before, &pieces, after].concat(), counter })
}

struct Change<'a> {
    document: &'a [u8],
    path: &'a Path<'a>,
    value: &'a [u8],
    creates_path: bool,
}

impl Change<'_> {
    /// In how many arrays and objects the value of the path is.
    fn within(&self) -> usize {
        self.path.parts.len()
    }

    fn is_last(&self, missing: &Missing) -> bool {
        missing.part + 1 == self.path.parts.len()
    }

    fn member(&self, replaces: bool) -> Result<Splice, Fault> {
        let Some(Part::Name(_)) = self.path.parts.last() else { return Err(Fault::PathInvalid) };
        let place = find(self.document, self.path)?;
        check(MEMBER, self.value, self.within())?;
        match place {
            Place::Found(_) if !replaces => Err(Fault::PathExists),
            Place::Found(Item { value, .. }) => {
                Ok(Splice { at: value, pieces: self.value.to_vec() })
            }
            Place::Missing(missing) => self.create(&missing, self.value, self.creates_path),
        }
    }

    fn delete(&self) -> Result<Splice, Fault> {
        let item = self.found()?;
        let after = crate::scan::skip_space(self.document, item.whole.end);
        let at = match (self.document.get(after), item.comma) {
            (Some(b','), _) => item.whole.start..after + 1,
            (_, Some(comma)) => comma..item.whole.end,
            (_, None) => item.whole,
        };
        Ok(Splice { at, pieces: Vec::new() })
    }

    fn replace(&self) -> Result<Splice, Fault> {
        let item = self.found()?;
        let is_member = matches!(self.path.parts.last(), Some(Part::Name(_)));
        check(if is_member { MEMBER } else { ELEMENTS }, self.value, self.within().max(1))?;
        Ok(Splice { at: item.value, pieces: self.value.to_vec() })
    }

    fn push(&self, is_last: bool) -> Result<Splice, Fault> {
        let place = find(self.document, self.path)?;
        check(ELEMENTS, self.value, self.within() + 1)?;
        match place {
            Place::Found(item) => {
                let others = self.array(&item)?.span()?;
                let is_document = self.path.parts.is_empty();
                Ok(match others {
                    Some(others) if is_last && is_document => self.end_with(others.end, b","),
                    None if is_last && is_document => self.end_with(item.value.start + 1, b""),
                    None => self.alone(item.value.end - 1),
                    Some(_) if is_last => self.between(item.value.end - 1, true, false),
                    Some(others) => self.between(others.start, false, true),
                })
            }
            Place::Missing(missing) => self.create_array(&missing),
        }
    }

    /// The value at the end of the array that is the whole document, whose elements end at `at`:
    /// blanks before and after the closing bracket are lost, as in kv_engine.
    fn end_with(&self, at: usize, comma: &[u8]) -> Splice {
        let pieces = [comma, self.value, b"]"].concat();
        Splice { at: at..self.document.len(), pieces }
    }

    fn insert(&self) -> Result<Splice, Fault> {
        let Some(Part::Index(index)) = self.path.parts.last() else {
            return Err(Fault::PathInvalid);
        };
        let place = find(self.document, self.path)?;
        check(ELEMENTS, self.value, self.within())?;
        match place {
            Place::Found(item) => Ok(self.between(item.whole.start, false, true)),
            Place::Missing(missing) if self.is_last(&missing) && missing.count == *index => {
                Ok(match missing.count {
                    0 => self.alone(missing.end),
                    _ => self.between(missing.end, true, false),
                })
            }
            Place::Missing(_) => Err(Fault::PathNotFound),
        }
    }

    fn add_unique(&self) -> Result<Splice, Fault> {
        let place = find(self.document, self.path)?;
        let value = self.value.trim_ascii();
        let is_one = serde_json::from_slice::<serde::de::IgnoredAny>(value).is_ok();
        if !is_one || value.starts_with(b"{") || value.starts_with(b"[") {
            return Err(Fault::ValueCannotInsert);
        }
        check(ELEMENTS, value, self.within() + 1)?;
        let item = match place {
            Place::Found(item) => item,
            Place::Missing(missing) => return self.create_array(&missing),
        };
        let mut items = self.array(&item)?;
        while let Some(next) = items.next()? {
            let end = next.skip(&mut items)?;
            let element = self.document.get(next.value..end).unwrap_or_default();
            if element.starts_with(b"{") || element.starts_with(b"[") {
                return Err(Fault::PathMismatch);
            }
            if element == value {
                return Err(Fault::PathExists);
            }
        }
        let end = item.value.end - 1;
        Ok(if items.count > 0 { self.between(end, true, false) } else { self.alone(end) })
    }

    fn count(&self) -> Result<(i64, Splice), Fault> {
        let delta = integer(self.value).ok_or(Fault::DeltaInvalid)?;
        let delta = delta.ok().filter(|delta| *delta != 0).ok_or(Fault::DeltaInvalid)?;
        match find(self.document, self.path)? {
            Place::Found(item) => {
                let text = self.document.get(item.value.clone()).unwrap_or_default();
                let number = integer(text).ok_or(Fault::PathMismatch)?;
                let number = number.map_err(|()| Fault::NumberOutOfRange)?;
                let sum = number.checked_add(delta).ok_or(Fault::ValueCannotInsert)?;
                Ok((sum, Splice { at: item.value, pieces: sum.to_string().into_bytes() }))
            }
            Place::Missing(missing) => {
                let text = delta.to_string();
                let splice = self.create(&missing, text.as_bytes(), self.creates_path)?;
                Ok((delta, splice))
            }
        }
    }

    fn found(&self) -> Result<Item, Fault> {
        match find(self.document, self.path)? {
            Place::Found(item) => Ok(item),
            Place::Missing(_) => Err(Fault::PathNotFound),
        }
    }

    fn array(&self, item: &Item) -> Result<Items<'_>, Fault> {
        let items = Items::open(self.document, item.value.start, self.within() + 1)?;
        if items.is_object { Err(Fault::PathMismatch) } else { Ok(items) }
    }

    /// The value at a place between elements, with commas where they are needed.
    fn between(&self, at: usize, comma_before: bool, comma_after: bool) -> Splice {
        let comma = |is_needed| if is_needed { &b","[..] } else { b"" };
        let pieces = [comma(comma_before), self.value, comma(comma_after)].concat();
        Splice { at: at..at, pieces }
    }

    /// The value in the place of the blanks of an empty array, which ends at `end`.
    fn alone(&self, end: usize) -> Splice {
        let before = self.document.get(..end).unwrap_or_default();
        Splice { at: before.trim_ascii_end().len()..end, pieces: self.value.to_vec() }
    }

    fn create_array(&self, missing: &Missing) -> Result<Splice, Fault> {
        if !self.creates_path {
            return Err(Fault::PathNotFound);
        }
        self.create(missing, &[b"[", self.value, b"]"].concat(), true)
    }

    /// A new member; with `all` also the objects that are missing on the way to it.
    fn create(&self, missing: &Missing, value: &[u8], all: bool) -> Result<Splice, Fault> {
        if !(all || self.is_last(missing)) {
            return Err(Fault::PathNotFound);
        }
        let parts = self.path.parts.get(missing.part..).unwrap_or_default();
        let names: Option<Vec<&Name<'_>>> = parts
            .iter()
            .map(|part| if let Part::Name(name) = part { Some(name) } else { None })
            .collect();
        let names = names.ok_or(Fault::PathNotFound)?;
        let mut pieces = Vec::new();
        if missing.count > 0 {
            pieces.push(b',');
        }
        for (at, name) in names.iter().enumerate() {
            pieces.extend_from_slice(if at > 0 { b"{\"" } else { b"\"" });
            pieces.extend_from_slice(name.json.as_bytes());
            pieces.extend_from_slice(b"\":");
        }
        pieces.extend_from_slice(value);
        pieces.resize(pieces.len() + names.len() - 1, b'}');
        Ok(Splice { at: missing.end..missing.end, pieces })
    }
}

/// An integer; `None` for what is none, an error for one that does not fit.
fn integer(text: &[u8]) -> Option<Result<i64, ()>> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_integer.then(|| text.parse().map_err(|_| ()))
}
