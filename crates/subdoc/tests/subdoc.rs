//! Against what a real node answered, and against a tree.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;

use mcbp::{Frame, Opcode};
use proptest::prelude::*;
use serde_json::Value;
use subdoc::{Fault, Found, Lookup, Mutation, Path, lookup, mutate};

enum Operation {
    Look(Lookup),
    Change(Mutation),
}

fn operation(opcode: u8) -> Option<Operation> {
    use Operation::{Change, Look};
    Some(match opcode {
        0xc5 => Look(Lookup::Get),
        0xc6 => Look(Lookup::Exists),
        0xd2 => Look(Lookup::Count),
        0xc7 => Change(Mutation::DictAdd),
        0xc8 => Change(Mutation::DictUpsert),
        0xc9 => Change(Mutation::Delete),
        0xca => Change(Mutation::Replace),
        0xcb => Change(Mutation::PushLast),
        0xcc => Change(Mutation::PushFirst),
        0xcd => Change(Mutation::Insert),
        0xce => Change(Mutation::AddUnique),
        0xcf => Change(Mutation::Counter),
        _ => return None,
    })
}

/// Executes a request on the documents. `None` where its answer has other reasons than path,
/// value and document.
fn answer(documents: &mut BTreeMap<Vec<u8>, Vec<u8>>, frame: &Frame<'_>) -> Option<(u16, Vec<u8>)> {
    let operation = operation(frame.opcode().0)?;
    let [high, low, flags, ..] = *frame.extras else { return None };
    let document = documents.get(frame.key)?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let path = Path::parse(frame.value.get(..length)?);
    let value = &frame.value[length..];
    let done = path.and_then(|path| match operation {
        Operation::Look(what) => lookup(document, &path, what).map(|found| match found {
            Found::Value(value) => (value.to_vec(), None),
            Found::Exists => (Vec::new(), None),
            Found::Count(count) => (count.to_string().into_bytes(), None),
        }),
        Operation::Change(what) => {
            let changed = mutate(document, &path, what, value, flags & 1 != 0)?;
            let said = changed.counter.map(|sum| sum.to_string().into_bytes());
            Ok((said.unwrap_or_default(), Some(changed.document)))
        }
    });
    Some(match done {
        Err(fault) => (fault.status(), Vec::new()),
        Ok((said, changed)) => {
            if let Some(changed) = changed {
                let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&changed).is_ok();
                assert!(is_json, "{}", String::from_utf8_lossy(&changed));
                documents.insert(frame.key.to_vec(), changed);
            }
            (0, said)
        }
    })
}

#[test]
fn capture_15a_gets_the_answers_of_a_real_node() {
    let (mut documents, mut compared) = (BTreeMap::new(), 0);
    for pair in recordings::capture("15a-subdoc-single").windows(2) {
        let [request, response] = pair else { unreachable!() };
        let (frame, response) =
            (Frame::parse(&request.bytes).unwrap(), Frame::parse(&response.bytes).unwrap());
        if !frame.header.is_request() {
            continue;
        }
        if frame.opcode() == Opcode::SET {
            // The node looks for itself which of them are JSON.
            if serde_json::from_slice::<serde::de::IgnoredAny>(frame.value).is_ok() {
                documents.insert(frame.key.to_vec(), frame.value.to_vec());
            }
            continue;
        }
        let expected = response.header.status().0;
        // Of the request itself: its form, CAS, locks.
        if [0x02, 0x04, 0x09, 0xce].contains(&expected) {
            continue;
        }
        let Some((status, said)) = answer(&mut documents, &frame) else { continue };
        let n = request.number;
        assert_eq!(format!("{status:#x}"), format!("{expected:#x}"), "frame {n}: {}", request.note);
        assert_eq!(said, response.value, "frame {n}: {}", request.note);
        compared += 1;
    }
    assert!(compared > 110, "{compared}");
}

fn change(document: &str, what: Mutation, path: &str, value: &str) -> Result<String, Fault> {
    let path = Path::parse(path.as_bytes())?;
    let changed = mutate(document.as_bytes(), &path, what, value.as_bytes(), false)?;
    Ok(String::from_utf8(changed.document).unwrap())
}

#[test]
fn text_around_a_change_stays_as_it_is() {
    use Mutation::{AddUnique, Delete, DictAdd, Insert, PushFirst, PushLast, Replace};
    for (document, what, path, value, expected) in [
        ("{ }", DictAdd, "a", "1", "{ \"a\":1}"),
        ("{ \"b\" : 2 }", DictAdd, "a", "1", "{ \"b\" : 2 ,\"a\":1}"),
        ("{\"a\":1, \"b\":2 , \"c\":3}", Delete, "b", "", "{\"a\":1,  \"c\":3}"),
        ("{\"a\":1, \"b\":2 }", Delete, "b", "", "{\"a\":1 }"),
        ("{ \"a\" : 1 }", Delete, "a", "", "{  }"),
        ("[1 , 2]", Delete, "[-1]", "", "[1 ]"),
        ("[1, 2]", Delete, "[0]", "", "[ 2]"),
        (" [ ] ", PushLast, "", "1", " [1]"),
        (" [ ] ", PushFirst, "", "1", " [1] "),
        ("[2 ] ", PushLast, "", "3,4", "[2,3,4]"),
        ("{\"a\":[2 ] }", PushLast, "a", "3,4", "{\"a\":[2 ,3,4] }"),
        ("{\"a\":[ ]}", PushLast, "a", "1", "{\"a\":[1]}"),
        ("[ 2]", PushFirst, "", "1", "[ 1,2]"),
        ("[1,3 ]", Insert, "[1]", "2", "[1,2,3 ]"),
        ("[1,3 ]", Insert, "[2]", "2", "[1,3 ,2]"),
        ("[ ]", Insert, "[0]", "2", "[2]"),
        ("[\"1\"]", AddUnique, "", " 1 ", "[\"1\", 1 ]"),
        ("[ ]", AddUnique, "", "1", "[1]"),
        ("[2 ]", AddUnique, "", "1", "[2 ,1]"),
        ("{\"\\u0061\":[{}]}", Replace, "a[0]", "{\"x\":[]}", "{\"\\u0061\":[{\"x\":[]}]}"),
    ] {
        assert_eq!(change(document, what, path, value).as_deref(), Ok(expected), "{document}");
    }
}

