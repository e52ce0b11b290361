//! Hides secrets in what is shown of a file. Works on the text, because it must also work where the
//! file is no valid TOML.
//!
//! A value is shown only if it is known to be harmless: its statement is valid by itself, and its
//! key is a setting that is no secret. A mistyped key or a broken statement may hold a secret.

use toml::de::{DeTable, DeValue};

use crate::schema::{Kind, Setting};

/// A longer heading is no heading of a section that there is.
const HEADING_BYTES_MAX: usize = 1024;

/// The keys of the table form of a secret; what they name is no secret.
const PLACES: [&str; 2] = ["file", "env"];

/// Replaces what may be a secret by stars, byte by byte, so that places in the text stay where they
/// are.
pub(crate) fn mask(text: &str, settings: &[Setting]) -> String {
    let mut mask = Mask { settings, heading: String::new(), is_after_broken: false };
    let mut out = String::with_capacity(text.len());
    let mut brackets = true;
    let mut rest = text;
    while !rest.is_empty() {
        let end = end_of(rest, brackets).unwrap_or_else(|| {
            // A bracket that is never closed must not hide the lines that follow, and must not be
            // looked for again at each of them.
            brackets = false;
            end_of(rest, false).unwrap_or(rest.len())
        });
        let (statement, after) = rest.split_at(end);
        let (shown, hidden) = statement.split_at(mask.shown(statement));
        out.push_str(shown);
        out.extend(hidden.bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }));
        rest = after;
    }
    out
}

struct Mask<'s> {
    settings: &'s [Setting],
    /// The heading that the statement is under.
    heading: String,
    /// Whether the statement before could not be read, so that this one may be the rest of it.
    is_after_broken: bool,
}

impl Mask<'_> {
    /// How many bytes of a statement may be shown.
    fn shown(&mut self, statement: &str) -> usize {
        let trimmed = statement.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            return if self.is_after_broken { 0 } else { statement.len() };
        }
        if trimmed.starts_with('[') {
            return self.shown_of_heading(statement);
        }
        let within = format!("{}\n{statement}", self.heading);
        let parsed = DeTable::parse(&within);
        let is_known = parsed.as_ref().is_ok_and(|it| are_harmless(self.settings, it.get_ref()));
        let key = if self.is_after_broken { 0 } else { key_of(trimmed) };
        self.is_after_broken = parsed.is_err();
        if is_known { statement.len() } else { statement.len() - trimmed.len() + key }
    }

    fn shown_of_heading(&mut self, heading: &str) -> usize {
        let parsed =
            if heading.len() > HEADING_BYTES_MAX { None } else { DeTable::parse(heading).ok() };
        let is_known = parsed.as_ref().is_some_and(|it| are_harmless(self.settings, it.get_ref()));
        let is_plain = |char: char| is_of_key(char) || matches!(char, '[' | ']' | '\r' | '\n');
        let is_shown = is_known || !self.is_after_broken && heading.chars().all(is_plain);
        // Nothing below a heading that cannot be read is valid.
        parsed.as_ref().map_or("[", |_| heading).clone_into(&mut self.heading);
        self.is_after_broken = parsed.is_none();
        if is_shown { heading.len() } else { 0 }
    }
}

/// The end of the statement that `text` begins with, after its line break; `None` where a bracket
/// is not closed. A text in three quotes that is not closed goes on to the end.
fn end_of(text: &str, brackets: bool) -> Option<usize> {
    let is_heading = text.trim_start_matches([' ', '\t']).starts_with('[');
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let char = rest.chars().next()?;
        at += match char {
            '\n' if depth == 0 => return Some(at + 1),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' => length_of_text(rest, char),
            '[' | '{' if brackets && !is_heading => {
                depth += 1;
                1
            }
            ']' | '}' => {
                depth = depth.saturating_sub(1);
                1
            }
            char => char.len_utf8(),
        };
    }
    (depth == 0).then_some(text.len())
}

