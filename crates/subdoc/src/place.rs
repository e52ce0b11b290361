//! Where a path leads in a document.

use std::ops::Range;

use crate::Fault;
use crate::path::{Name, Part, Path};
use crate::scan::{skip_space, skip_string, skip_value, unquoted};

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Found(Item),
    Missing(Missing),
}

/// A value that is there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) value: Range<usize>,
    /// The value with its name.
    pub(crate) whole: Range<usize>,
    /// The comma before it.
    pub(crate) comma: Option<usize>,
}

/// The array or object in which a part is missing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Which part of the path it is.
    pub(crate) part: usize,
    /// Its closing bracket.
    pub(crate) end: usize,
    /// How much it has.
    pub(crate) count: usize,
}

/// Follows a path.
///
/// # Errors
/// [`Fault::PathMismatch`], or what is wrong with the document.
pub(crate) fn find(text: &[u8], path: &Path<'_>) -> Result<Place, Fault> {
    let mut at = skip_space(text, 0);
    let (mut whole, mut comma) = (at, None);
    for (depth, part) in path.parts.iter().enumerate() {
        let mut items = Items::open(text, at, depth + 1)?;
        let is_object = items.is_object;
        if is_object != matches!(part, Part::Name(_)) {
            return Err(Fault::PathMismatch);
        }
        let mut found = None;
        while let Some(item) = items.next()? {
            let is_it = match part {
                Part::Name(name) => item.is_named(text, name),
                Part::Index(index) => items.count - 1 == *index,
                Part::Last => false,
            };
            if is_it {
                found = Some(item);
                break;
            }
            item.skip(&mut items)?;
            if *part == Part::Last {
                found = Some(item);
            }
        }
        let Some(item) = found else {
            let Items { at: end, count, .. } = items;
            return Ok(Place::Missing(Missing { part: depth, end, count }));
        };
        (at, whole, comma) = (item.value, item.start, item.comma);
    }
    let end = skip_value(text, at, path.parts.len())?;
    Ok(Place::Found(Item { value: at..end, whole: whole..end, comma }))
}

/// The members of an object, or the elements of an array.
pub(crate) struct Items<'a> {
    text: &'a [u8],
    /// Where the next one may begin; at the end the closing bracket.
    at: usize,
    /// In how many arrays and objects they are.
    within: usize,
    pub(crate) is_object: bool,
    /// How many were returned.
    pub(crate) count: usize,
}

/// One of them, whose value has not been skipped.
#[derive(Clone, Copy)]
pub(crate) struct Next {
    /// Its name, or its value in an array.
    start: usize,
    /// The end of its name.
    name_end: usize,
    pub(crate) value: usize,
    comma: Option<usize>,
}

impl<'a> Items<'a> {
    /// Those of the value at `at`.
    pub(crate) fn open(text: &'a [u8], at: usize, within: usize) -> Result<Self, Fault> {
        let is_object = match text.get(at) {
            Some(b'{') => true,
            Some(b'[') => false,
            Some(_) => return Err(Fault::PathMismatch),
            None => return Err(Fault::DocNotJson),
        };
        Ok(Self { text, at: at + 1, within, is_object, count: 0 })
    }

    /// How many there are in all, those that were returned included.
    pub(crate) fn count_all(&mut self) -> Result<usize, Fault> {
        while let Some(next) = self.next()? {
            next.skip(self)?;
        }
        Ok(self.count)
    }

    /// Where they are, from the first to the last; `None` if there are none. Of those that were not
    /// returned.
    pub(crate) fn span(&mut self) -> Result<Option<Range<usize>>, Fault> {
        let mut span: Option<Range<usize>> = None;
        while let Some(next) = self.next()? {
            let end = next.skip(self)?;
            span = Some(span.map_or(next.start, |span| span.start)..end);
        }
        Ok(span)
    }

    /// The next one; its value must be skipped before there is another one.
    pub(crate) fn next(&mut self) -> Result<Option<Next>, Fault> {
        let (text, close) = (self.text, if self.is_object { b'}' } else { b']' });
        let mut at = skip_space(text, self.at);
        let mut comma = None;
        match text.get(at) {
            Some(byte) if *byte == close => {
                self.at = at;
                return Ok(None);
            }
            Some(b',') if self.count > 0 => {
                comma = Some(at);
                at = skip_space(text, at + 1);
            }
            Some(_) if self.count == 0 => {}
            _ => return Err(Fault::DocNotJson),
        }
        let (start, mut name_end) = (at, at);
        if self.is_object {
            if text.get(at) != Some(&b'"') {
                return Err(Fault::DocNotJson);
            }
            name_end = skip_string(text, at)?;
            at = skip_space(text, name_end);
            if text.get(at) != Some(&b':') {
                return Err(Fault::DocNotJson);
            }
            at = skip_space(text, at + 1);
        }
        self.count += 1;
        Ok(Some(Next { start, name_end, value: at, comma }))
    }
}

impl Next {
    /// Skips its value; returns where that ends.
    pub(crate) fn skip(&self, items: &mut Items<'_>) -> Result<usize, Fault> {
        items.at = skip_value(items.text, self.value, items.within)?;
        Ok(items.at)
    }

    fn is_named(&self, text: &[u8], name: &Name<'_>) -> bool {
        let json = text.get(self.start + 1..self.name_end - 1).unwrap_or_default();
        json == name.json.as_bytes() || unquoted(json).is_some_and(|text| text == name.text)
    }
}
