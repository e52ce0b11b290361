//! Makes the document of a sidecar stricter, for a tester that knows what is there.
//!
//! The document promises that clients may meet new properties and words. This program has none that
//! it does not document, so that here every property and word that is not listed is a finding. And
//! names that a client has to know are those of the test, so that requests get beyond "no
//! such bucket".

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// The words of a set that is open, in the document.
const OPEN_WORDS: &str = "x-extensible-enum";

/// The document with this bucket and producer as the only ones, and without what is not listed.
pub(crate) fn narrowed(mut document: Value, bucket: &str, producer: &str) -> Value {
    let schemas = document["components"]["schemas"].as_object_mut().unwrap();
    schemas["Replicate"]["propertyNames"] = json!({ "enum": [producer] });
    // A move of a thousand vBuckets is one request that takes long; a few show as much.
    let number = "([0-9]{1,3}|10[01][0-9]|102[0-3])";
    let few = json!({ "type": "string", "pattern": format!("^{number}(,{number}){{0,3}}$") });
    schemas["SetFromProducer"]["properties"]["vbuckets"] = few;
    // A capture takes the time that it is asked for.
    schemas["Capture"]["properties"]["seconds"] =
        json!({ "type": "integer", "minimum": 0, "maximum": 1 });
    schemas["Capture"]["required"] = json!(["seconds"]);
    schemas["SetFromProducer"]["examples"] = json!([{ "from": producer, "vbuckets": "0,3,5" }]);
    for (name, property, value) in [
        ("FromProducer", "from", producer),
        ("SetFromProducer", "from", producer),
        ("Select", "producer", producer),
        ("Restart", "producer", producer),
        ("OneOrAll", "bucket", bucket),
    ] {
        let property = &mut schemas[name]["properties"][property];
        let is_nullable = property["type"].is_array();
        property["enum"] = if is_nullable { json!([value, null]) } else { json!([value]) };
    }
    let mut parts = BTreeSet::new();
    schemas.values().for_each(|schema| find_parts(schema, &mut parts));
    for (name, schema) in schemas {
        match schema {
            Value::Object(fields) if parts.contains(name) => close_within(fields),
            schema => close(schema),
        }
    }
    parameters(&mut document, "bucket", bucket);
    parameters(&mut document, "producer", producer);
    document
}

/// The bucket, or the producer, of every path and query.
fn parameters(document: &mut Value, name: &str, only: &str) {
    let paths = document["paths"].as_object_mut().unwrap();
    for methods in paths.values_mut() {
        for operation in methods.as_object_mut().unwrap().values_mut() {
            let all = operation.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in all.into_iter().flatten() {
                if parameter["name"] == name {
                    parameter["schema"] = json!({ "type": "string", "enum": [only] });
                }
            }
        }
    }
}

/// The schemas that are parts of another one, by `allOf`.
fn find_parts(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            let parts = fields.get("allOf").and_then(Value::as_array).into_iter().flatten();
            let parts = parts.filter_map(|part| part["$ref"].as_str()?.rsplit('/').next());
            found.extend(parts.map(str::to_owned));
            fields.values().for_each(|value| find_parts(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| find_parts(value, found)),
        _ => {}
    }
}

/// Refuses properties and words that are not listed, in a schema and everything within.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(words) = fields.get(OPEN_WORDS).cloned() {
                fields.insert("enum".to_owned(), words);
            }
            for (key, value) in fields.iter_mut() {
                // What `allOf` has is parts of one object, which only the whole can close.
                if key == "allOf" {
                    let parts = value.as_array_mut().unwrap().iter_mut();
                    parts.filter_map(Value::as_object_mut).for_each(close_within);
                } else {
                    close(value);
                }
            }
            let is_object = fields.contains_key("properties") || fields.contains_key("allOf");
            if is_object && !fields.contains_key("additionalProperties") {
                fields.insert("unevaluatedProperties".to_owned(), json!(false));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}

fn close_within(part: &mut Map<String, Value>) {
    for (key, value) in part {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                properties.values_mut().for_each(close);
            }
            ("oneOf" | "anyOf" | "allOf", Value::Array(parts)) => {
                parts.iter_mut().filter_map(Value::as_object_mut).for_each(close_within);
            }
            _ => {}
        }
    }
}
