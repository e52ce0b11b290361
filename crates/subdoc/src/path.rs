//! Paths.

use std::borrow::Cow;

use crate::scan::unquoted;
use crate::{Fault, PARTS_MAX, PATH_BYTES_MAX};

/// One part of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Part<'a> {
    /// A member of an object.
    Name(Name<'a>),
    /// An element of an array, from 0.
    Index(usize),
    /// The last element of an array.
    Last,
}

/// The name of a member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Name<'a> {
    /// As it stands in JSON, between quotes.
    pub(crate) json: Cow<'a, str>,
    /// What it means.
    pub(crate) text: Cow<'a, str>,
}

/// A path: `a.b[0].c`. A part within backticks may have dots and brackets, and two backticks for
/// one. `[-1]` is the last element. The empty path is the whole document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path<'a> {
    pub(crate) parts: Vec<Part<'a>>,
}

impl<'a> Path<'a> {
    /// Reads a path.
    ///
    /// # Errors
    /// [`Fault::PathInvalid`], and [`Fault::PathTooDeep`] for more than [`PARTS_MAX`] parts.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut rest = std::str::from_utf8(bytes).map_err(|_| Fault::PathInvalid)?;
        if rest.len() > PATH_BYTES_MAX {
            return Err(Fault::PathInvalid);
        }
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let (part, tail) = part(rest)?;
            if parts.len() == PARTS_MAX {
                return Err(Fault::PathTooDeep);
            }
            parts.push(part);
            rest = match tail.strip_prefix('.') {
                Some(after) if after.starts_with(['.', '[']) => return Err(Fault::PathInvalid),
                Some(after) => after,
                None if tail.is_empty() || tail.starts_with('[') => tail,
                None => return Err(Fault::PathInvalid),
            };
        }
        Ok(Self { parts })
    }

    /// Whether it is the whole document.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

/// The first part, and what follows it.
fn part(text: &str) -> Result<(Part<'_>, &str), Fault> {
    if let Some(index) = text.strip_prefix('[') {
        let (index, tail) = index.split_once(']').ok_or(Fault::PathInvalid)?;
        return Ok((self::index(index)?, tail));
    }
    let (json, tail) = match text.strip_prefix('`') {
        Some(quoted) => backticks(quoted)?,
        None => {
            let end = text.find(['.', '[', ']', '`']).unwrap_or(text.len());
            let (name, tail) = text.split_at(end);
            (Cow::Borrowed(name), tail)
        }
    };
    if json.is_empty() && !text.starts_with('`') {
        return Err(Fault::PathInvalid);
    }
    let text = match unquoted(json.as_bytes()).ok_or(Fault::PathInvalid)? {
        Cow::Borrowed(_) => json.clone(),
        Cow::Owned(text) => Cow::Owned(text),
    };
    Ok((Part::Name(Name { json, text }), tail))
}

fn index(digits: &str) -> Result<Part<'static>, Fault> {
    if digits == "-1" {
        return Ok(Part::Last);
    }
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::PathInvalid);
    }
    // No array has so many elements as do not fit.
    Ok(Part::Index(digits.parse().unwrap_or(usize::MAX)))
}

/// A name up to its closing backtick, and what follows that.
fn backticks(text: &str) -> Result<(Cow<'_, str>, &str), Fault> {
    let (mut name, mut rest) = (Cow::Borrowed(""), text);
    loop {
        let (before, after) = rest.split_once('`').ok_or(Fault::PathInvalid)?;
        name += before;
        match after.strip_prefix('`') {
            Some(tail) => {
                name += "`";
                rest = tail;
            }
            None => return Ok((name, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str) -> Result<String, Fault> {
        let path = Path::parse(path.as_bytes())?;
        let parts = path.parts.iter().map(|part| match part {
            Part::Name(name) => format!("({})", name.text),
            Part::Index(index) => format!("<{index}>"),
            Part::Last => "<last>".to_owned(),
        });
        Ok(parts.collect())
    }

    #[test]
    fn parts_are_names_and_indexes() {
        for (path, parts) in [
            ("", ""),
            ("a", "(a)"),
            ("a.", "(a)"),
            ("a.b[0].c", "(a)(b)<0>(c)"),
            ("[1][-1]", "<1><last>"),
            ("a[01]", "(a)<1>"),
            ("`dot.ted`.`a[0]`", "(dot.ted)(a[0])"),
            ("`bt``k`", "(bt`k)"),
            ("``", "()"),
            ("a . b", "(a )( b)"),
            ("a\\u0062\\\"", "(ab\")"),
            ("a[99999999999999999999]", "(a)<18446744073709551615>"),
        ] {
            assert_eq!(parsed(path).as_deref(), Ok(parts), "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in [
            ".a", "a..b", "a[", "a[x]", "a]", "`a", "a[+1]", "\"a\"", "a[-2]", "a[]", "a[0]b",
            "a.[0]", ".", "a`b`", "`a`b", "a\\", "a\n", "a\\x",
        ] {
            assert_eq!(parsed(path), Err(Fault::PathInvalid), "{path}");
        }
        assert_eq!(Path::parse(b"\xff"), Err(Fault::PathInvalid));
        assert_eq!(parsed(&"a".repeat(PATH_BYTES_MAX)).map(|it| it.len()), Ok(PATH_BYTES_MAX + 2));
        assert_eq!(parsed(&"a".repeat(PATH_BYTES_MAX + 1)), Err(Fault::PathInvalid));
        assert!(parsed(&["a"; PARTS_MAX].join(".")).is_ok());
        assert_eq!(parsed(&["a"; PARTS_MAX + 1].join(".")), Err(Fault::PathTooDeep));
    }
}
