//! What is said about wrong keys and values, and how a file's own words are shown.

use std::path::Path;

use toml::de::DeValue;

use crate::nearest::nearest;
use crate::schema::{Kind, Setting, one_of};

/// As much of a wrong value is shown.
const SHOWN_CHARS_MAX: usize = 60;

/// What stands for a secret; refused as one, so that a copy of an effective file is.
pub(crate) const REDACTED: &str = "(redacted)";

/// What is said about an unknown key, and the known one that is probably meant.
pub(crate) fn unknown<'s>(
    name: &str,
    settings: &'s [Setting],
    root: &[Setting],
) -> (String, Option<&'s str>) {
    if let Some(section) = section_of(name, root) {
        return (format!("unknown key: it belongs to {section}"), None);
    }
    let known: Vec<&str> = settings.iter().map(|it| it.name).collect();
    let near = nearest(name, known.iter().copied());
    let known = known.join(", ");
    let text = match near {
        Some(near) => format!("unknown key: did you mean {near}? Known here: {known}"),
        None => format!("unknown key: give one of {known}"),
    };
    (text, near)
}

/// The section that has a key of this name.
fn section_of(name: &str, root: &[Setting]) -> Option<String> {
    root.iter().find_map(|section| {
        let (settings, heading) = match &section.kind {
            Kind::Table(settings) => (settings, format!("[{}]", section.name)),
            Kind::Tables { settings, .. } => (settings, format!("[[{}]]", section.name)),
            _ => return None,
        };
        // A key of this name is no section.
        let mut keys = settings.iter().filter(|it| !matches!(it.kind, Kind::Tables { .. }));
        keys.any(|it| it.name == name).then_some(heading)
    })
}

pub(crate) fn not_one_of(noun: &str, values: &[&str], text: &str) -> Option<String> {
    if values.contains(&text) {
        return None;
    }
    let near = mean(nearest(text, values.iter().copied()));
    let shown = shown(text);
    Some(format!("{shown} is not a {noun}: give {}{near}", one_of(values)))
}

/// Refuses what stands for a secret in an effective file.
pub(crate) fn redacted(text: &str, setting: &Setting) -> Option<String> {
    (text == REDACTED).then(|| {
        let may_be = setting.may_be();
        format!("{REDACTED:?} stands for a secret that is not shown: give the secret, as {may_be}")
    })
}

pub(crate) fn mean(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

/// What is said where a table is wanted. What is found is not quoted: it may be an address with a
/// password, or another text with what the table would keep apart.
pub(crate) fn no_table(found: &DeValue<'_>, allowed: &str) -> String {
    let found = match found {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    format!("wrong type: {found}: give {allowed}")
}

pub(crate) fn wrong_type(found: &DeValue<'_>, allowed: &str) -> String {
    let found = match found {
        DeValue::String(text) => format!("the text {}", shown(text)),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(date) => format!("the date {date}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    };
    format!("wrong type: {found}: give {allowed}")
}

/// A text in quotes, escaped, and cut where it is long.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{:?}...", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// A key as it is shown: as it is, where that is safe.
pub(crate) fn shown_key(name: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-');
    if !name.is_empty() && name.chars().all(is_plain) { name.to_owned() } else { shown(name) }
}

/// A path in a comment: a line break in it must not end the comment.
pub(crate) fn on_one_line(path: &Path) -> String {
    let escape = |char: char| match char {
        char if char.is_control() => char.escape_default().to_string(),
        char => char.to_string(),
    };
    path.display().to_string().chars().map(escape).collect()
}
