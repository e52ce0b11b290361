//! Collections that come and go while streams and clients look at them.

use std::sync::atomic::{AtomicBool, Ordering};

use kvnode::BucketOptions;
use mcbp::dcp::StreamReq;
use mcbp::{FrameBuilder, Opcode, Status, VbState};

use crate::client::{Client, Packet, from_zero, wait_for};
use crate::manifests::{get, manifest, set_manifest, store, streamed};
use crate::node::TestNode;

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

/// How many documents a collection has in all vBuckets, by STAT.
fn items(client: &mut Client, id: u32) -> usize {
    client.stat("collections", &format!("0x0:{id:#x}:items")).parse().unwrap()
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

#[test]
fn as_many_collections_as_there_may_be() {
    let mut node = TestNode::start_with(VbState::Active, |options| options.vbuckets = 16);
    let all: Vec<u32> = std::iter::once(0).chain(8..8 + 1_199).collect();
    let mut client = node.client();
    set_manifest(&mut client, &manifest(1, &all, &[]));
    let last = mcbp::key::prefixed(8 + 1_198, b"key");
    assert!((0..16).all(|vb| store(&mut client, vb, &last).is_success()));
    for _ in 0..2 {
        assert!((0..16).all(|vb| get(&mut node.client(), vb, &last).is_success()));
        assert_eq!(items(&mut node.client(), 8 + 1_198), 16);
        node.restart();
    }
    set_manifest(&mut node.client(), &manifest(2, &all[..2], &[]));
    assert!((0..16).all(|vb| node.high_seqno(vb) == 1_199 + 1 + 1_198));
    // One row for each end, and one for the collection that is left.
    assert_eq!(node.rows(15).len(), 1_199);
    let too_many: Vec<u32> = (8..8 + 1_201).collect();
    let too_many = manifest(3, &too_many, &[]);
    let request = FrameBuilder::request(Opcode::COLLECTIONS_SET_MANIFEST);
    let answer = node.client().try_ask(request.value(too_many.as_bytes()));
    assert_eq!(answer.status(), Status::EINVAL);
}
