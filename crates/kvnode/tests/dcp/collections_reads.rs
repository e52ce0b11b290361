//! Reads of collections by range, by chance and by keys, how long keys may be, and how long
//! documents live.

use std::time::{SystemTime, UNIX_EPOCH};

use mcbp::{Datatype, FrameBuilder, Opcode, Status, VbState};

use crate::client::Client;
use crate::manifests::{get, manifest, set_manifest, store, streamed};
use crate::node::TestNode;

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

/// The keys in an answer of GET_KEYS.
fn listed(client: &mut Client, from: &[u8], most: u32) -> Vec<Vec<u8>> {
    let request = FrameBuilder::request(Opcode::GET_KEYS);
    let answer = client.ask(request.extras(&most.to_be_bytes()).key(from));
    let (mut rest, mut keys) = (answer.frame().value, Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (key, after) = after.split_at(u16::from_be_bytes(*length).into());
        keys.push(key.to_vec());
        rest = after;
    }
    keys
}

#[test]
fn a_small_collection_among_many_rows_is_found() {
    let node = TestNode::start(VbState::Active);
    let mut client = node.client();
    set_manifest(&mut client, &manifest(1, &[0, 8, 9], &[]));
    for key in [b"\x08b", b"\x08a", b"\x08c", b"\x09z"] {
        assert!(store(&mut client, 0, key).is_success());
    }
    client.ask(FrameBuilder::request(Opcode::DELETE).key(b"\x08c"));
    // More than are read to find a document by chance.
    (0..1_500).for_each(|number| client.set(0, &format!("{number:04}"), b"x"));
    for _ in 0..20 {
        let random = FrameBuilder::request(Opcode::GET_RANDOM_KEY);
        let found = client.ask(random.extras(&8_u32.to_be_bytes()));
        assert!([b"\x08a", b"\x08b"].contains(&found.frame().key.try_into().unwrap()));
    }
    assert_eq!(listed(&mut client, b"\x08a", 10), [b"\x08a", b"\x08b"]);
    assert_eq!(listed(&mut client, b"\x08aa", 10), [b"\x08b"]);
    assert_eq!(listed(&mut client, b"\x08a", 1), [b"\x08a"]);
    assert_eq!(listed(&mut client, b"\x080", u32::MAX).len(), 2);
    assert_eq!(listed(&mut node.plain_client(), b"1490", 3), [b"1490", b"1491", b"1492"]);
    assert_eq!(listed(&mut client, b"\x000", u32::MAX).len(), 1_500);
    set_manifest(&mut client, &manifest(2, &[0, 9], &[]));
    let of_gone = FrameBuilder::request(Opcode::GET_KEYS).key(b"\x08a");
    assert_eq!(client.try_ask(of_gone).status(), Status::UNKNOWN_COLLECTION);
    assert_eq!(listed(&mut client, b"\x09a", 10), [b"\x09z"]);
}

/// Until when a document lives, in seconds from now; `None` for ever.
fn life(client: &mut Client, key: &[u8]) -> Option<u32> {
    let request = FrameBuilder::request(Opcode::GET_META).extras(&[2]).key(key);
    let answer = client.ask(request);
    let expiry = u32::from_be_bytes(answer.frame().extras[8..12].try_into().unwrap());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    (expiry > 0).then(|| expiry - u32::try_from(now).unwrap())
}

#[test]
fn documents_live_no_longer_than_their_collection_lets_them() {
    let mut node = TestNode::start(VbState::Active);
    let mut client = node.client();
    let of = |uid, max_ttl: u32| {
        let limited = format!(r#""c8","maxTTL":{max_ttl}"#);
        manifest(uid, &[0, 8, 9], &[]).replace(r#""c8""#, &limited)
    };
    set_manifest(&mut client, &of(1, 1_000));
    let set = |client: &mut Client, key: &[u8], expiry: u32| {
        let extras = [[0; 4], expiry.to_be_bytes()].concat();
        client.ask(FrameBuilder::request(Opcode::SET).extras(&extras).key(key).value(b"1"));
    };
    let is_about = |life: Option<u32>, seconds: u32| {
        assert!(life.is_some_and(|life| (seconds - 30..=seconds).contains(&life)), "{life:?}");
    };
    for (expiry, seconds) in [(0, 1_000), (5_000, 1_000), (500, 500)] {
        set(&mut client, b"\x08a", expiry);
        is_about(life(&mut client, b"\x08a"), seconds);
    }
    let for_ever = [0; 4];
    client.ask(FrameBuilder::request(Opcode::TOUCH).extras(&for_ever).key(b"\x08a"));
    is_about(life(&mut client, b"\x08a"), 1_000);
    let counter = [&[0; 7][..], &[1], &[0; 12]].concat();
    client.ask(FrameBuilder::request(Opcode::INCREMENT).extras(&counter).key(b"\x08n"));
    is_about(life(&mut client, b"\x08n"), 1_000);
    let meta = [&[0; 15][..], &[1], &[0; 7], &[1]].concat();
    let with_meta = FrameBuilder::request(Opcode::SET_WITH_META).extras(&meta);
    client.ask(with_meta.key(b"\x08m").value(b"1"));
    is_about(life(&mut client, b"\x08m"), 1_000);
    set(&mut client, b"\x09a", 0);
    assert_eq!(life(&mut client, b"\x09a"), None);
    // Documents that are there stay as they are.
    set_manifest(&mut client, &of(2, 100));
    node.restart();
    let mut client = node.client();
    is_about(life(&mut client, b"\x08a"), 1_000);
    set(&mut client, b"\x08a", 0);
    is_about(life(&mut client, b"\x08a"), 100);
    set_manifest(&mut client, &of(3, 0));
    set(&mut client, b"\x08a", 0);
    assert_eq!(life(&mut client, b"\x08a"), None);
}
