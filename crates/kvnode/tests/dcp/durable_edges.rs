//! Durable writes where something else happens at the same time.

use std::sync::atomic::Ordering;

use mcbp::{FrameBuilder, Opaque, Opcode, Status, VbId, VbState};

use crate::client::{Client, wait_for};
use crate::durable::{Held, framing, pair, set_state};
use crate::node::TestNode;

/// How many prepares of vBucket 0 the machine knows.
fn prepared(node: &TestNode) -> String {
    node.client().stat("vbucket-details 0", "vb_0:num_prepared_sync_writes")
}

/// The default collection and these.
fn manifest(uid: u8, collections: &str) -> String {
    let default = r#"{"name":"_default","uid":"0"}"#;
    let all = format!(r#"{{"name":"_default","uid":"0","collections":[{default}{collections}]}}"#);
    format!(r#"{{"uid":"{uid}","scopes":[{all}]}}"#)
}

fn set_manifest(node: &TestNode, uid: u8, collections: &str) {
    let text = manifest(uid, collections);
    let request = FrameBuilder::request(Opcode::COLLECTIONS_SET_MANIFEST);
    node.client().ask(request.value(text.as_bytes()));
}

/// Sends a durable SET in the collection 8.
fn send_set_in_8(client: &mut Client, opaque: u32, value: &[u8], ms: u16) {
    let request = FrameBuilder::request(Opcode::SET).opaque(Opaque(opaque)).extras(&[0; 8]);
    let key = format!("\x08key {opaque}");
    let request = request.key(key.as_bytes()).value(value);
    client.send(&request.framing(&framing(1, ms)).build());
}

/// The end of the collection is queued, and not on disk yet, when the write could be committed.
#[test]
fn no_write_of_a_collection_is_completed_after_its_end() {
    let (active, replica) = pair();
    let held = Held::default();
    held.acknowledgements.store(true, Ordering::Relaxed);
    let relay = held.link(&active, &replica, ("ended", "beta"));
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    set_manifest(&active, 1, r#",{"name":"c","uid":"8"}"#);
    let mut client = active.client();
    send_set_in_8(&mut client, 3, b"v", 60_000);
    wait_for("the prepare", || replica.high_seqno(0) == 2);
    let before = active.faults.commits.load(Ordering::Relaxed);
    active.faults.commits_wait.store(true, Ordering::Relaxed);
    let mut admin = active.client();
    let text = manifest(2, "");
    let request = FrameBuilder::request(Opcode::COLLECTIONS_SET_MANIFEST);
    admin.send(&request.value(text.as_bytes()).build());
    let commits = || active.faults.commits.load(Ordering::Relaxed);
    wait_for("the commit of the end", || commits() > before);
    acknowledge(&active, 2);
    active.faults.commits_wait.store(false, Ordering::Relaxed);
    assert_eq!(client.answer_to(3).status(), Status::SYNC_WRITE_AMBIGUOUS);
    active.client().set(0, "after", b"x");
    wait_for("the replica", || replica.high_seqno(0) == active.high_seqno(0));
    assert_eq!(active.high_seqno(0), 4);
}

/// Another connection of the replica, which acknowledges.
fn acknowledge(active: &TestNode, prepared: u64) {
    let mut dcp = active.client().produce("acknowledges");
    for (key, value) in [("enable_sync_writes", "true"), ("consumer_name", "beta")] {
        assert_eq!(dcp.control(key, value), Status::SUCCESS);
    }
    dcp.stream(0, 7);
    while dcp.next().opcode() != Opcode::DCP_PREPARE {}
    let extras = prepared.to_be_bytes();
    let acknowledgement = FrameBuilder::request(Opcode::DCP_SEQNO_ACK).extras(&extras);
    dcp.send(&acknowledgement.opaque(Opaque(7)).build());
    // Answered after the acknowledgement has been taken.
    assert_eq!(dcp.control("enable_noop", "true"), Status::SUCCESS);
}

/// The memory of prepares that go with their collection can be used again.
#[test]
fn the_memory_of_prepares_of_a_collection_is_free_after_its_end() {
    let active = TestNode::start_with(VbState::Active, |options| options.log_bytes_max = 64 << 10);
    set_state(&active, 0, VbState::Active, r#"[["alpha","beta"]]"#);
    set_state(&active, 1, VbState::Active, r#"[["alpha"]]"#);
    set_manifest(&active, 1, r#",{"name":"c","uid":"8"}"#);
    let mut clients: Vec<_> = (0..2).map(|_| active.client()).collect();
    for (opaque, client) in (1..).zip(&mut clients) {
        send_set_in_8(client, opaque, &[b'v'; 14 << 10], 60_000);
    }
    wait_for("the prepares", || prepared(&active) == "2");
    let mut client = active.client();
    let mut set = |vb| {
        let request = FrameBuilder::request(Opcode::SET).vbucket(VbId(vb)).extras(&[0; 8]);
        let framing = framing(1, 1000);
        client.try_ask(request.key(b"\0k").value(&[b'v'; 8 << 10]).framing(&framing)).status()
    };
    assert_eq!(set(1), Status::ETMPFAIL);
    set_manifest(&active, 2, "");
    for (opaque, client) in (1..).zip(&mut clients) {
        assert_eq!(client.answer_to(opaque).status(), Status::SYNC_WRITE_AMBIGUOUS);
    }
    assert_eq!(set(1), Status::SUCCESS);
}
