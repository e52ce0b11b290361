//! Durable writes whose steps a replica does not get one by one: it comes back after a while, and
//! a copy of the producer's disk has the newest step of each document alone.

use std::sync::atomic::Ordering;
use std::time::Instant;

use mcbp::{FrameBuilder, Opcode, Status, VbState};

use crate::client::{Client, DEADLINE, Packet, wait_for};
use crate::durable::{
    Held, durable_set, framing, get, pair, send_collection_set, send_set, set_state,
};
use crate::link::wait_until_same;
use crate::manifests::{manifest, set_manifest};
use crate::node::TestNode;
use crate::relay::Relay;

/// How many writes of vBucket 0 are not decided on a node.
fn prepared(node: &TestNode) -> String {
    node.client().stat("vbucket-details 0", "vb_0:num_prepared_sync_writes")
}

/// The replica has the first write of the document, and is cut off. The active copy gives that up.
fn with_an_old_prepare() -> (TestNode, TestNode, Client) {
    let (active, replica) = pair();
    let held = Held::default();
    held.acknowledgements.store(true, Ordering::Relaxed);
    let relay = held.link(&active, &replica, ("first", "beta"));
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    let mut client = active.client();
    send_set(&mut client, 1, "k", "first", &framing(1, 500));
    wait_for("the prepare", || replica.high_seqno(0) == 1);
    drop(relay);
    assert_eq!(client.answer_to(1).status(), Status::SYNC_WRITE_AMBIGUOUS);
    (active, replica, client)
}

/// Links the two after a restart, so that the active copy has nothing in memory.
fn link_from_disk(active: &mut TestNode, replica: &TestNode) -> Relay {
    active.restart();
    let relay = Relay::between(active, replica, "second");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    relay
}

#[test]
fn an_abort_of_a_write_that_never_came_ends_the_older_one_of_its_document() {
    let (mut active, replica, mut client) = with_an_old_prepare();
    send_set(&mut client, 2, "k", "second", &framing(1, 200));
    assert_eq!(client.answer_to(2).status(), Status::SYNC_WRITE_AMBIGUOUS);
    let _relay = link_from_disk(&mut active, &replica);
    // Each node notes the time of an abort by itself.
    wait_for("the abort", || replica.high_seqno(0) == active.high_seqno(0));
    assert_eq!([prepared(&active), prepared(&replica)], ["0", "0"]);
}

/// Otherwise the change would complete the prepare once more, and replace the row of the abort.
#[test]
fn an_abort_stays_beside_a_change_that_came_together_with_it() {
    let (active, replica, mut client) = with_an_old_prepare();
    client.set(0, "k", b"after");
    let relay = Relay::between(&active, &replica, "second");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    wait_until_same(&active, &replica, 0);
}

#[test]
fn a_clean_stop_waits_for_no_replica() {
    let (mut active, _replica) = pair();
    let mut client = active.client();
    send_set(&mut client, 1, "k", "v", &framing(1, 60_000));
    wait_for("the prepare", || active.high_seqno(0) == 1);
    let began = Instant::now();
    active.restart();
    // Nobody is cut off, which comes after 20 s.
    assert!(began.elapsed() < DEADLINE / 2, "it took {:?}", began.elapsed());
    assert_eq!(client.answer_to(1).status(), Status::SYNC_WRITE_AMBIGUOUS);
    assert_eq!(prepared(&active), "1");
}

