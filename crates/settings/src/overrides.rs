//! Environment variables that override the file: `PROGRAM__SECTION__KEY`.
//!
//! Two underscores separate the parts. Capitals stand for small letters, and an underscore for
//! whatever is neither letter nor digit. A table of an array is named by its `name`, or by its
//! number from 0; the number after the last adds one.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::findings::Findings;
use crate::known::{SEPARATOR, name_of, names, unknown};
use crate::problem::Place;
use crate::schema::{Kind, Setting, variable_of};
use crate::source::{Source, Span};

/// Why a variable sets nothing.
enum Wrong {
    Unknown,
    /// It is found only when the value is set.
    Late(String),
    Text(String),
}

/// One variable.
struct Override<'n, 'a> {
    source: &'a Source,
    value: &'a str,
    span: Span,
    /// The names in the file, by the label of an array: a variable names a table as the file does,
    /// whatever another variable makes of its name.
    names: &'n BTreeMap<&'n str, Vec<String>>,
    /// As `names`, with what variables have made of them; for keys that name a table.
    in_force: &'n BTreeMap<&'n str, Vec<String>>,
    /// Whether keys of maps are set; after all others, which may give tables their names.
    maps: bool,
}

/// Puts the values of all variables into the table; reports those that name no setting.
pub(crate) fn apply<'a>(
    findings: &mut Findings<'a>,
    prefix: &str,
    settings: &[Setting],
    table: &mut DeTable<'a>,
) {
    let source = findings.source();
    let names = &names(settings, table);
    for maps in [false, true] {
        let in_force = &self::names(settings, table);
        for (name, span) in source.variables() {
            let value = source.at(span);
            let one = Override { source, value, span: span.clone(), names, in_force, maps };
            let rest = name.strip_prefix(prefix).unwrap_or(name);
            let text = match one.put(rest, settings, table) {
                _ if maps && value.contains('\u{fffd}') => "its value is no UTF-8".to_owned(),
                Ok(()) => continue,
                Err(Wrong::Late(text)) => text,
                Err(_) if maps => continue,
                Err(Wrong::Text(text)) => text,
                Err(Wrong::Unknown) => unknown(prefix, rest, settings, table),
            };
            findings.report(span, "", text);
        }
    }
}

