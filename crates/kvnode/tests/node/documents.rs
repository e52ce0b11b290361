//! Commands about documents: what they answer, and when they do not.

use mcbp::kv::StoreExtras;
use mcbp::{Datatype, Feature, FrameBuilder, Opcode, Status, VbId};

use crate::support::client::{Client, set};
use crate::support::memory_store::Disk;
use crate::support::{options, start_in_memory};

const NO_EXTRAS: [u8; 8] = [0; 8];

#[test]
fn a_document_lives_and_dies() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::with_features(&node, &[Feature::XERROR]);
    assert_eq!(client.get(1, "a").status, Status::KEY_ENOENT);
    let extras = StoreExtras { flags: 0xcafe, expiry: 0 };
    let stored = client.set_with(1, "a", "one", extras, 0);
    assert_eq!(stored.status, Status::SUCCESS);
    assert_ne!(stored.cas, 0);
    let got = client.get(1, "a");
    assert_eq!((got.value.as_slice(), got.cas), (b"one".as_slice(), stored.cas));
    assert_eq!(got.extras, 0xcafe_u32.to_be_bytes());
    // The same key in another vBucket is another document.
    assert_eq!(client.get(2, "a").status, Status::KEY_ENOENT);
    let again = client.set(1, "a", "two");
    assert!(again.cas > stored.cas);
    let deleted = client.delete(1, "a");
    assert_eq!(deleted.status, Status::SUCCESS);
    assert!(deleted.cas > again.cas);
    assert_eq!(client.get(1, "a").status, Status::KEY_ENOENT);
    assert_eq!(client.delete(1, "a").status, Status::KEY_ENOENT);
}

#[test]
fn add_and_replace_look_first() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let call = |client: &mut Client, opcode, value, cas| {
        client.call(&set(opcode, 0, "a", value, &NO_EXTRAS).cas(cas)).status
    };
    assert_eq!(call(&mut client, Opcode::REPLACE, "x", 0), Status::KEY_ENOENT);
    assert_eq!(call(&mut client, Opcode::ADD, "x", 5), Status::EINVAL);
    assert_eq!(call(&mut client, Opcode::ADD, "x", 0), Status::SUCCESS);
    assert_eq!(call(&mut client, Opcode::ADD, "y", 0), Status::KEY_EEXISTS);
    assert_eq!(call(&mut client, Opcode::REPLACE, "z", 0), Status::SUCCESS);
    assert_eq!(client.get(0, "a").value, b"z");
}

#[test]
fn cas_guards_every_change() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let extras = StoreExtras::default();
    assert_eq!(client.set_with(0, "a", "x", extras, 7).status, Status::KEY_ENOENT);
    let cas = client.set(0, "a", "x").cas;
    assert_eq!(client.set_with(0, "a", "y", extras, cas + 1).status, Status::KEY_EEXISTS);
    let delete = FrameBuilder::request(Opcode::DELETE).vbucket(VbId(0)).key(b"a");
    assert_eq!(client.call(&delete.cas(cas + 1)).status, Status::KEY_EEXISTS);
    let append = FrameBuilder::request(Opcode::APPEND).vbucket(VbId(0)).key(b"a").value(b"!");
    assert_eq!(client.call(&append.cas(cas + 1)).status, Status::KEY_EEXISTS);
    assert_eq!(client.set_with(0, "a", "y", extras, cas).status, Status::SUCCESS);
    assert_eq!(client.get(0, "a").value, b"y");
}

#[test]
fn append_and_prepend_keep_flags() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let append = FrameBuilder::request(Opcode::APPEND).vbucket(VbId(0)).key(b"a").value(b"c");
    assert_eq!(client.call(&append).status, Status::NOT_STORED);
    client.set_with(0, "a", "b", StoreExtras { flags: 9, expiry: 0 }, 0);
    assert_eq!(client.call(&append).status, Status::SUCCESS);
    let prepend = FrameBuilder::request(Opcode::PREPEND).vbucket(VbId(0)).key(b"a").value(b"a");
    assert_eq!(client.call(&prepend).status, Status::SUCCESS);
    let got = client.get(0, "a");
    assert_eq!((got.value.as_slice(), got.extras), (b"abc".as_slice(), vec![0, 0, 0, 9]));
}

