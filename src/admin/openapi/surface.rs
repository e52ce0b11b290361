//! What programs rely on, one line each: it must not vanish within `v1`. `v1.txt` has the lines.

use std::collections::BTreeSet;

use serde_json::Value;

use super::TEXT;

const KNOWN: &str = include_str!("v1.txt");
const FILE: &str = "src/admin/openapi/v1.txt";

/// The type of a schema, in short.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap().to_owned();
    }
    for (key, between) in [("oneOf", "|"), ("allOf", "&")] {
        if let Some(parts) = schema[key].as_array() {
            return parts.iter().map(kind).collect::<Vec<_>>().join(between);
        }
    }
    let names = match &schema["type"] {
        Value::String(name) => vec![name.as_str()],
        Value::Array(names) => names.iter().map(|name| name.as_str().unwrap()).collect(),
        _ => vec!["any"],
    };
    let of = |name: &str| match name {
        "array" => format!("[{}]", kind(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("{{{}}}", kind(&schema["additionalProperties"]))
        }
        name => name.to_owned(),
    };
    names.into_iter().map(of).collect::<Vec<_>>().join("|")
}

/// The lines of a schema and its parts.
fn of_schema(name: &str, schema: &Value, lines: &mut BTreeSet<String>) {
    let required = schema["required"].as_array().into_iter().flatten();
    let required: Vec<_> = required.map(|name| name.as_str().unwrap()).collect();
    for (property, of) in schema["properties"].as_object().into_iter().flatten() {
        let always = if required.contains(&property.as_str()) { "" } else { "?" };
        lines.insert(format!("{name}.{property}{always}: {}", kind(of)));
        if let [word] = of["enum"].as_array().map(Vec::as_slice).unwrap_or_default() {
            lines.insert(format!("{name}.{property} = {word}"));
        }
    }
    for key in ["enum", "x-extensible-enum"] {
        for word in schema[key].as_array().into_iter().flatten() {
            lines.insert(format!("{name} = {word}"));
        }
    }
    for key in ["oneOf", "allOf"] {
        let parts = schema[key].as_array().into_iter().flatten();
        parts.for_each(|part| of_schema(name, part, lines));
    }
}

fn of_operation(name: &str, it: &Value, lines: &mut BTreeSet<String>) {
    for parameter in it["parameters"].as_array().into_iter().flatten() {
        let (of, place) = (parameter["name"].as_str().unwrap(), parameter["in"].as_str().unwrap());
        let must = if parameter["required"] == true { "" } else { "?" };
        lines.insert(format!("{name} {place} {of}{must}: {}", kind(&parameter["schema"])));
    }
    if let Some(body) = it.pointer("/requestBody/content/application~1json/schema") {
        lines.insert(format!("{name} body: {}", kind(body)));
    }
    for (status, answer) in it["responses"].as_object().into_iter().flatten() {
        let contents = answer["content"].as_object().into_iter().flatten();
        let contents = contents.map(|(of, it)| format!("{of} {}", kind(&it["schema"])));
        let contents: Vec<_> = contents.collect();
        lines.insert(format!("{name} {status} {}", contents.join(", ")).trim_end().to_owned());
    }
}

/// Every line of the document that is served.
fn surface() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(&TEXT).unwrap();
    let mut lines = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, it) in methods.as_object().unwrap() {
            of_operation(&format!("{} {path}", method.to_uppercase()), it, &mut lines);
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        of_schema(name, schema, &mut lines);
    }
    lines
}

#[test]
fn nothing_of_v1_is_lost() {
    let served = surface();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        let text: String = served.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE), text).unwrap();
        return;
    }
    let lost: Vec<_> = KNOWN.lines().filter(|line| !served.contains(*line)).collect();
    assert!(
        lost.is_empty(),
        "programs may rely on this part of the API, which is gone or different: {lost:#?}\nput it \
         back; or, if no release has had it, UPDATE_OPENAPI=1 cargo test --lib writes {FILE} anew"
    );
    assert!(KNOWN.lines().count() > 400, "{FILE} has lost its lines");
}
