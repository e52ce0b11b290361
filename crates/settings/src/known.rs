//! The environment variables that there are, and those that name a setting.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::nearest::nearest;
use crate::schema::{Kind, Setting, variable_of};

/// What separates the parts of a variable's name.
pub(crate) const SEPARATOR: &str = "__";

/// The environment variables of this process that begin with `prefix`, name and value.
#[must_use]
pub fn variables(prefix: &str) -> Vec<(String, String)> {
    let all = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        // What is no UTF-8 is found by the character that replaces it.
        name.starts_with(prefix).then(|| (name, value.to_string_lossy().into_owned()))
    });
    all.collect()
}

/// What is said about a variable that names no setting.
pub(crate) fn unknown(
    prefix: &str,
    rest: &str,
    settings: &[Setting],
    table: &DeTable<'_>,
) -> String {
    let known = known(settings, Some(table));
    match nearest(rest, known.iter().map(String::as_str)) {
        Some(near) => format!("unknown setting: did you mean {prefix}{near}?"),
        None => format!(
            "unknown setting: give {prefix}SECTION{SEPARATOR}KEY, such as {prefix}{}",
            known.first().map_or("", String::as_str)
        ),
    }
}

/// The names of the tables in every array of tables, by the label of the array. One without a name
/// has an empty one, so that a name's place is its table's.
pub(crate) fn names<'s>(
    settings: &'s [Setting],
    table: &DeTable<'_>,
) -> BTreeMap<&'s str, Vec<String>> {
    let mut all = BTreeMap::new();
    for setting in settings {
        let value = table.get(setting.name).map(Spanned::get_ref);
        match (&setting.kind, value) {
            (Kind::Tables { label, .. }, Some(DeValue::Array(array))) => {
                let name = |element| name_of(element).unwrap_or_default().to_owned();
                all.insert(*label, array.iter().map(name).collect());
            }
            (Kind::Table(inner), Some(DeValue::Table(table))) => {
                all.append(&mut names(inner, table))
            }
            _ => {}
        }
    }
    all
}

/// The name of a table in an array.
pub(crate) fn name_of<'v>(element: &'v Spanned<DeValue<'_>>) -> Option<&'v str> {
    element.get_ref().as_table()?.get("name")?.get_ref().as_str()
}

/// The variables of all settings without their prefix, with the names of tables that are there.
fn known(settings: &[Setting], table: Option<&DeTable<'_>>) -> Vec<String> {
    let mut all = Vec::new();
    for setting in settings {
        let own = variable_of(setting.name);
        let value = table.and_then(|table| table.get(setting.name)).map(Spanned::get_ref);
        let mut below = |middle: &str, inner: &[Setting], table: Option<&DeTable<'_>>| {
            all.extend(
                known(inner, table).iter().map(|it| format!("{own}{SEPARATOR}{middle}{it}")),
            );
        };
        match &setting.kind {
            Kind::Table(inner) => below("", inner, value.and_then(DeValue::as_table)),
            Kind::Tables { settings, .. } => {
                for element in
                    value.and_then(DeValue::as_array).into_iter().flat_map(|it| it.iter())
                {
                    if let Some(name) = name_of(element) {
                        let name = format!("{}{SEPARATOR}", variable_of(name));
                        below(&name, settings, element.get_ref().as_table());
                    }
                }
            }
            Kind::Map { .. } => {}
            _ => all.push(own),
        }
    }
    all
}
