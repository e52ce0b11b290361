//! Sub-document operations: what a real node answered in the recordings 15a and 15b, and what these
//! do not show.

use mcbp::{Datatype, Feature, FrameBuilder, Opcode, Status, VbId};

use crate::replay::Differs::Value;
use crate::replay::{replay, start};
use crate::support::client::{Answer, Client};
use crate::support::memory_store::Disk;
use crate::support::{BUCKET, options, start_in_memory};

#[test]
fn capture_15a_gets_the_answers_of_a_real_node() {
    let compared = replay("15a-subdoc-single", &start(), &[]);
    assert!(compared > 160, "{compared}");
}

#[test]
fn capture_15b_gets_the_answers_of_a_real_node() {
    // NOT_MY_VBUCKET with a map of itself, where the recorded node has none.
    let differs = [(299, Value), (371, Value)];
    let compared = replay("15b-subdoc-multi-xattr", &start(), &differs);
    assert!(compared > 170, "{compared}");
}

const FEATURES: [Feature; 4] =
    [Feature::JSON, Feature::XATTR, Feature::SNAPPY, Feature::MUTATION_SEQNO];

/// Path flags.
const XATTR: u8 = 4;
/// Document flags.
const MKDOC: u8 = 0x01;
const ACCESS_DELETED: u8 = 0x04;
const REVIVE: u8 = 0x10;
const REPLICA_READ: u8 = 0x20;

/// Sends one operation of vBucket 1.
fn single(client: &mut Client, opcode: Opcode, key: &str, path: &str, value: &str) -> Answer {
    with_extras(client, opcode, key, (path, 0, value), &[])
}

/// The same with path flags, and with what follows them in the extras.
fn with_extras(
    client: &mut Client,
    opcode: Opcode,
    key: &str,
    (path, flags, value): (&str, u8, &str),
    document: &[u8],
) -> Answer {
    let length = u16::try_from(path.len()).unwrap().to_be_bytes();
    let extras = [&length[..], &[flags], document].concat();
    let value = [path, value].concat();
    let request = FrameBuilder::request(opcode).vbucket(VbId(1)).key(key.as_bytes());
    client.call(&request.extras(&extras).value(value.as_bytes()))
}

/// Sends many: opcode, path flags, path, value.
fn multi(
    client: &mut Client,
    opcode: Opcode,
    key: &str,
    operations: &[(Opcode, u8, &str, &str)],
    extras: &[u8],
) -> Answer {
    let mut body = Vec::new();
    for (operation, flags, path, value) in operations {
        body.extend_from_slice(&[operation.0, *flags]);
        body.extend_from_slice(&u16::try_from(path.len()).unwrap().to_be_bytes());
        if opcode == Opcode::SUBDOC_MULTI_MUTATION {
            body.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
        }
        body.extend_from_slice(path.as_bytes());
        body.extend_from_slice(value.as_bytes());
    }
    let request = FrameBuilder::request(opcode).vbucket(VbId(1)).key(key.as_bytes());
    client.call(&request.extras(extras).value(&body))
}

#[test]
fn a_compressed_value_with_attributes_is_read_and_changed() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::with_features(&node, &FEATURES);
    let value = b"\0\0\0\x0e\0\0\0\x0au\0{\"k\":1}\0{\"a\":[1,2]}";
    let compressed = snap::raw::Encoder::new().compress_vec(value).unwrap();
    let datatype = Datatype::SNAPPY.with(Datatype::XATTR);
    let stored = client.set_with_attributes(1, "d", &compressed, datatype, 0);
    assert_eq!(stored.status, Status::SUCCESS);
    let body = single(&mut client, Opcode::SUBDOC_GET, "d", "a[1]", "");
    assert_eq!((body.value.as_slice(), body.datatype), (&b"2"[..], Datatype::JSON));
    let xattr = with_extras(&mut client, Opcode::SUBDOC_GET, "d", ("u.k", XATTR, ""), &[]);
    assert_eq!((xattr.value.as_slice(), xattr.cas), (&b"1"[..], stored.cas));
    let path = ("$document.datatype", XATTR, "");
    let datatype = with_extras(&mut client, Opcode::SUBDOC_GET, "d", path, &[]);
    assert_eq!(datatype.value, b"[\"snappy\",\"json\",\"xattr\"]");
    let added = single(&mut client, Opcode::SUBDOC_ARRAY_PUSH_LAST, "d", "a", "3");
    assert_eq!(added.status, Status::SUCCESS);
    assert_eq!(client.get(1, "d").value, b"{\"a\":[1,2,3]}");
    let count = single(&mut client, Opcode::SUBDOC_GET_COUNT, "d", "a", "");
    assert_eq!((count.value.as_slice(), count.cas), (&b"3"[..], added.cas));
    let xattr = with_extras(&mut client, Opcode::SUBDOC_GET, "d", ("u", XATTR, ""), &[]);
    assert_eq!(xattr.value, b"{\"k\":1}");
}

