//! The effective value of every setting, where it comes from, and how two configurations differ.

use std::collections::BTreeMap;
use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::known::name_of;
use crate::schema::{Fallback, Kind, Reload, Setting};
use crate::source::Source;

/// One value.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The heading that it is under, such as `[[producer]]`; empty at the top of the file.
    pub heading: String,
    /// Its section for people, such as `producer alpha`; empty at the top of the file.
    pub label: String,
    /// The setting, such as `tls`.
    pub setting: &'static str,
    /// Its key under the heading, such as `tls.ca`.
    pub key: String,
    /// The value in TOML; `None` where it is not set.
    pub value: Option<String>,
    /// Whether the value must not be shown.
    pub is_secret: bool,
    /// Where the value comes from, or what follows where it is not set.
    pub origin: String,
    /// What a change needs.
    pub reload: Reload,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.is_secret { Some("..") } else { self.value.as_deref() };
        write!(f, "{} {} = {value:?}", self.heading, self.key)
    }
}

/// The values of a file that has no problems.
pub(crate) fn entries(source: &Source, settings: &[Setting], table: &DeTable<'_>) -> Vec<Entry> {
    let mut collect = Collect { source, entries: Vec::new() };
    let is_section = |it: &&Setting| matches!(it.kind, Kind::Table(_) | Kind::Tables { .. });
    // Keys at the top of a file stand before its first heading.
    let (sections, keys): (Vec<_>, Vec<_>) = settings.iter().partition(is_section);
    collect.settings(keys.into_iter(), Some(table), &Section::default());
    for setting in sections {
        let value = table.get(setting.name);
        let Kind::Table(inner) = &setting.kind else {
            collect.setting(setting, value, &Section::default());
            continue;
        };
        if value.is_some() || matches!(setting.fallback, Fallback::Value(_)) {
            let section = Section {
                heading: format!("[{}]", setting.name),
                label: setting.name.to_owned(),
                path: format!("{}.", setting.name),
                ..Section::default()
            };
            let value = value.and_then(|value| value.get_ref().as_table());
            collect.settings(inner.iter(), value, &section);
        }
    }
    collect.entries
}

/// What keys are under.
#[derive(Clone, Default)]
struct Section {
    heading: String,
    label: String,
    /// What the headings of its tables begin with.
    path: String,
    /// What its keys begin with, in a table that is written with dots.
    before: String,
    /// The setting of that table.
    setting: Option<&'static str>,
}

struct Collect<'s> {
    source: &'s Source,
    entries: Vec<Entry>,
}

type Value<'v, 'a> = Option<&'v Spanned<DeValue<'a>>>;

impl Collect<'_> {
    fn settings<'s>(
        &mut self,
        settings: impl Iterator<Item = &'s Setting>,
        table: Option<&DeTable<'_>>,
        section: &Section,
    ) {
        for setting in settings {
            self.setting(setting, table.and_then(|table| table.get(setting.name)), section);
        }
    }

    fn setting(&mut self, setting: &Setting, value: Value<'_, '_>, section: &Section) {
        let key = format!("{}{}", section.before, setting.name);
        match (&setting.kind, value.map(Spanned::get_ref)) {
            (Kind::Tables { label, settings }, value) => {
                let array = value.and_then(DeValue::as_array).into_iter();
                for (number, element) in array.flat_map(|array| array.iter()).enumerate() {
                    let name = name_of(element).map_or_else(|| number.to_string(), str::to_owned);
                    let section = Section {
                        heading: format!("[[{}{}]]", section.path, setting.name),
                        label: format!("{label} {name}"),
                        ..Section::default()
                    };
                    self.settings(settings.iter(), element.get_ref().as_table(), &section);
                }
            }
            (Kind::Table(inner), Some(DeValue::Table(table))) => {
                let setting = Some(section.setting.unwrap_or(setting.name));
                let section = Section { before: format!("{key}."), setting, ..section.clone() };
                self.settings(inner.iter(), Some(table), &section);
            }
            (Kind::Map { .. }, Some(DeValue::Table(table))) if !table.is_empty() => {
                for (name, value) in table.iter() {
                    let key = format!("{key}.{}", toml_key(name.get_ref()));
                    self.push(setting, section, key, Some(value));
                }
            }
            _ => self.push(setting, section, key, value),
        }
    }

    fn push(&mut self, setting: &Setting, section: &Section, key: String, value: Value<'_, '_>) {
        let (text, origin) = match (value, &setting.fallback) {
            (Some(value), _) => (literal(value.get_ref()), self.source.origin(&value.span())),
            (None, Fallback::Value(default)) => (Some(default.clone()), "default".to_owned()),
            (None, Fallback::Unset(what)) => (None, (*what).to_owned()),
            (None, Fallback::Required) => (None, "is missing".to_owned()),
        };
        let written = value.map(Spanned::get_ref);
        let is_secret =
            matches!(setting.kind, Kind::Secret) && written.is_some_and(DeValue::is_str);
        self.entries.push(Entry {
            heading: section.heading.clone(),
            label: section.label.clone(),
            setting: section.setting.unwrap_or(setting.name),
            key,
            value: text.filter(|text| !text.is_empty()),
            is_secret,
            origin,
            reload: setting.reload,
        });
    }
}

