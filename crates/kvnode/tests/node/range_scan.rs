//! Range scans: what is in the range at the moment of the first request, in pieces.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mcbp::{Datatype, Feature, FrameBuilder, Opcode, Status, VbId};

use crate::support::client::{Answer, Client};
use crate::support::memory_store::Disk;
use crate::support::{BUCKET, options, start_in_memory};

fn create(client: &mut Client, json: &str) -> Answer {
    let request = FrameBuilder::request(Opcode::RANGE_SCAN_CREATE).vbucket(VbId(0));
    client.call(&request.datatype(Datatype::JSON).value(json.as_bytes()))
}

fn range(start: &str, end: &str, more: &str) -> String {
    let [start, end] = [start, end].map(|key| BASE64_STANDARD.encode(key));
    format!("{{\"range\":{{\"start\":\"{start}\",\"excl_end\":\"{end}\"}}{more}}}")
}

fn go_on(client: &mut Client, id: &[u8], items: u32) -> Answer {
    let extras = [id, &items.to_be_bytes(), &[0; 8]].concat();
    client.call(&FrameBuilder::request(Opcode::RANGE_SCAN_CONTINUE).extras(&extras))
}

/// The keys of an answer of keys alone, all short.
fn keys(answer: &Answer) -> Vec<String> {
    let mut rest = answer.value.as_slice();
    let mut keys = Vec::new();
    while let Some((&length, after)) = rest.split_first() {
        let (key, after) = after.split_at(length.into());
        keys.push(String::from_utf8(key.to_vec()).unwrap());
        rest = after;
    }
    keys
}

fn ready() -> (kvnode::NodeHandle, Client) {
    let node = start_in_memory(&Disk::new(), options());
    let client = Client::with_features(&node, &[Feature::JSON, Feature::XERROR]);
    (node, client)
}

#[test]
fn a_scan_returns_what_was_there_when_it_began_in_pieces() {
    let (_node, mut client) = ready();
    // Written in another order than that of the keys, in which they are returned.
    for number in (0..25).rev().chain(25..50) {
        client.set(0, &format!("key-{number:02}"), "v");
    }
    client.set(1, "key-99", "in another vBucket");
    let created = create(&mut client, &range("key-10", "key-30", ",\"key_only\":true"));
    assert_eq!((created.status, created.value.len()), (Status::SUCCESS, 16));
    client.delete(0, "key-11");
    client.set(0, "key-29z", "later");
    let (mut found, mut answers) = (Vec::new(), 0);
    loop {
        let answer = go_on(&mut client, &created.value, 7);
        assert_eq!(answer.extras, [0, 0, 0, 0], "keys alone");
        assert!(keys(&answer).len() <= 7);
        found.extend(keys(&answer));
        answers += 1;
        match answer.status {
            Status::RANGE_SCAN_MORE => {}
            status => break assert_eq!(status, Status::RANGE_SCAN_COMPLETE),
        }
    }
    let expected: Vec<_> = (10..30).map(|number| format!("key-{number:02}")).collect();
    assert_eq!((found, answers >= 3), (expected, true));
    assert_eq!(go_on(&mut client, &created.value, 7).status, Status::KEY_ENOENT, "it has ended");
}

#[test]
fn a_document_has_its_metadata_and_its_value_in_front_of_and_behind_its_key() {
    let (_node, mut client) = ready();
    let stored = client.set(0, "k", "{\"a\":1}");
    let created = create(&mut client, &range("a", "z", ""));
    let answer = go_on(&mut client, &created.value, 0);
    assert_eq!(answer.status, Status::RANGE_SCAN_COMPLETE);
    assert_eq!(answer.extras, [0, 0, 0, 1], "documents");
    let meta = [&[0; 8][..], &1_u64.to_be_bytes(), &stored.cas.to_be_bytes(), &[1]].concat();
    assert_eq!(answer.value, [&meta[..], b"\x01k\x07{\"a\":1}"].concat());
}

#[test]
fn a_large_document_comes_alone() {
    let (_node, mut client) = ready();
    let large = "x".repeat(3 << 20);
    client.set(0, "a", "small");
    client.set(0, "b", &large);
    client.set(0, "c", "small");
    let created = create(&mut client, &range("a", "z", ""));
    let mut bytes = 0;
    loop {
        let answer = go_on(&mut client, &created.value, 0);
        bytes += answer.value.len();
        if answer.status != Status::RANGE_SCAN_MORE {
            break assert_eq!(answer.status, Status::RANGE_SCAN_COMPLETE);
        }
    }
    assert!(bytes > large.len() && bytes < large.len() + 200, "{bytes}");
}

#[test]
fn a_sample_has_as_many_documents_as_it_wants() {
    let (_node, mut client) = ready();
    let sample = "{\"sampling\":{\"samples\":5,\"seed\":7},\"key_only\":true}";
    assert_eq!(create(&mut client, sample).status, Status::KEY_ENOENT, "there is nothing");
    for number in 0..40 {
        client.set(0, &format!("{number}"), "v");
    }
    let created = create(&mut client, sample);
    let answer = go_on(&mut client, &created.value, 0);
    assert_eq!((answer.status, keys(&answer).len()), (Status::RANGE_SCAN_COMPLETE, 5));
}

#[test]
fn a_scan_that_cannot_begin_says_why() {
    let (node, mut client) = ready();
    client.set(0, "k", "v");
    let uuid = node.bucket(BUCKET).unwrap().vb(VbId(0)).unwrap().view().uuid().0;
    let requires = |uuid: u64, seqno: u64, more: &str| {
        let what = format!("{{\"vb_uuid\":\"{uuid}\",\"seqno\":{seqno}{more}}}");
        range("a", "z", &format!(",\"snapshot_requirements\":{what}"))
    };
    let exists = ",\"seqno_exists\":true";
    for (json, status) in [
        (requires(uuid, 1, exists), Status::SUCCESS),
        (requires(uuid + 1, 1, ""), Status::VB_UUID_NOT_EQUAL),
        (requires(uuid, 9, ",\"timeout_ms\":1"), Status::ETMPFAIL),
        (range("l", "z", ""), Status::KEY_ENOENT),
        ("{}".to_owned(), Status::EINVAL),
    ] {
        assert_eq!(create(&mut client, &json).status, status, "{json}");
    }
    client.set(0, "k", "changed");
    let gone = create(&mut client, &requires(uuid, 1, exists));
    assert_eq!(gone.status, Status::NOT_STORED);
}

#[test]
fn a_scan_is_cancelled_once_and_has_a_bound() {
    let (_node, mut client) = ready();
    client.set(0, "k", "v");
    let created = create(&mut client, &range("a", "z", ""));
    let cancel = FrameBuilder::request(Opcode::RANGE_SCAN_CANCEL).extras(&created.value);
    assert_eq!(client.call(&cancel).status, Status::SUCCESS);
    assert_eq!(client.call(&cancel).status, Status::KEY_ENOENT);
    assert_eq!(client.call(&cancel.extras(&[0; 15])).status, Status::EINVAL);
    let begin = |client: &mut Client| create(client, &range("a", "z", "")).status;
    let mut begun = 0;
    while begin(&mut client) == Status::SUCCESS {
        begun += 1;
    }
    assert_eq!((begun, begin(&mut client)), (100, Status::EBUSY));
}