#[test]
fn flags_and_expiry_are_given_kept_or_cleared() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::with_features(&node, &FEATURES);
    let exptime = |client: &mut Client| {
        let path = ("$document.exptime", XATTR, "");
        with_extras(client, Opcode::SUBDOC_GET, "d", path, &[]).value
    };
    let operation = [(Opcode::SUBDOC_DICT_UPSERT, 0, "a", "1")];
    // Expiry, user flags, document flags.
    let extras = [0xf0, 0, 0, 1, 0, 0, 0xca, 0xfe, MKDOC];
    let opcode = Opcode::SUBDOC_MULTI_MUTATION;
    assert_eq!(multi(&mut client, opcode, "d", &operation, &extras).status, Status::SUCCESS);
    assert_eq!(exptime(&mut client), b"4026531841");
    assert_eq!(client.get(1, "d").extras, [0, 0, 0xca, 0xfe]);
    // With PRESERVE_TTL, then without.
    for expected in ["4026531841", "0"] {
        let request = FrameBuilder::request(Opcode::SUBDOC_COUNTER).vbucket(VbId(1)).key(b"d");
        let request = request.extras(&[0, 1, 0]).value(b"a1");
        let is_kept = expected != "0";
        let request = if is_kept { request.framing(b"\x50") } else { request };
        assert_eq!(client.call(&request).status, Status::SUCCESS);
        assert_eq!(exptime(&mut client), expected.as_bytes());
        assert_eq!(client.get(1, "d").extras, [0, 0, 0xca, 0xfe]);
    }
}

#[test]
fn an_overdue_document_is_a_deletion_that_can_be_revived() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::with_features(&node, &FEATURES);
    let attributes = [
        (Opcode::SUBDOC_DICT_UPSERT, XATTR, "_s", "1"),
        (Opcode::SUBDOC_DICT_UPSERT, XATTR, "u", "2"),
    ];
    // The second 1970-02-02, long ago.
    let past = [0, 0x2a, 0, 0, MKDOC];
    let opcode = Opcode::SUBDOC_MULTI_MUTATION;
    for key in ["a", "b", "c"] {
        assert_eq!(multi(&mut client, opcode, key, &attributes, &past).status, Status::SUCCESS);
    }
    let get = |client: &mut Client, key: &str, name: &str, flags: &[u8]| {
        with_extras(client, Opcode::SUBDOC_GET, key, (name, XATTR, ""), flags).status
    };
    assert_eq!(get(&mut client, "a", "_s", &[ACCESS_DELETED]), Status::SUBDOC_SUCCESS_DELETED);
    assert_eq!(get(&mut client, "a", "u", &[ACCESS_DELETED]), Status::SUBDOC_PATH_ENOENT);
    assert_eq!(get(&mut client, "a", "_s", &[]), Status::KEY_ENOENT);
    let operation = [(Opcode::SUBDOC_DICT_UPSERT, XATTR, "_t", "1")];
    assert_eq!(multi(&mut client, opcode, "b", &operation, &[]).status, Status::KEY_ENOENT);
    let revive = [ACCESS_DELETED | REVIVE];
    assert_eq!(multi(&mut client, opcode, "b", &operation, &revive).status, Status::SUCCESS);
    assert_eq!(get(&mut client, "b", "_s", &[]), Status::SUCCESS);
    assert_eq!(get(&mut client, "b", "u", &[]), Status::SUBDOC_PATH_ENOENT);
    // A new document has nothing of the old one.
    assert_eq!(multi(&mut client, opcode, "c", &operation, &[MKDOC]).status, Status::SUCCESS);
    assert_eq!(get(&mut client, "c", "_s", &[]), Status::SUBDOC_PATH_ENOENT);
}