#[test]
fn counters_count() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let mut count = |opcode, key: &str, delta: u64, initial: u64, expiry: u32| {
        let mut extras = [0; 20];
        extras[..8].copy_from_slice(&delta.to_be_bytes());
        extras[8..16].copy_from_slice(&initial.to_be_bytes());
        extras[16..].copy_from_slice(&expiry.to_be_bytes());
        let frame = FrameBuilder::request(opcode).vbucket(VbId(0)).key(key.as_bytes());
        let answer = client.call(&frame.extras(&extras));
        let number = answer.value.try_into().map(u64::from_be_bytes);
        (answer.status, number.unwrap_or(u64::MAX))
    };
    let (up, down) = (Opcode::INCREMENT, Opcode::DECREMENT);
    assert_eq!(count(up, "n", 1, 5, u32::MAX).0, Status::KEY_ENOENT);
    assert_eq!(count(up, "n", 1, 5, 0), (Status::SUCCESS, 5));
    assert_eq!(count(up, "n", 3, 5, 0), (Status::SUCCESS, 8));
    assert_eq!(count(down, "n", 10, 5, 0), (Status::SUCCESS, 0));
    assert_eq!(count(up, "n", u64::MAX, 5, 0), (Status::SUCCESS, u64::MAX));
    assert_eq!(count(up, "n", 2, 5, 0), (Status::SUCCESS, 1));
    assert_eq!(client.get(0, "n").value, b"1");
    client.set(0, "n", "one");
    let extras = [0; 20];
    let frame = FrameBuilder::request(up).vbucket(VbId(0)).key(b"n").extras(&extras);
    assert_eq!(client.call(&frame).status, Status::DELTA_BADVAL);
}

#[test]
fn quiet_commands_are_silent_when_all_is_well() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    client.set(0, "there", "x");
    let key = |opcode, key: &'static str| {
        FrameBuilder::request(opcode).vbucket(VbId(0)).key(key.as_bytes())
    };
    let pipeline = [
        set(Opcode::SETQ, 0, "a", "1", &NO_EXTRAS).opaque(mcbp::Opaque(1)),
        set(Opcode::ADDQ, 0, "there", "1", &NO_EXTRAS).opaque(mcbp::Opaque(2)),
        key(Opcode::GETQ, "missing").opaque(mcbp::Opaque(3)),
        key(Opcode::GETQ, "a").opaque(mcbp::Opaque(4)),
        key(Opcode::GETKQ, "a").opaque(mcbp::Opaque(5)),
        key(Opcode::DELETEQ, "a").opaque(mcbp::Opaque(6)),
        key(Opcode::DELETEQ, "a").opaque(mcbp::Opaque(7)),
        key(Opcode::GETQ, "a").opaque(mcbp::Opaque(8)),
        FrameBuilder::request(Opcode::NOOP).opaque(mcbp::Opaque(9)),
    ];
    let bytes: Vec<u8> = pipeline.iter().flat_map(|frame| frame.build()).collect();
    client.send_bytes(&bytes);
    let mut answers = Vec::new();
    loop {
        let answer = client.receive();
        answers.push((answer.opaque.0, answer.status, answer.key.clone(), answer.value.clone()));
        if answer.opcode == Opcode::NOOP {
            break;
        }
    }
    let expected = [
        (2, Status::KEY_EEXISTS, vec![], vec![]),
        (4, Status::SUCCESS, vec![], b"1".to_vec()),
        (5, Status::SUCCESS, b"a".to_vec(), b"1".to_vec()),
        (7, Status::KEY_ENOENT, vec![], vec![]),
        (9, Status::SUCCESS, vec![], vec![]),
    ];
    assert_eq!(answers, expected);
}

#[test]
fn getk_gives_the_key_back_with_a_document_alone() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let getk = FrameBuilder::request(Opcode::GETK).vbucket(VbId(0)).key(b"a");
    let miss = client.call(&getk);
    assert_eq!((miss.status, miss.key.as_slice()), (Status::KEY_ENOENT, b"".as_slice()));
    assert_eq!(client.set(0, "a", "1").status, Status::SUCCESS);
    assert_eq!(client.call(&getk).key, b"a");
}

