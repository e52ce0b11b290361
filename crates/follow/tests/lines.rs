//! The lines of changes: what is in them, and that each is one line of JSON, whatever a node sends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use bytes::BytesMut;
use follow::{Change, LineOptions};
use mcbp::dcp::{Deletion, Mutation, Target, change_seqno};
use mcbp::{Datatype, Frame, Opaque, Seqno, VbId};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

fn target(datatype: Datatype) -> Target {
    Target { vb: VbId(12), opaque: Opaque(1), cas: 1_679_000_000_000_000_001, datatype }
}

fn mutation(key: &[u8], datatype: Datatype, value: &[u8]) -> BytesMut {
    let change =
        Mutation { seqno: Seqno(345), rev: 3, flags: 33_554_432, expiry: 0, lock_time: 0, nru: 0 };
    let (key, mut out) = ([&[0], key].concat(), BytesMut::new());
    change.write(target(datatype), &key, value, &mut out);
    out
}

fn written(frame: &[u8], options: LineOptions) -> String {
    let frame = Frame::parse(frame).unwrap();
    let change = Change::decode(&frame).unwrap().unwrap();
    let mut out = Vec::new();
    change.write(options, (Seqno(300), Seqno(400)), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn line(frame: &[u8]) -> String {
    written(frame, LineOptions::default())
}

fn parsed(line: &str) -> Value {
    assert_eq!(line.matches('\n').count(), 1, "{line:?}");
    let value: Value = serde_json::from_str(line).unwrap();
    assert!(value.get("op").is_some() && value.get("event").is_none(), "{line}");
    value
}

fn xattrs(pairs: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let pair = |(name, value): &(&str, &str)| {
        let pair = [name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat();
        [&u32::try_from(pair.len()).unwrap().to_be_bytes()[..], &pair].concat()
    };
    let all: Vec<u8> = pairs.iter().flat_map(pair).collect();
    [&u32::try_from(all.len()).unwrap().to_be_bytes()[..], &all, body].concat()
}

#[test]
fn a_document_is_json_within_json() {
    let frame = mutation(b"user:1", Datatype::JSON, b"{\n \"a\": 1\n}");
    assert_eq!(
        line(&frame),
        "{\"vb\":12,\"seqno\":345,\"op\":\"mutation\",\"key\":\"user:1\",\
         \"cas\":\"1679000000000000001\",\"rev\":3,\"flags\":33554432,\"expiry\":0,\
         \"datatype\":[\"json\"],\"value\":{ \"a\": 1}}\n"
    );
    let all = LineOptions { keys_only: true, snapshots: true, raw: false };
    let keys = parsed(&written(&frame, all));
    assert_eq!((&keys["snapshot"], keys.get("value")), (&json!([300, 400]), None));
    let raw = parsed(&written(&frame, LineOptions { raw: true, ..LineOptions::default() }));
    assert_eq!(raw["value_base64"], "ewogImEiOiAxCn0=");
}

#[test]
fn a_value_is_what_its_datatype_says_or_base64() {
    let value = |datatype, value: &[u8]| parsed(&line(&mutation(b"k", datatype, value)));
    assert_eq!(value(Datatype::RAW, b"a \"b\"\n")["value"], "a \"b\"\n");
    assert_eq!(value(Datatype::RAW, b"{}")["value"], "{}", "nobody says that it is JSON");
    assert_eq!(value(Datatype::RAW, b"\xff")["value_base64"], "/w==");
    assert_eq!(value(Datatype::RAW, b"")["value"], "");
    assert_eq!(value(Datatype::JSON, b"\"text\"")["value"], "text");
    let lie = value(Datatype::JSON, b"{\"a\":}");
    assert_eq!((&lie["value_base64"], lie.get("value")), (&json!("eyJhIjp9"), None));
    let snappy = value(Datatype::SNAPPY.with(Datatype::JSON), b"xx");
    assert_eq!(snappy["value_base64"], "eHg=");
    assert_eq!(snappy["datatype"], json!(["json", "snappy"]));
}

#[test]
fn attributes_are_apart() {
    let both = Datatype::JSON.with(Datatype::XATTR);
    let value = xattrs(&[("_sync", "{\n\"rev\":1}"), ("user", "\"x\"")], b"{\"b\":2}");
    let document = parsed(&line(&mutation(b"k", both, &value)));
    assert_eq!(document["xattrs"], json!({"_sync": {"rev": 1}, "user": "x"}));
    assert_eq!(document["value"], json!({"b": 2}));
    let damaged = xattrs(&[("_sync", "no JSON")], b"{\"b\":2}");
    let document = parsed(&line(&mutation(b"k", both, &damaged)));
    assert!(document["xattrs_base64"].is_string() && document.get("xattrs").is_none());
    assert_eq!(document["value"], json!({"b": 2}));
    let cut_off = parsed(&line(&mutation(b"k", both, b"\0\0\0\x09x")));
    assert!(cut_off["value_base64"].is_string());
}

#[test]
fn a_key_that_is_no_text_is_base64_and_a_deletion_has_its_time() {
    let document = parsed(&line(&mutation(b"\xffk", Datatype::RAW, b"v")));
    assert_eq!((&document["key_base64"], document.get("key")), (&json!("/2s="), None));
    let mut out = BytesMut::new();
    let deletion = Deletion { seqno: Seqno(9), rev: 2, delete_time: Some(77) };
    deletion.write(target(Datatype::RAW), b"\x08k", b"", &mut out);
    let line = parsed(&line(&out));
    assert_eq!((&line["op"], &line["deleted_at"]), (&json!("deletion"), &json!(77)));
    assert_eq!((&line["collection"], line.get("value")), (&json!("0x8"), None));
}

#[test]
fn every_change_of_real_nodes_has_its_line() {
    let (mut lines, mut ops) = (0, BTreeSet::new());
    for capture in recordings::captures() {
        for recorded in &capture.lines {
            let Ok(frame) = Frame::parse(&recorded.bytes) else { continue };
            let Some(seqno) = change_seqno(&frame).filter(|_| frame.header.is_request()) else {
                continue;
            };
            let place = format!("{}:{}", capture.name, recorded.number);
            // Captured bad values and connections without collections have other keys.
            let Ok(Some(change)) = Change::decode(&frame) else { continue };
            let mut out = Vec::new();
            change.write(LineOptions::default(), (seqno, seqno), &mut out).unwrap();
            // Some have numbers that are too large for this library.
            let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(&out).unwrap();
            assert_eq!(fields["seqno"].get(), seqno.0.to_string(), "{place}");
            assert_eq!(out.iter().position(|byte| *byte == b'\n'), Some(out.len() - 1), "{place}");
            ops.insert(fields["op"].get().trim_matches('"').to_owned());
            lines += 1;
        }
    }
    assert!(lines > 500, "{lines} lines");
    let expected =
        ["abort", "commit", "deletion", "expiration", "mutation", "prepare", "system-event"];
    assert_eq!(ops.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

proptest! {
    #[test]
    fn a_line_is_one_line_of_json_whatever_comes(
        key: Vec<u8>,
        datatype: u8,
        value: Vec<u8>,
        text in "\\PC{0,40}",
        raw: bool,
        keys_only: bool,
        snapshots: bool,
    ) {
        let key = key.get(..key.len().min(200)).unwrap();
        for value in [&value[..], text.as_bytes()] {
            let frame = mutation(key, Datatype(datatype), value);
            parsed(&written(&frame, LineOptions { raw, keys_only, snapshots }));
        }
    }
}
