//! Durable writes over real links: what clients are answered, what readers see, what replicas have.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mcbp::dcp::MarkerBody;
use mcbp::{Datatype, FrameBuilder, Opcode, Status, VbId, VbState};
use vbucket::Kind;

use crate::client::{Client, Packet, wait_for};
use crate::link::wait_until_same;
use crate::node::TestNode;
use crate::relay::Relay;

pub(crate) const PAIR: &str = r#"[["alpha","beta"]]"#;

/// What a link does not let through.
#[derive(Clone, Default)]
pub(crate) struct Held {
    pub(crate) prepares: Arc<AtomicBool>,
    pub(crate) acknowledgements: Arc<AtomicBool>,
}

impl Held {
    pub(crate) fn link(&self, from: &TestNode, to: &TestNode, names: (&str, &str)) -> Relay {
        let hold = |held: &Arc<AtomicBool>, opcode: Opcode| {
            let held = Arc::clone(held);
            Box::new(move |packet: &Packet| {
                let is_held = packet.opcode() == opcode && held.load(Ordering::Relaxed);
                if is_held { Vec::new() } else { vec![packet.0.clone()] }
            })
        };
        let prepares = hold(&self.prepares, Opcode::DCP_PREPARE);
        let acknowledgements = hold(&self.acknowledgements, Opcode::DCP_SEQNO_ACK);
        Relay::of(from, to, names, prepares, acknowledgements)
    }
}

pub(crate) fn set_state(node: &TestNode, vb: u16, state: VbState, topology: &str) {
    let (value, extras) = (format!("{{\"topology\":{topology}}}"), [state as u8]);
    let request = FrameBuilder::request(Opcode::SET_VBUCKET).vbucket(VbId(vb));
    let request = request.extras(&extras).datatype(Datatype::JSON);
    node.client().ask(request.value(value.as_bytes()));
}

/// Level 1 to 3, and milliseconds.
pub(crate) fn framing(level: u8, ms: u16) -> [u8; 4] {
    let [high, low] = ms.to_be_bytes();
    [0x13, level, high, low]
}

/// Sends a durable SET without waiting for its answer.
pub(crate) fn send_set(client: &mut Client, opaque: u32, key: &str, value: &str, framing: &[u8]) {
    let key = format!("\0{key}");
    let request = FrameBuilder::request(Opcode::SET).opaque(mcbp::Opaque(opaque));
    let request = request.extras(&[0; 8]).key(key.as_bytes()).value(value.as_bytes());
    client.send(&request.framing(framing).build());
}

pub(crate) fn durable_set(client: &mut Client, key: &str, value: &str, level: u8) -> Status {
    send_set(client, 1, key, value, &framing(level, 10_000));
    let status = client.answer_to(1).status();
    if status.is_success() {
        // A reader waits for the row of the commit, which may not be on disk yet.
        get(client, key);
    }
    status
}

pub(crate) fn get(client: &mut Client, key: &str) -> (Status, Vec<u8>) {
    let key = format!("\0{key}");
    let answer = client.try_ask(FrameBuilder::request(Opcode::GET).key(key.as_bytes()));
    (answer.status(), answer.frame().value.to_vec())
}

/// The same of a document of a collection.
pub(crate) fn send_collection_set(client: &mut Client, opaque: u32, id: u8, framing: &[u8]) {
    let request = FrameBuilder::request(Opcode::SET).opaque(mcbp::Opaque(opaque));
    let key = [&[id], b"key".as_slice()].concat();
    client.send(&request.extras(&[0; 8]).key(&key).value(b"v").framing(framing).build());
}

pub(crate) fn status(
    client: &mut Client,
    opcode: Opcode,
    key: &str,
    extras: &[u8],
    value: &str,
) -> Status {
    let key = format!("\0{key}");
    let request = FrameBuilder::request(opcode).extras(extras).key(key.as_bytes());
    client.try_ask(request.value(value.as_bytes())).status()
}

pub(crate) fn pair() -> (TestNode, TestNode) {
    let (active, replica) = (TestNode::start(VbState::Active), TestNode::start(VbState::Replica));
    set_state(&active, 0, VbState::Active, PAIR);
    (active, replica)
}