#[test]
fn broken_documents_are_refused_without_a_panic() {
    let whole = r#"{"a":[1,{"b":"c\"]"},null],"d":{"e":-1.5e3}}"#;
    let paths = ["a[1].b", "d.e", "a[-1]", "x", "d.x", "a[7]", ""];
    for end in 0..whole.len() {
        for path in paths {
            let path = Path::parse(path.as_bytes()).unwrap();
            _ = lookup(&whole.as_bytes()[..end], &path, Lookup::Count);
            _ = mutate(&whole.as_bytes()[..end], &path, Mutation::DictUpsert, b"1", true);
            _ = mutate(&whole.as_bytes()[..end], &path, Mutation::PushLast, b"1", true);
        }
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c\"\\\\{}\\[\\],:`. ]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-c]{1,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every path of a value, with the value.
fn each(value: &Value, path: &str, out: &mut Vec<(String, Value)>) {
    out.push((path.to_owned(), value.clone()));
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                each(item, &format!("{path}[{at}]"), out);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let dot = if path.is_empty() { "" } else { "." };
                each(member, &format!("{path}{dot}{name}"), out);
            }
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn every_value_of_a_tree_is_found(document in json(), is_pretty: bool) {
        let text = if is_pretty {
            serde_json::to_string_pretty(&document).unwrap()
        } else {
            document.to_string()
        };
        let mut values = Vec::new();
        each(&document, "", &mut values);
        for (path, value) in values {
            let parsed = Path::parse(path.as_bytes()).unwrap();
            let found = lookup(text.as_bytes(), &parsed, Lookup::Get).unwrap();
            let Found::Value(found) = found else { panic!("{found:?}") };
            prop_assert_eq!(serde_json::from_slice::<Value>(found).unwrap(), value, "{}", path);
        }
    }

    #[test]
    fn a_change_is_that_of_a_tree(document in json(), new in json(), choice: prop::sample::Index) {
        let text = document.to_string();
        let mut values = Vec::new();
        each(&document, "", &mut values);
        let (path, value) = choice.get(&values).clone();
        let parsed = Path::parse(path.as_bytes()).unwrap();
        let new_text = new.to_string();
        let change = |what| mutate(text.as_bytes(), &parsed, what, new_text.as_bytes(), false);
        let read = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap();
        if !path.is_empty() {
            let replaced = change(Mutation::Replace).unwrap();
            let found = lookup(&replaced.document, &parsed, Lookup::Get).unwrap();
            prop_assert_eq!(found, Found::Value(new_text.as_bytes()));
            let back = mutate(
                &replaced.document, &parsed, Mutation::Replace, value.to_string().as_bytes(), false,
            );
            prop_assert_eq!(read(&back.unwrap().document), document.clone());
            let deleted = change(Mutation::Delete).unwrap();
            let (mut before, mut after) = (Vec::new(), Vec::new());
            each(&document, "", &mut before);
            each(&read(&deleted.document), "", &mut after);
            prop_assert!(after.len() < before.len());
        }
        match &value {
            Value::Array(items) => {
                let pushed = change(Mutation::PushLast).unwrap();
                let longer = [&items[..], std::slice::from_ref(&new)].concat();
                let found = lookup(&pushed.document, &parsed, Lookup::Get).unwrap();
                let Found::Value(found) = found else { panic!("{found:?}") };
                prop_assert_eq!(read(found), Value::from(longer));
            }
            _ => prop_assert_eq!(change(Mutation::PushLast), Err(Fault::PathMismatch)),
        }
    }

    #[test]
    fn every_operation_keeps_the_rules(
        numbers: [u8; 2],
        path in "[a-c.\\[\\]0-1`-]{0,8}",
        value in "[a-c0-9\"{}\\[\\],: -]{0,6}",
        document in prop_oneof![json().prop_map(|json| json.to_string()), ".{0,24}"],
    ) {
        let lengths = [path.len(), value.len()].map(|bytes| u8::try_from(bytes).unwrap());
        let parts = [path.as_bytes(), value.as_bytes(), document.as_bytes()].concat();
        subdoc::check::operation(&[&numbers[..], &lengths, &parts].concat());
    }

    #[test]
    fn nothing_panics(input: Vec<u8>) {
        subdoc::check::operation(&input);
    }
}
