//! Changes the buckets of a configuration file and nothing else: comments, order and style stay.
//! Pure: text in, text out.

use std::collections::BTreeMap;

use replica::plan::{Desired, VbSet};
use toml_edit::{DocumentMut, InlineTable, Item, RawString, TableLike, Value, value};

use super::views::Entry;

/// Why a file cannot be edited.
#[derive(Debug, thiserror::Error)]
pub(super) enum EditError {
    #[error("{0}")]
    Toml(#[from] toml_edit::TomlError),
    #[error("bucket {bucket:?}: {key}: {text}")]
    Key { bucket: String, key: String, text: String },
    #[error("bucket {0:?} is not in the file")]
    NoBucket(String),
}

/// What a file says.
pub(super) struct Contents {
    /// The name of `[node]`.
    pub(super) node: Option<String>,
    /// The entries of its buckets.
    pub(super) entries: BTreeMap<String, Entry>,
}

/// Reads what a file says of its node and its buckets.
pub(super) fn contents(text: &str) -> Result<Contents, EditError> {
    let mut document: DocumentMut = text.parse()?;
    let node = document.get("node").and_then(|node| node.get("name")).and_then(Item::as_str);
    let node = node.map(str::to_owned);
    let mut entries = BTreeMap::new();
    for bucket in buckets(&mut document) {
        let name = name(bucket);
        entries.insert(name.clone(), entry(bucket, &name)?);
    }
    Ok(Contents { node, entries })
}

/// Returns the text with these entries. Where an entry says what the file says, nothing changes.
pub(super) fn edited(text: &str, wanted: &BTreeMap<String, Entry>) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse()?;
    let mut missing: Vec<_> = wanted.keys().collect();
    for bucket in buckets(&mut document) {
        let name = name(bucket);
        let Some(entry) = wanted.get(&name) else { continue };
        missing.retain(|it| **it != name);
        set_connections(bucket, entry.connections);
        set_replicate(bucket, entry.replicate.producers());
    }
    match missing.first() {
        Some(name) => Err(EditError::NoBucket((*name).clone())),
        None => Ok(document.to_string()),
    }
}

/// The buckets of a file, be they `[[bucket]]` or `bucket = [{ ... }]`.
fn buckets(document: &mut DocumentMut) -> Vec<&mut dyn TableLike> {
    match document.get_mut("bucket") {
        Some(Item::ArrayOfTables(tables)) => {
            tables.iter_mut().map(|table| -> &mut dyn TableLike { table }).collect()
        }
        Some(Item::Value(Value::Array(array))) => array
            .iter_mut()
            .filter_map(Value::as_inline_table_mut)
            .map(|table| -> &mut dyn TableLike { table })
            .collect(),
        _ => Vec::new(),
    }
}

fn name(bucket: &dyn TableLike) -> String {
    bucket.get("name").and_then(Item::as_str).unwrap_or_default().to_owned()
}

fn entry(bucket: &dyn TableLike, name: &str) -> Result<Entry, EditError> {
    let wrong = |key: &str, text: String| {
        let (bucket, key) = (name.to_owned(), key.to_owned());
        EditError::Key { bucket, key, text }
    };
    let connections = match bucket.get("connections") {
        None => 1,
        Some(item) => item
            .as_integer()
            .and_then(|count| u64::try_from(count).ok())
            .ok_or_else(|| wrong("connections", "it is no number".to_owned()))?,
    };
    let mut sets = BTreeMap::new();
    let replicate = bucket.get("replicate").and_then(Item::as_table_like);
    for (producer, set) in replicate.into_iter().flat_map(TableLike::iter) {
        let key = format!("replicate.{producer}");
        let text = set.as_str().ok_or_else(|| wrong(&key, "it is no text".to_owned()))?;
        let set: VbSet = text.parse().map_err(|error| wrong(&key, format!("{error}")))?;
        sets.insert(producer.to_owned(), set);
    }
    let replicate = Desired::new(sets).map_err(|error| wrong("replicate", error.to_string()))?;
    Ok(Entry { connections, replicate })
}

fn set_connections(bucket: &mut dyn TableLike, count: u64) {
    let present = bucket.get("connections").and_then(Item::as_integer);
    if present.unwrap_or(1) == i64::try_from(count).unwrap_or(i64::MAX) {
        return;
    }
    put(bucket, "connections", Value::from(i64::try_from(count).unwrap_or(i64::MAX)));
}

fn set_replicate(bucket: &mut dyn TableLike, sets: &BTreeMap<String, VbSet>) {
    if bucket.get("replicate").is_none() && !sets.is_empty() {
        bucket.insert("replicate", value(InlineTable::new()));
    }
    let Some(table) = bucket.get_mut("replicate").and_then(Item::as_table_like_mut) else { return };
    let present: Vec<_> = table.iter().map(|(producer, _)| producer.to_owned()).collect();
    for producer in present.iter().filter(|producer| !sets.contains_key(*producer)) {
        remove(table, producer);
    }
    for (producer, set) in sets {
        let text = table.get(producer).and_then(Item::as_str);
        if text.and_then(|text| text.parse::<VbSet>().ok()).as_ref() != Some(set) {
            put(table, producer, Value::from(set.to_string()));
        }
    }
}

/// Sets a value. One that is there keeps the blanks and the comment around it.
fn put(table: &mut dyn TableLike, key: &str, mut new: Value) {
    if let Some(present) = table.get_mut(key).and_then(Item::as_value_mut) {
        *new.decor_mut() = present.decor().clone();
        *present = new;
        return;
    }
    // The blank before the brace that closes an inline table belongs to the last value, and the
    // line of a key to the key.
    let (suffix, prefix) = (take_suffix(table), last_prefix(table));
    let is_first = table.is_empty();
    table.insert(key, Item::Value(new));
    if !is_first && let (Some(mut key), Some(prefix)) = (table.key_mut(key), prefix) {
        key.leaf_decor_mut().set_prefix(prefix);
    }
    if is_first {
        give_suffix(table, Some(" ".into()));
    } else {
        give_suffix(table, suffix);
    }
}

fn remove(table: &mut dyn TableLike, key: &str) {
    let suffix = take_suffix(table);
    table.remove(key);
    give_suffix(table, suffix);
}

fn last_value(table: &mut dyn TableLike) -> Option<&mut Value> {
    table.iter_mut().last().and_then(|(_, item)| item.as_value_mut())
}

/// What is between the last value and the brace that closes an inline table; elsewhere a comment,
/// which stays with its value.
fn take_suffix(table: &mut dyn TableLike) -> Option<RawString> {
    let suffix = last_value(table)?.decor().suffix()?.clone();
    if suffix.as_str().is_none_or(|text| text.contains('#')) {
        return None;
    }
    last_value(table)?.decor_mut().set_suffix("");
    Some(suffix)
}

fn give_suffix(table: &mut dyn TableLike, suffix: Option<RawString>) {
    if let (Some(value), Some(suffix)) = (last_value(table), suffix) {
        value.decor_mut().set_suffix(suffix);
    }
}

fn last_prefix(table: &mut dyn TableLike) -> Option<RawString> {
    let (key, _) = table.iter_mut().last()?;
    let prefix = key.leaf_decor().prefix()?.clone();
    // A comment belongs to its own key.
    prefix.as_str().is_some_and(|text| !text.contains('#')).then_some(prefix)
}

#[cfg(test)]
mod tests;