/// A value in TOML, on one line.
fn literal(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(text) => toml::Value::String(text.to_string()).to_string(),
        DeValue::Integer(number) => {
            u64::from_str_radix(number.as_str(), number.radix()).ok()?.to_string()
        }
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Array(items) => {
            let items: Vec<_> = items.iter().filter_map(|it| literal(it.get_ref())).collect();
            format!("[{}]", items.join(", "))
        }
        DeValue::Table(table) => {
            let pairs = table.iter().filter_map(|(key, value)| {
                Some(format!("{} = {}", toml_key(key.get_ref()), literal(value.get_ref())?))
            });
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        _ => return None,
    })
}

/// A key in TOML.
fn toml_key(name: &str) -> String {
    let is_bare = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-');
    if !name.is_empty() && name.chars().all(is_bare) {
        return name.to_owned();
    }
    toml::Value::String(name.to_owned()).to_string()
}

/// The settings of one section and name, as they are compared.
type Settings<'e> = BTreeMap<(&'e str, &'static str), Compared<'e>>;
/// Keys and values of a setting, and what a change needs.
type Compared<'e> = (Vec<(&'e str, Option<&'e str>)>, Reload);

fn settings(entries: &[Entry]) -> Settings<'_> {
    let mut settings = Settings::new();
    for entry in entries {
        let (values, _) = settings
            .entry((&entry.label, entry.setting))
            .or_insert_with(|| (Vec::new(), entry.reload));
        values.push((&entry.key, entry.value.as_deref()));
    }
    settings
}

/// What is different: `section: setting`, or the section alone where all of it is new or gone.
#[must_use]
pub fn changed(old: &[Entry], new: &[Entry]) -> Vec<String> {
    differences(old, new, |_, _, _| true)
}

/// As [`changed`], of what needs a restart.
#[must_use]
pub fn restart_needed(old: &[Entry], new: &[Entry]) -> Vec<String> {
    differences(old, new, |reload, was_set, is_set| match reload {
        Reload::Enough => false,
        Reload::Replaced => was_set != is_set,
        Reload::Restart => true,
    })
}

fn differences(
    old: &[Entry],
    new: &[Entry],
    counts: impl Fn(Reload, bool, bool) -> bool,
) -> Vec<String> {
    let (old, new) = (settings(old), settings(new));
    let has = |settings: &Settings<'_>, label: &str| settings.keys().any(|(own, _)| *own == label);
    let mut found: Vec<String> = Vec::new();
    for key @ (label, setting) in old.keys().chain(new.keys()) {
        let (before, after) = (old.get(key), new.get(key));
        if before.map(|(values, _)| values) == after.map(|(values, _)| values) {
            continue;
        }
        let is_set = |it: Option<&Compared<'_>>| {
            it.is_some_and(|(values, _)| values.iter().any(|(_, value)| value.is_some()))
        };
        let reload = before.or(after).map_or(Reload::Restart, |(_, reload)| *reload);
        if !counts(reload, is_set(before), is_set(after)) {
            continue;
        }
        let whole = has(&old, label) != has(&new, label);
        let text = match (label.is_empty(), whole) {
            (true, _) => (*setting).to_owned(),
            (false, true) => (*label).to_owned(),
            (false, false) => format!("{label}: {setting}"),
        };
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}
