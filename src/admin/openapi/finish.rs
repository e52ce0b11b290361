//! What the document gets from rules instead of attributes. Pure: JSON in, JSON out.

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use crate::admin::contract;

/// Returns the document as it is served.
pub(super) fn finished(document: &OpenApi) -> Value {
    let mut document = json!(document);
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) {
        components.insert("responses".to_owned(), contract::components());
        let schemas = components.get_mut("schemas").and_then(Value::as_object_mut);
        schemas.into_iter().flat_map(Map::values_mut).for_each(of_answer);
    }
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for methods in paths.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        for operation in methods.values_mut().filter_map(Value::as_object_mut) {
            summarize(operation);
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            let schemas = parameters.into_iter().flatten().filter_map(|it| it.get_mut("schema"));
            schemas.for_each(never_null);
        }
    }
    every_text(&mut document);
    document
}

/// A property of an answer is always there, also where it is null. Those that may be left out are
/// not nullable. A body of a request refuses what it does not know, and keeps what it requires.
fn of_answer(schema: &mut Value) {
    for key in ["allOf", "oneOf", "anyOf"] {
        let parts = schema.get_mut(key).and_then(Value::as_array_mut);
        parts.into_iter().flatten().for_each(of_answer);
    }
    let is_request = schema.get("additionalProperties").is_some_and(|it| it == false);
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    if is_request {
        return;
    }
    let mut required: Vec<Value> =
        schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    for (name, property) in properties {
        if is_nullable(property) && !required.iter().any(|known| known == name) {
            required.push(name.clone().into());
        }
    }
    if let Some(fields) = schema.as_object_mut()
        && !required.is_empty()
    {
        fields.insert("required".to_owned(), required.into());
    }
}

fn is_nullable(property: &Value) -> bool {
    let kinds = property.get("type").and_then(Value::as_array);
    let parts = property.get("oneOf").and_then(Value::as_array);
    kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "null"))
        || parts
            .is_some_and(|parts| parts.iter().any(|part| part.get("type") == Some(&"null".into())))
}

/// A parameter is there or it is not; text cannot be null.
fn never_null(schema: &mut Value) {
    if let Some(kinds) = schema.get_mut("type").and_then(Value::as_array_mut) {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            let kind = kind.clone();
            if let Some(fields) = schema.as_object_mut() {
                fields.insert("type".to_owned(), kind);
            }
        }
    }
    let parts = schema.get_mut("oneOf").and_then(Value::as_array_mut);
    if let Some(part) = parts.and_then(|parts| parts.iter().find(|it| is_reference(it)).cloned()) {
        *schema = part;
    }
}

fn is_reference(schema: &Value) -> bool {
    schema.get("$ref").is_some()
}

/// The documentation of a handler opens with its method and path, which the document has elsewhere:
/// its first sentence is the summary, the others are the description.
fn summarize(operation: &mut Map<String, Value>) {
    let text = |key: &str| operation.get(key).and_then(Value::as_str).unwrap_or_default();
    let all = format!("{}\n{}", text("summary"), text("description")).replace('\n', " ");
    let all = match all.split_once("`: ") {
        Some((head, rest)) if head.starts_with('`') => rest,
        _ => all.as_str(),
    };
    let (summary, rest) = all.trim().split_once(". ").unwrap_or((all.trim(), ""));
    let summary = capital(summary.trim_end_matches('.'));
    let rest = rest.trim().to_owned();
    operation.insert("summary".to_owned(), summary.into());
    operation.remove("description");
    if !rest.is_empty() {
        operation.insert("description".to_owned(), rest.into());
    }
}

/// The text with a capital letter at its beginning.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    first + chars.as_str()
}

/// The documentation of a field speaks of Rust's `None`, which is null in JSON; and it has the line
/// ends of the source.
fn every_text(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "description" => {
                        *text = text.replace("`None`", "null").replace('\n', " ");
                    }
                    value => every_text(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(every_text),
        _ => {}
    }
}
