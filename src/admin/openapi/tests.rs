//! The document is complete, and means what is served.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::admin::contract::STATUSES;
use crate::admin::routes;

fn document() -> Value {
    serde_json::from_str(&TEXT).unwrap()
}

/// Every path and method of the document.
fn operations(document: &Value) -> impl Iterator<Item = (String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(|(method, it)| (path.clone(), method.clone(), it))
    })
}

#[test]
fn every_route_is_in_the_document_and_nothing_else() {
    let document = document();
    let documented = operations(&document).map(|(path, method, _)| (path, method));
    let documented: BTreeSet<_> = documented.collect();
    let served: BTreeSet<_> = routes::list().into_iter().collect();
    let missing: Vec<_> = served.difference(&documented).collect();
    assert!(missing.is_empty(), "no #[utoipa::path] in the list of openapi.rs: {missing:?}");
    let gone: Vec<_> = documented.difference(&served).collect();
    assert!(gone.is_empty(), "documented and not served: {gone:?}");
}

#[test]
fn every_operation_says_what_it_does_and_what_may_come_back() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, method, it) in operations(&document) {
        let of = format!("{method} {path}");
        assert!(ids.insert(it["operationId"].as_str().unwrap()), "{of}: its id is used twice");
        let summary = it["summary"].as_str().unwrap();
        assert!(!summary.is_empty() && !summary.starts_with('`'), "{of}: {summary:?}");
        let answers = it["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with('2')), "{of}");
        assert!(answers.contains_key("403"), "{of}: a page of another site is refused everywhere");
        let is_probe = ["/", "/live", "/ready"].contains(&path.as_str());
        assert_eq!(answers.contains_key("401"), !is_probe, "{of}");
        let has_body = it.get("requestBody").is_some();
        for status in ["408", "413"] {
            assert_eq!(answers.contains_key(status), has_body, "{of}: {status}");
        }
        assert_eq!(
            answers.contains_key("404"),
            of.contains("bucket")
                || has_query(it, "bucket")
                || path.ends_with("/discard")
                || path.contains("/captures/"),
            "{of}"
        );
    }
}

#[test]
fn parameters_of_a_path_are_those_in_its_braces() {
    let document = document();
    for (path, method, it) in operations(&document) {
        let named = it["parameters"].as_array().into_iter().flatten();
        let named = named.filter(|it| it["in"] == "path").map(|it| it["name"].as_str().unwrap());
        let named: BTreeSet<_> = named.collect();
        let braces = path.split('{').skip(1).map(|rest| rest.split_once('}').unwrap().0);
        assert_eq!(named, braces.collect(), "{method} {path}");
        let all = it["parameters"].as_array().into_iter().flatten();
        for parameter in all {
            assert!(!parameter.to_string().contains("null"), "{method} {path}: {parameter}");
        }
    }
}

fn has_query(operation: &Value, name: &str) -> bool {
    let parameters = operation["parameters"].as_array();
    parameters.is_some_and(|all| all.iter().any(|it| it["name"] == name && it["in"] == "query"))
}

/// Every `$ref` of a value.
fn references<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_reference_is_defined() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.contains("#/components/schemas/Error"), "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} is not defined");
    }
}

#[test]
fn what_is_null_is_there_and_what_is_left_out_is_not_null() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let required = |name: &str| schemas[name]["required"].as_array().unwrap().clone();
    assert!(required("Node").contains(&"silent_ms".into()), "{}", schemas["Node"]);
    assert_eq!(required("Error"), ["error"], "the lists come with some statuses only");
    assert!(schemas["Select"].get("required").is_none(), "a request may leave both out");
    assert_eq!(schemas["Select"]["additionalProperties"], false);
    assert_eq!(schemas["Status"].get("additionalProperties"), None, "new properties may come");
}

#[test]
fn texts_are_for_readers_of_json() {
    let text = TEXT.as_str();
    for word in ["`None`", "Option<", "Vec<", "[`"] {
        assert!(!text.contains(word), "{word} is a word of Rust");
    }
}

#[test]
fn statuses_mean_what_the_documentation_says() {
    let page = include_str!("../../../docs/admin-api.md");
    for (status, _, meaning, _) in STATUSES {
        let row = format!("\n| {status} | {meaning}");
        assert!(page.contains(&row), "docs/admin-api.md needs{row}");
    }
    let version = format!("This is version {VERSION}");
    assert!(page.contains(&version), "docs/admin-api.md needs: {version}");
}
