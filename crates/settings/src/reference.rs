//! The settings as tables of a document.

use crate::schema::{Fallback, Kind, Reload, Setting, variable_of};

/// The sections of a reference, in Markdown; variables begin with `prefix`.
#[must_use]
pub fn reference(settings: &[Setting], prefix: &str) -> String {
    let is_section = |it: &&Setting| matches!(it.kind, Kind::Table(_) | Kind::Tables { .. });
    let (sections, keys): (Vec<_>, Vec<_>) = settings.iter().partition(is_section);
    let mut out = String::new();
    if !keys.is_empty() {
        out += &format!("\n### At the top of the file\n\n{HEAD}");
        for setting in keys {
            out += &rows(setting, "", prefix);
        }
    }
    for setting in sections {
        out += &section(setting, "", prefix);
    }
    out
}

const HEAD: &str = "| key | what it is for | allowed | default | environment variable | a change \
                    needs |\n|---|---|---|---|---|---|\n";

fn section(section: &Setting, path: &str, prefix: &str) -> String {
    let path = format!("{path}{}", section.name);
    let below = format!("{prefix}{}__", variable_of(section.name));
    let (settings, heading, prefix) = match &section.kind {
        Kind::Table(settings) => (settings, format!("[{path}]"), below),
        Kind::Tables { settings, .. } => {
            (settings, format!("[[{path}]]"), format!("{below}<NAME>__"))
        }
        _ => return String::new(),
    };
    let mut out = format!("\n### `{heading}`\n\n{}\n\n{HEAD}", section.doc);
    let mut inner = String::new();
    for setting in settings {
        match &setting.kind {
            Kind::Tables { .. } => inner += &self::section(setting, &format!("{path}."), &prefix),
            _ => out += &rows(setting, "", &prefix),
        }
    }
    out + &inner
}

/// The row of a setting, and of each of its keys if it is a table.
fn rows(setting: &Setting, before: &str, prefix: &str) -> String {
    let key = format!("{before}{}", setting.name);
    let variable = format!("{prefix}{}", variable_of(setting.name));
    if let Kind::Table(inner) = &setting.kind {
        let inner = inner.iter();
        return inner.map(|it| rows(it, &format!("{key}."), &format!("{variable}__"))).collect();
    }
    let default = match &setting.fallback {
        Fallback::Required => "required".to_owned(),
        Fallback::Value(value) => format!("`{value}`"),
        Fallback::Unset(what) => (*what).to_owned(),
    };
    let variable = match setting.kind {
        Kind::Map { .. } => format!("`{variable}__<NAME>`"),
        Kind::SecretFile => format!("`{variable}__FILE`"),
        Kind::Secret => format!("`{variable}`, `{variable}__FILE`, `{variable}__ENV`"),
        _ => format!("`{variable}`"),
    };
    let needs = match setting.reload {
        Reload::Enough => "reload",
        Reload::Replaced => "reload; restart where it is set newly or removed",
        Reload::Restart => "restart",
    };
    let (doc, allowed) = (setting.doc, setting.range());
    format!("| `{key}` | {doc} | {allowed} | {default} | {variable} | {needs} |\n")
}