/// The length of the text in quotes that `rest` begins with; up to the end of the line, or of the
/// file, where it is not closed.
fn length_of_text(rest: &str, quote: char) -> usize {
    let three = String::from_iter([quote; 3]);
    let is_long = rest.starts_with(&three);
    let close = if is_long { three.as_str() } else { three.get(..1).unwrap_or_default() };
    let mut at = close.len();
    while let Some(left) = rest.get(at..).filter(|left| !left.is_empty()) {
        if left.starts_with(close) {
            return at + close.len();
        }
        let mut chars = left.chars();
        let char = chars.next().unwrap_or_default();
        if char == '\n' && !is_long {
            return at;
        }
        at += char.len_utf8();
        if char == '\\' && quote == '"' {
            at += chars.next().filter(|it| *it != '\n').map_or(0, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of the key that a statement begins with, with what follows up to the value; 0 where
/// nothing follows, or the key is in quotes, because that may be a value without a key.
fn key_of(statement: &str) -> usize {
    let value = statement.trim_start_matches(is_of_key);
    if value.len() == statement.len() || value.trim().is_empty() {
        return 0;
    }
    let blank = [' ', '\t'];
    let value = value.trim_start_matches(blank);
    let value = value.strip_prefix(['=', ':']).unwrap_or(value).trim_start_matches(blank);
    statement.len() - value.len()
}

const fn is_of_key(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.')
}

/// Whether all keys of a table are settings, and none holds a secret.
fn are_harmless(settings: &[Setting], table: &DeTable<'_>) -> bool {
    table.iter().all(|(name, value)| {
        let setting = settings.iter().find(|it| it.name == name.get_ref());
        setting.is_some_and(|setting| is_harmless(&setting.kind, value.get_ref()))
    })
}

fn is_harmless(kind: &Kind, value: &DeValue<'_>) -> bool {
    match (kind, value) {
        (Kind::Secret | Kind::SecretFile, DeValue::Table(table)) => table
            .iter()
            .all(|(name, value)| PLACES.contains(&&**name.get_ref()) && value.get_ref().is_str()),
        (Kind::Secret | Kind::SecretFile, _) => false,
        (Kind::Table(inner) | Kind::Tables { settings: inner, .. }, value) => match value {
            DeValue::Table(table) => are_harmless(inner, table),
            DeValue::Array(items) => items.iter().all(|item| is_harmless(kind, item.get_ref())),
            value => !value.is_str(),
        },
        (Kind::Map { .. }, DeValue::Table(table)) => {
            table.iter().all(|(_, value)| is_plain(value.get_ref()))
        }
        (_, value) => is_plain(value),
    }
}

/// Whether there is no key in a value.
fn is_plain(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Table(_) => false,
        DeValue::Array(items) => items.iter().all(|item| is_plain(item.get_ref())),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::mask;
    use crate::schema::{Kind, Setting};

    fn settings() -> Vec<Setting> {
        let secret = |name| Setting::new(name, Kind::Secret, "");
        let keys = || {
            let number = Setting::number("number", 0..=9, "");
            vec![Setting::new("name", Kind::Text, ""), number, secret("password"), secret("token")]
        };
        let mut all = keys();
        all.push(Setting::new("node", Kind::Table(keys()), ""));
        all.push(Setting::new("user", Kind::Tables { label: "user", settings: keys() }, ""));
        all
    }

    #[test]
    fn no_literal_secret_is_shown_and_nothing_else_is_hidden() {
        for (text, want) in [
            ("password = \"hunter2\" # why\n", "password = ***************\n"),
            ("password=\"a\\\"b\"\nname = 1", "password=******\nname = 1"),
            ("node = { token = 'x', name = 'n' }", "node = ***************************"),
            ("node = { number = 4 } # token", "node = { number = 4 } # token"),
            ("password = { file = \"f\" }", "password = { file = \"f\" }"),
            ("password = { value = \"f\" }", "password = ***************"),
            ("password = \"open\nname = \"n\"", "password = *****\nname = \"n\""),
            ("password = 12\nname = 2", "password = **\nname = 2"),
            ("token = '''a\nb''' # c\nname = 1", "token = ****\n********\nname = 1"),
            ("\"password\" = \"\u{fc}\"", "*****************"),
            ("name = \"p\" # password", "name = \"p\" # password"),
            ("pasword = \"p\"\nname = 1", "pasword = ***\nname = 1"),
            ("name = [\n'x'\n]\nnumber = 1", "name = [\n'x'\n]\nnumber = 1"),
            ("token = [\n'x'\n]\nnumber = 1", "token = *\n***\n*\nnumber = 1"),
            ("token = [\n'x'\nnumber = 1", "token = *\n***\nnumber = 1"),
            ("token =\nx = 1\nname = 1", "token =\n*****\nname = 1"),
            ("token =\nx==\n['x']\n[node]\nname = 1", "token =\n***\n*****\n[node]\nname = 1"),
            ("[node.token]\nvalue = 'x'\nfile = 'f'", "[node.token]\nvalue = ***\nfile = 'f'"),
            ("[[user]]\nname = 'n'\nx = 'y'", "[[user]]\nname = 'n'\nx = ***"),
            ("[nod]\nname = 'x'\n[node", "[nod]\nname = ***\n[node"),
            ("[node\nname = 'x'", "[node\n**********"),
        ] {
            let masked = mask(text, &settings());
            assert_eq!((masked.as_str(), masked.len()), (want, text.len()), "{text}");
        }
    }
}
