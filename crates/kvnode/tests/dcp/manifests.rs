//! Manifests, and commands on documents of collections.

use std::collections::BTreeSet;

use mcbp::dcp::StreamReq;
use mcbp::{FrameBuilder, Opcode, Seqno, Status, VbId};
use vbucket::collections::{Change, SystemEvent};

use crate::client::{Client, from_zero};
use crate::node::TestNode;

/// A manifest: the default scope with these collections, and other scopes, each by id. Names follow
/// from ids.
pub(crate) fn manifest(uid: u32, in_default: &[u32], scopes: &[(u32, &[u32])]) -> String {
    let collections = |ids: &[u32]| -> String {
        let one = |id: &u32| match id {
            0 => r#"{"name":"_default","uid":"0"}"#.to_owned(),
            id => format!(r#"{{"name":"c{id:x}","uid":"{id:x}"}}"#),
        };
        ids.iter().map(one).collect::<Vec<_>>().join(",")
    };
    let scope = |name: &str, id: u32, ids: &[u32]| {
        format!(r#"{{"name":"{name}","uid":"{id:x}","collections":[{}]}}"#, collections(ids))
    };
    let others = scopes.iter().map(|(id, ids)| scope(&format!("s{id:x}"), *id, ids));
    let all: Vec<_> = std::iter::once(scope("_default", 0, in_default)).chain(others).collect();
    format!(r#"{{"uid":"{uid:x}","scopes":[{}]}}"#, all.join(","))
}

#[track_caller]
pub(crate) fn set_manifest(client: &mut Client, manifest: &str) {
    let request = FrameBuilder::request(Opcode::COLLECTIONS_SET_MANIFEST);
    client.ask(request.value(manifest.as_bytes()));
}

pub(crate) fn store(client: &mut Client, vb: u16, key: &[u8]) -> Status {
    let request = FrameBuilder::request(Opcode::SET).vbucket(VbId(vb)).extras(&[0; 8]);
    client.try_ask(request.key(key).value(b"value")).status()
}

pub(crate) fn get(client: &mut Client, vb: u16, key: &[u8]) -> Status {
    client.try_ask(FrameBuilder::request(Opcode::GET).vbucket(VbId(vb)).key(key)).status()
}

/// The keys of documents that a consumer has who got everything there is of a vBucket.
pub(crate) fn streamed(node: &TestNode, vb: u16) -> BTreeSet<Vec<u8>> {
    let mut dcp = node.client().produce(&format!("all-{vb}"));
    let end = Seqno(node.high_seqno(vb));
    let request = StreamReq { end, ..from_zero() };
    assert_eq!(dcp.request(vb, 1, request).status(), Status::SUCCESS);
    let mut there = BTreeSet::new();
    loop {
        let packet = dcp.next();
        let frame = packet.frame();
        match packet.opcode() {
            Opcode::DCP_STREAM_END => return there,
            Opcode::DCP_MUTATION => drop(there.insert(frame.key.to_vec())),
            Opcode::DCP_DELETION => drop(there.remove(frame.key)),
            Opcode::DCP_SYSTEM_EVENT => match SystemEvent::decode(&frame).unwrap().1.change {
                Change::Begin { id, .. } | Change::End { id, .. } => {
                    there.retain(|key: &Vec<u8>| mcbp::key::split(key).unwrap().0 != id);
                }
                _ => {}
            },
            _ => {}
        }
    }
}
