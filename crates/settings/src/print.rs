//! The settings as files: the default one with comments, and the effective one.

use std::path::Path;

use crate::entries::Entry;
use crate::schema::{Fallback, Kind, Setting};
use crate::words::{REDACTED, on_one_line};

/// The longest line of a comment.
const COLUMNS: usize = 98;

/// The whole file with every setting, its default and a comment. A setting that need not be given
/// is commented out, without a space after the `#`.
#[must_use]
pub fn default_file(settings: &[Setting], intro: &str) -> String {
    let mut out = comment(intro);
    let is_section = |it: &&Setting| matches!(it.kind, Kind::Table(_) | Kind::Tables { .. });
    let (sections, keys): (Vec<_>, Vec<_>) = settings.iter().partition(is_section);
    if !keys.is_empty() {
        out += "\n";
    }
    for setting in keys {
        out += &line(setting, true);
    }
    for section in sections {
        out += &default_section(section, "", true);
    }
    out
}

fn default_section(section: &Setting, path: &str, is_above_shown: bool) -> String {
    let path = format!("{path}{}", section.name);
    let (settings, heading) = match &section.kind {
        Kind::Table(settings) => (settings, format!("[{path}]")),
        Kind::Tables { settings, .. } => (settings, format!("[[{path}]]")),
        _ => return String::new(),
    };
    let is_shown = section.shown && is_above_shown;
    let mut out = format!("\n{}{}{heading}\n", comment(section.doc), mark(is_shown));
    for setting in settings {
        out += &match &setting.kind {
            Kind::Tables { .. } => default_section(setting, &format!("{path}."), is_shown),
            _ => line(setting, is_shown),
        };
    }
    out
}

/// A setting and its comment.
fn line(setting: &Setting, is_above_shown: bool) -> String {
    let mut doc = setting.doc.to_owned();
    if matches!(setting.kind, Kind::Number(_) | Kind::Choice { .. }) || setting.allowed.is_some() {
        doc += &format!(" Allowed: {}.", setting.range());
    }
    if let (Fallback::Unset(what), false) = (&setting.fallback, setting.shown) {
        doc += &format!(" Default: {what}.");
    }
    let mut out = comment(&doc);
    if let Kind::Table(inner) = &setting.kind {
        for setting in inner {
            out += &comment(&format!("- {}: {}", setting.name, setting.doc));
        }
    }
    let value = match (&setting.fallback, setting.example) {
        (Fallback::Value(value), _) => value.as_str(),
        (_, Some(example)) => example,
        (_, None) => "\"\"",
    };
    out + &format!("{}{} = {value}\n", mark(setting.shown && is_above_shown), setting.name)
}

const fn mark(is_shown: bool) -> &'static str {
    if is_shown { "" } else { "#" }
}

/// A text as lines of a comment.
fn comment(text: &str) -> String {
    let mut out = String::new();
    for paragraph in text.lines() {
        let mut line = String::from("#");
        for word in paragraph.split_whitespace() {
            if line.len() + 1 + word.len() > COLUMNS {
                out += &format!("{line}\n");
                "#".clone_into(&mut line);
            }
            line += " ";
            line += word;
        }
        out += &format!("{line}\n");
    }
    out
}

/// The effective values as a file, with where each comes from, and without secrets.
#[must_use]
pub fn effective_file(path: &Path, entries: &[Entry]) -> String {
    let path = on_one_line(path);
    let mut out = format!("# The effective configuration of {path}; secrets are redacted.\n");
    let mut above = ("", "");
    for entry in entries {
        let own = (entry.heading.as_str(), entry.label.as_str());
        if own != above {
            out += &format!("\n{}\n", entry.heading);
            above = own;
        }
        let origin = &entry.origin;
        out += &match &entry.value {
            Some(_) if entry.is_secret => format!("{} = \"{REDACTED}\" # {origin}\n", entry.key),
            Some(value) => format!("{} = {value} # {origin}\n", entry.key),
            None => format!("# {}: {origin}\n", entry.key),
        };
    }
    out
}