#[test]
fn a_write_of_each_level_is_on_both_nodes_when_it_is_answered() {
    let (active, replica) = pair();
    let relay = Relay::between(&active, &replica, "levels");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    let mut client = active.client();
    for level in 1..=3 {
        for n in 0..20 {
            let key = format!("key-{level}-{}", n % 5);
            assert_eq!(durable_set(&mut client, &key, &format!("v{n}"), level), Status::SUCCESS);
            assert_eq!(get(&mut client, &key), (Status::SUCCESS, format!("v{n}").into_bytes()));
        }
    }
    wait_until_same(&active, &replica, 0);
    let rows = active.rows(0);
    assert_eq!(rows.len(), 15, "no prepare is left: {rows:?}");
    let (view, theirs) = (active.view(0).durable, replica.view(0).durable);
    assert_eq!((view.high_completed.0, view.max_visible.0), (119, 120));
    assert_eq!(view, theirs);
}

#[test]
fn many_durable_writes_of_one_connection_share_their_way() {
    let (active, replica) = pair();
    let relay = Relay::between(&active, &replica, "many");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    let mut client = active.client();
    for n in 0..200 {
        send_set(&mut client, n, &format!("key-{n}"), "v", &framing(1, 10_000));
    }
    (0..200).for_each(|n| assert_eq!(client.answer_to(n).status(), Status::SUCCESS));
    // Waits for the row of the last commit.
    assert_eq!(get(&mut client, "key-199").0, Status::SUCCESS);
    wait_until_same(&active, &replica, 0);
}

#[test]
fn a_write_that_waits_keeps_no_other_request_of_its_connection_waiting() {
    let (active, replica) = pair();
    let features = [0x06, 0x12, 0x0a, 0x0b, 0x0e];
    let mut client = Client::connect(active.handle().address(), &features);
    for n in 0..50 {
        send_set(&mut client, n, &format!("key-{n}"), "v", &framing(1, 20_000));
    }
    assert_eq!(status(&mut client, Opcode::SET, "other", &[0; 8], "x"), Status::SUCCESS);
    assert_eq!(get(&mut client, "other").0, Status::SUCCESS);
    send_set(&mut client, 50, "late", "v", &framing(1, 100));
    assert_eq!(client.answer_to(50).status(), Status::SYNC_WRITE_AMBIGUOUS);
    let relay = Relay::between(&active, &replica, "late");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    let mut answered: Vec<u32> = (0..50)
        .map(|_| {
            let answer = client.next();
            assert_eq!(answer.status(), Status::SUCCESS);
            answer.opaque()
        })
        .collect();
    answered.sort_unstable();
    assert!(answered.into_iter().eq(0..50));
    wait_until_same(&active, &replica, 0);
}

#[test]
fn capture_14b_an_undecided_write_blocks_its_key_and_is_given_up() {
    let (active, replica) = pair();
    let held = Held::default();
    let relay = held.link(&active, &replica, ("held", "beta"));
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    let (mut client, mut other) = (active.client(), active.client());
    assert_eq!(status(&mut client, Opcode::SET, "k", &[0; 8], "old"), Status::SUCCESS);
    held.acknowledgements.store(true, Ordering::Relaxed);
    send_set(&mut client, 9, "k", "new", &framing(1, 1500));
    wait_for("the prepare", || active.high_seqno(0) == 2);
    let blocked = Status::SYNC_WRITE_IN_PROGRESS;
    assert_eq!(status(&mut other, Opcode::SET, "k", &[0; 8], "x"), blocked);
    assert_eq!(durable_set(&mut other, "k", "x", 1), blocked);
    assert_eq!(status(&mut other, Opcode::DELETE, "k", &[], ""), blocked);
    assert_eq!(get(&mut other, "k"), (Status::SUCCESS, b"old".to_vec()));
    assert_eq!(status(&mut other, Opcode::GET_META, "k", &[2], ""), Status::SUCCESS);
    assert_eq!(status(&mut other, Opcode::GET_LOCKED, "k", &[0; 4], ""), blocked);
    assert_eq!(status(&mut other, Opcode::TOUCH, "k", &[0; 4], ""), blocked);
    assert_eq!(status(&mut other, Opcode::SUBDOC_DICT_UPSERT, "k", &[0, 1, 0], "p1"), blocked);
    assert_eq!(status(&mut other, Opcode::SET, "other", &[0; 8], "x"), Status::SUCCESS);
    assert_eq!(client.answer_to(9).status(), Status::SYNC_WRITE_AMBIGUOUS);
    assert_eq!(get(&mut other, "k"), (Status::SUCCESS, b"old".to_vec()));
    assert_eq!(status(&mut other, Opcode::SET, "k", &[0; 8], "after"), Status::SUCCESS);
    wait_until_same(&active, &replica, 0);
    let aborts = replica.rows(0).iter().filter(|r| matches!(r.kind, Kind::Aborted { .. })).count();
    assert_eq!(aborts, 1);
}