impl<'a> Override<'_, 'a> {
    fn put(
        &self,
        rest: &'a str,
        settings: &[Setting],
        table: &mut DeTable<'a>,
    ) -> Result<(), Wrong> {
        let (head, tail) = match rest.split_once(SEPARATOR) {
            Some((head, tail)) => (head, Some(tail)),
            None => (rest, None),
        };
        let setting = settings.iter().find(|it| variable_of(it.name) == head);
        let setting = setting.ok_or(Wrong::Unknown)?;
        let name = setting.name;
        match (&setting.kind, tail) {
            (Kind::Table(inner), Some(tail)) => {
                self.table_in(table, name).map_or(Ok(()), |table| self.put(tail, inner, table))
            }
            (Kind::Tables { label, settings }, Some(tail)) => match self.array_in(table, name) {
                Some(array) => self.put_in_element(tail, label, settings, array),
                None => Ok(()),
            },
            (Kind::Map { label }, Some(tail)) => match self.table_in(table, name) {
                Some(table) if self.maps => self.put_in_map(tail, label, table),
                _ => Ok(()),
            },
            (Kind::Table(_) | Kind::Tables { .. } | Kind::Map { .. }, None) => Err(names_a_table()),
            _ if self.maps => Ok(()),
            (Kind::Number(_), None) => {
                let number = DeValue::parse(self.value).map(Spanned::into_inner);
                let number = number.ok().filter(DeValue::is_integer);
                self.insert(table, name.to_owned(), number.unwrap_or_else(|| self.text()))
            }
            (Kind::Flag, None) => {
                let flag = self.value.parse().map_or_else(|_| self.text(), DeValue::Boolean);
                self.insert(table, name.to_owned(), flag)
            }
            (Kind::List, None) => {
                let mut list = DeArray::new();
                for item in self.value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
                    list.push(self.spanned(DeValue::String(Cow::Borrowed(item))));
                }
                self.insert(table, name.to_owned(), DeValue::Array(list))
            }
            (Kind::Secret, Some(place @ ("FILE" | "ENV")))
            | (Kind::SecretFile, Some(place @ "FILE")) => {
                let mut inner = DeTable::new();
                self.insert(&mut inner, place.to_lowercase(), self.text())?;
                self.insert(table, name.to_owned(), DeValue::Table(inner))
            }
            (_, None) => self.insert(table, name.to_owned(), self.text()),
            (_, Some(_)) => Err(Wrong::Unknown),
        }
    }

    /// Puts the value at the key that is the name of the table of this label.
    fn put_in_map(&self, name: &str, label: &str, table: &mut DeTable<'a>) -> Result<(), Wrong> {
        let own = table.keys().map(|key| key.get_ref().to_string());
        let known = own.chain(self.in_force.get(label).into_iter().flatten().cloned());
        let fitting: BTreeSet<String> = known.filter(|it| variable_of(it) == name).collect();
        if fitting.len() > 1 {
            let names = Vec::from_iter(fitting).join(", ");
            let text = format!("names more than one {label}, {names}: set it in the file instead");
            return Err(Wrong::Late(text));
        }
        let key = fitting.into_iter().next().unwrap_or_else(|| name.to_lowercase());
        self.insert(table, key, self.text())
    }

    /// Puts the value into the table of an array that `rest` begins with.
    fn put_in_element(
        &self,
        rest: &'a str,
        label: &str,
        settings: &[Setting],
        array: &mut DeArray<'a>,
    ) -> Result<(), Wrong> {
        let in_file =
            self.names.get(label).map_or(&[][..], Vec::as_slice).iter().map(String::as_str);
        let added = array.iter().skip(in_file.len()).map(|it| name_of(it).unwrap_or_default());
        let known: Vec<String> = in_file.chain(added).map(variable_of).collect();
        let tail_of = |name: &String| rest.strip_prefix(name)?.strip_prefix(SEPARATOR);
        let fitting = known.iter().enumerate().filter(|(_, it)| !it.is_empty());
        let fitting = fitting.filter_map(|(at, it)| Some((it, at, tail_of(it)?)));
        let (at, tail) = match fitting.max_by_key(|(name, ..)| name.len()) {
            Some((name, ..)) if known.iter().filter(|it| *it == name).count() > 1 => {
                let text = format!("names more than one {label}: give its number, from 0");
                return Err(Wrong::Text(text));
            }
            Some((_, at, tail)) => (at, tail),
            None if known.iter().any(|it| it == rest) => return Err(names_a_table()),
            None => {
                let (head, tail) = rest.split_once(SEPARATOR).unwrap_or((rest, ""));
                let at = head.parse().ok().filter(|at| *at <= array.len());
                (at.ok_or_else(|| none_of(label, head, &known))?, tail)
            }
        };
        if at == array.len() {
            array.push(self.spanned(DeValue::Table(DeTable::new())));
        }
        match array.get_mut(at).map(Spanned::get_mut) {
            Some(DeValue::Table(table)) => self.put(tail, settings, table),
            _ => Ok(()),
        }
    }

    /// The table of this name, new where there is none; `None` where it is something else.
    fn table_in<'t>(
        &self,
        table: &'t mut DeTable<'a>,
        name: &'static str,
    ) -> Option<&'t mut DeTable<'a>> {
        if !table.contains_key(name) {
            let new = self.spanned(DeValue::Table(DeTable::new()));
            table.insert(self.spanned(Cow::Borrowed(name)), new);
        }
        match table.get_mut(name).map(Spanned::get_mut) {
            Some(DeValue::Table(table)) => Some(table),
            _ => None,
        }
    }

    /// As [`Override::table_in`], of an array.
    fn array_in<'t>(
        &self,
        table: &'t mut DeTable<'a>,
        name: &'static str,
    ) -> Option<&'t mut DeArray<'a>> {
        if !table.contains_key(name) {
            let new = self.spanned(DeValue::Array(DeArray::new()));
            table.insert(self.spanned(Cow::Borrowed(name)), new);
        }
        match table.get_mut(name).map(Spanned::get_mut) {
            Some(DeValue::Array(array)) => Some(array),
            _ => None,
        }
    }

    /// Replaces key and value, so that both are where the variable is.
    fn insert(
        &self,
        table: &mut DeTable<'a>,
        key: String,
        value: DeValue<'a>,
    ) -> Result<(), Wrong> {
        let old = table.remove(key.as_str()).map(|old| self.source.place(&old.span()));
        table.insert(self.spanned(Cow::Owned(key)), self.spanned(value));
        match old {
            Some(Place::Variable(other)) => {
                Err(Wrong::Late(format!("sets what {other} sets too: remove one of them")))
            }
            _ => Ok(()),
        }
    }

    const fn text(&self) -> DeValue<'a> {
        DeValue::String(Cow::Borrowed(self.value))
    }

    fn spanned<T>(&self, value: T) -> Spanned<T> {
        Spanned::new(self.span.clone(), value)
    }
}

fn names_a_table() -> Wrong {
    Wrong::Text(format!("names a table: add {SEPARATOR} and the name of what to set in it"))
}

fn none_of(label: &str, head: &str, known: &[String]) -> Wrong {
    let names: BTreeSet<_> = known.iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
    let names = match Vec::from_iter(names).join(", ") {
        names if names.is_empty() => "there is none with a name".to_owned(),
        names => format!("give one of {names}"),
    };
    let next = known.len();
    Wrong::Text(format!("there is no {label} {head}: {names}, or {next} to add one"))
}
