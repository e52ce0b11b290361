//! One sentence for each situation.

mod flow;
mod histories;
mod reach;
mod sidecar;

use std::time::Duration;

use mcbp::dcp::FailoverEntry;
use mcbp::{Seqno, VbState, VbUuid};
use serde_json::{Value, json};

use super::*;
use crate::explain::facts::{DcpStream, Dropped, Later, Node, Sidecar, Told, VbCopy};
use crate::explain::situation::Kind;

/// A copy on the branches of `log`, as uuid and seqno, newest first.
fn copy(state: VbState, high: u64, log: &[(u64, u64)]) -> VbCopy {
    let entry =
        |&(uuid, seqno): &(u64, u64)| FailoverEntry { uuid: VbUuid(uuid), seqno: Seqno(seqno) };
    VbCopy {
        state: Some(state),
        high: Some(high),
        persisted: Some(high),
        snapshot: Some((high, high)),
        purge: Some(0),
        documents: Some(high),
        log: log.iter().map(entry).collect(),
        topology: Some(Vec::new()),
        ..VbCopy::default()
    }
}

fn later(of: VbCopy, high: u64) -> VbCopy {
    let after = Duration::from_millis(500);
    let later = Some(Later { after, high: Some(high), documents: of.documents });
    VbCopy { later, ..of }
}

fn node(name: &str, answer: Answer) -> Node {
    Node { name: name.to_owned(), address: "h:1".to_owned(), answer }
}

fn has(copy: VbCopy) -> Answer {
    Answer::Copy(Box::new(copy))
}

/// A sidecar that says this of the vBucket.
fn says(body: Value) -> Sidecar {
    let view = serde_json::from_value(body.clone()).unwrap();
    Sidecar::Says(Box::new(Told { view, body }))
}

fn stream(fields: &Value) -> Value {
    let mut view = json!({
        "state": "open", "producer": "alpha", "link": "l",
        "stream": { "phase": "open", "progress_ms": 10, "lag_ms": 10 }, "link_status": {},
    });
    for (key, value) in fields.as_object().unwrap() {
        match view.pointer_mut(&format!("/{key}")) {
            Some(Value::Object(known)) => known.extend(value.as_object().unwrap().clone()),
            _ => view[key] = value.clone(),
        }
    }
    view
}

/// `beta` is our node, and wants the vBucket from `alpha`.
fn facts(ours: Answer, alpha: Answer, sidecar: Sidecar) -> Facts {
    Facts {
        bucket: "default".to_owned(),
        vb: 7,
        our_name: "beta".to_owned(),
        ours: node("beta", ours),
        producers: vec![node("alpha", alpha)],
        wanted: Wanted::From("alpha".to_owned()),
        sidecar,
        dropped: None,
    }
}

fn replica(high: u64) -> VbCopy {
    copy(VbState::Replica, high, &[(1, 0)])
}

fn active(high: u64) -> VbCopy {
    copy(VbState::Active, high, &[(1, 0)])
}

fn silent(why: &str) -> Answer {
    Answer::Failed(why.to_owned())
}

fn not_running() -> Sidecar {
    Sidecar::NotRunning("connection refused".to_owned())
}

#[track_caller]
fn expect(facts: &Facts, kind: Kind, sentence: &str) {
    let story = judge(facts);
    assert_eq!((story.first.kind, story.first.sentence().as_str()), (kind, sentence), "{story:?}");
    let is_wrong = std::iter::once(&story.first).chain(&story.others).any(|it| it.kind.is_wrong());
    assert_eq!(story.is_healthy(), !is_wrong, "{story:?}");
}

#[test]
fn every_kind_is_documented_with_whether_it_is_wrong() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(folder.join("docs/explain.md")).unwrap();
    for kind in Kind::ALL {
        let name = serde_json::to_value(kind).unwrap();
        let exit = u8::from(kind.is_wrong());
        let row = format!("| `{}` | {exit} |", name.as_str().unwrap());
        assert!(page.contains(&row), "docs/explain.md lacks {row}");
    }
}
