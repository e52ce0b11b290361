//! `collections`: the scopes and collections of a bucket, and how they are created and dropped.
//!
//! A change is a new manifest, made from the one that the node has. An id is never given twice: it
//! comes from the uid, which rises with every change.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use mcbp::{Datatype, FrameBuilder, Opcode};
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::connect::Node;
use super::failure::Failure;
use crate::client::table::{Cell, Table};

/// The first id that a collection or scope may have, but for the default ones.
const FIRST_ID: u64 = 8;
/// The longest manifest that is read from a file.
const MANIFEST_BYTES_MAX: u64 = 2 << 20;

/// A change of the manifest.
#[derive(Clone, Copy)]
pub(super) enum Change<'a> {
    /// Create a collection, and its scope if that is not there.
    Create { path: &'a str, max_ttl: Option<u32>, history: bool },
    /// Keep the change history of a collection, or keep none.
    Modify { path: &'a str, history: bool },
    /// Drop a collection, or a scope with all of its collections.
    Drop(&'a str),
    /// Set what is in a file; `-` is standard input.
    Set(&'a Path),
}

/// Shows scopes and collections, after the change if there is one.
pub(super) async fn run(node: &mut Node, change: Option<Change<'_>>) -> Result<Answer, Failure> {
    if let Some(change) = change {
        let text = match change {
            Change::Set(file) => read(file)?,
            change => changed(&manifest(node).await?, change)?.to_string().into_bytes(),
        };
        set(node, &text).await?;
    }
    let manifest = manifest(node).await?;
    let stats = node.client.stats("collections").await?;
    let counts = counts(&stats);
    let (mut table, mut list) =
        (Table::new(["SCOPE", "COLLECTION", "ID", "DOCUMENTS", "HISTORY"]), Vec::new());
    for (scope, collection) in collections(&manifest) {
        let (scope, name, id) =
            (text(scope, "name"), text(collection, "name"), text(collection, "uid"));
        let items = counts.get(id).copied();
        let hexadecimal = format!("0x{id}");
        table.push([
            Cell::from(scope),
            Cell::from(name),
            Cell::from(hexadecimal.as_str()),
            Cell::known(items),
            Cell::from(if keeps_history(collection) { "yes" } else { "no" }),
        ]);
        list.push(json!({ "scope": scope, "name": name, "id": hexadecimal, "items": items }));
    }
    let (address, bucket, uid) = (&node.address, &node.bucket, text(&manifest, "uid"));
    let head =
        format!("node {address}, bucket {bucket}: manifest 0x{uid}, {} collections", list.len());
    let json =
        json!({ "node": address, "bucket": bucket, "manifest": manifest, "collections": list });
    Ok(Answer::text(format!("{head}\n\n{}", table.text(None).trim_end()), json))
}

async fn manifest(node: &mut Node) -> Result<Value, Failure> {
    let request = FrameBuilder::request(Opcode::COLLECTIONS_GET_MANIFEST);
    let response = node.client.call(request).await?;
    if !response.status.is_success() {
        return Err(refused(node, "the manifest", response.status, &response.value));
    }
    let parsed = serde_json::from_slice(&response.value);
    parsed.map_err(|error| failed(node, &format!("its manifest is no JSON: {error}")))
}

async fn set(node: &mut Node, text: &[u8]) -> Result<(), Failure> {
    let request = FrameBuilder::request(Opcode::COLLECTIONS_SET_MANIFEST);
    let request = request.datatype(Datatype::RAW).value(text);
    let response = node.client.call(request).await?;
    if response.status.is_success() {
        return Ok(());
    }
    Err(refused(node, "the new manifest", response.status, &response.value))
}

fn refused(node: &Node, what: &str, status: mcbp::Status, value: &[u8]) -> Failure {
    let said = super::refusal::context(value);
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    failed(node, &format!("{what} was refused, {status}{said}"))
}

fn failed(node: &Node, text: &str) -> Failure {
    let (address, bucket) = (&node.address, &node.bucket);
    let json = json!({ "node": address, "bucket": bucket });
    Failure::failed(format!("node {address}, bucket {bucket:?}: {text}"), json)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let mut take =
        |from: &mut dyn std::io::Read| from.take(MANIFEST_BYTES_MAX).read_to_end(&mut text);
    let read = if file == Path::new("-") {
        take(&mut std::io::stdin().lock())
    } else {
        std::fs::File::open(file).and_then(|mut file| take(&mut file))
    };
    read.map_err(|error| Failure::failed(format!("{}: {error}", file.display()), json!({})))?;
    Ok(text)
}

fn text<'a>(of: &'a Value, field: &str) -> &'a str {
    of.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(of: &'a Value, field: &str) -> &'a [Value] {
    of.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn collections(manifest: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    let of = |scope| list(scope, "collections").iter().map(move |collection| (scope, collection));
    list(manifest, "scopes").iter().flat_map(of)
}

/// The documents of each collection, by the digits of its id.
fn counts(stats: &[(String, String)]) -> BTreeMap<&str, u64> {
    let mut counts = BTreeMap::new();
    for (name, value) in stats {
        let mut parts = name.split(':').skip(1);
        if let (Some(id), Some("items"), None) = (parts.next(), parts.next(), parts.next())
            && let (Some(id), Ok(count)) = (id.strip_prefix("0x"), value.parse())
        {
            counts.insert(id, count);
        }
    }
    counts
}

fn hex(of: &Value, field: &str) -> u64 {
    u64::from_str_radix(text(of, field), 16).unwrap_or(0)
}

/// The manifest after a change. Pure.
fn changed(manifest: &Value, change: Change<'_>) -> Result<Value, Failure> {
    let mut manifest = manifest.clone();
    let uid = hex(&manifest, "uid") + 1;
    let ids = list(&manifest, "scopes").iter().chain(collections(&manifest).map(|(_, it)| it));
    let highest = ids.map(|it| hex(it, "uid")).max().unwrap_or(0);
    let id = (uid + FIRST_ID - 1).max(highest + 1);
    let scopes = manifest.get_mut("scopes").and_then(Value::as_array_mut);
    let scopes = scopes.ok_or_else(|| Failure::failed("the manifest has no scopes", json!({})))?;
    match change {
        Change::Create { path, max_ttl, history } => {
            create(scopes, path, new_collection(path, id, max_ttl, history)?, id)?;
        }
        Change::Modify { path, history } => {
            let (within, at) = find(scopes, path)?;
            if let Some(fields) = within.get_mut(at).and_then(Value::as_object_mut) {
                fields.insert("history".to_owned(), history.into());
            }
        }
        Change::Drop(path) => drop_one(scopes, path)?,
        Change::Set(_) => {}
    }
    if let Some(fields) = manifest.as_object_mut() {
        fields.insert("uid".to_owned(), format!("{uid:x}").into());
    }
    Ok(manifest)
}

fn create(
    scopes: &mut Vec<Value>,
    path: &str,
    collection: Map<String, Value>,
    id: u64,
) -> Result<(), Failure> {
    let (scope, name) = scope_and_name(path)?;
    let at = scopes.iter().position(|it| text(it, "name") == scope);
    let at = at.unwrap_or_else(|| {
        scopes.push(json!({ "name": scope, "uid": format!("{id:x}"), "collections": [] }));
        scopes.len() - 1
    });
    let within = scopes.get_mut(at).and_then(|it| it.get_mut("collections")?.as_array_mut());
    let within = within.ok_or_else(|| Failure::failed("the scope has no list", json!({})))?;
    if within.iter().any(|it| text(it, "name") == name) {
        return Err(Failure::failed(format!("collection {path:?} is there"), json!({})));
    }
    within.push(collection.into());
    Ok(())
}

fn new_collection(
    path: &str,
    id: u64,
    max_ttl: Option<u32>,
    history: bool,
) -> Result<Map<String, Value>, Failure> {
    let (_, name) = scope_and_name(path)?;
    let mut fields = Map::new();
    fields.insert("name".to_owned(), name.into());
    fields.insert("uid".to_owned(), format!("{id:x}").into());
    if let Some(max_ttl) = max_ttl {
        fields.insert("maxTTL".to_owned(), max_ttl.into());
    }
    if history {
        fields.insert("history".to_owned(), true.into());
    }
    Ok(fields)
}

fn scope_and_name(path: &str) -> Result<(&str, &str), Failure> {
    let parts = path.split_once('.');
    parts.ok_or_else(|| Failure::wrong(format!("{path:?}: give SCOPE.COLLECTION")))
}

fn keeps_history(collection: &Value) -> bool {
    collection.get("history") == Some(&Value::Bool(true))
}

/// The list that has a collection, and its place there.
fn find<'a>(scopes: &'a mut [Value], path: &str) -> Result<(&'a mut Vec<Value>, usize), Failure> {
    let (scope, name) = scope_and_name(path)?;
    let missing = || Failure::failed(format!("there is no {path:?}"), json!({}));
    let scope = scopes.iter_mut().find(|it| text(it, "name") == scope).ok_or_else(missing)?;
    let within = scope.get_mut("collections").and_then(Value::as_array_mut).ok_or_else(missing)?;
    let at = within.iter().position(|it| text(it, "name") == name).ok_or_else(missing)?;
    Ok((within, at))
}

fn drop_one(scopes: &mut Vec<Value>, path: &str) -> Result<(), Failure> {
    if path.contains('.') {
        let (within, at) = find(scopes, path)?;
        within.remove(at);
        return Ok(());
    }
    let at = scopes.iter().position(|it| text(it, "name") == path);
    let at = at.ok_or_else(|| Failure::failed(format!("there is no {path:?}"), json!({})))?;
    scopes.remove(at);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(manifest: &Value) -> Vec<String> {
        let path = |(scope, it): (&Value, &Value)| {
            format!("{}.{} {}", text(scope, "name"), text(it, "name"), text(it, "uid"))
        };
        collections(manifest).map(path).collect()
    }

    #[test]
    fn collections_are_created_and_dropped_and_no_id_comes_twice() {
        let epoch = json!({ "uid": "0", "scopes": [
            { "name": "_default", "uid": "0", "collections": [{ "name": "_default", "uid": "0" }] },
        ]});
        let create = |manifest: &Value, path| {
            changed(manifest, Change::Create { path, max_ttl: Some(60), history: false })
        };
        let one = create(&epoch, "app.a").unwrap();
        assert_eq!(names(&one), ["_default._default 0", "app.a 8"]);
        assert_eq!(one.pointer("/scopes/1/collections/0/maxTTL"), Some(&json!(60)));
        let two = create(&one, "app.b").unwrap();
        assert_eq!(names(&two), ["_default._default 0", "app.a 8", "app.b 9"]);
        assert_eq!(text(&two, "uid"), "2");
        let dropped = changed(&two, Change::Drop("app.b")).unwrap();
        let again = create(&dropped, "app.b").unwrap();
        assert_eq!(names(&again), ["_default._default 0", "app.a 8", "app.b b"]);
        let without = changed(&again, Change::Drop("app")).unwrap();
        assert_eq!(names(&without), ["_default._default 0"]);
        assert!(create(&two, "app.b").is_err_and(|it| it.text.contains("is there")));
        assert!(create(&two, "app").is_err_and(|it| it.text.contains("SCOPE.COLLECTION")));
        for none in ["none", "app.none", "none.a"] {
            assert!(changed(&two, Change::Drop(none)).is_err_and(|it| it.text.contains(none)));
        }
    }

    #[test]
    fn the_history_of_a_collection_is_kept_from_the_beginning_or_later() {
        let manifest = json!({ "uid": "0", "scopes": [{ "name": "app", "uid": "8" }] });
        let path = "app.a";
        let create = |history| Change::Create { path, max_ttl: None, history };
        assert!(changed(&manifest, create(true)).is_err(), "the scope has no list");
        let manifest = json!({ "uid": "0", "scopes": [] });
        let there = changed(&manifest, create(true)).unwrap();
        let kept = |of: &Value| of.pointer("/scopes/0/collections/0").is_some_and(keeps_history);
        assert!(kept(&there) && !kept(&changed(&manifest, create(false)).unwrap()));
        let later = changed(&there, Change::Modify { path, history: false }).unwrap();
        assert!(!kept(&later) && text(&later, "uid") == "2");
        let missing = changed(&there, Change::Modify { path: "app.b", history: true });
        assert!(missing.is_err_and(|it| it.text.contains("no \"app.b\"")));
    }

    #[test]
    fn documents_are_counted_by_id() {
        let stats = [("0x0:0x0:items", "3"), ("0x0:0xb:items", "4"), ("0x0:0xb:name", "items")];
        let stats = stats.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(counts(&stats), BTreeMap::from([("0", 3), ("b", 4)]));
    }
}