#[test]
fn wrong_vbuckets_keys_and_values() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    assert_eq!(client.get(8, "a").status, Status::NOT_MY_VBUCKET);
    assert_eq!(client.get(1023, "a").status, Status::NOT_MY_VBUCKET);
    assert_eq!(client.get(0, "").status, Status::EINVAL);
    assert_eq!(client.set(0, &"k".repeat(251), "x").status, Status::EINVAL);
    assert_eq!(client.set(0, &"k".repeat(250), "x").status, Status::SUCCESS);
    let big = "x".repeat(20 * 1024 * 1024 + 1);
    assert_eq!(client.set(0, "big", &big).status, Status::E2BIG);
    let big = &big[1..];
    assert_eq!(client.set(0, "big", big).status, Status::SUCCESS);
    assert_eq!(client.get(0, "big").value.len(), big.len());
    let append = FrameBuilder::request(Opcode::APPEND).vbucket(VbId(0)).key(b"big").value(b"!");
    assert_eq!(client.call(&append).status, Status::E2BIG);
}

#[test]
fn mutation_tokens_tell_branch_and_seqno() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::with_features(&node, &[Feature::MUTATION_SEQNO]);
    let uuid = client.stat("failovers 3").unwrap()["vb_3:0:id"].parse::<u64>().unwrap();
    for seqno in 1..=3_u64 {
        let token = client.set(3, "a", "x").extras;
        assert_eq!(token, [uuid.to_be_bytes(), seqno.to_be_bytes()].concat());
    }
    let token = client.delete(3, "a").extras;
    assert_eq!(token[8..], 4_u64.to_be_bytes());
}

#[test]
fn collections_have_a_prefix() {
    let node = start_in_memory(&Disk::new(), options());
    let mut with = Client::with_features(&node, &[Feature::COLLECTIONS]);
    let mut without = Client::ready(&node);
    assert_eq!(with.set(0, "\0a", "x").status, Status::SUCCESS);
    assert_eq!(without.get(0, "a").value, b"x");
    assert_eq!(with.get(0, "\u{8}a").status, Status::UNKNOWN_COLLECTION);
    assert_eq!(with.get(0, "\0").status, Status::EINVAL);
    let getk = FrameBuilder::request(Opcode::GETK).vbucket(VbId(0)).key(b"\0a");
    assert_eq!(with.call(&getk).key, b"\0a");
}

#[test]
fn the_datatype_tells_the_truth() {
    let node = start_in_memory(&Disk::new(), options());
    let all = [Feature::JSON, Feature::SNAPPY, Feature::XATTR];
    let mut modern = Client::with_features(&node, &all);
    let mut plain = Client::ready(&node);
    let json = br#"{"a":[1,2,{"b":null}]}"#;
    let text = std::str::from_utf8(json).unwrap();
    assert_eq!(plain.set(0, "json", text).status, Status::SUCCESS);
    assert_eq!(modern.get(0, "json").datatype, Datatype::JSON);
    assert_eq!(plain.get(0, "json").datatype, Datatype::RAW);
    let claimed = set(Opcode::SET, 0, "text", "{not json", &NO_EXTRAS).datatype(Datatype::JSON);
    assert_eq!(plain.call(&claimed).status, Status::EINVAL);
    assert_eq!(modern.call(&claimed).status, Status::SUCCESS);
    assert_eq!(modern.get(0, "text").datatype, Datatype::RAW);

    let snappy = snap::raw::Encoder::new().compress_vec(json).unwrap();
    let frame = FrameBuilder::request(Opcode::SET).vbucket(VbId(0)).key(b"snappy");
    let frame = frame.extras(&NO_EXTRAS).value(&snappy).datatype(Datatype::SNAPPY);
    assert_eq!(modern.call(&frame).status, Status::SUCCESS);
    let got = modern.get(0, "snappy");
    assert_eq!((got.datatype, &got.value), (Datatype::JSON.with(Datatype::SNAPPY), &snappy));
    let got = plain.get(0, "snappy");
    assert_eq!((got.datatype, got.value.as_slice()), (Datatype::RAW, json.as_slice()));

    let garbage = frame.value(b"\x80\x87\xa7\x0ea bomb of 30,000,000 bytes");
    assert_eq!(modern.call(&garbage).status, Status::EINVAL);
    assert_eq!(modern.call(&frame.value(b"\x0agarbage")).status, Status::EINVAL);
    assert_eq!(modern.call(&frame.value(b"")).status, Status::EINVAL);
    assert_eq!(modern.get(0, "snappy").value, snappy);
}

