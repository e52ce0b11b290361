//! Checks keys, types and ranges of a whole file against the table of settings.
//!
//! What is wrong is reported and taken out, or replaced where something must stand, so that the
//! rest can be checked further.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::findings::Findings;
use crate::known::name_of;
use crate::nearest::nearest;
use crate::problem::Place;
use crate::schema::{Fallback, Kind, Setting, one_of};
use crate::source::Span;
use crate::words::{mean, no_table, not_one_of, redacted, shown_key, unknown, wrong_type};

/// Where a secret may be kept, and what is to be given then.
const PLACES: [(&str, &str); 2] =
    [("file", "a path in quotes"), ("env", "the name of a variable in quotes")];

/// The check of a file.
pub(crate) struct Walk<'f, 'a> {
    pub(crate) findings: &'f mut Findings<'a>,
    /// All settings, to say where a misplaced key belongs.
    pub(crate) root: &'f [Setting],
    /// Whether the file could be read whole, so that what is missing is missing.
    pub(crate) whole: bool,
}

impl Walk<'_, '_> {
    /// Checks a table that begins at `at`; `label` is what the keys of its problems begin with.
    pub(crate) fn table<'a>(
        &mut self,
        settings: &[Setting],
        table: &mut DeTable<'a>,
        at: &Span,
        label: &str,
    ) {
        self.unknown_keys(settings, table, label);
        for setting in settings {
            let key = format!("{label}{}", setting.name);
            let name = setting.name;
            if let Some(value) = table.get_mut(name)
                && !self.value(setting, value, &key, label)
            {
                table.remove(name);
            } else if !table.contains_key(name) && setting.fallback == Fallback::Required {
                // The file as a whole has rules of its own about what it needs.
                if self.whole && !label.is_empty() {
                    let text = format!("is missing: give {}", setting.may_be());
                    self.findings.report(at, &key, text);
                }
            }
            if !table.contains_key(name) && setting.fallback == Fallback::Required {
                self.insert_something(table, setting, at, label);
            }
        }
    }

    /// Puts something where a required value is missing, so that the rest of the table can be read.
    /// The file is refused already; what is said of the value itself would follow from that.
    fn insert_something(
        &mut self,
        table: &mut DeTable<'_>,
        setting: &Setting,
        at: &Span,
        label: &str,
    ) {
        let value = match &setting.kind {
            Kind::Table(settings) if !label.is_empty() => {
                let mut inner = DeTable::new();
                let label = format!("{label}{}.", setting.name);
                for setting in settings.iter().filter(|it| it.fallback == Fallback::Required) {
                    self.findings.settle(at, &format!("{label}{}", setting.name));
                    self.insert_something(&mut inner, setting, at, &label);
                }
                DeValue::Table(inner)
            }
            Kind::Table(_) | Kind::Tables { .. } => return,
            Kind::SecretFile => {
                let mut inner = DeTable::new();
                let name = Spanned::new(at.clone(), Cow::Borrowed("file"));
                inner.insert(name, Spanned::new(at.clone(), DeValue::String(Cow::Borrowed(""))));
                DeValue::Table(inner)
            }
            Kind::List => DeValue::Array(DeArray::new()),
            _ => DeValue::String(Cow::Borrowed("")),
        };
        let key = Spanned::new(at.clone(), Cow::Borrowed(setting.name));
        table.insert(key, Spanned::new(at.clone(), value));
    }

    fn unknown_keys(&mut self, settings: &[Setting], table: &mut DeTable<'_>, label: &str) {
        let is_known = |name: &str| settings.iter().any(|it| it.name == name);
        for key in table.keys().filter(|key| !is_known(key.get_ref())) {
            let name = key.get_ref();
            let (text, near) = unknown(name, settings, self.root);
            self.findings.report(&key.span(), &format!("{label}{}", shown_key(name)), text);
            if let Some(near) = near {
                self.findings.settle(&key.span(), &format!("{label}{near}"));
            }
        }
        remove(table, |name, _| !is_known(name));
    }

    /// Whether the value can stay.
    fn value<'a>(
        &mut self,
        setting: &Setting,
        value: &mut Spanned<DeValue<'a>>,
        key: &str,
        label: &str,
    ) -> bool {
        let at = value.span();
        let wrong = match (&setting.kind, value.get_mut()) {
            (Kind::Path, DeValue::String(path)) => {
                path.is_empty().then(|| format!("is empty: give {}", setting.may_be()))
            }
            (Kind::Text, DeValue::String(_)) | (Kind::Flag, DeValue::Boolean(_)) => None,
            (Kind::Number(range), DeValue::Integer(integer)) => {
                let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
                (!number.is_some_and(|it| range.contains(&it))).then(|| {
                    let (from, to) = (range.start(), range.end());
                    format!("{integer} is out of range: give {from} to {to}")
                })
            }
            (Kind::Choice { noun, values }, DeValue::String(text)) => {
                not_one_of(noun, values, text)
            }
            (Kind::Secret, DeValue::String(text)) => redacted(text, setting),
            (Kind::Secret, DeValue::Table(table)) => return self.secret(&PLACES, table, &at, key),
            (Kind::SecretFile, DeValue::Table(table)) => {
                return self.secret(PLACES.get(..1).unwrap_or_default(), table, &at, key);
            }
            (Kind::List, DeValue::Array(items)) => {
                let wrong = items.iter().find(|item| !item.get_ref().is_str());
                wrong.map(|item| wrong_type(item.get_ref(), &setting.may_be()))
            }
            (Kind::Map { .. }, DeValue::Table(table)) => {
                self.map(table, key);
                None
            }
            (Kind::Table(inner), DeValue::Table(table)) => {
                let separator = if label.is_empty() { ": " } else { "." };
                self.table(inner, table, &at, &format!("{key}{separator}"));
                None
            }
            (Kind::Tables { label, settings }, value) => {
                return self.tables(setting, label, settings, value, &at);
            }
            // What is found may be a secret.
            (Kind::Secret | Kind::SecretFile, _) => {
                Some(format!("wrong type: give {}", setting.may_be()))
            }
            (Kind::Table(_), _) if label.is_empty() => {
                Some(format!("must be there once: write [{key}]"))
            }
            (Kind::Number(range), DeValue::String(text)) if self.is_variable(&at) => {
                let (from, to) = (range.start(), range.end());
                Some(format!("{text:?} is not a whole number: give {from} to {to}"))
            }
            (Kind::Table(_), value) => Some(no_table(value, &setting.may_be())),
            (_, value) => Some(wrong_type(value, &setting.may_be())),
        };
        if let Some(text) = &wrong {
            self.findings.report(&at, key, text);
        }
        wrong.is_none()
    }

    fn is_variable(&self, at: &Span) -> bool {
        matches!(self.findings.source().place(at), Place::Variable(_))
    }

    /// Checks the places where a secret may be kept.
    fn secret(
        &mut self,
        places: &[(&str, &str)],
        table: &mut DeTable<'_>,
        at: &Span,
        key: &str,
    ) -> bool {
        let names: Vec<&str> = places.iter().map(|(place, _)| *place).collect();
        let mut good = 0;
        let mut is_good = true;
        for (name, value) in table.iter() {
            let known = places.iter().find(|(place, _)| *place == name.get_ref());
            let (span, text) = match known {
                Some(_) if value.get_ref().is_str() => {
                    good += 1;
                    continue;
                }
                // What is found may be a secret.
                Some((_, allowed)) => (value.span(), format!("wrong type: give {allowed}")),
                None => {
                    let near = mean(nearest(name.get_ref(), names.iter().copied()));
                    (name.span(), format!("unknown key: give {}{near}", one_of(&names)))
                }
            };
            is_good = false;
            self.findings.report(&span, &format!("{key}.{}", shown_key(name.get_ref())), text);
        }
        if is_good && good != 1 {
            let names: Vec<_> = names.iter().map(|it| format!("{{ {it} = \"...\" }}")).collect();
            let text = match names.as_slice() {
                [one] => format!("give {one}"),
                names => format!("give exactly one of {}", names.join(" and ")),
            };
            self.findings.report(at, key, text);
        }
        if !is_good {
            self.findings.settle(at, key);
        }
        is_good && good == 1
    }

    fn map(&mut self, table: &mut DeTable<'_>, key: &str) {
        for (name, value) in table.iter().filter(|(_, value)| !value.get_ref().is_str()) {
            let text = wrong_type(value.get_ref(), "a text in quotes");
            let key = format!("{key}.{}", shown_key(name.get_ref()));
            self.findings.report(&value.span(), &key, text);
        }
        remove(table, |_, value| !value.is_str());
    }

    fn tables<'a>(
        &mut self,
        setting: &Setting,
        label: &str,
        settings: &[Setting],
        value: &mut DeValue<'a>,
        at: &Span,
    ) -> bool {
        let heading =
            if label == setting.name { setting.name.to_owned() } else { label.replace(' ', ".") };
        if value.is_table() {
            let text = format!("is one table: write [[{heading}]] instead of [{heading}]");
            self.findings.report(at, setting.name, text);
            let table = std::mem::replace(value, DeValue::Boolean(false));
            let mut array = DeArray::new();
            array.push(Spanned::new(at.clone(), table));
            *value = DeValue::Array(array);
        }
        let DeValue::Array(array) = value else {
            let text = no_table(value, &format!("[[{heading}]], once for each"));
            self.findings.report(at, setting.name, text);
            return false;
        };
        for (number, element) in (1..).zip(array.iter_mut()) {
            let at = element.span();
            let own = name_of(element).map(str::to_owned);
            let name = own.clone().unwrap_or_else(|| format!("#{number}"));
            let label = format!("{label} {name:?}: ");
            match element.get_mut() {
                DeValue::Table(table) => {
                    self.table(settings, table, &at, &label);
                    let written = table.get_mut("name").map(Spanned::get_mut);
                    if let (None, Some(DeValue::String(written))) = (own, written) {
                        *written = Cow::Owned(name);
                    }
                }
                other => {
                    let text = no_table(other, &format!("[[{heading}]], once for each"));
                    self.findings.report(&at, &format!("{} {number}", setting.name), text);
                    *other = DeValue::Boolean(false);
                }
            }
        }
        array.iter().all(|element| element.get_ref().is_table())
    }
}

/// Removes what is unfit. `Map::retain` cannot be had with these keys.
fn remove(table: &mut DeTable<'_>, is_unfit: impl Fn(&str, &DeValue<'_>) -> bool) {
    let unfit = table.iter().filter(|(name, value)| is_unfit(name.get_ref(), value.get_ref()));
    let unfit: Vec<String> = unfit.map(|(name, _)| name.get_ref().to_string()).collect();
    for name in unfit {
        table.remove(name.as_str());
    }
}
