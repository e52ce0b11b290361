//! Splits a message, `words of the event key=value key="quoted value"`, into its parts.
//!
//! What does not read as fields is text: a message never makes a malformed line.

/// A field of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// Its name.
    pub key: &'a str,
    /// Its value without quotes and escapes.
    pub value: String,
    /// Whether the value stands in quotes.
    pub is_quoted: bool,
}

/// Returns the words of the event and the fields after them.
#[must_use]
pub fn split(message: &str) -> (&str, Vec<Field<'_>>) {
    let (mut words, mut fields) = (message, Vec::new());
    let mut rest = message;
    while !rest.is_empty() {
        if let Some((field, after)) = field(rest) {
            // A key stands once in an object, so an earlier one was a part of the text.
            if fields.iter().any(|earlier: &Field<'_>| earlier.key == field.key) {
                fields.clear();
            }
            if fields.is_empty() {
                words = before(message, rest);
            }
            fields.push(field);
            rest = after;
        } else {
            // Whatever read as a field before this was a part of the text.
            fields.clear();
            words = message;
            rest = rest.split_once(' ').map_or("", |(_, after)| after);
        }
    }
    (words.trim_end_matches([' ', ',']), fields)
}

/// What stands in `message` before its end `rest`.
fn before<'a>(message: &'a str, rest: &str) -> &'a str {
    message.get(..message.len() - rest.len()).unwrap_or(message)
}

/// Reads a field at the start of `text`; returns it and what follows the space after it.
fn field(text: &str) -> Option<(Field<'_>, &str)> {
    let (key, rest) = text.split_once('=')?;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    if !key.starts_with(|c: char| c.is_ascii_lowercase()) || !key.bytes().all(good) {
        return None;
    }
    if let Some(rest) = rest.strip_prefix('"') {
        let (value, rest) = quoted(rest)?;
        let after = if rest.is_empty() { rest } else { rest.strip_prefix(' ')? };
        return Some((Field { key, value, is_quoted: true }, after));
    }
    let (value, after) = rest.split_once(' ').unwrap_or((rest, ""));
    let is_plain = !value.contains('"') && !value.is_empty();
    is_plain.then(|| (Field { key, value: value.to_owned(), is_quoted: false }, after))
}

/// Reads a quoted value after its first quote; returns it without escapes, and what follows its
/// last quote. Takes the escapes of JSON and those of Rust's `Debug`.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => {
                let (char, rest) = escape(chars.as_str())?;
                value.push(char);
                chars = rest.chars();
            }
            char => value.push(char),
        }
    }
}

/// Reads an escape after its backslash.
fn escape(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    let char = match chars.next()? {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        'u' => return unicode(chars.as_str()),
        char @ ('"' | '\\' | '\'' | '/') => char,
        _ => return None,
    };
    Some((char, chars.as_str()))
}

/// Reads `{1b}` or `001b`. Half of a surrogate pair becomes the replacement character.
fn unicode(text: &str) -> Option<(char, &str)> {
    let (digits, rest) = match text.strip_prefix('{') {
        Some(rest) => rest.split_once('}')?,
        None => text.split_at_checked(4)?,
    };
    let code = u32::from_str_radix(digits, 16).ok()?;
    Some((char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(message: &str) -> (&str, Vec<(&str, String)>) {
        let (words, fields) = split(message);
        (words, fields.into_iter().map(|field| (field.key, field.value)).collect())
    }

    #[test]
    fn fields_follow_the_words_of_an_event() {
        type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)]);
        let cases: [Case; 8] = [
            ("stopped", "stopped", &[]),
            ("link up link=a/b times=2", "link up", &[("link", "a/b"), ("times", "2")]),
            ("removed, vb=3", "removed", &[("vb", "3")]),
            (
                r#"failed error="a \"b\" c\n" vb=1"#,
                "failed",
                &[("error", "a \"b\" c\n"), ("vb", "1")],
            ),
            (r#"user={1} user="\u{1b}\u001b""#, "user={1}", &[("user", "\u{1b}\u{1b}")]),
            ("url=http://a:1/x?b=c", "", &[("url", "http://a:1/x?b=c")]),
            ("a = b=1 c", "a = b=1 c", &[]),
            ("a b=1 c d=2", "a b=1 c", &[("d", "2")]),
        ];
        for (message, words, fields) in cases {
            let fields: Vec<_> = fields.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
            assert_eq!(parts(message), (words, fields), "{message}");
        }
    }

    #[test]
    fn what_does_not_read_as_fields_is_text() {
        for message in [
            r#"failed error="an "unescaped" quote""#,
            r#"failed error="without an end"#,
            r#"failed error="a"b"#,
            "failed Error=1",
            "failed error=",
            "=",
            "",
        ] {
            assert_eq!(parts(message), (message, Vec::new()));
        }
    }
}
