//! Values of log lines: cut to a length, and quoted where they need it.

use std::fmt::{self, Display, Write};

/// The longest value, in bytes, quotes and the mark of a cut aside. Peers choose names, and errors
/// may list a thousand vBuckets.
const VALUE_BYTES_MAX: usize = 1024;
/// Stands where a text was cut.
const CUT: &str = "...";

/// A value as it stands in a log line; made by [`value`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Value(String);

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns `text` as a value of a log line: bare if it is one plain word, else in quotes with
/// escapes, and cut after 1,024 bytes.
#[must_use]
pub fn value(text: impl Display) -> Value {
    let text = capped(text, VALUE_BYTES_MAX);
    // What reads as a number would lose its type in JSON.
    if is_bare(&text) && !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Value(text);
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    push_escaped(&mut quoted, &text, VALUE_BYTES_MAX);
    quoted.push('"');
    Value(quoted)
}

/// Whether `text` is a value without quotes: not empty, no space, no quote, nothing to escape.
#[must_use]
pub fn is_bare(text: &str) -> bool {
    let needs_quotes = |c: char| c.is_whitespace() || matches!(c, '"' | '=' | '\\') || is_hidden(c);
    !text.is_empty() && !text.contains(needs_quotes)
}

/// Returns at most `max` bytes of `text`, with a mark where it was cut. What comes after them is
/// not even formatted: a peer may have sent megabytes.
pub fn capped(text: impl Display, max: usize) -> String {
    let mut room = Room { text: String::new(), max };
    if write!(room, "{text}").is_err() {
        room.text.push_str(CUT);
    }
    room.text
}

struct Room {
    text: String,
    max: usize,
}

impl Write for Room {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = self.max.saturating_sub(self.text.len());
        let (fits, rest) = part.split_at(part.floor_char_boundary(room));
        self.text.push_str(fits);
        if rest.is_empty() { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Appends `text` with the escapes of JSON, which logfmt shares, in at most `max` bytes and the
/// mark of a cut. Control characters and invisible ones, which could forge a line or reverse the
/// reading direction of a terminal, become `\u....`.
pub fn push_escaped(out: &mut String, text: &str, max: usize) {
    let end = out.len() + max;
    for char in text.chars() {
        let before = out.len();
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            char if is_hidden(char) => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    // Writing to a string does not fail.
                    _ = write!(out, "\\u{unit:04x}");
                }
            }
            char => out.push(char),
        }
        if out.len() > end {
            out.truncate(before);
            out.push_str(CUT);
            return;
        }
    }
}

/// Whether a character is not seen, or changes how what follows is seen.
fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_are_bare_and_all_else_is_quoted() {
        let cases = [
            ("alpha", "alpha"),
            ("127.0.0.1:11210", "127.0.0.1:11210"),
            ("vb:7:\u{b5}", "vb:7:\u{b5}"),
            ("", r#""""#),
            ("12", r#""12""#),
            ("two words", r#""two words""#),
            ("a=b", r#""a=b""#),
            (r#"a "b" \c"#, r#""a \"b\" \\c""#),
            ("a\nb\r\tc", r#""a\nb\r\tc""#),
            ("\u{1b}[31m\0\u{7f}\u{9b}1m", r#""\u001b[31m\u0000\u007f\u009b1m""#),
            ("\u{202e}abc\u{2066}\u{e0001}", r#""\u202eabc\u2066\udb40\udc01""#),
        ];
        for (text, expected) in cases {
            assert_eq!(value(text).to_string(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_value_is_short_whatever_it_was_made_of() {
        for char in ["x", "\u{1}", "\u{b5}", "\""] {
            let text = value(char.repeat(100_000)).to_string();
            assert!(text.len() <= VALUE_BYTES_MAX + 2 + 2 * CUT.len(), "{}", text.len());
            assert!(text.trim_end_matches('"').ends_with(CUT), "{text}");
        }
    }

    #[test]
    fn what_comes_after_the_cut_is_not_formatted() {
        struct Endless;
        impl Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("again and ")?;
                }
            }
        }
        assert_eq!(capped(Endless, 12), "again and ag...");
    }
}
