//! Collections that come and go while streams and clients look at them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use kvnode::BucketOptions;
use mcbp::dcp::StreamReq;
use mcbp::{Datatype, FrameBuilder, Opcode, Seqno, Status, VbId, VbState};
use vbucket::collections::{Change, SystemEvent};

use crate::client::{Client, Packet, from_zero, wait_for};
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

/// The keys of the next changes of a stream.
fn keys(dcp: &mut Client, count: usize) -> Vec<Vec<u8>> {
    let changes = std::iter::repeat_with(|| dcp.next()).filter(Packet::is_change).take(count);
    changes.map(|packet| packet.frame().key.to_vec()).collect()
}

#[test]
fn a_scope_that_grows_before_its_disk_is_read_is_sent_whole() {
    let change = |options: &mut BucketOptions| options.log_bytes_max = 1;
    let node = TestNode::start_with(VbState::Active, change);
    let mut client = node.client();
    set_manifest(&mut client, &manifest(1, &[0], &[(8, &[8])]));
    assert_eq!(store(&mut client, 0, b"\x08a"), Status::SUCCESS);
    let mut dcp = node.client().produce("scope");
    node.faults.scans_wait.store(true, Ordering::Relaxed);
    let scans = node.faults.scans.load(Ordering::Relaxed);
    let request = StreamReq { value: br#"{"scope":"8"}"#, ..from_zero() };
    assert_eq!(dcp.request(0, 7, request).status(), Status::SUCCESS);
    wait_for("a scan", || node.faults.scans.load(Ordering::Relaxed) > scans);
    set_manifest(&mut client, &manifest(2, &[0], &[(8, &[8, 9])]));
    assert_eq!(store(&mut client, 0, b"\x09b"), Status::SUCCESS);
    node.faults.scans_wait.store(false, Ordering::Relaxed);
    assert_eq!(keys(&mut dcp, 2), [b"\x08a", b"\x09b"]);
}

pub(crate) fn get(client: &mut Client, vb: u16, key: &[u8]) -> Status {
    client.try_ask(FrameBuilder::request(Opcode::GET).vbucket(VbId(vb)).key(key)).status()
}

/// How many documents a collection has in all vBuckets, by STAT.
fn items(client: &mut Client, id: u32) -> usize {
    client.stat("collections", &format!("0x0:{id:#x}:items")).parse().unwrap()
}

/// The keys of documents that a consumer has who got everything there is of a vBucket.
fn streamed(node: &TestNode, vb: u16) -> BTreeSet<Vec<u8>> {
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

/// Writes to a collection until told to stop. Returns how many writes were acknowledged.
fn write_until(node: &TestNode, id: u8, stop: &AtomicBool) -> usize {
    let mut client = node.client();
    let mut acknowledged = 0;
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = [&[id][..], format!("w{}", number % 500).as_bytes()].concat();
        let status = store(&mut client, number % 8, &key);
        assert!([Status::SUCCESS, Status::UNKNOWN_COLLECTION].contains(&status), "{status}");
        acknowledged += usize::from(status.is_success());
    }
    acknowledged
}

#[test]
fn nothing_of_a_collection_outlives_its_drop_or_flush_while_clients_write() {
    let mut node = TestNode::start(VbState::Active);
    let stop = AtomicBool::new(false);
    let flushed = |uid: u32, flush_uid: u32| {
        manifest(uid, &[0, 8, 9], &[]).replace(
            r#""name":"c8","uid":"8""#,
            &format!(r#""name":"c8","uid":"8","flush_uid":"{flush_uid:x}""#),
        )
    };
    std::thread::scope(|scope| {
        let mut client = node.client();
        set_manifest(&mut client, &manifest(1, &[0, 8, 9], &[]));
        let writers: Vec<_> = [8, 8, 9]
            .map(|id| {
                scope.spawn({
                    let (node, stop) = (&node, &stop);
                    move || write_until(node, id, stop)
                })
            })
            .into();
        let mut uid = 1;
        for round in 0..20 {
            let own: Vec<_> =
                (0..8).map(|vb| (vb, [&b"\x08own"[..], &[vb as u8]].concat())).collect();
            own.iter().for_each(|(vb, key)| assert!(store(&mut client, *vb, key).is_success()));
            if round % 2 == 0 {
                uid += 1;
                set_manifest(&mut client, &flushed(uid, uid));
                for (vb, key) in &own {
                    assert_eq!(get(&mut client, *vb, key), Status::KEY_ENOENT, "flushed");
                }
            } else {
                set_manifest(&mut client, &manifest(uid + 1, &[0, 9], &[]));
                for (vb, key) in &own {
                    assert_eq!(get(&mut client, *vb, key), Status::UNKNOWN_COLLECTION);
                    assert_eq!(store(&mut client, *vb, key), Status::UNKNOWN_COLLECTION);
                }
                uid += 2;
                set_manifest(&mut client, &flushed(uid, uid));
                for (vb, key) in &own {
                    assert_eq!(get(&mut client, *vb, key), Status::KEY_ENOENT, "created again");
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        let acknowledged: Vec<_> = writers.into_iter().map(|it| it.join().unwrap()).collect();
        assert!(acknowledged.iter().all(|count| *count > 0), "{acknowledged:?}");
    });
    for _ in 0..2 {
        let all: Vec<_> = (0..8).flat_map(|vb| streamed(&node, vb)).collect();
        let mut client = node.client();
        for id in [0, 8, 9] {
            let of_it = all.iter().filter(|key| mcbp::key::split(key).unwrap().0 == id).count();
            assert_eq!(items(&mut client, id), of_it, "{id}");
        }
        node.restart();
    }
}

#[test]
fn a_range_scan_ends_with_its_collection() {
    let node = TestNode::start(VbState::Active);
    let mut client = Client::connect(node.handle().address(), &[0x07, 0x0b, 0x12]);
    for gone in [
        manifest(4, &[0], &[]),
        manifest(6, &[0, 8], &[]).replace("c8\"", "c8\",\"flush_uid\":\"6\""),
    ] {
        let uid = gone.as_bytes()[8] - b'0';
        set_manifest(&mut client, &manifest(u32::from(uid) - 1, &[0, 8], &[]));
        for key in [b"\x08a", b"\x08b"] {
            assert!(store(&mut client, 0, key).is_success());
        }
        let create = FrameBuilder::request(Opcode::RANGE_SCAN_CREATE).datatype(Datatype::JSON);
        let wanted = br#"{"collection":"8","range":{"start":"AA==","end":"/w=="},"key_only":true}"#;
        let scan = client.ask(create.value(wanted)).frame().value.to_vec();
        set_manifest(&mut client, &gone);
        let extras = [&scan[..], &[0; 12]].concat();
        let go_on = FrameBuilder::request(Opcode::RANGE_SCAN_CONTINUE);
        let answer = client.try_ask(go_on.extras(&extras));
        assert_eq!(answer.status(), Status::UNKNOWN_COLLECTION);
    }
}

#[test]
fn keys_are_as_long_as_those_of_a_real_node() {
    let node = TestNode::start(VbState::Active);
    let mut client = node.client();
    set_manifest(&mut client, &manifest(1, &[0, 8, 0x1234_5678], &[]));
    let long = b"\xf8\xac\xd1\x91\x01";
    for (prefix, bytes, status) in [
        (&b"\0"[..], 250, Status::SUCCESS),
        (b"\0", 251, Status::EINVAL),
        (b"\x08", 246, Status::SUCCESS),
        (b"\x08", 247, Status::EINVAL),
        (long, 246, Status::SUCCESS),
        (long, 247, Status::EINVAL),
    ] {
        let key = [prefix, &vec![b'k'; bytes]].concat();
        assert_eq!(store(&mut client, 0, &key), status, "{prefix:?} and {bytes}");
        let found = if status.is_success() { Status::SUCCESS } else { Status::EINVAL };
        assert_eq!(get(&mut client, 0, &key), found, "{prefix:?} and {bytes}");
    }
    assert_eq!(streamed(&node, 0).len(), 3);
}

#[test]
fn without_the_default_collection_older_clients_have_nothing() {
    let node = TestNode::start(VbState::Active);
    let mut client = node.client();
    let mut older = node.plain_client();
    assert!(store(&mut older, 0, b"key").is_success());
    let mut dcp = node.plain_client().produce("older");
    dcp.stream(0, 1);
    assert_eq!(dcp.changes(1), [1]);
    set_manifest(&mut client, &manifest(1, &[8], &[]));
    assert_eq!(dcp.next().end(), 0);
    assert_eq!(get(&mut older, 0, b"key"), Status::UNKNOWN_COLLECTION);
    assert_eq!(store(&mut older, 0, b"key"), Status::UNKNOWN_COLLECTION);
    assert_eq!(get(&mut older, 0, b"\x08key"), Status::UNKNOWN_COLLECTION);
    let again = dcp.request(0, 2, from_zero());
    assert_eq!(again.status(), Status::UNKNOWN_COLLECTION);
    let seqnos = FrameBuilder::request(Opcode::GET_ALL_VB_SEQNOS);
    assert_eq!(older.try_ask(seqnos).status(), Status::UNKNOWN_COLLECTION);
    let random = FrameBuilder::request(Opcode::GET_RANDOM_KEY);
    assert_eq!(older.try_ask(random).status(), Status::UNKNOWN_COLLECTION);
    older.stats("collections");
}
