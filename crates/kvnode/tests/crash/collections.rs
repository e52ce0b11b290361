//! A crash at every step of a new manifest: afterwards all vBuckets have the old one or all have
//! the new one, with their documents, and counts are those of the documents.

use std::collections::BTreeSet;

use mcbp::dcp::StreamReq;
use mcbp::{FrameBuilder, Opcode, Seqno, Status, VbId};
use vbucket::collections::{Change, SystemEvent};

use crate::client::{Client, from_zero, wait_for};
use crate::contents;
use crate::node::{ACTIVE, TestNode, VBUCKETS};

/// Enough that an erasure takes several steps.
const DOCUMENTS: u16 = 700;

/// The default scope with the default collection and these.
fn manifest(uid: u32, ids: &[u32]) -> String {
    let named = ids.iter().map(|id| format!(r#",{{"name":"c{id:x}","uid":"{id:x}"}}"#));
    let default = r#"{"name":"_default","uid":"0"}"#;
    let all = format!("{default}{}", named.collect::<String>());
    format!(
        r#"{{"uid":"{uid:x}","scopes":[{{"name":"_default","uid":"0","collections":[{all}]}}]}}"#
    )
}

fn request(manifest: &str) -> FrameBuilder<'_> {
    FrameBuilder::request(Opcode::COLLECTIONS_SET_MANIFEST).value(manifest.as_bytes())
}

fn key(id: u8, number: u16) -> Vec<u8> {
    [&[id][..], format!("key-{number}").as_bytes()].concat()
}

/// Stores the documents of a collection, most of them in vBucket 0.
fn fill(client: &mut Client, id: u8) {
    for number in 0..DOCUMENTS {
        let set = FrameBuilder::request(Opcode::SET).vbucket(vb_of(number)).extras(&[0; 8]);
        client.ask(set.key(&key(id, number)).value(b"value"));
    }
}

fn vb_of(number: u16) -> VbId {
    VbId(if number < VBUCKETS { number } else { 0 })
}

/// What every document of a collection is answered with.
fn status(client: &mut Client, id: u8) -> Status {
    let mut get = |number| {
        let get = FrameBuilder::request(Opcode::GET).vbucket(vb_of(number));
        client.try_ask(get.key(&key(id, number))).status()
    };
    let first = get(0);
    for number in 1..DOCUMENTS {
        assert_eq!(get(number), first, "{id} {number}");
    }
    first
}

/// How many documents of each collection a consumer gets from a vBucket.
fn streamed(node: &TestNode, vb: u16) -> Vec<u32> {
    let end = Seqno(contents::high_seqno(&mut node.client(), vb));
    let mut dcp = node.client().produce(&format!("reader of {vb}"));
    assert!(dcp.request(vb, 1, StreamReq { end, ..from_zero() }).status().is_success());
    let mut keys = BTreeSet::new();
    loop {
        let packet = dcp.next();
        let frame = packet.frame();
        match packet.opcode() {
            Opcode::DCP_STREAM_END => break,
            Opcode::DCP_MUTATION => drop(keys.insert(frame.key.to_vec())),
            Opcode::DCP_SYSTEM_EVENT => {
                let (_, event) = SystemEvent::decode(&frame).unwrap();
                if let Change::Begin { id, .. } | Change::End { id, .. } = event.change {
                    keys.retain(|key| u32::from(key[0]) != id);
                }
            }
            _ => {}
        }
    }
    keys.into_iter().map(|key| key[0].into()).collect()
}

/// Checks a node, and returns the uid of its manifest: 1 with 8 and 9, 2 with 9 and 10.
fn check(node: &TestNode) -> u64 {
    let mut client = node.client();
    let uid: u64 = client.stat("collections", "manifest_uid").parse().unwrap();
    let gone = if uid == 1 { 10 } else { 8 };
    assert_eq!(status(&mut client, 9), Status::SUCCESS);
    assert_eq!(status(&mut client, gone), Status::UNKNOWN_COLLECTION);
    if uid == 1 {
        assert_eq!(status(&mut client, 8), Status::SUCCESS);
    }
    wait_for("the events to be on disk", || {
        let details = client.stats("collections-details");
        let of_vbs = details.iter().filter(|(name, _)| name.ends_with(":manifest:uid"));
        of_vbs.filter(|(_, of_vb)| *of_vb == uid.to_string()).count() == usize::from(VBUCKETS)
    });
    let all: Vec<u32> = (0..VBUCKETS).flat_map(|vb| streamed(node, vb)).collect();
    let of = |id| all.iter().filter(|of| **of == id).count();
    for id in if uid == 1 { [0, 8, 9] } else { [0, 9, 10] } {
        let items = client.stat("collections", &format!("0x0:{id:#x}:items"));
        assert_eq!(items, of(id).to_string(), "{id}");
    }
    assert_eq!(of(9), usize::from(DOCUMENTS));
    assert_eq!(of(gone.into()), 0);
    uid
}

#[test]
fn a_crash_at_each_step_of_a_new_manifest() {
    let began = crate::folder::folder();
    let node = TestNode::start(began.path(), ACTIVE);
    let mut client = node.client();
    client.ask(request(&manifest(1, &[8, 9])));
    fill(&mut client, 8);
    fill(&mut client, 9);
    assert_eq!(check(&node), 1);
    node.kill();
    for (point, uid) in [
        ("manifest-committed=1", 2),
        ("manifest-stored=1", 2),
        ("flush-assembled=1", 2),
        ("flush-stored=1", 2),
        ("flush-visible=1", 2),
        ("erase-step=1", 2),
        ("erase-step=2", 2),
    ] {
        let folder = crate::folder::folder();
        let path = folder.path().join("data");
        crate::node::copy(began.path(), &path);
        let node = TestNode::start(&path, ACTIVE.failing_at(point));
        node.client().send(&request(&manifest(2, &[9, 10])).build());
        node.aborted();
        let node = TestNode::start(&path, ACTIVE);
        assert_eq!(check(&node), uid, "{point}");
        node.client().ask(request(&manifest(2, &[9, 10])));
        assert_eq!(check(&node), 2, "{point}");
        node.kill();
        let node = TestNode::start(&path, ACTIVE);
        assert_eq!(check(&node), 2, "{point}");
        // It begins again, and its rows of before may still be there.
        node.client().ask(request(&manifest(3, &[8, 9])));
        assert_eq!(status(&mut node.client(), 8), Status::KEY_ENOENT, "{point}");
        node.stop();
    }
}
