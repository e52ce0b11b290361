//! HELLO, SASL, SELECT_BUCKET, and what works without them.

use kvnode::Node;
use mcbp::{Datatype, Feature, FrameBuilder, Opaque, Opcode, Status, VbId};

use crate::support::client::Client;
use crate::support::memory_store::Disk;
use crate::support::{BUCKET, PASSWORD, USER, config, eventually, options, start_in_memory};

#[test]
fn what_is_not_done_here_is_not_granted() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::connect(node.address());
    let asked: Vec<Feature> = (1..=0x26).map(Feature).chain([Feature::JSON]).collect();
    let granted = client.hello(&asked);
    let expected = [
        Feature::TCP_NODELAY,
        Feature::MUTATION_SEQNO,
        Feature::XATTR,
        Feature::XERROR,
        Feature::SELECT_BUCKET,
        Feature::SNAPPY,
        Feature::JSON,
        Feature::DUPLEX,
        Feature::UNORDERED_EXECUTION,
        Feature::TRACING,
        Feature::ALT_REQUEST,
        Feature::SYNC_REPLICATION,
        Feature::COLLECTIONS,
        Feature::SNAPPY_EVERYWHERE,
        Feature::PRESERVE_TTL,
        Feature::VATTR,
        Feature::CREATE_AS_DELETED,
        Feature::SUBDOC_DOCUMENT_MACRO,
        Feature::SUBDOC_REPLACE_BODY_WITH_XATTR,
        Feature::SUBDOC_REPLICA_READ,
        Feature::GET_CLUSTER_CONFIG_WITH_VERSION,
        Feature::DEDUPE_NOT_MY_VBUCKET,
        Feature::CLUSTERMAP_NOTIFICATION_BRIEF,
        Feature::SUBDOC_MULTIPLE_XATTR_KEYS,
        Feature::SUBDOC_BINARY_XATTR,
        Feature::SUBDOC_REPLICA_READ_OF_DELETED,
    ];
    assert_eq!(granted, expected);
}

#[test]
fn hello_with_half_a_feature_is_invalid() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::connect(node.address());
    let answer = client.call(&FrameBuilder::request(Opcode::HELLO).value(&[0, 6, 0]));
    assert_eq!(answer.status, Status::EINVAL);
}

#[test]
fn nothing_is_done_without_user_or_bucket() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::connect(node.address());
    assert_eq!(client.get(0, "a").status, Status::EACCESS);
    assert_eq!(client.select(BUCKET).status, Status::EACCESS);
    assert_eq!(client.stat(""), Err(Status::EACCESS));
    for opcode in [Opcode::NOOP, Opcode::VERSION] {
        assert_eq!(client.call(&FrameBuilder::request(opcode)).status, Status::EACCESS);
    }
    client.authenticate(USER, PASSWORD);
    assert_eq!(client.get(0, "a").status, Status::EACCESS);
    assert_eq!(client.select("unknown").status, Status::KEY_ENOENT);
    assert_eq!(client.select(BUCKET).status, Status::SUCCESS);
    eventually("warm-up", || node.bucket(BUCKET).unwrap().is_ready());
    assert_eq!(client.get(0, "a").status, Status::KEY_ENOENT);
    // A failed authentication revokes the earlier one.
    client.authenticate(USER, "wrong");
    assert_eq!(client.get(0, "a").status, Status::EACCESS);
}

#[test]
fn the_opaque_comes_back_as_it_was() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let opaque = Opaque(0xdead_beef);
    let noop = client.call(&FrameBuilder::request(Opcode::NOOP).opaque(opaque));
    assert_eq!((noop.opcode, noop.opaque), (Opcode::NOOP, opaque));
    let miss = FrameBuilder::request(Opcode::GET).vbucket(VbId(0)).key(b"a").opaque(opaque);
    let miss = client.call(&miss);
    assert_eq!((miss.status, miss.opaque), (Status::KEY_ENOENT, opaque));
}