#[test]
fn capture_14b_topologies_without_a_majority_take_no_durable_write() {
    let active = TestNode::start(VbState::Active);
    let mut client = active.client();
    assert_eq!(durable_set(&mut client, "k", "v", 1), Status::DURABILITY_IMPOSSIBLE);
    for (topology, expected) in [
        (r#"[["alpha",null]]"#, Status::DURABILITY_IMPOSSIBLE),
        (r#"[["alpha",null,null]]"#, Status::DURABILITY_IMPOSSIBLE),
        (r#"[["alpha"]]"#, Status::SUCCESS),
        (r#"[["alpha","b","c","d"]]"#, Status::DURABILITY_IMPOSSIBLE),
    ] {
        set_state(&active, 0, VbState::Active, topology);
        for level in 1..=3 {
            assert_eq!(durable_set(&mut client, "k", "v", level), expected, "{topology}");
        }
    }
    set_state(&active, 0, VbState::Active, r#"[["alpha","b","c"]]"#);
    send_set(&mut client, 7, "k", "late", &framing(1, 300));
    assert_eq!(client.answer_to(7).status(), Status::SYNC_WRITE_AMBIGUOUS);
    assert_eq!(get(&mut client, "k"), (Status::SUCCESS, b"v".to_vec()));
    // A topology that makes it impossible ends what waits.
    send_set(&mut client, 8, "k", "never", &framing(1, 60_000));
    wait_for("the prepare", || active.rows(0).iter().any(|r| !r.is_visible()));
    set_state(&active, 0, VbState::Active, r#"[["alpha",null]]"#);
    assert_eq!(client.answer_to(8).status(), Status::SYNC_WRITE_AMBIGUOUS);
}

#[test]
fn capture_14c_a_promoted_replica_commits_what_was_prepared() {
    let (active, replica) = pair();
    let third = TestNode::start(VbState::Replica);
    let held = Held::default();
    let relay = held.link(&active, &replica, ("first", "beta"));
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    let mut client = active.client();
    assert_eq!(durable_set(&mut client, "done", "1", 1), Status::SUCCESS);
    held.acknowledgements.store(true, Ordering::Relaxed);
    // Without UNORDERED_EXECUTION a connection waits for its answer.
    let mut writers = [client, active.client()];
    for (writer, key) in writers.iter_mut().zip(["p1", "p2"]) {
        send_set(writer, 5, key, "prepared", &framing(1, 30_000));
    }
    wait_for("the prepares", || replica.high_seqno(0) == 4);
    active.client().set_state(0, VbState::Dead);
    for writer in &mut writers {
        assert_eq!(writer.answer_to(5).status(), Status::SYNC_WRITE_AMBIGUOUS);
    }
    drop(relay);
    set_state(&replica, 0, VbState::Active, r#"[["beta","gamma"]]"#);
    let mut client = replica.client();
    let (recommit, blocked) =
        (Status::SYNC_WRITE_RE_COMMIT_IN_PROGRESS, Status::SYNC_WRITE_IN_PROGRESS);
    assert_eq!(get(&mut client, "p1").0, recommit);
    assert_eq!(status(&mut client, Opcode::SET, "p1", &[0; 8], "x"), blocked);
    assert_eq!(durable_set(&mut client, "p1", "x", 1), blocked);
    assert_eq!(status(&mut client, Opcode::DELETE, "p1", &[], ""), recommit);
    assert_eq!(status(&mut client, Opcode::TOUCH, "p1", &[0; 4], ""), blocked);
    assert_eq!(status(&mut client, Opcode::SUBDOC_GET, "p1", &[0, 1, 0], "a"), recommit);
    assert_eq!(status(&mut client, Opcode::GET_META, "p1", &[2], ""), recommit);
    assert_eq!(status(&mut client, Opcode::GET_LOCKED, "p1", &[0; 4], ""), blocked);
    assert_eq!(get(&mut client, "done").0, Status::SUCCESS);
    assert_eq!(get(&mut client, "absent").0, Status::KEY_ENOENT);
    let relay = Held::default().link(&replica, &third, ("second", "gamma"));
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    for key in ["p1", "p2"] {
        wait_for("the commit", || get(&mut client, key) == (Status::SUCCESS, b"prepared".to_vec()));
    }
    wait_until_same(&replica, &third, 0);
}

#[test]
fn what_is_prepared_outlives_a_restart_of_either_node() {
    let (mut active, mut replica) = pair();
    let held = Held::default();
    held.acknowledgements.store(true, Ordering::Relaxed);
    let relay = held.link(&active, &replica, ("before", "beta"));
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    let mut client = active.client();
    send_set(&mut client, 5, "p", "prepared", &framing(3, 60_000));
    wait_for("the prepare", || replica.high_seqno(0) == 1);
    drop((relay, client));
    active.restart();
    replica.restart();
    let mut client = active.client();
    assert_eq!(get(&mut client, "p").0, Status::SYNC_WRITE_RE_COMMIT_IN_PROGRESS);
    assert_eq!(status(&mut client, Opcode::SET, "p", &[0; 8], "x"), Status::SYNC_WRITE_IN_PROGRESS);
    // The replica acknowledges again what it has on disk.
    let relay = Relay::between(&active, &replica, "after");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    wait_for("the commit", || get(&mut client, "p") == (Status::SUCCESS, b"prepared".to_vec()));
    wait_until_same(&active, &replica, 0);
}

#[test]
fn a_rollback_over_prepares_and_commits_leaves_what_the_new_active_has() {
    let (active, replica) = pair();
    let relay = Relay::between(&active, &replica, "shared");
    assert_eq!(relay.add_and_wait(0, 0), Status::SUCCESS);
    let mut client = active.client();
    assert_eq!(durable_set(&mut client, "shared", "1", 1), Status::SUCCESS);
    wait_until_same(&active, &replica, 0);
    drop(relay);
    // The old active goes on alone, commits and prepares, and becomes a replica of the other then.
    set_state(&active, 0, VbState::Active, r#"[["alpha"]]"#);
    assert_eq!(durable_set(&mut client, "shared", "lost", 2), Status::SUCCESS);
    set_state(&active, 0, VbState::Active, PAIR);
    send_set(&mut client, 5, "pending", "lost", &framing(1, 60_000));
    wait_for("the prepare", || active.high_seqno(0) == 5);
    active.client().set_state(0, VbState::Replica);
    assert_eq!(client.answer_to(5).status(), Status::SYNC_WRITE_AMBIGUOUS);
    set_state(&replica, 0, VbState::Active, r#"[["beta","alpha"]]"#);
    let back = Held::default().link(&replica, &active, ("back", "alpha"));
    assert_eq!(back.add_and_wait(0, 0), Status::SUCCESS);
    let mut client = replica.client();
    assert_eq!(durable_set(&mut client, "pending", "won", 3), Status::SUCCESS);
    assert_eq!(get(&mut client, "shared"), (Status::SUCCESS, b"1".to_vec()));
    wait_until_same(&replica, &active, 0);
}

#[test]
fn a_client_without_durable_writes_gets_what_is_committed() {
    let (active, _replica) = pair();
    let mut client = active.client();
    assert_eq!(status(&mut client, Opcode::SET, "plain", &[0; 8], "x"), Status::SUCCESS);
    send_set(&mut client, 5, "pending", "x", &framing(1, 60_000));
    wait_for("the prepare", || active.high_seqno(0) == 2);
    for is_old in [false, true] {
        let reader = if is_old { active.plain_client() } else { active.client() };
        let mut dcp = reader.produce(&format!("reader {is_old}"));
        dcp.stream(0, 1);
        let marker = dcp.next().marker();
        assert_eq!((marker.end.0, marker.body), (1, MarkerBody::V1));
        assert!(dcp.next().is_change());
    }
    // The client closes; its write stays prepared, and is told to nobody.
    let seqnos = active.client().ask(FrameBuilder::request(Opcode::GET_ALL_VB_SEQNOS));
    assert_eq!(seqnos.frame().value[..10], [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
}

#[test]
fn a_drop_of_the_collection_ends_what_waits_in_it() {
    let (active, _replica) = pair();
    let manifest = |uid: u8, collections: &str| {
        let scope = format!(r#"{{"name":"_default","uid":"0","collections":[{collections}]}}"#);
        format!(r#"{{"uid":"{uid}","scopes":[{scope}]}}"#)
    };
    let default = r#"{"name":"_default","uid":"0"}"#;
    let set = |text: String| {
        let request = FrameBuilder::request(Opcode::COLLECTIONS_SET_MANIFEST);
        active.client().ask(request.value(text.as_bytes()));
    };
    set(manifest(1, &format!(r#"{default},{{"name":"c","uid":"8"}}"#)));
    let mut client = active.client();
    send_collection_set(&mut client, 3, 8, &framing(1, 60_000));
    wait_for("the prepare", || active.rows(0).iter().any(|row| !row.is_visible()));
    set(manifest(2, default));
    assert_eq!(client.answer_to(3).status(), Status::SYNC_WRITE_AMBIGUOUS);
    assert!(active.rows(0).iter().all(|row| row.is_visible()));
    assert_eq!(status(&mut client, Opcode::SET, "k", &[0; 8], "x"), Status::SUCCESS);
}