#[test]
fn replicas_are_read_with_their_flag_alone() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::with_features(&node, &FEATURES);
    assert_eq!(client.set(1, "d", "{\"a\":1}").status, Status::SUCCESS);
    let get = |client: &mut Client, flags: &[u8]| {
        with_extras(client, Opcode::SUBDOC_GET, "d", ("a", 0, ""), flags)
    };
    assert_eq!(get(&mut client, &[REPLICA_READ]).status, Status::NOT_MY_VBUCKET);
    assert_eq!(client.set_vbucket(1, 2).status, Status::SUCCESS);
    assert_eq!(get(&mut client, &[]).status, Status::NOT_MY_VBUCKET);
    assert_eq!(get(&mut client, &[REPLICA_READ]).value, b"1");
    let change = single(&mut client, Opcode::SUBDOC_DICT_ADD, "d", "b", "1");
    assert_eq!(change.status, Status::NOT_MY_VBUCKET);
}

#[test]
fn large_results_are_bounded_and_come_whole() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::with_features(&node, &FEATURES);
    let text = "x".repeat(3 * 1024 * 1024);
    assert_eq!(client.set(1, "d", &format!("{{\"a\":\"{text}\"}}")).status, Status::SUCCESS);
    let whole = single(&mut client, Opcode::SUBDOC_GET, "d", "a", "");
    assert_eq!(whole.value.len(), text.len() + 2);
    let operations = [(Opcode::SUBDOC_GET, 0, "a", ""); 16];
    let opcode = Opcode::SUBDOC_MULTI_LOOKUP;
    let some = multi(&mut client, opcode, "d", &operations[..3], &[]);
    assert_eq!((some.status, some.value.len()), (Status::SUCCESS, 3 * (text.len() + 2 + 6)));
    assert_eq!(multi(&mut client, opcode, "d", &operations, &[]).status, Status::E2BIG);
    // The connection lives on.
    let exists = single(&mut client, Opcode::SUBDOC_EXISTS, "d", "a", "");
    assert_eq!(exists.status, Status::SUCCESS);
}

#[test]
fn attributes_are_bounded() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::with_features(&node, &FEATURES);
    let text = format!("\"{}\"", "x".repeat(1024 * 1024));
    for (name, expected) in [("_s", Status::E2BIG), ("u", Status::SUCCESS)] {
        let operation = (name, XATTR, text.as_str());
        let answer = with_extras(&mut client, Opcode::SUBDOC_DICT_ADD, "d", operation, &[MKDOC]);
        assert_eq!(answer.status, expected, "{name}");
    }
}

/// Any request is answered, and none with an internal error.
#[test]
fn nonsense_is_refused_and_the_connection_lives_on() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::with_features(&node, &FEATURES);
    let mut random = fastrand::Rng::with_seed(3);
    let words: [&[u8]; 12] = [
        b"a",
        b"a.b",
        b"_s",
        b"u[0]",
        b"$document.CAS",
        b"[",
        b"[-1]",
        b"{\"a\":[1]}",
        b"1",
        b"\"\"",
        b"\"${Mutation.CAS}\"",
        b"",
    ];
    for _ in 0..5000 {
        let opcode = Opcode(random.u8(0xc5..0xd4));
        let is_mutation = opcode == Opcode::SUBDOC_MULTI_MUTATION;
        let is_multi = is_mutation || opcode == Opcode::SUBDOC_MULTI_LOOKUP;
        let document = [0, 0, 1, 1, 2, 4, 5, 0x0d, 0x14, random.u8(..)][random.usize(..10)];
        let (mut extras, mut value) = (vec![document], Vec::new());
        for _ in 0..if is_multi { random.usize(..4) } else { 1 } {
            let (path, new) = (words[random.usize(..12)], words[random.usize(..12)]);
            let (length, flags) =
                (u8::try_from(path.len()).unwrap(), [0, 0, 1, 4, 5, 0x14, 0x24][random.usize(..7)]);
            if is_multi {
                let operation = [0, 1, 4, 0xc5, 0xc8, 0xcb, 0xcf, 0xd3][random.usize(..8)];
                value.extend_from_slice(&[operation, flags, 0, length]);
                if is_mutation {
                    value.extend_from_slice(&u32::try_from(new.len()).unwrap().to_be_bytes());
                }
            } else {
                extras = vec![0, length, flags, document];
            }
            value.extend_from_slice(path);
            value.extend_from_slice(new);
        }
        let key = [b'a', random.u8(b'a'..b'e')];
        let request = FrameBuilder::request(opcode).vbucket(VbId(1)).extras(&extras);
        let answer = client.call(&request.key(&key).value(&value));
        assert_eq!(answer.opcode, opcode);
        let what = format!("{opcode} {extras:?} {}", value.escape_ascii());
        assert_ne!(answer.status, Status::EINTERNAL, "{what}");
    }
    let changes = node.bucket(BUCKET).unwrap().vb(VbId(1)).unwrap().high_seqno().0;
    assert!(changes > 50, "{changes}");
}