#[test]
fn the_error_map_is_json_and_knows_every_status() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::connect(node.address());
    let ask = |version: [u8; 2]| {
        let mut client = Client::connect(node.address());
        client.call(&FrameBuilder::request(Opcode::GET_ERROR_MAP).value(&version))
    };
    let answer = ask([0, 9]);
    assert_eq!((answer.status, answer.datatype), (Status::SUCCESS, Datatype::JSON));
    let map: serde_json::Value = serde_json::from_slice(&answer.value).unwrap();
    assert_eq!(map["version"], 2);
    assert_eq!(map["errors"]["86"]["name"], "TemporaryFailure");
    assert_eq!(map["errors"].as_object().unwrap().len(), Status::NAMED.len());
    assert_eq!(ask([0, 1]).status, Status::SUCCESS);
    assert_eq!(ask([0, 0]).status, Status::KEY_ENOENT);
    let without = client.call(&FrameBuilder::request(Opcode::GET_ERROR_MAP));
    assert_eq!(without.status, Status::EINVAL);
}

#[test]
fn version_quit_and_the_unknown() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::ready(&node);
    let version = client.call(&FrameBuilder::request(Opcode::VERSION));
    assert!(version.value.starts_with(b"8.0.2-0000-dcp-proxy-"), "{version:?}");
    let unknown = client.call(&FrameBuilder::request(Opcode(0xee)));
    assert_eq!(unknown.status, Status::UNKNOWN_COMMAND);
    let undone = client.call(&FrameBuilder::request(Opcode::FLUSH));
    assert_eq!(undone.status, Status::NOT_SUPPORTED);
    let stray = client.call(&FrameBuilder::request(Opcode::DCP_NOOP));
    assert_eq!(stray.status, Status::EINVAL);
    let quit = client.call(&FrameBuilder::request(Opcode::QUIT));
    assert_eq!(quit.status, Status::SUCCESS);
    assert_eq!(client.try_receive(), None);

    let mut client = Client::ready(&node);
    client.send(&FrameBuilder::request(Opcode::QUITQ));
    assert_eq!(client.try_receive(), None);
}

#[test]
fn errors_carry_a_text_if_xerror_was_negotiated() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::with_features(&node, &[Feature::XERROR, Feature::JSON]);
    let answer = client.call(&FrameBuilder::request(Opcode::SET).vbucket(VbId(0)).key(b"a"));
    assert_eq!((answer.status, answer.datatype), (Status::EINVAL, Datatype::JSON));
    let body: serde_json::Value = serde_json::from_slice(&answer.value).unwrap();
    let context = body["error"]["context"].as_str().unwrap();
    assert!(context.starts_with("SET: extras must be 8 bytes"), "{context}");
}

#[test]
fn a_connection_beyond_the_limit_is_rejected() {
    let mut config = config(options(), std::path::Path::new("unused"));
    config.limits.connections_max = 1;
    let disk = Disk::new();
    let node = Node::start_on(config, |_| {
        Ok(std::sync::Arc::new(crate::support::memory_store::MemoryStore::open(&disk)))
    })
    .unwrap();
    let mut first = Client::ready(&node);
    assert_eq!(Client::connect(node.address()).try_receive(), None);
    assert_eq!(first.stat("").unwrap()["rejected_conns"], "1");
}

#[test]
fn a_connection_that_does_not_authenticate_is_closed() {
    let mut config = config(options(), std::path::Path::new("unused"));
    config.limits.authentication = std::time::Duration::from_millis(50);
    let disk = Disk::new();
    let node = Node::start_on(config, |_| {
        Ok(std::sync::Arc::new(crate::support::memory_store::MemoryStore::open(&disk)))
    })
    .unwrap();
    assert_eq!(Client::connect(node.address()).try_receive(), None);
}

#[test]
fn durability_that_cannot_be_had_is_refused() {
    let node = start_in_memory(&Disk::new(), options());
    let mut client = Client::with_features(&node, &[Feature::ALT_REQUEST]);
    let extras = [0; 8];
    let set = FrameBuilder::request(Opcode::SET).vbucket(VbId(0)).extras(&extras).key(b"a");
    assert_eq!(client.call(&set.framing(&[0x11, 1])).status, Status::DURABILITY_IMPOSSIBLE);
    assert_eq!(client.call(&set.framing(&[0x41, b'x'])).status, Status::EACCESS);
    assert_eq!(client.call(&set.framing(&[0x90])).status, Status::UNKNOWN_FRAME_INFO);
    assert_eq!(client.call(&set.framing(&[0x15])).status, Status::EINVAL);
    assert_eq!(client.get(0, "a").status, Status::KEY_ENOENT);
    assert_eq!(client.call(&set.framing(&[0x00])).status, Status::SUCCESS);
}
