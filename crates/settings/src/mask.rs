//! Hides secrets in what is shown of a file. Works on the text, because it must also work where the
//! file is no valid TOML.

/// Replaces the value of every key of these names by stars, byte by byte, so that places in the
/// text stay where they are. A table such as `{ file = "..." }` is no secret and stays.
pub(crate) fn mask(text: &str, secrets: &[&str]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for name in secrets {
        for (at, _) in text.match_indices(name) {
            if let Some((from, to)) = value_after(text, at, at + name.len()) {
                let value = bytes.get_mut(from..to).unwrap_or_default();
                value.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b'*');
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// Where the value begins and ends if the name at `from..to` is a key with a literal value.
fn value_after(text: &str, from: usize, to: usize) -> Option<(usize, usize)> {
    let is_of_name = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-');
    let (before, after) = (text.get(..from)?, text.get(to..)?);
    if before.ends_with(is_of_name) || after.starts_with(is_of_name) {
        return None;
    }
    let rest = after.trim_start_matches(['"', '\'']).trim_start_matches([' ', '\t']);
    let rest = rest.strip_prefix('=')?.trim_start_matches([' ', '\t']);
    let begin = text.len() - rest.len();
    if rest.starts_with('{') {
        return None;
    }
    let line = rest.find('\n').unwrap_or(rest.len());
    let inside = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| rest.starts_with(quote));
    let Some(quote) = inside else { return Some((begin, begin + line)) };
    let end = closing(rest, quote).unwrap_or(if quote.len() == 3 { rest.len() } else { line });
    Some((begin, begin + end))
}

/// The end of the text that begins with `quote`; `None` where it is not closed.
fn closing(rest: &str, quote: &str) -> Option<usize> {
    let mut at = quote.len();
    while let Some(char) = rest.get(at..).and_then(|rest| rest.chars().next()) {
        if rest.get(at..)?.starts_with(quote) {
            return Some(at + quote.len());
        }
        if char == '\n' && quote.len() == 1 {
            return None;
        }
        at += char.len_utf8();
        if char == '\\' && quote.starts_with('"') {
            at += rest.get(at..)?.chars().next().map_or(0, char::len_utf8);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn no_literal_secret_is_shown_and_nothing_else_is_hidden() {
        for (text, want) in [
            ("password = \"hunter2\" # why\n", "password = ********* # why\n"),
            ("password=\"a\\\"b\"\nname = 1", "password=******\nname = 1"),
            ("a = { token = 'x', name = 'n' }", "a = { token = ***, name = 'n' }"),
            ("password = { file = \"f\" }", "password = { file = \"f\" }"),
            ("password = \"open\nname = \"n\"", "password = *****\nname = \"n\""),
            ("password = 12\nx", "password = **\nx"),
            ("token = '''a\nb''' # c", "token = ****\n**** # c"),
            ("\"password\" = \"\u{fc}\"", "\"password\" = ****"),
            ("my_password = \"p\" # password", "my_password = \"p\" # password"),
        ] {
            let masked = mask(text, &["password", "token"]);
            assert_eq!((masked.as_str(), masked.len()), (want, text.len()), "{text}");
        }
    }
}