/// Otherwise the older one would be committed when the copy is promoted, over what was acknowledged
/// since.
#[test]
fn a_prepare_ends_the_older_one_of_its_document_whose_abort_never_came() {
    let (mut active, replica, mut client) = with_an_old_prepare();
    send_set(&mut client, 2, "k", "second", &framing(1, 60_000));
    wait_for("the prepare", || active.high_seqno(0) == 3);
    let relay = link_from_disk(&mut active, &replica);
    let mut client = active.client();
    let second = (Status::SUCCESS, b"second".to_vec());
    wait_for("the commit", || get(&mut client, "k") == second);
    assert_eq!(durable_set(&mut client, "k", "third", 1), Status::SUCCESS);
    wait_until_same(&active, &replica, 0);
    assert_eq!([prepared(&active), prepared(&replica)], ["0", "0"]);
    drop(relay);
    set_state(&replica, 0, VbState::Active, r#"[["beta"]]"#);
    assert_eq!(durable_set(&mut replica.client(), "other", "x", 1), Status::SUCCESS);
    assert_eq!(get(&mut replica.client(), "k"), (Status::SUCCESS, b"third".to_vec()));
}

/// Otherwise the row of its commit follows the drop, and no replica ever takes it.
#[test]
fn a_write_is_not_committed_once_the_drop_of_its_collection_is_queued() {
    let (active, replica) = pair();
    let held = Held::default();
    held.acknowledgements.store(true, Ordering::Relaxed);
    let relay = held.link(&active, &replica, ("before", "beta"));
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    set_manifest(&mut active.client(), &manifest(1, &[0, 8], &[]));
    let mut client = active.client();
    send_collection_set(&mut client, 3, 8, &framing(1, 60_000));
    wait_for("the prepare", || replica.high_seqno(0) == 2);
    drop(relay);
    // The drop of the collection is queued, and not on disk.
    active.faults.commits_wait.store(true, Ordering::Relaxed);
    let commits = active.faults.commits.load(Ordering::Relaxed);
    let mut admin = active.client();
    let text = manifest(2, &[0], &[]);
    let request = FrameBuilder::request(Opcode::COLLECTIONS_SET_MANIFEST);
    admin.send(&request.opaque(mcbp::Opaque(4)).value(text.as_bytes()).build());
    wait_for("the drop", || active.faults.commits.load(Ordering::Relaxed) > commits);
    let relay = Relay::between(&active, &replica, "after");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    let name = "vb_0:replication_chain_First:beta:last_ack_seqno";
    let high = active.high_seqno(0).to_string();
    wait_for("the acknowledgement", || active.client().stat("durability-monitor 0", name) == high);
    active.faults.commits_wait.store(false, Ordering::Relaxed);
    assert_eq!(admin.answer_to(4).status(), Status::SUCCESS);
    assert_eq!(client.answer_to(3).status(), Status::SYNC_WRITE_AMBIGUOUS);
    wait_until_same(&active, &replica, 0);
    assert_eq!([prepared(&active), prepared(&replica)], ["0", "0"]);
    assert_eq!(durable_set(&mut client, "k", "v", 1), Status::SUCCESS);
}

/// Otherwise it would be promoted, and not the copy that has acknowledged what it lacks.
#[test]
fn a_prepare_of_an_incomplete_snapshot_does_not_count_for_a_failover() {
    let (mut active, replica) = pair();
    let mut client = active.client();
    set_state(&active, 0, VbState::Active, r#"[["alpha"]]"#);
    assert_eq!(durable_set(&mut client, "done", "v", 1), Status::SUCCESS);
    set_state(&active, 0, VbState::Active, r#"[["alpha","beta"]]"#);
    let mut writers = [client, active.client()];
    for (writer, seqno) in writers.iter_mut().zip(3..) {
        send_set(writer, 1, &format!("key-{seqno}"), "v", &framing(1, 60_000));
        wait_for("the prepare", || active.high_seqno(0) == seqno);
    }
    drop(writers);
    active.restart();
    let without_the_last = |packet: &Packet| {
        let is_last = packet.opcode() == Opcode::DCP_PREPARE && packet.seqno() == 4;
        if is_last { Vec::new() } else { vec![packet.0.clone()] }
    };
    let relay = Relay::meddling(&active, &replica, "cut off", Box::new(without_the_last));
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    wait_for("the first prepare", || replica.high_seqno(0) == 3);
    let name = "vb_0:high_prepared_seqno";
    let counts = || replica.client().stat("vbucket-details 0", name);
    assert_eq!(counts(), "0");
    drop(relay);
    let relay = Relay::between(&active, &replica, "whole");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    wait_for("the second prepare", || counts() == "4");
}

/// Otherwise a copy that has less would be promoted.
#[test]
fn a_copy_from_disk_counts_the_prepares_that_were_completed_before() {
    let (mut active, replica) = pair();
    set_state(&active, 0, VbState::Active, r#"[["alpha"]]"#);
    let mut client = active.client();
    for key in ["a", "b", "a"] {
        assert_eq!(durable_set(&mut client, key, "v", 1), Status::SUCCESS);
    }
    let _relay = link_from_disk(&mut active, &replica);
    wait_until_same(&active, &replica, 0);
    let durable = active.view(0).durable;
    assert_eq!((durable.high_prepared.0, durable.high_completed.0), (5, 5));
    assert_eq!(replica.view(0).durable, durable);
}