#[test]
fn extended_attributes_stay_with_their_document() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::with_features(&node, &[Feature::JSON, Feature::XATTR]);
    let pair = b"\x00\x00\x00\x06_a\x0042\x00";
    let xattrs = [(pair.len() as u32).to_be_bytes().as_slice(), pair].concat();
    let value = [xattrs.as_slice(), b"{}"].concat();
    let stored = client.set_with_attributes(0, "x", &value, Datatype::XATTR, 0);
    assert_eq!(stored.status, Status::SUCCESS);
    let got = client.get(0, "x");
    assert_eq!((got.value.as_slice(), got.datatype), (b"{}".as_slice(), Datatype::JSON));
    client.set(0, "x", "new body");
    assert_eq!(client.get(0, "x").value, b"new body");
    let bucket = node.bucket("default").unwrap();
    let row = bucket.store().get(VbId(0), b"\0x").unwrap().unwrap();
    assert_eq!(row.datatype, Datatype::XATTR);
    assert_eq!(row.value, [xattrs.as_slice(), b"new body"].concat());
    let broken = b"\xff\xff\xff\xff{}";
    let refused = client.set_with_attributes(0, "x", broken, Datatype::XATTR, 0);
    assert_eq!(refused.status, Status::XATTR_EINVAL);
    let frame = FrameBuilder::request(Opcode::SET).vbucket(VbId(0)).key(b"x").extras(&NO_EXTRAS);
    let refused = client.call(&frame.value(&value).datatype(Datatype::XATTR));
    assert_eq!(refused.status, Status::EINVAL, "attributes are not SET's to change");
}

#[test]
fn revisions_go_on_after_a_deletion() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    for _ in 0..3 {
        client.set(0, "a", "x");
    }
    client.delete(0, "a");
    client.set(0, "a", "y");
    client.set(0, "b", "never seen before");
    let bucket = node.bucket("default").unwrap();
    let rev = |key: &[u8]| bucket.store().get(VbId(0), key).unwrap().unwrap().rev;
    assert_eq!((rev(b"\0a"), rev(b"\0b")), (5, 5));
}

#[test]
fn a_deletion_keeps_the_attributes_of_the_system() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::with_features(&node, &[Feature::XATTR]);
    let (system, user) = (b"\0\0\0\x06_s\x0012\0", b"\0\0\0\x04u\x001\0");
    let attributes = |pairs: &[&[u8]]| {
        let pairs = pairs.concat();
        [&(pairs.len() as u32).to_be_bytes(), pairs.as_slice()].concat()
    };
    let value = [attributes(&[user, system]), b"body".to_vec()].concat();
    for (key, expiry) in [("gone", 0), ("over", 1_000_000_000)] {
        let stored = client.set_with_attributes(0, key, &value, Datatype::XATTR, expiry);
        assert_eq!(stored.status, Status::SUCCESS);
    }
    assert_eq!(client.delete(0, "gone").status, Status::SUCCESS);
    assert_eq!(client.get(0, "over").status, Status::KEY_ENOENT);
    assert_eq!(client.delete(0, "over").status, Status::KEY_ENOENT, "and it is on disk");
    let store = node.bucket("default").unwrap().store().clone();
    for key in [b"\0gone", b"\0over"] {
        let row = store.get(VbId(0), key).unwrap().unwrap();
        assert!(!row.is_alive());
        assert_eq!((row.datatype, row.value), (Datatype::XATTR, attributes(&[system]).into()));
    }
}
