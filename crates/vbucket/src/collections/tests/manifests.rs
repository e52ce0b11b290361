//! What a real node answered to manifests and to paths, the odd ones included.

use std::collections::BTreeMap;

use mcbp::{Frame, Opcode, Status};

use super::super::{Manifest, PathError};

/// What a node answers: status, extras and value.
#[derive(PartialEq, Debug)]
struct Answer {
    status: Status,
    extras: Vec<u8>,
    value: String,
}

impl Answer {
    fn of(frame: &Frame<'_>) -> Self {
        Self {
            status: Status(frame.header.vbucket_or_status),
            extras: frame.extras.to_vec(),
            value: String::from_utf8(frame.value.to_vec()).unwrap(),
        }
    }

    /// The texts of errors are our own, so those of refused manifests are left out.
    fn new(status: Status, extras: Vec<u8>, value: String) -> Self {
        Self { status, extras, value }
    }
}

fn set(current: &mut Manifest, json: &[u8]) -> Answer {
    let status = match Manifest::parse(json) {
        Err(error) => {
            assert!(!error.to_string().is_empty());
            Status::EINVAL
        }
        Ok(next) => match next.may_follow(current) {
            Ok(()) => {
                *current = next;
                Status::SUCCESS
            }
            Err(refusal) => refusal.status,
        },
    };
    Answer::new(status, Vec::new(), String::new())
}

fn id(current: &Manifest, found: Result<u32, PathError>) -> Answer {
    let uid = current.uid();
    let status = match found {
        Ok(id) => {
            let extras = [&uid.to_be_bytes()[..], &id.to_be_bytes()].concat();
            return Answer::new(Status::SUCCESS, extras, String::new());
        }
        Err(PathError::Malformed) => {
            return Answer::new(Status::EINVAL, Vec::new(), String::new());
        }
        Err(PathError::UnknownScope) => Status::UNKNOWN_SCOPE,
        Err(PathError::UnknownCollection) => Status::UNKNOWN_COLLECTION,
    };
    let context = r#"{"error":{"context":"Unknown scope or collection in operation"},"#;
    Answer::new(status, Vec::new(), format!(r#"{context}"manifest_uid":"{uid:x}"}}"#))
}

#[test]
fn answers_are_the_recorded_ones() {
    let lines = recordings::capture("12-collections");
    let opaque = |line: &recordings::Line| Frame::parse(&line.bytes).unwrap().header.opaque.0;
    let to_client = lines.iter().filter(|line| line.to == "client");
    let answers: BTreeMap<u32, _> = to_client.map(|line| (opaque(line), line)).collect();
    let mut current = Manifest::default();
    let mut asked = Vec::new();
    for line in lines.iter().filter(|line| line.from == "client") {
        let request = Frame::parse(&line.bytes).unwrap();
        let path =
            || str::from_utf8(if request.key.is_empty() { request.value } else { request.key });
        let own = match request.opcode() {
            Opcode::COLLECTIONS_SET_MANIFEST => set(&mut current, request.value),
            Opcode::COLLECTIONS_GET_MANIFEST => {
                Answer::new(Status::SUCCESS, Vec::new(), current.to_json())
            }
            Opcode::COLLECTIONS_GET_ID => id(&current, current.collection_id(path().unwrap())),
            Opcode::COLLECTIONS_GET_SCOPE_ID => id(&current, current.scope_id(path().unwrap())),
            _ => continue,
        };
        let answer = answers[&request.header.opaque.0];
        let mut recorded = Answer::of(&Frame::parse(&answer.bytes).unwrap());
        if request.opcode() == Opcode::COLLECTIONS_SET_MANIFEST {
            recorded.value.clear();
        }
        assert_eq!(own, recorded, "{} {}", line.number, line.note);
        asked.push(request.opcode());
    }
    let count = |opcode| asked.iter().filter(|asked| **asked == opcode).count();
    assert_eq!(count(Opcode::COLLECTIONS_SET_MANIFEST), 23);
    assert_eq!(count(Opcode::COLLECTIONS_GET_MANIFEST), 3);
    assert_eq!(count(Opcode::COLLECTIONS_GET_ID), 13);
    assert_eq!(count(Opcode::COLLECTIONS_GET_SCOPE_ID), 5);
}

#[test]
fn an_unknown_scope_is_found_before_a_malformed_name() {
    let epoch = Manifest::default();
    assert_eq!(epoch.collection_id("nosuch.$bad"), Err(PathError::UnknownScope));
    assert_eq!(epoch.collection_id("$bad.c"), Err(PathError::Malformed));
    assert_eq!(epoch.scope_id("_default.$bad"), Ok(0), "the collection does not count");
    assert_eq!(epoch.scope_id("_default.a.b"), Err(PathError::Malformed));
    assert_eq!(epoch.collection_id("."), Ok(0));
}
