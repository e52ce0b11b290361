//! Skipping JSON: where values begin and end.

use std::borrow::Cow;

use memchr::memchr2;

use crate::{Fault, LEVELS_MAX};

/// The first place from `at` on that is no white space.
pub(crate) fn skip_space(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    at + rest.iter().take_while(|byte| is_space(byte)).count()
}

/// The end of the string whose opening quote is at `at`: after its closing quote.
pub(crate) fn skip_string(text: &[u8], at: usize) -> Result<usize, Fault> {
    let mut at = at + 1;
    loop {
        let rest = text.get(at..).ok_or(Fault::DocNotJson)?;
        let found = memchr2(b'"', b'\\', rest).ok_or(Fault::DocNotJson)?;
        match rest.get(found) {
            Some(b'"') => return Ok(at + found + 1),
            // An escaped quote is two bytes.
            _ => at += found + 2,
        }
    }
}

/// The end of the value at `at`, which is within as many arrays and objects.
///
/// # Errors
/// [`Fault::DocTooDeep`] where a value in it is on a level beyond [`LEVELS_MAX`].
pub(crate) fn skip_value(text: &[u8], at: usize, within: usize) -> Result<usize, Fault> {
    let (mut at, mut open) = (at, within);
    loop {
        at = skip_space(text, at);
        let byte = *text.get(at).ok_or(Fault::DocNotJson)?;
        let is_value = !matches!(byte, b']' | b'}' | b',' | b':');
        if is_value && open >= LEVELS_MAX {
            return Err(Fault::DocTooDeep);
        }
        at = match byte {
            b'{' | b'[' => {
                open += 1;
                at + 1
            }
            b'}' | b']' if open > within => {
                open -= 1;
                at + 1
            }
            b'"' => skip_string(text, at)?,
            b',' | b':' if open > within => at + 1,
            b'}' | b']' | b',' | b':' => return Err(Fault::DocNotJson),
            _ => skip_scalar(text, at),
        };
        if open == within {
            return Ok(at);
        }
    }
}

fn skip_scalar(text: &[u8], at: usize) -> usize {
    let ends = |byte: &u8| {
        matches!(
            byte,
            b',' | b'}' | b']' | b':' | b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'{' | b'['
        )
    };
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().position(ends).unwrap_or(rest.len()).max(1)
}

/// The text that stands between the quotes of a JSON string; `None` where it cannot stand there.
pub(crate) fn unquoted(json: &[u8]) -> Option<Cow<'_, str>> {
    let is_plain = json.iter().all(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20));
    if is_plain {
        return std::str::from_utf8(json).ok().map(Cow::Borrowed);
    }
    let quoted = [b"\"", json, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).ok().map(Cow::Owned)
}
